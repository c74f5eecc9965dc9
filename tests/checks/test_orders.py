"""Orders that were decided and not executed, by hand-made accounts whose books all add up."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import (
    DataSpec,
    Decisions,
    EngineResult,
    Fills,
    Flow,
    MarketData,
    RejectedOrder,
    RunSpec,
    Verdict,
)
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.portfolio import PortfolioEngine
from pytest_finbot.errors import EngineError
from pytest_finbot.valuation.books import Books

DAYS = np.array([f"2015-03-{day:02}" for day in (2, 3, 4, 5, 6, 9, 10, 11)], "datetime64[D]")
CLOSE = np.column_stack([np.arange(100.0, 108.0), np.arange(50.0, 42.0, -1.0)])
MARKET = MarketData(DAYS, ("AAPL", "XOM"), CLOSE, "close", "prices.csv", open=CLOSE + 0.5)
SPEC = RunSpec(
    name="run",
    engine="mine:run",
    strategy="mine:strategy",
    params={},
    symbols=("AAPL", "XOM"),
    start_date=date(2015, 3, 2),
    end_date=date(2015, 3, 11),
    start_capital=100_000.0,
    data=DataSpec("prices.csv"),
)
WEIGHTS = [[0.5, 0.5], [0.5, 0.3], [0.8, 0.0]]
"""Decided on rows 0, 2 and 5."""


def decisions(weights=WEIGHTS, rows=(0, 2, 5), later=0):
    rows = np.array(rows, np.int64)
    return Decisions(rows, np.array(weights, np.float64), rows + later, len(rows), 0, ())


def account(trades, prices=CLOSE, market=MARKET, flows=None, **others):
    """A result of these ``trades``, {row: (units of each)}, at ``prices``."""
    change = np.zeros(CLOSE.shape)
    for row, units in trades.items():
        change[row] = units
    quantity = np.cumsum(change, axis=0)
    flows = np.zeros(len(DAYS)) if flows is None else flows
    cash = 100_000.0 + np.cumsum(flows - (change * prices).sum(axis=1))
    rows, columns = np.nonzero(change)
    none = np.zeros(len(rows))
    result = EngineResult.of(
        sessions=DAYS,
        assets=("AAPL", "XOM"),
        nav=cash + (quantity * market.close).sum(axis=1),
        cash=cash,
        quantity=quantity,
        mark=market.close,
        flows=flows,
        start_cash=100_000.0,
        fills=Fills(rows, columns, change[rows, columns], prices[rows, columns], none, none),
        **others,
    )
    assert not [check for check in check_books(result, SPEC) if check.failed]
    return result


EXECUTED = {0: (500.0, 1000.0), 2: (-15.0, -381.0), 5: (266.0, -619.0)}
"""Roughly what :data:`WEIGHTS` ask for."""


def without(row, column):
    units = list(EXECUTED[row])
    units[column] = 0.0
    return {**EXECUTED, row: tuple(units)}


def check(result, spec=SPEC, market=MARKET, told=None):
    return check_orders(Books(result), spec, market, decisions() if told is None else told)


def test_orders_that_were_executed_are_no_fault():
    assert check(account(EXECUTED)).verdict is Verdict.IDENTICAL


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        (0, 0, "of AAPL on 2015-03-02, where 0 % of NAV is held and 50 % was decided on 2015-03-02"),
        (2, 1, "XOM on 2015-03-04, where 48.48 % of NAV is held and 30 % was decided on 2015-03-04"),
        (5, 0, "AAPL on 2015-03-09, where 51.65 % of NAV is held and 80 % was decided on 2015-03-09"),
        (5, 1, "XOM on 2015-03-09, where 28.25 % of NAV is held and 0 % was decided on 2015-03-09"),
    ],
)
def test_an_order_that_was_dropped_is_told_with_its_day_and_asset(row, column, words):
    found = check(account(without(row, column)))
    assert (found.verdict, found.session) == (Verdict.ERROR, str(DAYS[row]))
    assert found.asset == ("AAPL", "XOM")[column]
    assert words in found.message


def test_each_order_that_was_dropped_is_counted():
    found = check(account({}))
    assert found.value == 5.0
    assert found.message.startswith("5 orders neither executed nor told as rejected: the first of AAPL on")


def test_most_of_an_order_cut_away_is_a_drop_and_a_little_is_not():
    assert check(account({**EXECUTED, 5: (100.0, -619.0)})).asset == "AAPL"
    assert not check(account({**EXECUTED, 5: (180.0, -619.0)})).failed


def test_where_nothing_is_traded_less_is_enough():
    """A drift of 1.5 % of NAV that was to be sold: with a fill it would be a matter of sizing."""
    found = check(account(without(2, 0)))
    assert (found.asset, found.session, found.value) == ("AAPL", "2015-03-04", 1.0)
    assert not check(account({**EXECUTED, 2: (-1.0, -381.0)})).failed


def test_what_was_told_as_rejected_is_not_told_again():
    rejected = (RejectedOrder(2, 1, -400.0, "halted"),)
    assert not check(account(without(2, 1), rejected_orders=rejected)).failed
    for elsewhere in (RejectedOrder(2, 0, -400.0, "halted"), RejectedOrder(1, 1, -400.0, "halted")):
        assert check(account(without(2, 1), rejected_orders=(elsewhere,))).session == "2015-03-04"


def test_late_is_not_dropped_and_after_the_next_decision_is_not_late():
    late = {**without(2, 1), 4: (0.0, -381.0)}
    assert not check(account(late)).failed
    assert check(account({**without(2, 1), 5: (266.0, -1000.0)})).session == "2015-03-04"


def test_an_engine_that_never_heard_of_a_symbol_dropped_its_orders():
    whole = account(without(0, 1) | {2: (0.0, 0.0), 5: (253.0, 0.0)})
    result = dataclasses.replace(
        whole,
        assets=("AAPL",),
        **{name: getattr(whole, name)[:, :1] for name in ("quantity", "mark", "income", "splits")},
        multiplier=whole.multiplier[:1],
    )
    found = check(result)
    assert (found.asset, found.session, found.value) == ("XOM", "2015-03-02", 2.0)


def test_orders_sized_before_a_gap_are_executed_whatever_weight_that_makes():
    """Half of NAV at yesterday's close; at the open the price is a third higher, and no order was due."""
    close = np.column_stack([[100.0, 100, 100, 133, 133, 133, 133, 133], np.full(8, 50.0)])
    market = dataclasses.replace(MARKET, close=close, open=close)
    result = account({1: (500.0, 0.0)}, prices=close, market=market)
    told = decisions([[0.5, 0.0], [0.5, 0.0]], rows=(0, 2), later=1)
    spec = dataclasses.replace(SPEC, fill="next_open")
    assert result.quantity[3, 0] * 133.0 / result.nav[3] == pytest.approx(0.571, abs=1e-3)
    assert not check(result, spec, market, told).failed


