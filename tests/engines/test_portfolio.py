"""The built-in engine: what is bought, what it costs, and what is left."""

import dataclasses
import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.contracts import CostSpec, DataSpec, MarketData, PartSpec, RunSpec, TargetWeights
from pytest_finbot.engines.portfolio import PortfolioEngine, simulate
from pytest_finbot.errors import ParameterError
from pytest_finbot.market.store import load_market

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def a_spec(symbols, **changes):
    spec = RunSpec(
        name="run",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, opens=None):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    sessions = np.datetime64("2020-01-01") + np.arange(len(closes))
    symbols = tuple("ABCDEFGH"[: closes.shape[1]])
    return MarketData(
        sessions=sessions,
        symbols=symbols,
        close=closes,
        field="close",
        source="prices.csv",
        open=None if opens is None else np.asarray(opens, dtype=np.float64),
    )


def decided(rows, weights):
    return TargetWeights(np.asarray(rows, np.int64), np.asarray(weights, np.float64))


def test_half_in_one_asset_without_costs_is_plain_arithmetic():
    result = simulate(a_spec("A"), a_market([[10], [20], [40]]), decided([0, 2], [[0.5], [0.5]]))
    assert result.nav.tolist() == [1000, 1500, 2500]
    assert result.quantity[:, 0].tolist() == [50, 50, 31.25]
    assert result.cash.tolist() == [500, 500, 1250]
    assert result.fills.quantity.tolist() == [50, -18.75]
    assert result.fills.session.tolist() == [0, 2]


def test_targeted_costs_leave_exactly_the_weight_invested():
    spec = a_spec("A", costs=CostSpec(commission_bps=100))
    result = simulate(spec, a_market([[10], [10]]), decided([0], [[1.0]]))
    # 1000 = V * 1.01: all of it is invested, none borrowed
    assert result.nav[0] == pytest.approx(1000 / 1.01, rel=1e-15)
    assert result.cash[0] == pytest.approx(0, abs=1e-12)
    assert result.fills.fee[0] == pytest.approx(1000 / 1.01 * 0.01, rel=1e-15)


def test_costs_paid_from_cash_may_overdraw_it():
    spec = a_spec("A", costs=CostSpec(commission_bps=100, booking="from_cash"))
    result = simulate(spec, a_market([[10], [10]]), decided([0], [[1.0]]))
    assert result.quantity[0, 0] == 100
    assert result.cash[0] == pytest.approx(-10)


def test_slippage_is_in_the_price_and_commission_per_share_is_a_fee():
    costs = CostSpec(slippage_bps=50, commission_per_share=0.02, booking="from_cash")
    result = simulate(a_spec("A", costs=costs), a_market([[10], [10]]), decided([0, 1], [[0.5], [0.0]]))
    fills = result.fills
    assert fills.price.tolist() == pytest.approx([10.05, 9.95])
    assert fills.fee.tolist() == pytest.approx([1.0, 1.0])
    assert fills.slippage.tolist() == pytest.approx([2.5, 2.5])
    assert result.nav[-1] == pytest.approx(1000 - 2 * 1.0 - 2 * 2.5)


def test_a_short_position_gains_when_the_price_falls():
    result = simulate(a_spec("AB"), a_market([[10, 10], [5, 10]]), decided([0], [[-0.5, 0.5]]))
    assert result.quantity[0].tolist() == [-50, 50]
    assert result.cash[0] == 1000
    assert result.nav[1] == 1250


@pytest.mark.parametrize(
    ("fill", "session", "price", "units"),
    [("close", 0, 10.0, 100.0), ("next_close", 1, 20.0, 50.0), ("next_open", 1, 16.0, 62.5)],
)
def test_orders_fill_when_and_at_what_they_say(fill, session, price, units):
    market = a_market([[10], [20], [20]], opens=[[9], [16], [21]])
    result = simulate(a_spec("A", fill=fill), market, decided([0], [[1.0]]))
    assert result.fills.session.tolist() == [session]
    assert result.fills.price.tolist() == [price]
    assert result.fills.quantity.tolist() == [units]


def test_next_open_without_opens_says_what_to_do():
    with pytest.raises(ParameterError, match=r"next_open needs opening prices.*open_path"):
        simulate(a_spec("A", fill="next_open"), a_market([[10], [20]]), decided([0], [[1.0]]))


