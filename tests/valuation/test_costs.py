"""Facts of the transaction cost analysis."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.costs import analyse_costs


def account(fills, nav=1000.0):
    return EngineResult.of(
        sessions=np.datetime64("2020-01-01", "D") + np.arange(252),
        assets=("AAPL", "IDLE", "ES"),
        nav=np.full(252, nav),
        cash=np.full(252, nav),
        quantity=np.zeros((252, 3)),
        mark=np.ones((252, 3)),
        start_cash=1000.0,
        fills=fills,
        multiplier=np.array([1.0, 1.0, 50.0]),
    )


FILLS = Fills(
    np.array([0, 1, 1]),
    np.array([0, 2, 0]),
    np.array([10.0, -1.0, -10.0]),
    np.array([20.0, 4.0, 30.0]),
    np.array([1.0, 2.0, 0.5]),
    np.array([0.0, 0.5, 0.5]),
)


def test_costs_are_told_by_kind_and_by_asset_dearest_first():
    result = account(FILLS)
    found = analyse_costs(result, Books(result))

    assert (found.fills, found.traded, found.fees, found.slippage, found.costs) == (3, 700.0, 3.5, 1.0, 4.5)
    assert [(row.symbol, row.fills, row.traded, row.costs) for row in found.by_symbol] == [
        ("ES", 1, 200.0, 2.5),
        ("AAPL", 2, 500.0, 2.0),
    ]
    assert found.by_symbol[1].cost_bps == pytest.approx(40.0)
    assert found.drag_bps == pytest.approx(45.0)
    assert found.turnover == pytest.approx(0.35)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["by_symbol"][0]["symbol"] == "ES"


def test_a_run_without_trades_costs_nothing_and_says_what_has_no_value():
    result = account(Fills.none())
    found = analyse_costs(result, Books(result))

    assert found.costs == 0.0
    assert found.drag_bps == 0.0
    assert found.cost_bps is None
    assert found.undefined == {
        "cost_bps": "nothing was traded",
        "by_kind[0].share": "there were no costs",
        "by_kind[1].share": "there were no costs",
    }
    assert (found.by_symbol, found.dearest) == ((), ())
    assert found.cumulative.to_json()["costs"] == [0.0] * 252
    assert found.by_month.to_json()["traded"] == [0.0] * 9


def test_an_account_in_debt_has_no_drag():
    result = account(FILLS, nav=-1.0)
    found = analyse_costs(result, Books(result))

    assert found.drag_bps is None
    assert "-1.00" in found.undefined["drag_bps"]
    assert found.by_year[0].drag_bps is None
    assert "-1.00" in found.undefined["by_year[0].drag_bps"]


def test_kinds_and_symbols_are_shares_of_all_costs():
    result = account(FILLS)
    found = analyse_costs(result, Books(result))

    assert [(row.kind, row.costs, row.share) for row in found.by_kind] == [
        ("fees", 3.5, pytest.approx(3.5 / 4.5)),
        ("slippage", 1.0, pytest.approx(1.0 / 4.5)),
    ]
    assert [row.share for row in found.by_symbol] == [pytest.approx(2.5 / 4.5), pytest.approx(2.0 / 4.5)]


def two_years(fills):
    """Six sessions around a new year, NAV 1000 in the first and 2000 in the second."""
    days = ["2019-11-29", "2019-12-30", "2019-12-31", "2020-01-02", "2020-02-03", "2020-02-04"]
    nav = np.array([1000.0] * 3 + [2000.0] * 3)
    return EngineResult.of(
        sessions=np.array(days, "datetime64[D]"),
        assets=("AAPL", "ES"),
        nav=nav,
        cash=nav,
        quantity=np.zeros((6, 2)),
        mark=np.ones((6, 2)),
        start_cash=1000.0,
        fills=fills,
        multiplier=np.array([1.0, 50.0]),
    )


ACROSS = Fills(
    np.array([0, 2, 4, 5]),
    np.array([0, 1, 1, 0]),
    np.array([10.0, 1.0, -1.0, -10.0]),
    np.array([20.0, 2.0, 4.0, 30.0]),
    np.array([1.0, 2.0, 2.0, 0.5]),
    np.array([0.0, 0.5, 0.5, 0.5]),
)


def test_a_year_has_the_costs_of_its_sessions_over_its_own_nav():
    result = two_years(ACROSS)
    first, second = analyse_costs(result, Books(result)).by_year

    assert (first.year, first.sessions, first.fills, first.traded) == (2019, 3, 2, 300.0)
    assert (first.fees, first.slippage, first.costs) == (3.0, 0.5, 3.5)
    assert first.turnover == pytest.approx(0.15)
    assert first.drag_bps == pytest.approx(35.0)
    assert (second.year, second.sessions, second.fills, second.traded) == (2020, 3, 2, 500.0)
    assert second.drag_bps == pytest.approx(17.5)


def test_charts_get_costs_so_far_by_session_and_value_traded_by_month():
    result = two_years(ACROSS)
    found = analyse_costs(result, Books(result))

    assert found.cumulative.to_json() == {
        "session": [str(day) for day in result.sessions],
        "fees": [1.0, 1.0, 3.0, 3.0, 5.0, 5.5],
        "slippage": [0.0, 0.0, 0.5, 0.5, 1.0, 1.5],
        "costs": [1.0, 1.0, 3.5, 3.5, 6.0, 7.0],
    }
    assert found.by_month.to_json() == {
        "month": ["2019-11", "2019-12", "2020-01", "2020-02"],
        "traded": [200.0, 100.0, 0.0, 500.0],
    }


def test_the_dearest_fills_are_named_with_their_number_and_ties_stay_in_order():
    result = two_years(ACROSS)
    dearest = analyse_costs(result, Books(result)).dearest

    assert [(fill.number, fill.symbol, fill.costs) for fill in dearest] == [
        (2, "ES", 2.5),
        (3, "ES", 2.5),
        (1, "AAPL", 1.0),
        (4, "AAPL", 1.0),
    ]
    second = dearest[1]
    assert (second.session, second.quantity, second.price, second.value) == ("2020-02-03", -1.0, 4.0, -200.0)
    assert second.cost_bps == pytest.approx(125.0)


def test_no_more_than_ten_fills_are_told_and_of_equal_ones_the_first():
    count = 100
    fees = np.ones(count)
    fees[[70, 40]] = 2.0
    rows, asset = np.arange(count), np.zeros(count, np.int64)
    result = account(Fills(rows, asset, np.ones(count), np.ones(count), fees, np.zeros(count)))

    dearest = analyse_costs(result, Books(result)).dearest
    assert [fill.number for fill in dearest] == [41, 71, 1, 2, 3, 4, 5, 6, 7, 8]


def test_a_fill_at_price_zero_has_no_costs_in_basis_points():
    result = two_years(
        Fills(
            np.array([0]), np.array([0]), np.array([1.0]), np.array([0.0]), np.array([1.0]), np.array([0.0])
        )
    )
    found = analyse_costs(result, Books(result))

    assert found.dearest[0].cost_bps is None
    assert found.undefined["dearest[0].cost_bps"] == "nothing was traded"
    assert found.undefined["by_symbol[0].cost_bps"] == "nothing was traded"


def test_amounts_beyond_all_numbers_are_undefined_not_infinite():
    huge = np.array([1e200, 1e200])
    zero = np.array([0, 0])
    result = two_years(Fills(zero, zero, huge, huge, np.array([1e308, 1e308]), np.array([0.0, 0.0])))
    found = analyse_costs(result, Books(result))

    json.dumps([found.to_json(), found.cumulative.to_json(), found.by_month.to_json()], allow_nan=False)
    assert found.traded is None
    assert found.undefined["traded"] == "the result is not a finite number"
    assert found.undefined["dearest[0].cost_bps"] == "the result is not a finite number"
    assert found.undefined["fees"] == "the result is not a finite number"
    assert found.cumulative.reasons()["fees"] == "the result is not a finite number"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(-9, 9), st.integers(0, 9)), max_size=30
    )
)
def test_symbols_kinds_years_and_months_add_up_to_the_whole(drawn):
    drawn.sort(key=lambda fill: fill[0])
    columns = np.array(drawn, np.int64).reshape(-1, 4).T
    result = two_years(
        Fills(columns[0], columns[1], columns[2] * 1.0, columns[3] * 1.0, columns[3] * 0.5, columns[3] * 0.25)
    )
    found = analyse_costs(result, Books(result))

    for name in ("costs", "fees", "slippage", "traded", "fills"):
        whole = getattr(found, name)
        assert sum(getattr(row, name) for row in found.by_symbol) == pytest.approx(whole)
        assert sum(getattr(row, name) for row in found.by_year) == pytest.approx(whole)
    assert sum(row.costs for row in found.by_kind) == pytest.approx(found.costs)
    assert sum(found.by_month.to_json()["traded"]) == pytest.approx(found.traded)
    assert found.cumulative.to_json()["costs"][-1] == pytest.approx(found.costs)