def test_a_move_after_the_open_is_no_fault_of_an_order_filled_there():
    close = np.column_stack([[100.0, 140, 140, 140, 140, 140, 140, 140], np.full(8, 50.0)])
    opens = np.column_stack([[100.0, 100, 140, 140, 140, 140, 140, 140], np.full(8, 50.0)])
    market = dataclasses.replace(MARKET, close=close, open=opens)
    result = account({1: (500.0, 0.0)}, prices=opens, market=market)
    spec = dataclasses.replace(SPEC, fill="next_open")
    told = decisions([[0.5, 0.0]], rows=(0,), later=1)
    assert result.quantity[1, 0] * 140.0 / result.nav[1] == pytest.approx(0.583, abs=1e-3)
    assert not check(result, spec, market, told).failed
    dropped = account({}, market=market)
    assert check(dropped, spec, market, told).session == "2015-03-03"


@pytest.mark.parametrize(("weight", "failed"), [(1.0, True), (0.71, True), (0.5, False)])
def test_a_split_between_decision_and_fill_hides_no_order_and_makes_none(weight, failed):
    close, splits = np.full((8, 2), 50.0), np.ones((8, 2))
    close[3:, 1], splits[3, 1] = 25.0, 2.0
    market = dataclasses.replace(MARKET, close=close, open=close, splits=splits)
    quantity = np.zeros((8, 2))
    quantity[0:, 1], quantity[3:, 1] = 1000.0, 2000.0
    held = account({0: (0.0, 1000.0)}, prices=close, market=market)
    result = dataclasses.replace(held, quantity=quantity, splits=splits, nav=np.full(8, 100_000.0))
    assert not [one for one in check_books(result, SPEC) if one.failed]
    told = decisions([[0.0, weight]], rows=(2,), later=1)
    assert check(result, dataclasses.replace(SPEC, fill="next_close"), market, told).failed is failed


