"""Prices for tests of engines: made, always the same, and like those of shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pytest_finbot.contracts import DataSpec, FloatArray, MarketData

FIRST = "2020-01-01"
_SEED = 20_200_101


def synthetic_market(symbols: Sequence[str], sessions: int = 300) -> MarketData:
    """Closes and opens of ``symbols`` on so many weekdays from 2020 on, in cents, rising on the whole.

    A symbol's prices depend on its place and nothing else.
    """
    random = np.random.default_rng(_SEED)
    count = len(symbols)
    drift = np.linspace(0.0004, 0.0012, count)
    returns = random.normal(0.0, 0.012, (sessions, count)) + drift
    begin = random.uniform(25.0, 150.0, count)
    close = np.round(begin * np.cumprod(1.0 + returns, axis=0), 2).astype(np.float64)
    before = np.vstack([close[:1], close[:-1]])
    opened = np.round(before * (1.0 + random.normal(0.0, 0.004, close.shape)), 2)
    return frozen(
        MarketData(
            sessions=np.busday_offset(FIRST, np.arange(sessions), roll="forward"),
            symbols=tuple(symbols),
            close=close,
            field="close",
            source="synthetic prices",
            open=opened,
        )
    )


def frozen(market: MarketData, **changes: FloatArray) -> MarketData:
    """``market`` with these arrays changed, all of them read-only as a session hands them out."""
    market = dataclasses.replace(market, **changes)  # type: ignore[arg-type]
    for name in ("sessions", "close", "open", "dividends", "splits"):
        values = getattr(market, name)
        if values is not None:
            values.setflags(write=False)
    return market


def until(market: MarketData, row: int) -> MarketData:
    """``market`` as it was known at the close of session ``row``."""
    end = row + 1
    opened = None if market.open is None else market.open[:end].copy()
    return frozen(
        dataclasses.replace(
            market, sessions=market.sessions[:end].copy(), close=market.close[:end].copy(), open=opened
        )
    )


def scrambled_after(market: MarketData, row: int) -> MarketData:
    """``market`` with another future: after session ``row`` the moves come in another order, turned round."""
    random = np.random.default_rng(_SEED + row)
    moves = market.close[row + 1 :] / market.close[row:-1]
    other = 1.0 / moves[random.permutation(len(moves))]
    close = market.close.copy()
    close[row + 1 :] = np.round(market.close[row] * np.cumprod(other, axis=0), 2)
    opened = None
    if market.open is not None:
        opened = market.open.copy()
        opened[row + 1 :] = np.round(close[row:-1] * (2.0 - np.sqrt(other[::-1])), 2)
    return frozen(dataclasses.replace(market, close=close, open=opened))


def permuted(market: MarketData, order: Sequence[int]) -> MarketData:
    """``market`` with its symbols in another order."""
    columns = list(order)
    return frozen(
        dataclasses.replace(
            market,
            symbols=tuple(market.symbols[n] for n in columns),
            close=np.ascontiguousarray(market.close[:, columns]),
            open=None if market.open is None else np.ascontiguousarray(market.open[:, columns]),
        )
    )


def written(market: MarketData, folder: Path) -> DataSpec:
    """``market`` as price files in ``folder``, and how a run reads them."""
    paths = {}
    for name in ("close", "open"):
        values = getattr(market, name)
        if values is None:
            continue
        lines = [",".join(("Date", *market.symbols))]
        for day, row in zip(market.sessions, values, strict=True):
            lines.append(",".join((str(day), *(repr(float(value)) for value in row))))
        paths[name] = folder / f"{name}.csv"
        paths[name].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return DataSpec(
        path=str(paths["close"]), open_path=str(paths["open"]) if "open" in paths else None, field="close"
    )
