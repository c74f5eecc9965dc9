"""Orders sized at the decision, or not executed in full, by numbers worked out by hand."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.contracts import CostSpec, DataSpec, Flow, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.execution import Execution
from pytest_finbot.engines.portfolio import simulate

AHEAD = Execution("decision")


def a_spec(symbols="A", **changes):
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
        fill="next_close",
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, **more):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(closes)),
        symbols=tuple("ABCD"[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
        **{name: np.asarray(values, np.float64) for name, values in more.items()},
    )


def decided(rows, weights):
    return TargetWeights(np.asarray(rows, np.int64), np.asarray(weights, np.float64))


def sound(result, spec):
    """Every identity of the books holds."""
    checks = check_books(result, spec)
    assert not [check for check in checks if check.failed], checks
    return result


def test_an_order_is_sized_at_the_close_that_decides_and_paid_at_the_next():
    # 1000 * 0.5 / 10 = 50 units, paid 12 each: 600. Then 0.5 of 400 + 50 * 12 = 1000, at 12: 41.67.
    spec = a_spec()
    result = sound(simulate(spec, a_market([[10], [12], [15]]), decided([0, 1], [[0.5], [0.5]]), AHEAD), spec)
    assert result.fills.quantity.tolist() == [50, pytest.approx(500 / 12 - 50)]
    assert result.fills.price.tolist() == [12, 15]
    assert result.cash.tolist() == [1000, 400, pytest.approx(400 + (50 - 500 / 12) * 15)]
    assert result.nav.tolist() == [1000, 1000, pytest.approx(400 + 50 * 15)]
    assert result.native["conventions"]["sized_at"] == "decision"


def test_at_the_next_open_the_close_that_decides_sizes_too():
    spec = a_spec(fill="next_open")
    market = a_market([[10], [12]], open=[[10], [11]])
    result = sound(simulate(spec, market, decided([0], [[1.0]]), AHEAD), spec)
    assert result.fills.quantity.tolist() == [100]
    assert result.cash.tolist() == [1000, -100]  # 100 units at 11: more than there was
    assert result.nav.tolist() == [1000, 1100]


def test_what_is_sold_whole_is_sold_whole():
    spec = a_spec("AB")
    result = simulate(spec, a_market([[10, 10], [13, 7], [11, 9]]), decided([0, 1], [[1, 0], [0, 1]]), AHEAD)
    # 100 A are paid 1300; at 13 NAV is still 1000, which buys B at 7.
    assert result.quantity[-1].tolist() == [0, pytest.approx(1000 / 7)]


def test_commission_is_of_what_is_paid_and_sizing_is_on_prices_of_the_decision():
    # from_cash: 1000 / 10 = 100 units; paid 12: 1200 and 1 % of it.
    spec = a_spec(costs=CostSpec(commission_bps=100.0, booking="from_cash"))
    result = sound(simulate(spec, a_market([[10], [12]]), decided([0], [[1.0]]), AHEAD), spec)
    assert result.fills.quantity.tolist() == [100]
    assert result.fills.fee.tolist() == [12]
    assert result.cash[-1] == 1000 - 1200 - 12
    # targeted: units * 10 * 1.01 = 1000, as the decision sees it.
    targeted = dataclasses.replace(spec, costs=CostSpec(commission_bps=100.0))
    result = sound(simulate(targeted, a_market([[10], [12]]), decided([0], [[1.0]]), AHEAD), targeted)
    assert result.fills.quantity[0] == pytest.approx(1000 / 10.1, rel=1e-14)


def test_whole_units_are_cut_at_the_decision():
    spec = a_spec(units="whole")
    result = simulate(spec, a_market([[30], [20]]), decided([0], [[1.0]]), AHEAD)
    assert result.fills.quantity.tolist() == [33]


def test_an_order_is_split_with_what_is_held():
    # 100 units at 10 are ordered; before they are filled there are two for each one, worth 5.
    spec = a_spec()
    market = a_market([[10], [5], [5]], splits=[[1], [2], [1]])
    result = sound(simulate(spec, market, decided([0], [[1.0]]), AHEAD), spec)
    assert result.quantity[:, 0].tolist() == [0, 200, 200]
    assert result.nav.tolist() == [1000, 1000, 1000]


def test_a_deposit_of_the_next_session_is_not_known_to_the_decision():
    spec = a_spec(flows=(Flow(date(2020, 1, 2), 500.0),))
    market = a_market([[10], [10]])
    ahead = sound(simulate(spec, market, decided([0], [[1.0]]), AHEAD), spec)
    assert ahead.fills.quantity.tolist() == [100]
    assert simulate(spec, market, decided([0], [[1.0]])).fills.quantity.tolist() == [150]


def test_with_fills_at_the_close_that_decides_there_is_nothing_to_size_earlier():
    spec = a_spec(fill="close", costs=CostSpec(commission_bps=10.0))
    market = a_market([[10], [12], [11]])
    targets = decided([0, 2], [[0.5], [0.3]])
    assert simulate(spec, market, targets, AHEAD).nav.tolist() == simulate(spec, market, targets).nav.tolist()


def test_an_order_that_is_blocked_is_not_executed_and_the_others_are():
    spec = a_spec("AB", fill="close")
    blocked = Execution(executed=np.array([[1.0, 0.0], [1.0, 1.0]]))
    market = a_market([[10, 10], [20, 10]])
    result = sound(simulate(spec, market, decided([0, 1], [[0.5, 0.5], [0.5, 0.5]]), blocked), spec)
    # B is not bought on the first day; on the second half of 500 + 50 * 20 goes into each.
    assert result.quantity.tolist() == [[50, 0], [37.5, 75]]
    assert result.nav.tolist() == [1000, 1500]


def test_a_part_of_an_order_is_executed_in_whole_units_where_these_are_traded():
    market = a_market([[10], [10]])
    part = Execution(executed=np.array([[0.25]]))
    assert simulate(a_spec(fill="close"), market, decided([0], [[0.9]]), part).quantity[-1, 0] == 22.5
    whole = a_spec(fill="close", units="whole")
    assert simulate(whole, market, decided([0], [[0.9]]), part).quantity[-1, 0] == 22


def test_a_decision_that_nothing_is_left_to_fill_needs_no_row_of_its_own():
    everything = Execution("decision", np.ones((2, 1)))
    market = a_market([[10], [12], [15]])
    targets = decided([0, 2], [[0.5], [1.0]])
    spec = a_spec()
    assert simulate(spec, market, targets, everything).nav.tolist() == (
        simulate(spec, market, targets, AHEAD).nav.tolist()
    )


def test_all_of_every_order_is_the_plain_account():
    market = a_market(np.arange(30)[:, None] + np.array([[10, 21]]))
    targets = decided(range(0, 30, 3), [[0.3 + 0.05 * k, 0.5 - 0.04 * k] for k in range(10)])
    spec = a_spec("AB", costs=CostSpec(10.0, 0.01, 5.0), units="whole")
    plain = simulate(spec, market, targets)
    through = simulate(spec, market, targets, Execution(executed=np.ones((10, 2))))
    assert through.quantity.tolist() == plain.quantity.tolist()
    assert through.nav.tolist() == pytest.approx(plain.nav.tolist(), rel=1e-14)
