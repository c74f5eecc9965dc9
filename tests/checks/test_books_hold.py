"""The built-in engine's books hold, whatever happens to the account and however it trades."""

import dataclasses
from datetime import date

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import ActionSpec, CostSpec, DataSpec, Flow, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.portfolio import simulate
from pytest_finbot.engines.split_adjusted import split_adjusted
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.returns import wealth

SYMBOLS = ("A", "B", "C")
CAPITAL = 10_000.0
FIRST = np.datetime64("2020-01-01")


def table(rows, elements):
    return hnp.arrays(np.float64, (rows, len(SYMBOLS)), elements=elements)


def sometimes(value, otherwise):
    """``otherwise`` most of the time: an event on every day hides what a day without does."""
    return st.one_of(st.just(otherwise), st.just(otherwise), value)


@dataclasses.dataclass(frozen=True, eq=False)
class Backtest:
    """One run, and its prices and dividends in units of the time before any split."""

    spec: RunSpec
    market: MarketData
    targets: TargetWeights
    adjusted: MarketData

    @property
    def result(self):
        return simulate(self.spec, self.market, self.targets)


@st.composite
def backtests(draw):
    rows = draw(st.integers(2, 12))
    close = draw(table(rows, st.floats(5.0, 100.0)))
    opens = close * draw(table(rows, st.floats(0.9, 1.1)))
    paid = close * draw(table(rows, sometimes(st.floats(0.001, 0.2), 0.0)))
    splits = draw(table(rows, sometimes(st.sampled_from([2.0, 1.5, 7.0, 0.1, 1 / 3]), 1.0)))
    factor = np.cumprod(splits, axis=0)
    adjusted = MarketData(
        sessions=FIRST + np.arange(rows),
        symbols=SYMBOLS,
        close=close,
        field="close",
        source="drawn",
        open=opens,
        dividends=paid,
    )
    raw = dataclasses.replace(
        adjusted,
        close=close / factor,
        open=opens / factor,
        dividends=paid / (factor / splits),
        splits=splits,
    )
    decided = sorted(draw(st.sets(st.integers(0, rows - 1), min_size=1, max_size=8)))
    weights = draw(table(len(decided), st.floats(-1.0, 1.0)))
    gross = np.abs(weights).sum(axis=1, keepdims=True)
    weights *= np.minimum(1.0, 2.0 / np.maximum(gross, 1e-9))
    multipliers = draw(st.dictionaries(st.sampled_from(SYMBOLS), st.sampled_from([0.1, 10.0, 50.0])))
    least_value = raw.close.min() * min([1.0, *multipliers.values()])
    days = st.integers(0, rows - 1).map(lambda row: (FIRST + np.timedelta64(row, "D")).item())
    spec = RunSpec(
        name="run",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=SYMBOLS,
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=CAPITAL,
        data=DataSpec("drawn"),
        costs=CostSpec(
            commission_bps=draw(st.sampled_from([0.0, 10.0, 50.0])),
            # Of the cheapest unit's value: more than that, and trading costs more than it moves.
            commission_per_share=draw(st.sampled_from([0.0, 0.001, 0.02])) * float(least_value),
            slippage_bps=draw(st.sampled_from([0.0, 5.0, 50.0])),
            booking=draw(st.sampled_from(["targeted", "from_cash"])),
        ),
        fill=draw(st.sampled_from(["close", "next_close", "next_open"])),
        units=draw(st.sampled_from(["fractional", "whole"])),
        min_trade=draw(st.sampled_from([0.0, 25.0])),
        flows=tuple(draw(st.lists(st.builds(Flow, days, st.floats(-4_000.0, 8_000.0)), max_size=4))),
        actions=ActionSpec(booking=draw(st.sampled_from(["cash", "reinvest"]))),
        multipliers=multipliers,
    )
    return Backtest(spec, raw, TargetWeights(np.array(decided), weights), adjusted)


def plain(backtest, **changes):
    """``backtest`` with what does not scale with a position, or costs anything, left out."""
    spec = dataclasses.replace(
        backtest.spec, units="fractional", min_trade=0.0, costs=CostSpec(), fill="close", **changes
    )
    return dataclasses.replace(backtest, spec=spec)


def is_lost(result):
    return any("all positions were closed" in warning for warning in result.warnings)


@settings(max_examples=200, deadline=None)
@given(backtests())
def test_every_identity_holds(backtest):
    result = backtest.result
    check_result(result, backtest.spec, backtest.market)
    assert [check for check in check_books(result, backtest.spec) if check.failed] == []