def test_who_has_lost_everything_is_not_asked_for_positions():
    result = account({0: (0.0, 120_000.0), 1: (0.0, -120_000.0)})
    assert result.nav[1] == -20_000.0
    assert not check(result, told=decisions([[0.0, 60.0], [0.0, 0.5], [0.8, 0.0]])).failed


def test_less_than_a_unit_of_an_engine_of_whole_units_is_no_order():
    close = CLOSE * 1000.0
    market = dataclasses.replace(MARKET, close=close, open=close)
    whole = dataclasses.replace(SPEC, units="whole")
    found = check(account({}, prices=close, market=market), whole, market=market)
    assert not found.failed
    assert found.message.endswith(
        "; less than one unit is lacking to 5 orders: the first of AAPL on 2015-03-02, where 0 % of NAV is "
        "held and 50 % was decided on 2015-03-02"
    )
    fractions = account({0: (0.5, 1.0), 2: (-0.015, -0.381), 5: (0.05, 0.0)}, prices=close, market=market)
    assert check(fractions, market=market).session == "2015-03-09"


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("kind", ["fee", "slippage"])
def test_orders_sized_before_costs_that_take_much_of_nav_are_executed(kind, later):
    """AAPL stays at half of NAV, and XOM changes sides at a cost of 8 % of NAV: what AAPL is then is more
    than a half, and was no order."""
    close = np.full(CLOSE.shape, 100.0)
    market = dataclasses.replace(MARKET, close=close, open=close)
    sized = account({later: (500.0, 500.0), 2 + later: (0.0, -1000.0)}, close, market)
    costs = np.array([0.0, 0.0, 8_000.0])
    paid = np.cumsum(np.where(np.arange(len(DAYS)) == 2 + later, 8_000.0, 0.0))
    fills = dataclasses.replace(sized.fills, **{kind: costs})
    spent = dataclasses.replace(sized, fills=fills, nav=sized.nav - paid, cash=sized.cash - paid)
    told = decisions([[0.5, 0.5], [0.5, -0.5]], (0, 2), later)
    assert not check(spent, market=market, told=told).failed
    # The same NAV without a cost to explain it.
    free = dataclasses.replace(spent, fills=sized.fills)
    assert check(free, market=market, told=told).failed is (later == 0)
    other = dataclasses.replace(told, weights=np.array([[0.5, 0.5], [0.4, -0.5]]))
    assert check(spent, market=market, told=other).asset == "AAPL"


def test_what_is_never_held_does_not_make_an_engine_one_of_whole_units():
    """XOM costs more than its weight of NAV pays for: a whole-unit engine cannot, any other dropped it."""
    close = CLOSE * (1.0, 2000.0)
    market = dataclasses.replace(MARKET, close=close, open=close)
    told = decisions([[0.5, 0.5]], (0,))
    fractional = account({0: (500.5, 0.0)}, close, market)
    found = check(fractional, market=market, told=told)
    assert (found.failed, found.asset, found.value) == (True, "XOM", 1.0)
    assert check(account({}, close, market), market=market, told=told).failed
    in_whole = check(account({0: (500.0, 0.0)}, close, market), market=market, told=told)
    assert not in_whole.failed
    assert "less than one unit is lacking to 1 order: XOM on 2015-03-02" in in_whole.message


