"""Values at the ends of what a float holds are findings: no warning of NumPy, no infinite percentage."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pytest_finbot.contracts import DataSpec, RunSpec
from pytest_finbot.engines.sizing import Rebalancer
from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.market.findings.stated import stated_actions
from pytest_finbot.market.missing import apply_policy
from pytest_finbot.market.ohlcv import SymbolBars
from pytest_finbot.market.prices import prices_of_bars
from pytest_finbot.market.quality import findings_of
from pytest_finbot.market.window import window_of

COLUMNS = ("open", "close", "adj_close", "high", "low", "dividends", "splits")
EXTREMES = (1e308, 1e-320, -1e308, np.inf, -np.inf, 0.0, np.nan, 1e200, 1e-200, 1e15, 1e-12)


def bars_of(symbol, sessions, changes):
    close = 50.0 * np.cumprod(1.0 + np.random.default_rng(len(symbol)).normal(0, 0.01, sessions))
    columns = {
        "open": close * 1.001, "close": close, "adj_close": close * 0.9, "high": close * 1.02,
        "low": close * 0.98, "dividends": np.where(np.arange(sessions) % 4, 0.0, 0.1),
        "splits": np.ones(sessions),
    }  # fmt: skip
    for column, row, value in changes:
        none = {"dividends": 0.0, "splits": 1.0}.get(column)
        columns[column][row % sessions] = none if none is not None and not abs(value) > 0.0 else value
    days = np.busday_offset("2020-01-06", np.arange(sessions)).astype("datetime64[D]")
    return SymbolBars(days, source=symbol, columns=(), **columns)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    sessions=some.integers(3, 50),
    changes=some.lists(
        some.tuples(some.sampled_from(COLUMNS), some.integers(0, 49), some.sampled_from(EXTREMES)), max_size=4
    ),
    field=some.sampled_from(["close", "adj_close"]),
    policy=some.sampled_from(["error", "drop", "forward_fill", "interpolate", "backfill"]),
    opens=some.booleans(),
)
def test_extreme_values_are_looked_at_without_a_warning(sessions, changes, field, policy, opens):
    """Warnings are errors in these tests."""
    table = prices_of_bars(
        {"A": bars_of("A", sessions, changes), "BB": bars_of("BB", sessions, ())}, field, "x"
    )
    first, last = table.sessions[[0, -1]].tolist()
    try:
        window, _ = apply_policy(window_of(table, table.symbols, first, last), policy, 5)
    except DataError:
        return
    findings = findings_of(window, None, opens=opens)
    assert not [one.message for one in findings if "inf %" in one.message or "xinf" in one.message]
    for action in stated_actions(window, findings):
        assert np.isfinite(action.total)


@pytest.mark.parametrize("price", [1e-12, 1e15])
def test_the_ends_of_what_a_price_can_be_are_prices(load, text, price):
    path = text(f"Date,AAPL\n2020-01-06,{price!r}\n2020-01-07,{price!r}\n")
    assert load(path, "AAPL", end="2020-01-07").close[:, 0].tolist() == [price, price]


@pytest.mark.parametrize("price", [0.99e-12, 1.01e15])
def test_beyond_the_ends_of_what_a_price_can_be_is_none(refused, text, price):
    path = text(f"Date,AAPL\n2020-01-06,1\n2020-01-07,{price!r}\n")
    refused(path, "AAPL", end="2020-01-07", tells=["between 1e-12 and 1e+15", "2020-01-07"])


def test_values_too_large_to_be_numbers_are_no_matter_of_costs():
    spec = RunSpec(
        name="run", engine="portfolio", strategy="fixed_weights", params={}, symbols=("A", "B"),
        start_date=date(2020, 1, 6), end_date=date(2020, 1, 7), start_capital=1e308, data=DataSpec("x"),
    )  # fmt: skip
    rebalancer = Rebalancer(spec, np.full((1, 2), 0.5), np.ones((1, 2)))
    with np.errstate(all="ignore"), pytest.raises(ParameterError, match="no finite numbers") as refusal:
        rebalancer.trade(0, 1e308, np.full(2, 1e308))
    assert "costs" not in str(refusal.value)
