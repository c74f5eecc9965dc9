"""Markets and runs built by hand."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.contracts import DataSpec, MarketData, RunSpec


@pytest.fixture(scope="session")
def a_spec():
    """``a_spec(symbols, strategy, **changes)``: a run, its parameters as ``params``."""

    def build(symbols, strategy="fixed_weights", **changes):
        spec = RunSpec(
            name="run",
            engine="portfolio",
            strategy=strategy,
            params={},
            symbols=tuple(symbols),
            start_date=date(2020, 1, 1),
            end_date=date(2029, 12, 31),
            start_capital=1000.0,
            data=DataSpec("prices.csv"),
            rebalance_freq="D",
        )
        return dataclasses.replace(spec, **changes)

    return build


@pytest.fixture(scope="session")
def a_market():
    """``a_market(closes [T, N], first="2020-01-01", factors={})``: weekdays from ``first`` on."""

    def build(closes, first="2020-01-01", factors=None, symbols=None):
        closes = np.ascontiguousarray(closes, dtype=np.float64)
        sessions = np.busday_offset(first, np.arange(len(closes)), roll="forward")
        closes.flags.writeable = False
        return MarketData(
            sessions=sessions.astype("datetime64[D]"),
            symbols=tuple(symbols or (chr(ord("A") + column) for column in range(closes.shape[1]))),
            close=closes,
            field="close",
            source="prices.csv",
            factors={} if factors is None else {k: np.asarray(v, float) for k, v in factors.items()},
        )

    return build