def test_least_trades_and_flows_are_reasons_to_miss_a_weight():
    nothing = account({**without(2, 1), 5: (266.0, -1000.0)})
    assert not check(nothing, dataclasses.replace(SPEC, min_trade=20_000.0)).failed
    flows = np.zeros(len(DAYS))
    flows[2] = 60_000.0
    spec = dataclasses.replace(SPEC, flows=(Flow(date(2015, 3, 4), 60_000.0),))
    with_flow = account(EXECUTED, flows=flows)
    told = decisions([[0.5, 0.5], [0.5, 0.5], [0.8, 0.0]])
    assert not check(with_flow, spec, told=decisions([[0.5, 0.5], [0.5, 0.3]], rows=(0, 2))).failed
    assert check(account(EXECUTED), told=told).session == "2015-03-04"


def test_without_decisions_it_is_skipped_and_says_so():
    found = check_orders(Books(account(EXECUTED)), SPEC, MARKET, None)
    assert (found.verdict, found.message) == (Verdict.SKIPPED, "the engine does not say what was decided")


def test_the_built_in_engine_says_what_was_decided_until_its_nav_is_spent():
    spec = dataclasses.replace(
        SPEC,
        engine="portfolio",
        strategy="fixed_weights",
        params={"weights": {"XOM": 60.0}},
        rebalance_freq="D",
    )
    result = PortfolioEngine().run(spec, MARKET)
    assert "does not pay for the next trades" in "".join(result.warnings)
    assert 0 < len(result.decisions.rows) < len(decide(spec, MARKET).rows)
    assert not check(result, spec, told=result.decisions).failed


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": np.array([0, 2, 2])}, "decisions.rows do not rise"),
        ({"fill_rows": np.array([0, 1, 5])}, "filled before they are decided"),
        (
            {"fill_rows": np.array([0, 2, 8])},
            r"decisions.fill_rows\[2\] is 8, expected a row of its 8 sessions",
        ),
        ({"weights": np.ones((3, 3))}, "decisions.weights has shape"),
        ({"weights": np.full((3, 2), np.nan)}, "decisions.weights are not all finite"),
        ({"rows": [0, 2, 5]}, "decisions.rows is list"),
    ],
)
def test_decisions_that_cannot_be_are_a_broken_contract(changed, words):
    result = account(EXECUTED, decisions=dataclasses.replace(decisions(), **changed))
    with pytest.raises(EngineError, match=words):
        check_result(result, SPEC, MARKET)


def test_decisions_of_another_type_are_a_broken_contract():
    with pytest.raises(
        EngineError, match=r"decisions are dict, expected pytest_finbot\.contracts\.Decisions"
    ):
        check_result(account(EXECUTED, decisions={}), SPEC, MARKET)


def test_a_result_without_any_asset_has_executed_no_order():
    days, none = len(DAYS), np.empty((len(DAYS), 0))
    flat = np.full(days, 100_000.0)
    result = EngineResult.of(
        sessions=DAYS, assets=(), nav=flat, cash=flat, quantity=none, mark=none, start_cash=100_000.0
    )
    check = check_orders(Books(result), SPEC, MARKET, decisions())
    assert (check.verdict, check.value, check.session, check.asset) == (
        Verdict.ERROR, 5.0, "2015-03-02", "AAPL"
    )  # fmt: skip
    split = dataclasses.replace(result, splits=np.full((days, 0), 2.0))
    assert check_orders(Books(split), SPEC, MARKET, decisions()).value == 5.0
