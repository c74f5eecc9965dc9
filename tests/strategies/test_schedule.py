"""When strategies decide."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.schedule import FREQUENCIES, decision_rows


def days(*texts):
    return np.array(texts, "datetime64[D]")


def decided(sessions, freq):
    return [str(day) for day in sessions[decision_rows(sessions, freq)]]


YEAR_END = days(
    "2019-12-27", "2019-12-30", "2019-12-31", "2020-01-02", "2020-01-06", "2020-02-03", "2020-04-01"
)


@pytest.mark.parametrize(
    ("freq", "expected"),
    [
        ("none", ["2019-12-27"]),
        ("D", [str(day) for day in YEAR_END]),
        # 2019-12-30 to 2020-01-03 is one ISO week, across the year's end
        ("W", ["2019-12-27", "2019-12-30", "2020-01-06", "2020-02-03", "2020-04-01"]),
        ("M", ["2019-12-27", "2020-01-02", "2020-02-03", "2020-04-01"]),
        ("Q", ["2019-12-27", "2020-01-02", "2020-04-01"]),
        ("A", ["2019-12-27", "2020-01-02"]),
    ],
)
def test_the_first_session_of_each_period_decides_and_so_does_the_first_of_all(freq, expected):
    assert decided(YEAR_END, freq) == expected


def test_the_same_month_of_another_year_is_a_new_month():
    assert decided(days("2019-03-04", "2020-03-02"), "M") == ["2019-03-04", "2020-03-02"]


def test_years_before_1970_have_quarters_too():
    assert decided(days("1969-12-31", "1970-01-02", "1970-03-31", "1970-04-01"), "Q") == [
        "1969-12-31",
        "1970-01-02",
        "1970-04-01",
    ]


@pytest.mark.parametrize("freq", FREQUENCIES)
def test_no_sessions_no_decisions(freq):
    rows = decision_rows(days(), freq)
    assert rows.shape == (0,)
    assert rows.dtype == np.int64


def test_an_unknown_frequency_is_refused_with_those_that_are_known():
    with pytest.raises(ParameterError, match=r"'Y' is not known \(known: none, D, W, M, Q, A\)"):
        decision_rows(YEAR_END, "Y")


sessions_of_some_years = st.sets(st.dates(date(1965, 1, 1), date(2030, 1, 1)), min_size=1, max_size=60).map(
    lambda found: days(*sorted(found))
)

CALENDAR = {
    "W": lambda day: day.isocalendar()[:2],
    "M": lambda day: (day.year, day.month),
    "Q": lambda day: (day.year, (day.month - 1) // 3),
    "A": lambda day: day.year,
}


some_days_in_a_row = st.dates(date(1965, 1, 1), date(2030, 1, 1)).map(
    lambda first: np.datetime64(first, "D") + np.arange(40)
)


@given(st.one_of(sessions_of_some_years, some_days_in_a_row), st.sampled_from(sorted(CALENDAR)))
def test_periods_are_those_of_the_calendar(sessions, freq):
    seen = [CALENDAR[freq](day) for day in sessions.tolist()]
    expected = [row for row, period in enumerate(seen) if row == 0 or period != seen[row - 1]]
    assert decision_rows(sessions, freq).tolist() == expected


@given(sessions_of_some_years, st.sampled_from(FREQUENCIES), st.data())
def test_cutting_the_future_off_changes_no_decision_before(sessions, freq, data):
    cut = data.draw(st.integers(1, len(sessions)))
    rows = decision_rows(sessions, freq)
    assert decision_rows(sessions[:cut], freq).tolist() == rows[rows < cut].tolist()
