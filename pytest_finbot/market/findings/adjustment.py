"""Do adjusted closes contain just the dividends and splits that their files state?

An adjusted close is the close times a factor that steps on ex-dates: from the session before to
the ex-date it grows by 1 / (1 - D / C), with the dividend D and the close C of the session before
(the convention of CRSP and Yahoo), or by 1 + D / C, with the close C of the ex-date (dividends
bought back in at that close). Either is taken as the stated dividend. A split of s for 1 that
the close has not been adjusted for multiplies the step by s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, IntArray
from pytest_finbot.market.findings.rounding import ticks
from pytest_finbot.market.findings.steps import fit_prices
from pytest_finbot.market.findings.words import count, each
from pytest_finbot.market.window import Window

EXACT = 2e-6
"""What four prices, each a float of 32 bits, put into a step (fraction)."""
RESTATED = 0.005
"""A dividend that differs by less of itself is a rounded one."""

_FINEST = 1e-6
"""Last decimal of prices that are not seen to be rounded (currency)."""
_BLOCK = 32_768
_RARE = 16
"""Steps are looked at one by one where they are less than one in so many."""


def adjustment_findings(window: Window) -> Iterator[DataFinding]:
    """Steps of adjusted over raw close that the files' dividends and splits do not make (odd)."""
    prices = _closes(window)
    if prices is None:
        return
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = _steps(window, prices)
        implied, wrong, _ = _implied(steps, prices)
    days = window.sessions

    def say(one: int) -> str:
        return (
            f"a dividend of {_amount(float(implied[one]))} on {days[steps.after[one]]}, where the file "
            f"states {_amount(float(steps.stated[one]))}"
        )

    for column in np.unique(steps.column[wrong]).tolist():
        own = np.flatnonzero(wrong & (steps.column == column))
        symbol = window.symbols[column]
        message = (
            f"{symbol} (adj_close over close): {count(len(own), 'step')} that the stated dividends do not "
            f"make: {each(own, say)}"
        )
        first = str(days[steps.after[own[0]]])
        yield DataFinding("dividend_restated", "odd", message, symbol, first, len(own))


@dataclass(frozen=True, slots=True, eq=False)
class ExDates:
    """Ex-dates after the first session, each [E], by column and then by row: rows of the ex-date and
    of the session before it, the ``stated`` dividend, the one ``implied`` by the step of adjusted
    over raw close (0 where there is none but for rounding), and the ``room`` that rounding leaves it
    (all currency a unit). NaN where a price is missing.
    """

    after: IntArray
    before: IntArray
    column: IntArray
    stated: FloatArray
    implied: FloatArray
    room: FloatArray


def ex_dates(window: Window, adjusted: FloatArray, raw: FloatArray, dividends: FloatArray) -> ExDates:
    """What ``adjusted`` over ``raw`` closes [T, N] of a window makes of ``dividends`` [T, N]."""
    splits = None if window.table.splits is None else window.part(window.table.splits)
    prices = _closes_of(adjusted, raw, dividends, splits)
    # As one long row these are found in a third of the time.
    before, column = np.divmod(np.flatnonzero(dividends[1:] > 0.0), dividends.shape[1])
    by_column = np.argsort(column, kind="stable")
    before, column = before[by_column], column[by_column]
    after = before + 1
    steps = _Steps(after, before, column, dividends[after, column])
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        implied, _, room = _implied(steps, prices)
    return ExDates(after, before, column, steps.stated, implied, room)


def _amount(amount: float) -> str:
    return f"{amount:.4g}" if amount else "none"


