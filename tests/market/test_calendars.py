"""Sessions of exchanges between two days."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pytest_finbot.errors import DataError, ParameterError
from pytest_finbot.market.calendars import (
    calendar_names,
    known_calendar,
    session_numbers,
    session_offset,
    sessions_between,
)

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
    assert known_calendar("weekdays")
    assert not known_calendar("New York")
    assert {"XLON", "weekdays"} <= calendar_names()


def test_an_unknown_name_has_a_near_one_in_capitals():
    with pytest.raises(ParameterError, match="did you mean 'XNYS'"):
        sessions_between("xnys", date(2020, 1, 1), date(2020, 1, 31))
    with pytest.raises(ParameterError, match="did you mean 'weekdays'"):
        sessions_between("weekday", date(2020, 1, 1), date(2020, 1, 31))


@pytest.mark.parametrize(
    ("name", "near"), [("Weekdays", "weekdays"), ("WEEKDAYS", "weekdays"), ("XNYSE", "XNYS")]
)
def test_the_same_name_in_other_letters_is_the_nearest(name, near):
    with pytest.raises(ParameterError, match=f"did you mean '{near}'"):
        sessions_between(name, date(2020, 1, 1), date(2020, 1, 31))


def test_the_first_and_the_last_day_that_there_is():
    """They stand for "no date", and have no day before or after them."""
    assert len(sessions_between("weekdays", date(9999, 12, 27), date.max)) == 5
    assert len(sessions_between("weekdays", date.min, date(1, 1, 7))) == 5
    assert session_offset("weekdays", date.max, -1) == date(9999, 12, 30)
    for start, end in ((date(2020, 1, 1), date.max), (date.min, date(2020, 1, 1))):
        with pytest.raises(DataError, match=f"are {start} to {end}, and sessions are told from 1700"):
            sessions_between("XNYS", start, end)


@pytest.mark.parametrize(
    ("name", "session", "count"),
    [("weekdays", date.max, 1), ("weekdays", date(1, 1, 3), -9), ("24/7", date(2199, 12, 30), 3)],
)
def test_an_offset_ends_where_dates_do(name, session, count):
    with pytest.raises(DataError, match="has no session"):
        session_offset(name, session, count)


def test_weekdays_know_no_holidays():
    days = sessions_between("weekdays", date(2019, 12, 24), date(2020, 1, 2))
    assert [day.day for day in days.tolist()] == [24, 25, 26, 27, 30, 31, 1, 2]
    assert len(sessions_between("weekdays", date(2020, 1, 4), date(2020, 1, 5))) == 0


def test_half_days_are_sessions_and_unscheduled_closures_are_none():
    assert len(sessions_between("XNYS", date(2020, 11, 27), date(2020, 11, 27))) == 1
    assert len(sessions_between("XNYS", date(2012, 10, 29), date(2012, 10, 30))) == 0


@pytest.mark.parametrize(
    ("name", "expected"), [("XNYS", "2012-10-22"), ("weekdays", "2012-10-24"), ("24/7", "2012-10-26")]
)
def test_five_sessions_back_and_forth(name, expected):
    """New York was closed on 2012-10-29 and 30."""
    back = session_offset(name, date(2012, 10, 31), -5)
    assert str(back) == expected
    assert session_offset(name, back, 5) == date(2012, 10, 31)
    assert session_offset(name, back, 0) == back


def test_an_offset_reaches_over_a_long_closure():
    """Athens was closed for five weeks in the summer of 2015."""
    try:
        sessions_between("ASEX", date(2015, 6, 26), date(2015, 8, 3))
    except DataError as error:
        pytest.skip(str(error))  # exchange_calendars 4.13 cannot build it under pandas 3
    assert str(session_offset("ASEX", date(2015, 8, 3), -1)) == "2015-06-26"
    assert str(session_offset("ASEX", date(2015, 6, 26), 1)) == "2015-08-03"


def test_an_offset_near_the_edge_of_the_records():
    assert str(session_offset("XBOM", date(1997, 1, 3), -1)) == "1997-01-02"
    with pytest.raises(DataError, match="no session 5 before 1997-01-03: it is recorded from 1997-01-01"):
        session_offset("XBOM", date(1997, 1, 3), -5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(some.sampled_from(["XNYS", "weekdays"]), some.integers(0, 4000), some.integers(-300, 300))
def test_an_offset_and_the_difference_of_numbers_are_one(name, place, count):
    session = sessions_between(name, date(2005, 1, 1), date(2024, 12, 31))[place].item()
    days = np.array([[session, session_offset(name, session, count)]], "datetime64[D]")
    ((at, there),) = session_numbers(name, days).tolist()
    assert there - at == count
    assert min(at, there) == 0


def test_a_day_without_session_has_no_number_and_no_offset():
    days = np.array(["2012-10-31", "2012-10-30", "2012-10-29", "2012-10-22"], "datetime64[D]")
    assert session_numbers("XNYS", days[[0, 3]]).tolist() == [5, 0]
    assert session_numbers("XNYS", days[:0]).tolist() == []
    with pytest.raises(DataError, match="2012-10-30 and 1 more: not a session of calendar XNYS"):
        session_numbers("XNYS", days)
    with pytest.raises(DataError, match="2012-10-30: not a session of calendar XNYS"):
        session_offset("XNYS", date(2012, 10, 30), -5)
