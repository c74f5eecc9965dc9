"""Drawdowns, their dates and their lengths."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.valuation.drawdowns import Drawdown, depths, worst_drawdowns

SESSIONS = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")


def test_a_fall_and_the_way_back_are_dated():
    wealth = np.array([100.0, 110.0, 99.0, 88.0, 104.5, 110.0, 120.0])

    (found,) = worst_drawdowns(wealth, SESSIONS)

    assert found == Drawdown(
        peak="2020-01-01",
        trough="2020-01-03",
        recovery="2020-01-05",
        depth=pytest.approx(-0.2),
        to_trough=2,
        to_recover=2,
        length=4,
    )


def test_a_loss_on_the_first_session_is_a_drawdown_from_the_start_capital():
    (found,) = worst_drawdowns(np.array([100.0, 90.0, 95.0]), SESSIONS)

    assert (found.peak, found.trough, found.recovery) == ("2020-01-01", "2020-01-01", None)
    assert (found.to_trough, found.to_recover, found.length) == (1, None, 2)


def test_a_fall_from_what_was_held_before_is_dated_to_the_session_before():
    (found,) = worst_drawdowns(np.array([100.0, 90.0, 95.0]), SESSIONS, start_session=date(2019, 12, 30))

    assert (found.peak, found.trough, found.recovery) == ("2019-12-30", "2020-01-01", None)
    assert (found.to_trough, found.to_recover, found.length) == (1, None, 2)


def test_the_deepest_come_first_and_ties_in_order_of_time():
    wealth = np.array([100.0, 90.0, 100.0, 80.0, 100.0, 90.0, 100.0, 95.0])

    found = worst_drawdowns(wealth, SESSIONS, 3)

    assert [(drawdown.trough, round(drawdown.depth, 12)) for drawdown in found] == [
        ("2020-01-03", -0.2),
        ("2020-01-01", -0.1),
        ("2020-01-05", -0.1),
    ]


@pytest.mark.parametrize(
    "wealth", [[100.0, 100.0, 100.0], [1.0, 2.0, 3.0], [100.0, 100.0 * (1 - 1e-15), 100.0]]
)
def test_wealth_that_does_not_fall_has_none(wealth):
    assert worst_drawdowns(np.array(wealth), SESSIONS) == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(50, 150).map(float), min_size=2, max_size=50))
def test_each_drawdown_is_the_one_a_reader_would_find_by_hand(levels):
    wealth = np.array(levels)

    found = worst_drawdowns(wealth, SESSIONS, 100)

    by_hand, peak, end = [], 0, len(levels)
    for row in range(1, end + 1):
        if row == end or levels[row] >= levels[peak]:
            fall = levels[peak + 1 : row]
            if fall:
                length = row - peak if row < end else len(fall)
                down = fall.index(min(fall)) + 1
                by_hand.append(
                    (min(fall) / levels[peak] - 1, down, row - peak - down if row < end else -1, length)
                )
            peak = row
    assert sorted(
        (d.depth, d.to_trough, -1 if d.to_recover is None else d.to_recover, d.length) for d in found
    ) == sorted(by_hand)
    assert min((drawdown.depth for drawdown in found), default=0.0) == depths(wealth).min()