def test_a_decision_with_no_session_left_is_told_not_filled():
    result = simulate(a_spec("A", fill="next_close"), a_market([[10], [20]]), decided([1], [[1.0]]))
    assert len(result.fills) == 0
    assert "2020-01-02 was not executed" in result.warnings[0]


@pytest.mark.parametrize(
    ("kind", "told"), [("slice", 0), ("in_sample", 0), ("out_of_sample", 1), ("window", 1)]
)
def test_a_decision_that_another_part_executes_is_no_news(kind, told):
    spec = a_spec("A", fill="next_close", part=PartSpec("run", kind, 1))
    result = simulate(spec, a_market([[10], [20]]), decided([0, 1], [[0.5], [1.0]]))
    assert len(result.fills) == 1
    assert len(result.warnings) == told


def test_targets_beyond_the_gross_limit_are_scaled_and_told():
    spec = a_spec("AB", max_gross_exposure=1.0)
    result = simulate(spec, a_market([[10, 10]]), decided([0], [[1.5, -0.5]]))
    assert result.quantity[0].tolist() == [75, -25]
    assert "1 of 1 decisions were scaled" in result.warnings[0]


def test_a_target_that_is_held_already_makes_no_trade_of_rounding_noise():
    closes = np.linspace(7.1, 9.3, 30)[:, None]
    rows = np.arange(30)
    result = simulate(a_spec("A"), a_market(closes), decided(rows, np.ones((30, 1))))
    assert len(result.fills) == 1


def test_small_trades_are_left_out_and_cash_stays_above_zero():
    spec = a_spec("AB", min_trade=60.0)
    market = a_market([[10, 10], [11, 10], [11, 11.1]])
    result = simulate(spec, market, decided([0, 1, 2], [[0.5, 0.5]] * 3))
    assert result.fills.session.tolist() == [0, 0]  # later trades are about 25 and 0.5


def test_a_nav_too_small_to_pay_for_its_trades_is_closed_not_an_error():
    # Short 96 of A at 10: at 20 a NAV of 20 is left, and buying back 1,900 costs 38.
    spec = a_spec("A", costs=CostSpec(commission_bps=200))
    result = simulate(spec, a_market([[10], [20], [10]]), decided([0, 1, 2], [[-0.98]] * 3))
    assert "does not pay for the next trades" in result.warnings[0]
    assert result.quantity[1:, 0].tolist() == [0, 0]
    assert [check for check in check_books(result, spec) if check.failed] == []


def test_an_account_that_lost_everything_is_closed_and_says_so():
    market = a_market([[10], [40], [10], [10]])
    result = simulate(a_spec("A"), market, decided([0, 1, 2], [[-1.0]] * 3))
    assert "NAV is -2,000.00 on 2020-01-02" in result.warnings[0]
    assert result.quantity[1:, 0].tolist() == [0, 0, 0]
    assert result.nav[1:].tolist() == [-2000.0] * 3


@pytest.mark.parametrize(("fill", "final_nav"), [("close", 1090358.27), ("next_close", 1206469.53)])
def test_a_moving_average_crossover_ends_where_three_independent_engines_end(fill, final_nav):
    if not SHARED.is_dir():
        without = pytest.fail if os.environ.get("CI") else pytest.skip
        without(f"the reference prices are not at {SHARED}")
    spec = a_spec(
        ["AAPL"],
        strategy="sma_crossover",
        params={"fast": 50, "slow": 200},
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(SHARED / "sp500_20_daily.csv.gz")),
        costs=CostSpec(commission_bps=10),
        fill=fill,
    )
    result = PortfolioEngine().run(spec, load_market(spec))
    assert round(float(result.nav[-1]), 2) == final_nav


SYMBOLS = 3
prices = st.lists(
    st.lists(st.floats(1.0, 500.0), min_size=SYMBOLS, max_size=SYMBOLS), min_size=2, max_size=12
)
weight_rows = st.lists(st.floats(-0.6, 0.6), min_size=SYMBOLS, max_size=SYMBOLS)
all_costs = st.builds(
    CostSpec,
    commission_bps=st.floats(0, 50),
    commission_per_share=st.floats(0, 0.05),
    slippage_bps=st.floats(0, 50),
    booking=st.sampled_from(["targeted", "from_cash"]),
)


