"""Prices that stand there twice: one column under two names, one session's row on the next."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, IntArray, SessionArray
from pytest_finbot.market.calendars import EARLIEST, LATEST, sessions_between
from pytest_finbot.market.findings.words import at, count, days_of
from pytest_finbot.market.table_file import some
from pytest_finbot.market.window import Window

FEWEST_SYMBOLS = 3
"""Of fewer, all may well repeat on one session."""
FEWEST_MOVES = 5
"""Columns that are equal and move less often may be so by chance, as those of pegged prices are."""
_BY_CHANCE = 0.01
"""Sessions on which every symbol repeats that may be expected in the window and yet one is told."""
_SAMPLED = 8
_ONE_BY_ONE = 8


def repeat_findings(window: Window, calendar: str | None) -> Iterator[DataFinding]:
    """Columns that are the same, and sessions on which every symbol has the price of the one before (odd).

    Prices that were filled in are not the file's, and prove nothing. A date that is no session of
    ``calendar`` is wrong already, whatever prices it has; without one, those at a weekend are.
    """
    prices = window.part(window.table.close)
    observed = None if window.table.observed is None else window.part(window.table.observed)
    alike = _alike(prices)
    yield from _identical_columns(window, prices, alike)
    # Of columns that are one, all repeat when one does.
    again = sorted(column for columns in alike for column in columns[1:])
    if again:
        prices = np.delete(prices, again, axis=1)
        observed = None if observed is None else np.delete(observed, again, axis=1)
    rows = _all_repeat(prices, observed)
    if len(rows):
        rows = rows[_trades(window.sessions[rows], calendar)]
        yield from _repeated_rows(window, prices, rows)


def _trades(days: SessionArray, calendar: str | None) -> BoolArray:
    """Which of ``days`` [K] are sessions, as far as one can tell."""
    if calendar is None:
        return np.is_busday(days)
    told: BoolArray = (days >= np.datetime64(EARLIEST)) & (days <= np.datetime64(LATEST))
    if told.any():
        first, last = days_of(days[told][[0, -1]])
        told &= np.isin(days, sessions_between(calendar, first, last))
    return told


def _identical_columns(window: Window, prices: FloatArray, alike: list[list[int]]) -> Iterator[DataFinding]:
    for columns in alike:
        own = prices[:, columns[0]]
        own = own[~np.isnan(own)]
        if np.count_nonzero(own[1:] != own[:-1]) < FEWEST_MOVES:
            continue
        first, *others = (window.symbols[column] for column in columns)
        message = (
            f"{first} and {some(others)} ({window.table.field}): the same prices on every session, "
            f"{count(len(prices), 'session')} from {window.sessions[0]}: one column under "
            f"{'two' if len(columns) == 2 else len(columns)} names?"
        )
        yield DataFinding(
            "identical_columns", "odd", message, first, str(window.sessions[0]), len(columns) - 1
        )


def _alike(prices: FloatArray) -> list[list[int]]:
    """Columns with the same bits in every row, those that are alike together."""
    rows = np.linspace(0, len(prices) - 1, _SAMPLED).astype(np.int64)
    found: list[list[int]] = []
    for maybe in _by_bytes(prices[rows], range(prices.shape[1])):
        found += _by_bytes(prices, maybe)
    return sorted(found)


def _by_bytes(prices: FloatArray, columns: list[int] | range) -> list[list[int]]:
    alike: dict[bytes, list[int]] = {}
    for column in columns:
        alike.setdefault(prices[:, column].tobytes(), []).append(column)
    return [columns for columns in alike.values() if len(columns) > 1]


def _repeated_rows(window: Window, prices: FloatArray, rows: IntArray) -> Iterator[DataFinding]:
    """``rows`` told where it would hardly be by chance.

    Where each of the symbols i repeats in a fraction q_i of the other sessions, about T * q_1 * q_2 * …
    of T sessions have all of them repeat. Symbols whose price is small against its last decimal
    repeat often, and few of them together say little.
    """
    if not len(rows):
        return
    pairs = len(prices) - 1
    often = np.count_nonzero(prices[1:] == prices[:-1], axis=0)
    share = (np.maximum(often - len(rows), 0) + 1.0) / (pairs - len(rows) + 2.0)
    if pairs * float(np.prod(share)) >= _BY_CHANCE:
        return
    message = (
        f"all {len(window.symbols):,} symbols ({window.table.field}) repeat the session before to the last "
        f"digit on {at(window.sessions, rows)}"
    )
    yield DataFinding("repeated_row", "odd", message, None, str(window.sessions[rows[0]]), len(rows))


def _all_repeat(prices: FloatArray, observed: BoolArray | None) -> IntArray:
    """Rows in which every symbol that has a price of its own there and before has the same again,
    and :data:`FEWEST_SYMBOLS` do.
    """
    sessions, symbols = prices.shape
    rows: IntArray = np.arange(1, sessions)
    if symbols < FEWEST_SYMBOLS:
        return rows[:0]
    # Hardly a row outlasts a few symbols: the others are looked at in what is left.
    for column in range(min(symbols, _ONE_BY_ONE)):
        _, against = _repeats(prices, observed, rows, slice(column, column + 1))
        rows = rows[~against.any(axis=1)]
    same, against = _repeats(prices, observed, rows, slice(0, symbols))
    kept: BoolArray = ~against.any(axis=1) & (np.count_nonzero(same, axis=1) >= FEWEST_SYMBOLS)
    return rows[kept]


def _repeats(
    prices: FloatArray, observed: BoolArray | None, rows: IntArray, columns: slice
) -> tuple[BoolArray, BoolArray]:
    """Whether prices of ``columns`` are those of the row before, and whether they are others."""
    now, before = prices[rows, columns], prices[rows - 1, columns]
    own: BoolArray = ~(np.isnan(now) | np.isnan(before))
    if observed is not None:
        own &= observed[rows, columns] & observed[rows - 1, columns]
    same: BoolArray = now == before
    return own & same, own & ~same
