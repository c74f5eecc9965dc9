"""The sessions of a result that count: what they earned, and that the parts make the whole."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import EngineResult, Fills, RejectedOrder
from pytest_finbot.errors import DataError
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metrics import compute_metrics
from pytest_finbot.valuation.own_part import own_part
from pytest_finbot.valuation.returns import returns_of, wealth
from pytest_finbot.valuation.risk import analyse_risk

FIRST = date(2020, 1, 1)


def account(nav, flows=None):
    """100 in cash becomes one unit of A on the first session, another of B on the third."""
    nav = np.asarray(nav, np.float64)
    rows = len(nav)
    quantity = np.zeros((rows, 2))
    quantity[:, 0] = 1.0
    quantity[2:, 1] = 1.0
    fills = Fills(
        np.array([0, 2, 2]),
        np.array([0, 1, 0]),
        np.array([1.0, 2.0, -1.0]),
        np.array([10.0, 20.0, 30.0]),
        np.array([1.0, 2.0, 3.0]),
        np.array([0.1, 0.2, 0.3]),
    )
    return EngineResult.of(
        sessions=np.datetime64(FIRST, "D") + np.arange(rows),
        assets=("A", "B"),
        nav=nav,
        cash=nav / 2,
        quantity=quantity,
        mark=np.ones((rows, 2)),
        start_cash=100.0,
        fills=fills,
        flows=flows,
        rejected_orders=(RejectedOrder(1, 0, 5.0, "early"), RejectedOrder(3, 1, 5.0, "late")),
    )


def test_a_part_begins_with_what_the_account_was_worth_the_session_before():
    whole = account([101.0, 102.0, 120.0, 90.0, 132.0])

    part = own_part(whole, FIRST + timedelta(2))

    assert part.start_cash == 102.0
    assert part.sessions.tolist() == whole.sessions[2:].tolist()
    assert part.nav.tolist() == [120.0, 90.0, 132.0]
    assert part.cash.tolist() == [60.0, 45.0, 66.0]
    assert part.quantity.shape == part.mark.shape == part.income.shape == part.splits.shape == (3, 2)
    metrics = compute_metrics(part, Books(part)).values
    assert metrics["total_return"] == pytest.approx(132.0 / 102.0 - 1.0)
    assert metrics["max_drawdown"] == pytest.approx(-0.25)
    assert metrics["final_nav"] == 132.0


def test_a_fall_on_its_first_session_is_from_the_session_before():
    whole = account([101.0, 102.0, 120.0, 90.0, 132.0])

    part = own_part(whole, FIRST + timedelta(3))

    metrics = compute_metrics(part, Books(part)).values
    names = ("max_drawdown_peak", "max_drawdown_trough", "max_drawdown_recovery")
    fall = ["2020-01-03", "2020-01-04", "2020-01-05"]
    assert [metrics[name] for name in names] == fall
    assert [compute_metrics(whole, Books(whole)).values[name] for name in names] == fall
    (drawdown,) = analyse_risk(part, Books(part)).drawdowns
    assert [drawdown.peak, drawdown.trough, drawdown.recovery] == fall


def test_a_part_of_one_session_fell_from_the_session_before():
    part = own_part(account([101.0, 102.0, 120.0, 90.0]), FIRST + timedelta(3))

    metrics = compute_metrics(part, Books(part)).values
    assert (metrics["max_drawdown_peak"], metrics["max_drawdown_trough"]) == ("2020-01-03", "2020-01-04")


def test_fills_and_rejected_orders_are_those_of_its_sessions_with_rows_of_its_own():
    part = own_part(account([101.0, 102.0, 120.0, 90.0]), FIRST + timedelta(2))

    assert part.fills.session.tolist() == [0, 0]
    assert part.fills.asset.tolist() == [1, 0]
    assert part.fills.fee.tolist() == [2.0, 3.0]
    assert part.fills.slippage.tolist() == [0.2, 0.3]
    assert [(order.session, order.reason) for order in part.rejected_orders] == [(1, "late")]
    metrics = compute_metrics(part, Books(part)).values
    assert metrics["trades"] == 2
    assert metrics["costs"] == pytest.approx(5.5)


def test_a_part_without_trades_has_none():
    part = own_part(account([101.0, 102.0, 120.0, 90.0]), FIRST + timedelta(3))

    assert len(part.fills) == 0
    assert compute_metrics(part, Books(part)).values["trades"] == 0


def test_a_deposit_is_no_performance_of_the_part_it_falls_into():
    flows = np.array([0.0, 50.0, 0.0, -30.0])
    whole = account([100.0, 150.0, 165.0, 135.0], flows)

    part = own_part(whole, FIRST + timedelta(2))

    assert part.start_cash == 150.0  # the deposit before it is capital
    assert compute_metrics(part, Books(part)).values["total_return"] == pytest.approx(0.1)


def test_from_the_first_session_or_earlier_it_is_the_whole():
    whole = account([101.0, 102.0, 120.0])

    assert own_part(whole, FIRST) is whole
    assert own_part(whole, FIRST - timedelta(100)) is whole


def test_from_a_day_without_a_session_it_begins_with_the_next_one():
    whole = account([101.0, 102.0, 120.0, 90.0])
    kept = np.array([0, 1, 3])
    whole = EngineResult.of(
        sessions=whole.sessions[kept],
        assets=whole.assets,
        nav=whole.nav[kept],
        cash=whole.cash[kept],
        quantity=whole.quantity[kept],
        mark=whole.mark[kept],
        start_cash=100.0,
    )

    part = own_part(whole, FIRST + timedelta(2))

    assert part.sessions.tolist() == [FIRST + timedelta(3)]
    assert part.start_cash == 102.0


def test_after_the_last_session_there_is_nothing_and_that_is_an_error():
    with pytest.raises(DataError, match=r"no session is on or after 2020-01-04.*last session is 2020-01-03"):
        own_part(account([101.0, 102.0, 120.0]), FIRST + timedelta(3))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_returns_of_consecutive_parts_link_to_those_of_the_whole(data):
    rows = data.draw(st.integers(3, 25))
    growth = np.array(data.draw(st.lists(st.floats(-0.3, 0.4), min_size=rows, max_size=rows)))
    shares = np.array(data.draw(st.lists(st.floats(-0.5, 1.0), min_size=rows, max_size=rows)))
    nav, flows = np.empty(rows), np.empty(rows)
    before = 100.0
    for row in range(rows):
        grown = before * (1.0 + growth[row])
        flows[row] = grown * shares[row]
        nav[row] = before = grown + flows[row]
    whole = account(nav, flows)
    cuts = sorted(data.draw(st.sets(st.integers(1, rows - 1), max_size=4)))

    linked = []
    for start, end in zip([0, *cuts], [*cuts, rows], strict=True):
        part = own_part(whole, FIRST + timedelta(start))
        linked.append(returns_of(wealth(part))[: end - start])

    assert np.concatenate(linked) == pytest.approx(returns_of(wealth(whole)), rel=1e-9, abs=1e-12)
    assert np.concatenate(linked) == pytest.approx(growth, rel=1e-9, abs=1e-9)
