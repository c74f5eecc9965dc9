"""Is a window of prices fit to trade on? Everything that is not, in one error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar, cast

import numpy as np

from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import DataError
from pytest_finbot.market.calendars import sessions_between
from pytest_finbot.market.prices import PriceTable
from pytest_finbot.market.table_file import some

Array = TypeVar("Array", FloatArray, SessionArray)

EDGE = timedelta(days=7)
"""How far from its ends a window's first and last session may lie: a weekend and holidays."""

PROBLEMS_TOLD = 10
"""A message names this many problems and counts the rest."""

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Which part of a table a run uses: rows ``first`` to ``last`` (exclusive) and ``columns``."""

    table: PriceTable
    start: date
    end: date
    first: int
    last: int
    columns: Sequence[int]

    @property
    def sessions(self) -> SessionArray:
        return self.table.sessions[self.first : self.last]

    def cut(self, values: FloatArray) -> FloatArray:
        """Rows and columns of the window, C-contiguous, read-only for good."""
        return immutable(np.take(values[self.first : self.last], self.columns, axis=1))


def immutable(values: Array) -> Array:
    """A C-contiguous copy over memory that nobody can make writable again.

    Windows are shared by runs: a strategy that could write into one would change the prices
    of its neighbours under an unchanged fingerprint.
    """
    return cast(Array, np.frombuffer(values.tobytes(), dtype=values.dtype).reshape(values.shape))


def window_of(table: PriceTable, symbols: Sequence[str], start: date, end: date) -> Window:
    """The part of ``table`` from ``start`` to ``end``, both included. Symbols have to be there."""
    first, last = np.searchsorted(
        table.sessions, np.array([start, end + timedelta(days=1)], "datetime64[D]")
    ).tolist()
    places = {symbol: place for place, symbol in enumerate(table.symbols)}
    return Window(table, start, end, first, last, [places[symbol] for symbol in symbols])


def check_window(window: Window, calendar: str | None, *, opens: bool) -> None:
    """Raise one DataError with every reason not to trade on this window, or return.

    Closes have to be there, finite and above zero on every session; so do opens where
    ``opens`` says that the run fills at them. The window has to be covered: by the
    calendar's sessions, no more and no fewer, or without a calendar by sessions within 7
    days of either end.
    """
    table = window.table
    title = f"{table.source}: prices from {window.start} to {window.end}"
    if window.first == window.last:
        raise DataError(f"{title}: no session in the window; {_range_of(table)}")
    problems = [*_coverage(window)]
    if calendar is not None:
        problems += _against_calendar(window, calendar)
    problems += _bad_prices(window, table.close, table.field)
    if opens and table.open is not None:
        problems += _bad_prices(window, table.open, "open")
    if problems:
        more = len(problems) - PROBLEMS_TOLD
        told = problems[:PROBLEMS_TOLD] + ([f"… and {more} more"] if more > 0 else [])
        raise DataError(f"{title} cannot be used:\n" + "\n".join(f"  {line}" for line in told))


def _range_of(table: PriceTable) -> str:
    return f"the prices are from {table.sessions[0]} to {table.sessions[-1]}"


def _coverage(window: Window) -> Iterator[str]:
    first, last = _days(window.sessions[[0, -1]])
    if first - window.start > EDGE:
        yield f"not covered: the first session is {first}; {_range_of(window.table)}"
    if window.end - last > EDGE:
        yield f"not covered: the last session is {last}; {_range_of(window.table)}"


def _days(sessions: SessionArray) -> list[date]:
    return cast("list[date]", sessions.tolist())


def _against_calendar(window: Window, calendar: str) -> Iterator[str]:
    first, last = _days(window.sessions[[0, -1]])
    # Where the window is not covered at all, that has been said: only gaps are told here.
    start = first if first - window.start > EDGE else window.start
    end = last if window.end - last > EDGE else window.end
    expected = sessions_between(calendar, start, end)
    missing = np.setdiff1d(expected, window.sessions, assume_unique=True)
    if len(missing):
        yield f"{_count(len(missing), 'session')} of {calendar} missing: {some(map(_named, _days(missing)))}"
    extra = np.setdiff1d(window.sessions, expected, assume_unique=True)
    if len(extra):
        what = "is not a session" if len(extra) == 1 else "are not sessions"
        yield f"{_count(len(extra), 'date')} that {what} of {calendar}: {some(map(_named, _days(extra)))}"


def _named(day: date) -> str:
    return f"{day} ({_WEEKDAYS[day.weekday()]})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _bad_prices(window: Window, values: FloatArray, field: str) -> Iterator[str]:
    part = window.cut(values)
    fit = np.isfinite(part) & (part > 0.0)
    if fit.all():
        return
    for place in np.flatnonzero(~fit.all(axis=0)).tolist():
        column = window.columns[place]
        symbol = window.table.symbols[column]
        yield from _of_symbol(
            f"{symbol} ({field})", window.sessions, part[:, place], values[:, column], window
        )


def _of_symbol(
    name: str, sessions: SessionArray, prices: FloatArray, history: FloatArray, window: Window
) -> Iterator[str]:
    missing = np.isnan(prices)
    if missing.all():
        ever = np.flatnonzero(~np.isnan(history))
        days = window.table.sessions
        known = f"; its prices are from {days[ever[0]]} to {days[ever[-1]]}" if len(ever) else " or elsewhere"
        yield f"{name}: no price in the window{known}"
        return
    priced = np.flatnonzero(~missing)
    first, last = int(priced[0]), int(priced[-1])
    if first > 0:
        yield (
            f"{name}: no price on the first {_count(first, 'session')}, from {sessions[0]}; "
            f"listed on {sessions[first]}?"
        )
    gaps = np.flatnonzero(missing[first:last]) + first
    if len(gaps):
        where = some(str(sessions[row]) for row in gaps)
        yield f"{name}: no price on {_count(len(gaps), 'session')}: {where}"
    if last < len(prices) - 1:
        yield (
            f"{name}: last price on {sessions[last]}, "
            f"none on the {_count(len(prices) - 1 - last, 'session')} after it"
        )
    infinite = np.flatnonzero(np.isinf(prices))
    if len(infinite):
        where = some(str(sessions[row]) for row in infinite)
        yield f"{name}: infinite on {_count(len(infinite), 'session')}: {where}"
    low = np.flatnonzero((prices <= 0.0) & np.isfinite(prices))
    if len(low):
        where = some(f"{prices[row]} on {sessions[row]}" for row in low)
        yield f"{name}: prices have to be above zero: {where}"
