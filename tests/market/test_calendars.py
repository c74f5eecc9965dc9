"""Sessions of exchanges between two days."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pytest_finbot.errors import ParameterError
from pytest_finbot.market.calendars import calendar_names, known_calendar, sessions_between

DAYS = some.dates(date(2005, 1, 1), date(2024, 12, 31))


def test_both_ends_are_included():
    sessions = sessions_between("XNYS", date(2020, 1, 17), date(2020, 1, 22))
    assert [str(day) for day in sessions] == ["2020-01-17", "2020-01-21", "2020-01-22"]  # 20th: holiday
    assert len(sessions_between("XNYS", date(2020, 1, 18), date(2020, 1, 20))) == 0


def test_a_window_within_one_day_and_one_over_new_year():
    assert len(sessions_between("XNYS", date(2020, 1, 17), date(2020, 1, 17))) == 1
    assert len(sessions_between("24/7", date(2019, 12, 31), date(2020, 1, 1))) == 2


@settings(max_examples=25, deadline=None, derandomize=True)
@given(DAYS, DAYS)
def test_a_part_of_a_window_has_the_sessions_of_the_whole(one, other):
    """Whatever was asked before, and with whatever bounds the calendar was built."""
    start, end = min(one, other), max(one, other)
    middle = start + (end - start) // 2
    parts = [sessions_between("XNYS", start, middle), sessions_between("XNYS", middle + timedelta(1), end)]
    whole = sessions_between("XNYS", start, end)
    assert np.array_equal(np.concatenate(parts), whole)
    assert (whole >= np.datetime64(start)).all()
    assert (whole <= np.datetime64(end)).all()


def test_the_last_recorded_year_of_a_bounded_calendar_can_be_used():
    assert str(sessions_between("XBOM", date(1997, 1, 1), date(1997, 1, 10))[0]) == "1997-01-01"
    assert len(sessions_between("XKRX", date(2020, 1, 1), date(2020, 12, 31))) == 248


def test_names_and_aliases_are_known():
    assert known_calendar("XNYS")
    assert known_calendar("NYSE")
    assert known_calendar("24/7")
    assert not known_calendar("New York")
    assert "XLON" in calendar_names()


def test_an_unknown_name_has_a_near_one_in_capitals():
    with pytest.raises(ParameterError, match="did you mean 'XNYS'"):
        sessions_between("xnys", date(2020, 1, 1), date(2020, 1, 31))
