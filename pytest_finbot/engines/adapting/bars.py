"""Prices of a run as the bars that an engine reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_finbot.contracts import MarketData

if TYPE_CHECKING:
    import pandas as pd

MADE_OF = "high and low are made of open and close, volume is a constant"
"""What a record says of bars that are made here."""
VOLUME = 1e12
"""Units traded in every session: enough that no engine cuts an order for want of them."""


def closes(market: MarketData) -> pd.DataFrame:
    """Closing prices, sessions x symbols; the index is ``DatetimeIndex`` without a time zone."""
    import pandas as pd

    index = pd.DatetimeIndex(market.sessions.astype("datetime64[ns]"), name="session")
    return pd.DataFrame(market.close.copy(), index=index, columns=list(market.symbols))


def bars(market: MarketData, column: int, names: tuple[str, str, str, str, str]) -> pd.DataFrame:
    """Bars of one symbol; ``names`` are those of open, high, low, close and volume.

    A market without opens has its closes in their place. High and low are those of the two.
    """
    import pandas as pd

    close = np.array(market.close[:, column])
    opened = close if market.open is None else np.array(market.open[:, column])
    values = (
        opened,
        np.maximum(opened, close),
        np.minimum(opened, close),
        close,
        np.full(len(close), VOLUME),
    )
    index = pd.DatetimeIndex(market.sessions.astype("datetime64[ns]"), name="session")
    return pd.DataFrame(dict(zip(names, values, strict=True)), index=index)