@settings(max_examples=150, deadline=None)
@given(backtests())
def test_every_order_counts_as_executed_whatever_prices_and_money_do(backtest):
    result = backtest.result
    check = check_orders(Books(result), backtest.spec, backtest.market, result.decisions)
    assert not check.failed, check.message


@settings(max_examples=80, deadline=None)
@given(backtests())
def test_what_is_paid_in_and_out_is_what_the_run_says(backtest):
    result = backtest.result
    assert np.isclose(result.flows.sum(), sum(flow.amount for flow in backtest.spec.flows), atol=1e-6)
    began = np.vstack((np.zeros(len(SYMBOLS)), result.quantity[:-1]))
    assert np.allclose(result.income, began * backtest.market.dividends * result.multiplier, rtol=1e-12)


@settings(max_examples=80, deadline=None)
@given(backtests())
def test_raw_prices_with_splits_give_the_nav_of_adjusted_prices_without(backtest):
    costs = dataclasses.replace(backtest.spec.costs, commission_per_share=0.0)
    spec = dataclasses.replace(backtest.spec, costs=costs, units="fractional", min_trade=0.0)
    raw = simulate(spec, backtest.market, backtest.targets)
    adjusted = simulate(spec, backtest.adjusted, backtest.targets)
    assume(not is_lost(raw))
    scale = np.maximum(np.abs(adjusted.nav), CAPITAL)
    assert (np.abs(raw.nav - adjusted.nav) <= 1e-9 * scale).all()
    assert (np.abs(raw.cash - adjusted.cash) <= 1e-9 * scale).all()


@settings(max_examples=60, deadline=None)
@given(backtests())
def test_what_a_strategy_sees_are_the_adjusted_prices(backtest):
    seen = split_adjusted(backtest.market)
    for name in ("close", "open", "dividends"):
        assert np.allclose(getattr(seen, name), getattr(backtest.adjusted, name), rtol=1e-12, atol=0)


@settings(max_examples=80, deadline=None)
@given(backtests(), st.sampled_from([0, 1, 2]))
def test_a_reinvested_dividend_grows_as_the_total_return_does(backtest, column):
    weights = np.zeros((1, len(SYMBOLS)))
    weights[0, column] = 1.0
    held = dataclasses.replace(
        plain(backtest, flows=(), actions=ActionSpec(booking="reinvest")),
        targets=TargetWeights(np.array([0]), weights),
    )
    close, paid = backtest.adjusted.close[:, column], backtest.adjusted.dividends[:, column].copy()
    paid[0] = 0.0  # bought at that close, too late for what the day pays
    total_return = close / close[0] * np.cumprod(1.0 + paid / close)
    assert np.allclose(held.result.nav, CAPITAL * total_return, rtol=1e-12)
    assert np.allclose(held.result.cash, 0.0, atol=1e-9 * CAPITAL)


@settings(max_examples=80, deadline=None)
@given(backtests())
def test_flows_leave_the_time_weighted_return_alone(backtest):
    rows = np.arange(len(backtest.market.sessions))
    weights = np.resize(np.abs(backtest.targets.weights), (len(rows), len(SYMBOLS)))
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
    daily = dataclasses.replace(plain(backtest), targets=TargetWeights(rows, weights))
    with_flows, without = daily.result, plain(daily, flows=()).result
    assume((with_flows.nav > 0.01 * CAPITAL).all())
    assert np.allclose(wealth(with_flows), wealth(without), rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(backtests(), st.integers(1, 11))
def test_events_to_come_never_change_what_was(backtest, cut):
    market, targets = backtest.market, backtest.targets
    cut = min(cut, len(market.sessions))
    known = targets.rows < cut
    last = market.sessions[cut - 1].item()
    full = backtest.result
    short = simulate(
        dataclasses.replace(
            backtest.spec, flows=tuple(flow for flow in backtest.spec.flows if flow.date <= last)
        ),
        until(market, cut),
        TargetWeights(targets.rows[known], targets.weights[known]),
    )
    for name in ("nav", "cash", "quantity", "income"):
        assert (getattr(short, name) == getattr(full, name)[:cut]).all()
    seen, seen_in_full = split_adjusted(until(market, cut)), split_adjusted(market)
    assert (seen.close == seen_in_full.close[:cut]).all()


def until(market, cut):
    tables = ("sessions", "close", "open", "dividends", "splits")
    return dataclasses.replace(market, **{name: getattr(market, name)[:cut] for name in tables})
