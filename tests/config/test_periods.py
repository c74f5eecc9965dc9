"""Lengths of time on the calendar, counted by hand where months end."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pytest_finbot.config.periods import PeriodText, later

READ = TypeAdapter(PeriodText).validate_python


@pytest.mark.parametrize(
    ("day", "period", "times", "then"),
    [
        (date(2012, 2, 29), "1y", 1, date(2013, 2, 28)),
        (date(2012, 2, 29), "1y", 4, date(2016, 2, 29)),
        (date(2012, 2, 29), "12m", 3, date(2015, 2, 28)),
        (date(1896, 2, 29), "4y", 1, date(1900, 2, 28)),
        (date(2011, 10, 31), "1m", 1, date(2011, 11, 30)),
        (date(2011, 10, 31), "4m", 1, date(2012, 2, 29)),
        (date(2011, 10, 31), "5m", 1, date(2012, 3, 31)),
        (date(2011, 12, 31), "1d", 60, date(2012, 2, 29)),
        (date(2012, 2, 22), "1w", 1, date(2012, 2, 29)),
        (date(2010, 1, 4), "90d", 0, date(2010, 1, 4)),
        (date(2010, 1, 4), "3y", 0, date(2010, 1, 4)),
        (date(9998, 12, 31), "1y", 1, date(9999, 12, 31)),
        (date(9999, 12, 31), "1d", 1, None),
        (date(9999, 12, 1), "1m", 1, None),
        (date(2010, 1, 1), "99999y", 99_999, None),
        (date(2010, 1, 1), "99999w", 99_999, None),
    ],
)
def test_a_day_and_so_much_later(day, period, times, then):
    assert later(day, (READ(period), times)) == then


def test_months_are_added_up_before_a_day_is_cut_to_its_month():
    day, month, year = date(2012, 1, 31), READ("1m"), READ("1y")
    assert later(day, (month, 1), (month, 1)) == date(2012, 3, 31)
    assert later(date(2012, 2, 29), (year, 3), (READ("12m"), 1)) == date(2016, 2, 29)
    # Days in between are counted from the day they find.
    assert later(day, (month, 1), (READ("1d"), 1), (month, 1)) == date(2012, 4, 1)


@given(
    st.dates(date(1900, 1, 1), date(2100, 1, 1)),
    st.integers(1, 60),
    st.sampled_from("ymwd"),
    st.integers(0, 20),
)
def test_later_is_never_earlier_and_a_month_later_is_in_that_month(day, count, unit, times):
    period = READ(f"{count}{unit}")
    then, after = later(day, (period, times)), later(day, (period, times + 1))
    assert day <= then < after
    if period.months:
        months = count * times * (12 if unit == "y" else 1)
        assert (then.year * 12 + then.month) - (day.year * 12 + day.month) == months
        assert then.day == day.day or (then.day < day.day and (later(then, (READ("1d"), 1))).day == 1)
    else:
        assert (then - day).days == count * times * (7 if unit == "w" else 1)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("3", "'3': expected one of y, m, w, d"),
        ("3 years", "'3 years': 'years' is no unit; did you mean '3y'?"),
        ("6M", "'6M': 'M' is no unit; did you mean '6m'?"),
        ("6q", "'6q': 'q' is no unit; expected one of y, m, w, d"),
        ("0d", "'0d' is not from 1d to 99999d"),
        ("100000d", "'100000d' is not from 1d to 99999d"),
        ("-3y", "expected a period such as 3y, 6m, 8w or 90d, got the text '-3y'"),
        ("1.5y", "expected a period such as 3y, 6m, 8w or 90d, got the text '1.5y'"),
        (3, "expected a period such as 3y, 6m, 8w or 90d, got the number 3"),
        (None, "expected a period such as 3y, 6m, 8w or 90d, got nothing (null)"),
    ],
)
def test_what_is_no_period(value, words):
    with pytest.raises(ValidationError) as caught:
        READ(value)
    assert caught.value.errors()[0]["msg"] == words