@st.composite
def backtests(draw):
    closes = np.array(draw(prices))
    rows = sorted(draw(st.sets(st.integers(0, len(closes) - 1), min_size=1, max_size=6)))
    weights = [draw(weight_rows) for _ in rows]
    spec = a_spec(
        "ABC",
        costs=draw(all_costs),
        fill=draw(st.sampled_from(["close", "next_close", "next_open"])),
        units=draw(st.sampled_from(["fractional", "whole"])),
        min_trade=draw(st.sampled_from([0.0, 25.0])),
        max_gross_exposure=draw(st.sampled_from([None, 1.0])),
        start_capital=10_000.0,
    )
    opens = closes * draw(st.floats(0.9, 1.1))
    return spec, a_market(closes, opens), decided(rows, weights)


@settings(max_examples=150, deadline=None)
@given(backtests())
def test_the_books_always_add_up(backtest):
    spec, market, targets = backtest
    broken = [check for check in check_books(simulate(spec, market, targets), spec) if check.failed]
    assert broken == []


@settings(max_examples=150, deadline=None)
@given(backtests())
def test_long_only_targets_with_targeted_costs_never_overdraw_cash(backtest):
    spec, market, targets = backtest
    long = np.abs(targets.weights)
    long /= np.maximum(long.sum(axis=1, keepdims=True), 1.0)
    spec = dataclasses.replace(spec, costs=dataclasses.replace(spec.costs, booking="targeted"))
    result = simulate(spec, market, TargetWeights(targets.rows, long))
    assert result.cash.min() >= -1e-9 * 10_000


@settings(max_examples=100, deadline=None)
@given(backtests())
def test_after_targeted_costs_every_position_has_its_weight(backtest):
    spec, market, targets = backtest
    spec = dataclasses.replace(
        spec,
        costs=dataclasses.replace(spec.costs, booking="targeted"),
        units="fractional",
        min_trade=0.0,
        fill="close",
        max_gross_exposure=None,
    )
    result = simulate(spec, market, targets)
    if any("closed" in warning for warning in result.warnings):
        return  # a lost account is closed, whatever the targets
    for row, weights in zip(targets.rows, targets.weights, strict=True):
        held = result.quantity[row] * market.close[row] / result.nav[row]
        assert held == pytest.approx(weights, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(backtests())
def test_whole_units_are_whole(backtest):
    spec, market, targets = backtest
    result = simulate(dataclasses.replace(spec, units="whole"), market, targets)
    assert (result.quantity == np.rint(result.quantity)).all()


@settings(max_examples=60, deadline=None)
@given(backtests(), st.integers(1, 11))
def test_what_comes_later_never_changes_what_was(backtest, cut):
    spec, market, targets = backtest
    cut = min(cut, len(market.sessions))
    known = targets.rows < cut
    full = simulate(spec, market, targets)
    short = simulate(
        spec,
        a_market(market.close[:cut], market.open[:cut]),
        TargetWeights(targets.rows[known], targets.weights[known]),
    )
    assert (short.nav == full.nav[:cut]).all()
    assert (short.quantity == full.quantity[:cut]).all()


# ------------------------------------------------------------------------- a strategy that never trades


@pytest.mark.parametrize(
    ("rows", "weights", "why"),
    [
        ([], [], "it decided nothing"),
        ([0, 2], [[0.0], [0.0]], "the weights of its 2 decisions are all zero"),
        ([1], [[1e-9]], "none of its 1 decision led to a trade"),
    ],
)
def test_a_strategy_that_never_takes_a_position_is_told(rows, weights, why):
    market = a_market([[10.0], [11.0], [12.0]])
    targets = TargetWeights(np.array(rows, np.int64), np.array(weights, float).reshape(-1, 1))
    result = simulate(a_spec("A", units="whole"), market, targets)
    assert result.warnings == (f"the strategy never took a position: 0 fills in 3 sessions; {why}",)


def test_one_position_is_enough():
    targets = TargetWeights(np.array([0]), np.array([[1.0]]))
    assert not simulate(a_spec("A"), a_market([[10.0], [11.0]]), targets).warnings
