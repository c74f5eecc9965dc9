"""Are the window's dates those on which there was trading?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from pytest_finbot.contracts import DataFinding, SessionArray
from pytest_finbot.market.calendars import EARLIEST, LATEST, sessions_between
from pytest_finbot.market.findings.words import count, days_of, weekday_of, with_weekdays
from pytest_finbot.market.prices import PriceTable
from pytest_finbot.market.table_file import some
from pytest_finbot.market.window import Window

EDGE = timedelta(days=7)
"""How far from its ends a window's first and last session may lie: a weekend and holidays."""

_ENOUGH = 5
"""Sessions below which a shift of all dates cannot be told from a few wrong ones."""
_EXPLAINED = 10
"""A shift explains dates where it leaves less than one in so many of them unexplained."""
_RARE = 10
"""Weekend dates are strange where there are so many times as many others."""


def date_findings(window: Window, calendar: str | None) -> Iterator[DataFinding]:
    """Windows not covered, and dates too many or too few. The window has a session.

    Raises ParameterError and DataError as :func:`calendars.sessions_between` does.
    """
    yield from _coverage(window)
    beyond = window.sessions[
        (window.sessions < np.datetime64(EARLIEST)) | (window.sessions > np.datetime64(LATEST))
    ]
    if len(beyond):
        message = (
            f"{count(len(beyond), 'date')} before {EARLIEST} or after {LATEST}: {some(map(str, beyond))}; "
            "as a rule it stands for 'no date'"
        )
        yield DataFinding("not_a_session", "error", message, None, str(beyond[0]), len(beyond))
        return
    yield from _by_weekday(window.sessions) if calendar is None else _against(window, calendar)


def no_session(window: Window) -> DataFinding:
    """What there is to say of a window without any session."""
    message = f"no session in the window; {_range_of(window.table)}"
    return DataFinding("not_covered", "error", message, session=str(window.start))


def _range_of(table: PriceTable) -> str:
    if not len(table.sessions):
        return "there are no prices"
    return f"the prices are from {table.sessions[0]} to {table.sessions[-1]}"


def _coverage(window: Window) -> Iterator[DataFinding]:
    first, last = days_of(window.sessions[[0, -1]])
    if first - window.start > EDGE:
        message = f"not covered: the first session is {first}; {_range_of(window.table)}"
        yield DataFinding("not_covered", "error", message, session=str(window.start))
    if window.end - last > EDGE:
        message = f"not covered: the last session is {last}; {_range_of(window.table)}"
        yield DataFinding("not_covered", "error", message, session=str(last))


def _against(window: Window, calendar: str) -> Iterator[DataFinding]:
    first, last = days_of(window.sessions[[0, -1]])
    # Where the window is not covered at all, that has been said: only gaps are told here.
    start = first if first - window.start > EDGE else window.start
    end = last if window.end - last > EDGE else window.end
    expected = sessions_between(calendar, start, end)
    if np.array_equal(expected, window.sessions):
        return
    there = window.sessions
    if window.table.dropped is not None:
        # The file has them: the policy for missing prices left them out.
        there = np.union1d(there, window.table.dropped)
    missing = np.setdiff1d(expected, there, assume_unique=True)
    extra = np.setdiff1d(window.sessions, expected, assume_unique=True)
    shift = _shift(there, calendar, missing, extra)
    if shift is not None:
        yield shift
        return
    if len(missing):
        message = f"{count(len(missing), 'session')} of {calendar} missing: {with_weekdays(missing)}"
        yield DataFinding("missing_session", "error", message, None, str(missing[0]), len(missing))
    if len(extra):
        what = "is not a session" if len(extra) == 1 else "are not sessions"
        message = f"{count(len(extra), 'date')} that {what} of {calendar}: {with_weekdays(extra)}"
        yield DataFinding("not_a_session", "error", message, None, str(extra[0]), len(extra))


def _shift(
    sessions: SessionArray, calendar: str, missing: SessionArray, extra: SessionArray
) -> DataFinding | None:
    """One finding instead of hundreds, where moving every date by a day makes them sessions."""
    if len(sessions) < _ENOUGH or not len(missing) or not len(extra):
        return None
    for days in (1, -1):
        moved = sessions + np.timedelta64(days, "D")
        first, last = days_of(moved[[0, -1]])
        left = len(np.setxor1d(sessions_between(calendar, first, last), moved, assume_unique=True))
        if left * _EXPLAINED < len(missing) + len(extra):
            rest = f", except {left}" if left else ""
            early = "early" if days > 0 else "late"
            message = (
                f"all dates lie one day {early}, as after a change of time zone: "
                f"{count(len(extra), 'date')} not of {calendar}, from {with_weekdays(extra[:1])}, and "
                f"{len(missing):,} missing; moved by {days:+d} day they are its sessions{rest}"
            )
            return DataFinding("dates_shifted", "error", message, None, str(extra[0]), len(sessions))
    return None


def _by_weekday(sessions: SessionArray) -> Iterator[DataFinding]:
    """What days of the week can tell of dates that no calendar is given for."""
    weekdays = weekday_of(sessions)
    seen = np.bincount(weekdays, minlength=7)
    weekend = sessions[weekdays >= 5]
    if not len(weekend):
        return
    lone = f"{count(len(weekend), 'date')} at a weekend: {with_weekdays(weekend)}"
    if len(weekend) * _RARE < len(sessions):
        message = f"{lone}; give data.calendar, and they are checked"
        yield DataFinding("not_a_session", "odd", message, None, str(weekend[0]), len(weekend))
    elif len(sessions) >= 2 * _ENOUGH and seen[5] and not seen[6] and not seen[0]:
        message = f"all dates lie one day late, as after a change of time zone: no Monday, and {lone}"
        yield DataFinding("dates_shifted", "error", message, None, str(weekend[0]), len(sessions))
    elif len(sessions) >= 2 * _ENOUGH and seen[6] and not seen[5] and not seen[4]:
        # Tel Aviv and Riyadh trade from Sunday to Thursday: only a calendar can tell.
        message = (
            f"no Friday, and {lone}: one day early, as after a change of time zone, or an exchange "
            "that trades on Sundays; give data.calendar, and they are checked"
        )
        yield DataFinding("dates_shifted", "odd", message, None, str(weekend[0]), len(sessions))


def whole_range(table: PriceTable) -> tuple[date, date]:
    """First and last session of a table, which has one."""
    first, last = days_of(table.sessions[[0, -1]])
    return first, last
