"""The books: what a result is worth, and what was gained and lost, from positions alone."""

import numpy as np

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.valuation.books import Books, market_values

SESSIONS = np.arange("2015-03-02", "2015-03-05", dtype="datetime64[D]")


def one_round_trip(**changes):
    """Buy 10 at 99.5 (0.5 slippage), hold, sell 4 at 109; fees of 1 each, a dividend of 5."""
    facts = {
        "sessions": SESSIONS,
        "assets": ("AAPL",),
        "nav": np.array([2004.0, 2109.0, 2103.0]),
        "cash": np.array([1004.0, 1009.0, 1443.0]),
        "quantity": np.array([[10.0], [10.0], [6.0]]),
        "mark": np.array([[100.0], [110.0], [110.0]]),
        "start_cash": 2000.0,
        "income": np.array([[0.0], [5.0], [0.0]]),
        "fills": Fills(
            np.array([0, 2]),
            np.array([0, 0]),
            np.array([10.0, -4.0]),
            np.array([99.5, 109.0]),
            np.array([1.0, 2.0]),
            np.array([5.0, 0.0]),
        ),
    }
    return EngineResult.of(**{**facts, **changes})


def test_every_part_of_a_round_trip_is_accounted_for():
    books = Books(one_round_trip())

    assert books.market_values.tolist() == [[1000.0], [1100.0], [660.0]]
    assert books.paid.tolist() == [995.0, 0.0, -436.0]
    assert books.fees.tolist() == [1.0, 0.0, 2.0]
    assert books.slippage.tolist() == [5.0, 0.0, 0.0]
    assert books.income.tolist() == [0.0, 5.0, 0.0]
    assert books.pnl.tolist() == [5.0 - 1.0, 100.0 + 5.0, -4.0 - 2.0]
    assert books.cumulative_pnl.tolist() == [4.0, 109.0, 103.0]
    assert books.realised.tolist() == [0.0, 0.0, 4 * 9.5]
    assert books.unrealised.tolist() == [5.0, 105.0, 6 * 10.5]


def test_a_split_is_no_gain():
    result = one_round_trip(
        quantity=np.array([[10.0], [20.0], [20.0]]),
        mark=np.array([[100.0], [50.0], [51.0]]),
        splits=np.array([[1.0], [2.0], [1.0]]),
        income=None,
        fills=Fills(
            np.array([0]), np.array([0]), np.array([10.0]), np.array([100.0]), np.zeros(1), np.zeros(1)
        ),
    )
    books = Books(result)

    assert books.pnl.tolist() == [0.0, 0.0, 20.0]
    assert books.unrealised.tolist() == [0.0, 0.0, 20.0]


def test_a_multiplier_reaches_value_and_gain():
    books = Books(one_round_trip(multiplier=np.array([50.0])))

    assert books.market_value.tolist() == [50_000.0, 55_000.0, 33_000.0]
    assert books.pnl.tolist() == [250.0 - 1.0, 5000.0 + 5.0, -200.0 - 2.0]
    assert books.realised.tolist() == [0.0, 0.0, 1900.0]


def test_what_is_not_held_needs_no_mark_and_what_is_held_does():
    quantity = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    mark = np.array([[np.nan, 7.0], [np.inf, 8.0], [3.0, np.nan]])
    result = one_round_trip(assets=("NEW", "OLD"), quantity=quantity, mark=mark, income=None, fills=None)

    values = market_values(result)

    assert values[:2].tolist() == [[0.0, 7.0], [0.0, 8.0]]
    assert values[2, 0] == 0.0
    assert np.isnan(values[2, 1])


def test_an_asset_sold_on_a_day_without_a_mark_has_its_gain_from_the_price_it_was_sold_at():
    books = Books(
        one_round_trip(
            quantity=np.array([[10.0], [10.0], [0.0]]),
            mark=np.array([[100.0], [110.0], [np.nan]]),
            income=None,
            fills=Fills(
                np.array([0, 2]),
                np.array([0, 0]),
                np.array([10.0, -10.0]),
                np.array([100.0, 90.0]),
                np.zeros(2),
                np.zeros(2),
            ),
        )
    )

    assert books.pnl.tolist() == [0.0, 100.0, -200.0]


def test_nothing_of_the_engines_nav_enters_the_books():
    right, wrong = Books(one_round_trip()), Books(one_round_trip(nav=np.full(3, np.nan)))

    for name in ("market_value", "pnl", "cumulative_pnl", "realised", "unrealised"):
        np.testing.assert_array_equal(getattr(wrong, name), getattr(right, name))


def test_single_precision_columns_are_summed_in_double():
    fills = Fills(
        np.array([0]),
        np.array([0]),
        np.array([3.0], np.float32),
        np.array([0.1], np.float32),
        np.zeros(1),
        np.zeros(1),
    )

    assert Books(one_round_trip(fills=fills)).fill_value[0] == 3.0 * float(np.float32(0.1))


def test_a_broadcast_value_counts_unless_it_says_that_nothing_happened():
    result = one_round_trip(income=np.broadcast_to(2.0, (3, 1)), splits=np.broadcast_to(2.0, (3, 1)))

    assert Books(result).income.tolist() == [2.0, 2.0, 2.0]
    assert Books(result).split_factor.tolist() == [[2.0], [4.0], [8.0]]
    assert Books(one_round_trip()).split_factor is None
