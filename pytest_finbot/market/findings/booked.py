"""Does a run count each dividend and split once: in its prices or in its books, not in both or in neither?

Raw closes step by a split and fall by about a dividend; the books have to take them. Closes that
were adjusted do not, and the books must not. What a close is cannot be read off its name.

- A stated split that the run does not book, and by which its closes step, is an error.
- An adjusted close beside the close proves what dividends the close contains: over the close, it
  steps by those that the close leaves out (see :mod:`adjustment`).
- Without one, only many ex-dates together can tell. On an ex-date a price without its dividend
  opens lower by about it; where the prices of a symbol do not, by more than chance explains, that
  is odd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, IntArray
from pytest_finbot.market.findings.adjustment import ExDates, ex_dates
from pytest_finbot.market.findings.words import count, each, units_for
from pytest_finbot.market.window import Window

TELLING_RATIO = 1.25
"""Below this ratio (or above one over it) a split cannot be told from a day's move of the price."""
ENOUGH_EX_DATES = 12
"""Ex-dates below which their moves are not asked whether prices contain their dividends."""
CLEARLY = 3.0
"""Standard errors by which ex-dates have to miss the fall by their dividends."""

_MOST = 0.5
"""A finding is certain enough for an error where it is so for that part of the ex-dates …"""
_MANY = 4
"""… or for so many of them: one or two may be slips of the adjusted column."""
_ORDINARY = 1000
"""Sessions of which a symbol's ordinary move is taken, at equal distances."""
_REPEATED = 0.1
"""Opens that equal the close before them on more of the sessions are no prices of their own."""


@dataclass(frozen=True, slots=True, eq=False)
class Booked:
    """What the books of a run take of a window [T, N], and what they leave out.

    ``dividends``: currency a unit, 0: none; ``None``: none are taken. ``splits_left``: splits that
    the files state and the books do not take (factor, 1: none); ``None``: there are none.
    """

    dividends: FloatArray | None = None
    splits_left: FloatArray | None = None


def booked_findings(window: Window, booked: Booked | None) -> Iterator[DataFinding]:
    """Raw prices against what is booked; without a run (``None``), what is odd about dividends."""
    if window.table.field != "close":
        return
    if booked is not None and booked.splits_left is not None:
        yield from _splits_left(window, booked.splits_left)
    if booked is not None:
        dividends = booked.dividends
    else:
        dividends = None if window.table.dividends is None else window.part(window.table.dividends)
    if dividends is None:
        return
    shown = shown_by_adjusted(window, dividends)
    if shown is not None:
        yield from _twice(window, shown, is_booked=booked is not None)
    yield from _hardly_falls(window, dividends, shown)


# ------------------------------------------------------------------------------------- splits