@dataclass(frozen=True, slots=True, eq=False)
class _Closes:
    """Arrays of a window, [T, N], and half of the last decimal of each symbol's closes, [N]."""

    adjusted: FloatArray
    raw: FloatArray
    dividends: FloatArray
    splits: FloatArray | None
    half_adjusted: FloatArray
    half_raw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Steps of the factor worth a look, each [E], by column and then by row.

    ``after`` and ``before`` are rows that have both closes; ``stated`` is what is paid (currency
    a unit) from one to the other.
    """

    after: IntArray
    before: IntArray
    column: IntArray
    stated: FloatArray


def _closes(window: Window) -> _Closes | None:
    table = window.table
    if table.field != "adj_close" or table.raw is None or table.dividends is None:
        return None
    adjusted, raw = window.part(table.close), window.part(table.raw)
    splits = None if table.splits is None else window.part(table.splits)
    return _closes_of(adjusted, raw, window.part(table.dividends), splits)


def _closes_of(
    adjusted: FloatArray, raw: FloatArray, dividends: FloatArray, splits: FloatArray | None
) -> _Closes:
    return _Closes(
        adjusted,
        raw,
        dividends,
        splits,
        0.5 * np.maximum(ticks(adjusted), _FINEST),
        0.5 * np.maximum(ticks(raw), _FINEST),
    )


def _steps(window: Window, prices: _Closes) -> _Steps:
    """Steps by more than rounding, and those of ex-dates; of symbols with gaps all there are."""
    far: list[_Steps] = []
    holes = np.zeros(prices.raw.shape[1], np.bool_)
    sessions, symbols = prices.raw.shape
    height = max(1, _BLOCK // max(symbols, 1))
    for first in range(0, max(sessions - 1, 1), height):
        part = slice(first, first + height + 1)
        adjusted, raw = prices.adjusted[part], prices.raw[part]
        factor = adjusted / raw
        if not (factor.min() > 0.0 and factor.max() < np.inf):
            holes |= ~((factor > 0.0) & (factor < np.inf)).all(axis=0)
        off = factor[:-1] / factor[1:]
        off -= 1.0
        np.abs(off, out=off)
        if np.count_nonzero(off > EXACT) * _RARE > off.size:
            # Rounded prices step everywhere: by no more than rounding, nearly all of them.
            rounding = prices.half_adjusted / adjusted
            rounding += prices.half_raw / raw
            off -= rounding[:-1]
            off -= rounding[1:]
        rows, columns = np.nonzero((off > EXACT) | (prices.dividends[part][1:] != 0.0))
        far.append(
            _Steps(first + rows + 1, first + rows, columns, prices.dividends[first + rows + 1, columns])
        )
    steps = _joined(far)
    if holes.any():
        regular = ~holes[steps.column]
        steps = _joined([_where(steps, regular), *_with_gaps(prices, holes)])
    return _where(steps, _told(window, prices, steps))


def _with_gaps(prices: _Closes, holes: BoolArray) -> Iterator[_Steps]:
    for column in np.flatnonzero(holes).tolist():
        adjusted, raw = prices.adjusted[:, column], prices.raw[:, column]
        rows = np.flatnonzero(fit_prices(adjusted) & fit_prices(raw))
        paid = np.cumsum(prices.dividends[:, column])
        after, before = rows[1:], rows[:-1]
        yield _Steps(after, before, np.full(len(after), column), paid[after] - paid[before])


def _told(window: Window, prices: _Closes, steps: _Steps) -> BoolArray:
    """Of ``steps``, those whose dividends are known."""
    table = window.table
    told = np.ones(len(steps.after), np.bool_)
    if table.without.get("Dividends"):
        # A symbol that pays nothing may be one whose file does not say.
        told &= np.logical_or.reduce(prices.dividends != 0.0, axis=0)[steps.column]
    if table.dropped is not None:
        # What was paid on sessions that a policy left out is not in the table.
        told &= ~np.isin(steps.after, np.searchsorted(window.sessions, table.dropped))
    return told


def _implied(steps: _Steps, prices: _Closes) -> tuple[FloatArray, BoolArray, FloatArray]:
    """The dividend (currency a unit) that each step implies, by the close before it, where it is
    not the stated one, and what rounding leaves open of it."""
    before, after = (steps.before, steps.column), (steps.after, steps.column)
    was, now = prices.raw[before], prices.raw[after]
    step = (prices.adjusted[before] * now) / (prices.adjusted[after] * was)
    units = 1.0 if prices.splits is None else prices.splits[after]
    # As stated splits say, whether or not the close has been adjusted for them.
    grown = np.stack([step, step * units])
    by_before, by_after = (1.0 - grown) * was, (1.0 / grown - 1.0) * now
    off = np.minimum(np.abs(by_before - steps.stated), np.abs(by_after - steps.stated))
    best = np.argmin(off, axis=0)
    places = np.arange(len(step))
    room = EXACT + prices.half_adjusted[steps.column] * (
        1.0 / prices.adjusted[before] + 1.0 / prices.adjusted[after]
    )
    room += prices.half_raw[steps.column] * (1.0 / was + 1.0 / now)
    room *= np.maximum(was, now)
    implied = by_before[best, places]
    implied[np.abs(implied) <= room] = 0.0
    return implied, off[best, places] > room + RESTATED * np.abs(steps.stated), room


def _where(steps: _Steps, wanted: BoolArray) -> _Steps:
    return _Steps(steps.after[wanted], steps.before[wanted], steps.column[wanted], steps.stated[wanted])


def _joined(parts: list[_Steps]) -> _Steps:
    after = np.concatenate([part.after for part in parts])
    column = np.concatenate([part.column for part in parts])
    order = np.lexsort((after, column))
    return _Steps(
        after[order],
        np.concatenate([part.before for part in parts])[order],
        column[order],
        np.concatenate([part.stated for part in parts])[order],
    )
