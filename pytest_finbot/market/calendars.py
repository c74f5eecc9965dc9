"""Sessions of an exchange, as exchange_calendars knows them, or every day from Monday to Friday."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import cast

import numpy as np

from pytest_finbot.contracts import IntArray, SessionArray
from pytest_finbot.errors import DataError, ParameterError, did_you_mean
from pytest_finbot.market.wide import read_only

WEEKDAYS = "weekdays"
"""Our own calendar: Monday to Friday, without holidays."""

EARLIEST, LATEST = date(1700, 1, 1), date(2199, 12, 31)
"""No exchange is older, and no calendar is asked for later: what is beyond stands for "no date"."""

_lock = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """Sessions of one calendar between two days."""

    first: date
    last: date
    sessions: SessionArray


_known: dict[str, _Known] = {}


@contextmanager
def _quiet() -> Iterator[None]:
    # Building a calendar under pandas 3 warns of what the library itself will have to change;
    # a test session that turns warnings into errors would fail for it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


@functools.cache
def calendar_names() -> frozenset[str]:
    """Every name that can be given: those of exchange_calendars with aliases, and ``weekdays``.

    Imports exchange_calendars (and pandas).
    """
    with _quiet():
        import exchange_calendars

    return frozenset(exchange_calendars.get_calendar_names(include_aliases=True)) | {WEEKDAYS}


def known_calendar(name: str) -> bool:
    """Whether ``name`` is a calendar: ``XNYS``, ``24/7``, ``weekdays`` …"""
    return name == WEEKDAYS or name in calendar_names()


def near_calendar(name: str) -> str:
    """``"; did you mean 'XNYS'?"`` for ``xnys``: the same name in other letters, or else the nearest."""
    known = calendar_names()
    same = sorted(one for one in known if one.casefold() == name.casefold())
    if same:
        return f"; did you mean '{same[0]}'?"
    return did_you_mean(name, known) or did_you_mean(name.upper(), known)


def sessions_between(name: str, start: date, end: date) -> SessionArray:
    """Sessions of calendar ``name`` from ``start`` to ``end``, both included. Half days are sessions.

    Raises ParameterError for an unknown name, and DataError where the calendar's holidays are
    not recorded for the whole window, or a date is before :data:`EARLIEST` or after :data:`LATEST`.
    """
    if not known_calendar(name):
        raise ParameterError(
            f"data.calendar: '{name}' is not a calendar of exchange_calendars{near_calendar(name)}; "
            f"for example XNYS (New York), 24/7 (crypto) or {WEEKDAYS} (Monday to Friday)"
        )
    if name == WEEKDAYS:
        days = np.arange(np.datetime64(start, "D"), np.datetime64(end, "D") + np.timedelta64(1, "D"))
        return cast(SessionArray, days[np.is_busday(days)])
    if start < EARLIEST or end > LATEST:
        raise DataError(
            f"calendar {name}: the dates are {start} to {end}, and sessions are told from {EARLIEST} to "
            f"{LATEST}; a date beyond may stand for 'no date'"
        )
    with _lock, _quiet():
        sessions = _whole_years(name, start, end)
    first = np.searchsorted(sessions, np.datetime64(start, "D"), side="left")
    last = np.searchsorted(sessions, np.datetime64(end, "D"), side="right")
    return sessions[first:last]


def session_offset(name: str, session: date, count: int) -> date:
    """The session of calendar ``name`` that is ``count`` sessions after ``session``; before, if negative.

    Raises ParameterError for an unknown name, and DataError where ``session`` is no session or
    the calendar is not recorded that far.
    """
    # A week has at least five sessions but for holidays; where they are many, look further.
    reach = timedelta(days=2 * abs(count) + 14)
    while True:
        start, end, whole = _within_records(name, *_reached(session, reach, back=count < 0))
        sessions = sessions_between(name, start, end)
        _require_sessions(name, sessions, np.array([session], "datetime64[D]"))
        place = (len(sessions) - 1 if count < 0 else 0) + count
        if 0 <= place < len(sessions):
            return cast(date, sessions[place].item())
        if not whole:
            way = f"{abs(count)} before" if count < 0 else f"{count} after"
            raise DataError(
                f"calendar {name} has no session {way} {session}: "
                f"it is recorded from {sessions[0]} to {sessions[-1]} there"
            )
        reach *= 2


def session_numbers(name: str, days: SessionArray) -> IntArray:
    """How many sessions of calendar ``name`` after the earliest of ``days`` each of them is.

    ``days`` has any shape, and so has the answer; the difference of two numbers is their
    distance in sessions. Raises ParameterError for an unknown name, DataError for a day that is
    no session.
    """
    if not days.size:
        return np.zeros(days.shape, np.int64)
    sessions = sessions_between(name, cast(date, days.min().item()), cast(date, days.max().item()))
    _require_sessions(name, sessions, days.ravel())
    return np.searchsorted(sessions, days).astype(np.int64)


def _require_sessions(name: str, sessions: SessionArray, days: SessionArray) -> None:
    wrong = days[~np.isin(days, sessions)]
    if len(wrong):
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DataError(f"{wrong[0]}{more}: not a session of calendar {name}")


def _reached(session: date, reach: timedelta, *, back: bool) -> tuple[date, date, bool]:
    """``session`` and what lies ``reach`` before or after it, as far as there are dates; whether all do."""
    if back:
        whole = session - date.min >= reach
        return session - reach if whole else date.min, session, whole
    whole = date.max - session >= reach
    return session, session + reach if whole else date.max, whole


def _within_records(name: str, start: date, end: date, whole: bool) -> tuple[date, date, bool]:
    """As much of ``start`` to ``end`` as the calendar's holidays are recorded for; whether that is all
    and ``whole``.
    """
    try:
        sessions_between(name, start, end)
    except DataError:
        with _lock, _quiet():
            earliest, latest = _bounds(name)
        within = max(start, earliest or EARLIEST), min(end, latest or LATEST)
        if within[0] > within[1] or within == (start, end):
            raise
        return *within, False
    return start, end, whole


def _whole_years(name: str, start: date, end: date) -> SessionArray:
    """Sessions of at least ``start`` to ``end``, built once for many windows.

    Bounds are explicit: the library's default range moves with the day it is asked on.
    """
    have = _known.get(name)
    if have is not None and have.first <= start and end <= have.last:
        return have.sessions
    first = date(min(start.year, have.first.year if have else start.year), 1, 1)
    last = date(max(end.year, have.last.year if have else end.year), 12, 31)
    try:
        built = _build(name, first, last)
    except _refusals() as refusal:
        # Some calendars know no holidays before or after some year.
        earliest, latest = _bounds(name)
        first, last = max(first, earliest or first), min(last, latest or last)
        if start < first or end > last:
            raise DataError(
                f"calendar {name} is recorded from {earliest or 'any date'} to {latest or 'any date'} "
                f"and the window is {start} to {end}; shorten it, or leave data.calendar out"
            ) from refusal
        try:
            built = _build(name, first, last)
        except _refusals() as error:
            raise _unusable(name, error) from error
    _known[name] = built
    return built.sessions


def _build(name: str, first: date, last: date) -> _Known:
    from exchange_calendars import get_calendar

    calendar = get_calendar(name, start=first.isoformat(), end=last.isoformat())
    sessions: SessionArray = calendar.sessions.to_numpy().astype("datetime64[D]")
    read_only(sessions)
    return _Known(first, last, sessions)


def _bounds(name: str) -> tuple[date | None, date | None]:
    from exchange_calendars import get_calendar

    try:
        kind = type(get_calendar(name))
    except _refusals() as error:
        raise _unusable(name, error) from error
    earliest, latest = kind.bound_min(), kind.bound_max()
    return (
        None if earliest is None else earliest.date(),
        None if latest is None else latest.date(),
    )


def _refusals() -> tuple[type[Exception], ...]:
    from exchange_calendars.errors import CalendarError

    return (CalendarError, ValueError, NotImplementedError)


def _unusable(name: str, error: Exception) -> DataError:
    return DataError(
        f"calendar {name}: the installed exchange_calendars cannot tell its sessions "
        f"({type(error).__name__}: {str(error)[:200]}); leave data.calendar out, or try another version"
    )
