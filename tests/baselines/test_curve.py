"""The difference in NAV over time: few points, none of the extremes lost, no number where there is none."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.baselines.align import align
from pytest_finbot.baselines.curve import MOST_POINTS, curve_of
from pytest_finbot.baselines.results import RunResult


def result(nav: list[float]) -> RunResult:
    sessions = np.datetime64("2020-01-01") + np.arange(len(nav))
    return RunResult(sessions.astype("datetime64[D]"), np.asarray(nav, np.float64))


def test_a_short_curve_has_every_session_in_basis_points() -> None:
    curve = curve_of(align(result([100.0, 101.0, 99.0]), result([100.0, 100.0, 100.0])))
    assert curve is not None
    assert curve.sessions == ("2020-01-01", "2020-01-02", "2020-01-03")
    assert curve.bp == (0.0, 100.0, -100.0)


def test_where_nothing_differs_there_is_no_curve() -> None:
    assert curve_of(align(result([100.0, 101.0]), result([100.0, 101.0]))) is None
    assert curve_of(align(result([]), result([]))) is None


def test_a_nav_that_is_no_number_is_a_gap() -> None:
    curve = curve_of(align(result([100.0, float("nan")]), result([100.0, 100.0])))
    assert curve is not None
    assert curve.bp == (0.0, None)


def test_a_large_difference_is_told_to_the_tenth_that_reports_show() -> None:
    curve = curve_of(align(result([100.0, 12345.678912]), result([100.0, 100.0])))
    assert curve is not None
    assert curve.bp == (0.0, 1_224_567.9)


@given(st.integers(1, 400), st.data())
def test_the_largest_difference_is_always_a_point(length: int, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, length - 1))
    nav = [100.0 + 0.01 * (n % 7) for n in range(length)]
    nav[where] = 150.0
    curve = curve_of(align(result(nav), result([100.0] * length)))
    assert curve is not None
    assert len(curve.bp) == min(length, MOST_POINTS)
    assert max(value for value in curve.bp if value is not None) == 5000.0
    assert list(curve.sessions) == sorted(set(curve.sessions))
    assert str(np.datetime64("2020-01-01") + where) in curve.sessions
