"""How large a move is, and what becomes of it."""

import math

import numpy as np
import pytest

from pytest_finbot.baselines.align import align
from pytest_finbot.baselines.size import course, final_difference, largest_difference


def pair(book, apart, base=1000.0):
    apart = np.asarray(apart, dtype=float)
    baseline = book.with_nav(np.full(len(apart), base))
    return align(book.with_nav(baseline.nav + apart), baseline)


@pytest.mark.parametrize(
    ("apart", "row"),
    [
        ([0, 1, -5, 4], 2),
        ([0, 3, 3, 3], 1),  # the first of equals
        ([0, 0, 0, 1e-9], 3),
        ([0, math.nan, 2, 1], 2),  # a number says more than none
        ([0, math.nan, 0, 0], 1),
    ],
)
def test_the_largest_difference_is_found_whichever_its_sign(book, apart, row):
    both = pair(book, apart)
    largest = largest_difference(both)
    assert largest.session == str(both.sessions[row])
    assert largest.baseline == 1000.0
    if math.isfinite(apart[row]):
        assert largest.change == pytest.approx(apart[row])
        assert largest.relative == pytest.approx(apart[row] / 1000.0)
    else:
        assert (largest.now, largest.change, largest.relative) == (None, None, None)


def test_the_largest_difference_is_relative_to_the_nav_of_its_day(book):
    baseline = book.with_nav([1000.0, 100.0])
    now = book.with_nav([1050.0, 110.0])
    largest = largest_difference(align(now, baseline))
    assert (largest.change, largest.relative) == (10.0, 0.1)


@pytest.mark.parametrize("nav", [[1000.0, 1001.0], [1000.0, math.nan, math.inf, -math.inf], []])
def test_equal_navs_have_no_largest_difference(book, nav):
    assert largest_difference(align(book.with_nav(nav), book.with_nav(nav))) is None


def test_the_final_difference_is_that_of_each_ones_last_session(book):
    baseline = book.with_nav([1000.0, 1100.0, 1200.0])
    now = book.with_nav([1000.0, 1100.0])
    final = final_difference(now, baseline)
    assert (final.session, final.baseline, final.now) == (str(now.sessions[-1]), 1200.0, 1100.0)
    assert (final.change, final.relative) == (-100.0, pytest.approx(-1 / 12))
    assert final_difference(book.with_nav([]), baseline) is None


def test_the_final_difference_from_a_nav_near_zero_is_measured_by_the_floor(book):
    assert final_difference(book.with_nav([1000.0, 5.0]), book.with_nav([1000.0, 0.0])).relative == 0.5
    odd = final_difference(book.with_nav([1000.0, 5.0]), book.with_nav([1000.0, math.nan]))
    assert (odd.change, odd.relative) == (None, None)


@pytest.mark.parametrize(
    ("apart", "expected"),
    [
        (np.arange(1, 31), "grows"),
        (-np.arange(1, 31), "grows"),
        (np.full(30, 7.0), "stays"),
        (np.r_[np.full(15, 7.0), np.full(15, 3.0)], "stays"),
        (np.r_[np.full(15, 7.0), np.zeros(15)], "returns"),
        (np.r_[np.arange(15), np.arange(15)[::-1]], "returns"),
        ([2, 2, 2, 2, 3, 3], "grows"),  # 1.5 times
        ([2, 2, 2, 2, 2.9, 2.99], "stays"),
        ([10, 10, 10, 10, 10, 0.99], "returns"),  # a tenth of the largest
        ([10, 10, 10, 10, 10, 1.01], "stays"),
        ([1, 1, 9, 9, 9, 1, 2], "grows"),  # thirds of two sessions: the middle does not count
        ([1, math.nan, 1, 1], "stays"),
        ([1, 1], None),
        ([math.nan, 1, 1], None),
        ([0, 0, 0], None),
    ],
)
def test_a_difference_grows_stays_or_returns(book, apart, expected):
    assert course(pair(book, apart), 0, 1e-9) == expected


def test_a_difference_is_followed_from_its_first_session_on(book):
    both = pair(book, [0.0] * 50 + [5.0] * 6)
    assert course(both, 50, 1e-9) == "stays"
    assert course(both, 0, 1e-9) == "grows"


@pytest.mark.parametrize(("tolerance", "expected"), [(0.0081, "returns"), (0.0079, "stays")])
def test_a_difference_that_ends_within_the_tolerance_has_returned(book, tolerance, expected):
    assert course(pair(book, [10, 10, 10, 10, 10, 8]), 0, tolerance) == expected


def test_the_comparison_follows_nav_from_the_first_difference_with_the_tolerance_of_nav(book):
    baseline = book.with_nav(np.full(40, 1000.0), metrics={"sharpe": 1.0})
    apart = np.r_[np.zeros(10), np.full(29, 5.0), 2.0]
    now = book.with_nav(baseline.nav + apart, metrics={"sharpe": 2.0})
    assert book.compare(now, baseline).course == "stays"
    assert book.compare(now, baseline, "parity").course == "returns"  # 20 bp are within 25
    assert book.compare(book.metric(baseline, sharpe=2.0), baseline).course is None