def _splits_left(window: Window, splits: FloatArray) -> Iterator[DataFinding]:
    close = window.part(window.table.close)
    before, column = np.divmod(np.flatnonzero(splits[1:] != 1.0), splits.shape[1])
    units = splits[before + 1, column]
    # A ratio that cannot be is one that nobody books.
    known = np.isfinite(units) & (units > 0.0)
    before, column, units = before[known], column[known], units[known]
    stated, after = before + 1, before + 1
    there = _own(window, before, column) & _own(window, after, column)
    for one in np.flatnonzero(~there).tolist():
        priced = np.flatnonzero(_own(window, np.arange(len(close)), column[one]))
        place = int(np.searchsorted(priced, stated[one]))
        # Nothing is held before the first price, and nothing is worth anything after the last.
        if 0 < place < len(priced):
            there[one], before[one], after[one] = True, priced[place - 1], priced[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        step = close[after, column] / close[before, column]
    left = _Left(stated, before, after, column, units)
    telling = _apart(units) >= TELLING_RATIO
    yield from _told_left(window, left, there & telling & (_apart(step * units) <= _apart(step)), sure=True)
    yield from _told_left(window, left, there & ~telling, sure=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Left:
    """Splits that are not booked, each [E]: rows of the day stated for, and of the closes around it."""

    stated: IntArray
    before: IntArray
    after: IntArray
    column: IntArray
    units: FloatArray


def _told_left(window: Window, left: _Left, which: BoolArray, *, sure: bool) -> Iterator[DataFinding]:
    close, days = window.part(window.table.close), window.sessions

    def say(one: int) -> str:
        was, now = close[left.before[one], left.column[one]], close[left.after[one], left.column[one]]
        return (
            f"{units_for(left.units[one])} on {days[left.stated[one]]} (the close goes from {was:.10g} on "
            f"{days[left.before[one]]} to {now:.10g})"
        )

    for column in np.unique(left.column[which]).tolist():
        numbers = np.flatnonzero(which & (left.column == column))
        symbol, first = window.symbols[column], str(days[left.stated[numbers[0]]])
        many = count(len(numbers), "stated split")
        if sure:
            adjusted = "" if window.table.adjusted is None else ", or take data.field: adj_close"
            message = (
                f"{symbol} (close): steps by {many} that the run does not book: {each(numbers, say)}; book "
                f"them with splits: from_prices{adjusted}"
            )
            yield DataFinding("split_not_booked", "error", message, symbol, first, len(numbers))
        else:
            message = (
                f"{symbol} (close): {many} that the run does not book, too small for the closes to tell "
                f"whether they are adjusted for it: {each(numbers, say)}"
            )
            yield DataFinding("split_not_seen", "odd", message, symbol, first, len(numbers))


def _own(window: Window, rows: IntArray, columns: IntArray | int | slice) -> BoolArray:
    """Closes of these places that can be used and are the file's own."""
    close = window.part(window.table.close)[rows, columns]
    with np.errstate(invalid="ignore"):
        own: BoolArray = (close > 0.0) & (close < np.inf)
    if window.table.observed is not None:
        own &= window.part(window.table.observed)[rows, columns]
    return own


def _apart(ratio: FloatArray) -> FloatArray:
    apart: FloatArray = np.maximum(ratio, 1.0 / ratio)
    return apart


# ---------------------------------------------------------------------------------- dividends


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What adjusted closes show of ex-dates, each [E]: that the close ``contains`` the dividend,
    or that it ``leaves`` it out. Neither where rounding hides it or the step is another one.
    """

    at: ExDates
    contains: BoolArray
    leaves: BoolArray

    def of(self, column: int) -> tuple[int, int]:
        """How many dividends of a symbol the close contains, and how many it leaves out."""
        own = self.at.column == column
        return int(np.count_nonzero(self.contains & own)), int(np.count_nonzero(self.leaves & own))


def shown_by_adjusted(window: Window, dividends: FloatArray) -> Shown | None:
    """What the adjusted closes beside a window's closes show of ``dividends`` [T, N]; ``None``
    where there are none.
    """
    if window.table.adjusted is None:
        return None
    at = ex_dates(window, window.part(window.table.adjusted), window.part(window.table.close), dividends)
    own = _own(window, at.before, at.column) & _own(window, at.after, at.column)
    with np.errstate(invalid="ignore"):
        telling = own & (at.stated > 4.0 * at.room)
        contains = telling & (np.abs(at.implied) < 0.25 * at.stated)
        leaves = telling & (np.abs(at.implied - at.stated) < 0.25 * at.stated)
    return Shown(at, contains, leaves)


def _twice(window: Window, shown: Shown, *, is_booked: bool) -> Iterator[DataFinding]:
    at, days = shown.at, window.sessions
    for column in np.unique(at.column[shown.contains]).tolist():
        own = np.flatnonzero(shown.contains & (at.column == column))
        _, left_out = shown.of(column)
        symbol, all_of_them = window.symbols[column], len(own) + left_out

        def say(one: int) -> str:
            return f"{at.stated[one]:.4g} on {days[at.after[one]]}"

        told = (
            f"{symbol}: close contains {len(own):,} of {count(all_of_them, 'stated dividend')}, as adj_close "
            f"over close does not step by them: {each(own, say)}"
        )
        sure = len(own) >= _MANY or len(own) >= _MOST * all_of_them
        if not sure:
            told = (
                f"{symbol}: adj_close over close does not step by {len(own):,} of "
                f"{count(all_of_them, 'stated dividend')}: {each(own, say)}: whether close contains them "
                "cannot be told"
            )
        elif is_booked:
            told += "; the books would count them twice: leave dividends out, or give closes without them"
        severity: Literal["error", "odd"] = "error" if sure and is_booked else "odd"
        first = str(days[at.after[own[0]]])
        yield DataFinding("dividends_in_prices", severity, told, symbol, first, len(own))


def _hardly_falls(window: Window, dividends: FloatArray, shown: Shown | None) -> Iterator[DataFinding]:
    """Symbols whose prices do not fall by their dividends, as far as many ex-dates can tell (odd).

    With the mean move m of n ex-dates, from the close before to the open (to the close, where there
    are no opens), the mean dividend y as a fraction of the close before, and the mean move o of the
    other sessions: a price that leaves dividends out has m + y = o but for chance, one that contains
    them m = o. The first is given up where m + y - o is more than three standard errors above zero,
    and m nearer to o.
    """
    close = window.part(window.table.close)
    symbols = close.shape[1]
    rows, columns = np.divmod(np.flatnonzero(dividends[1:] > 0.0), symbols)
    kept = _own(window, rows, columns) & _own(window, rows + 1, columns)
    if shown is not None:
        proven = np.zeros(symbols, np.bool_)
        proven[shown.at.column[shown.contains | shown.leaves]] = True
        kept &= ~proven[columns]
    kept &= (np.bincount(columns[kept], minlength=symbols) >= ENOUGH_EX_DATES)[columns]
    if not kept.any():
        return
    before, columns = rows[kept], columns[kept]
    others = np.arange(0, len(close) - 1, max(1, (len(close) - 1) // _ORDINARY))
    every = slice(0, symbols)
    usable = _own(window, others, every) & _own(window, others + 1, every) & (dividends[others + 1] == 0.0)
    to, at_open = _where_it_goes(window, others, usable)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        fell = to[before + 1, columns] / close[before, columns] - 1.0
        paid = dividends[before + 1, columns] / close[before, columns]
        usual = _spread(np.where(usable, to[others + 1] / close[others] - 1.0, np.nan).ravel(order="F"),
                        np.repeat(np.arange(symbols), len(others)), symbols)  # fmt: skip
        on_ex_dates, yields = _spread(fell, columns, symbols), _spread(paid, columns, symbols)
        error = np.sqrt(
            np.maximum(on_ex_dates.variance, usual.variance) / on_ex_dates.number
            + usual.variance / usual.number
        )
        too_high = on_ex_dates.mean + yields.mean - usual.mean
        found = (on_ex_dates.number >= ENOUGH_EX_DATES) & (usual.number >= ENOUGH_EX_DATES) & (error > 0.0)
        found &= (too_high > CLEARLY * error) & (np.abs(on_ex_dates.mean - usual.mean) < too_high)
    for column in np.flatnonzero(found).tolist():
        symbol, number = window.symbols[column], int(on_ex_dates.number[column])
        day = str(window.sessions[before[columns == column].min() + 1])
        message = (
            f"{symbol}: close may contain its dividends: on {number} ex-dates, from {day}, the "
            f"{'open' if at_open[column] else 'close'} is {100.0 * on_ex_dates.mean[column]:+.2f} % from the "
            f"close before on average, and {100.0 * usual.mean[column]:+.2f} % on other sessions, though "
            f"dividends of {100.0 * yields.mean[column]:.2f} % were paid: "
            f"{too_high[column] / error[column]:.1f} standard errors above prices that leave them out; if it "
            "contains them, a run leaves dividends out"
        )
        yield DataFinding("dividends_in_prices", "odd", message, symbol, day, number)


@dataclass(frozen=True, slots=True, eq=False)
class _Spread:
    """Of each symbol, [N]: how many moves, their mean, and their variance."""

    number: IntArray
    mean: FloatArray
    variance: FloatArray


def _spread(values: FloatArray, columns: IntArray, symbols: int) -> _Spread:
    there = np.isfinite(values)
    values, columns = values[there], columns[there]
    number = np.bincount(columns, minlength=symbols)
    mean = np.bincount(columns, values, symbols) / number
    off = values - mean[columns]
    return _Spread(number, mean, np.bincount(columns, off * off, symbols) / number)


def _where_it_goes(window: Window, rows: IntArray, usable: BoolArray) -> tuple[FloatArray, BoolArray]:
    """Prices [T, N] that a session goes to from the close before it: its open, which little else than
    the dividend has moved, or its close; and for which symbols it is the open, [N].

    Symbols whose opens are mostly the close before, by ``rows`` of ``usable`` sessions, have none.
    """
    close = window.part(window.table.close)
    if window.table.open is None:
        return close, np.zeros(close.shape[1], np.bool_)
    opens = window.part(window.table.open)
    if window.table.open_observed is not None:
        opens = np.where(window.part(window.table.open_observed), opens, np.nan)
    repeated = np.count_nonzero(usable & (opens[rows + 1] == close[rows]), axis=0)
    at_open: BoolArray = repeated <= _REPEATED * np.count_nonzero(usable, axis=0)
    return (opens if at_open.all() else np.where(at_open, opens, close)), at_open
