"""One pass over prices: which can be used, where they step far, where they stand still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import BoolArray, FloatArray, IntArray

FAR = 1.25
"""A price that is so many times that of the session before, or less than its inverse, steps far."""
LEAST, MOST = 1e-12, 1e15
"""No price lies outside of these (currency); sums and quotients of what lies within are numbers."""
STANDS = 5
"""Equal closes in a row that are worth a look."""

_BLOCK = 32_768
"""Prices looked at together (256 KB): what the processor keeps at hand while it is asked for
smallest, largest, ratios and equal ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Sessions on which prices step far, each [E], by column and then by row.

    ``after`` and ``before`` are the rows of the price and of the one before it, which is the
    session before unless the symbol has no price of its own there; ``ratio`` is the one over
    the other.
    """

    after: IntArray
    before: IntArray
    column: IntArray
    ratio: FloatArray

    def __len__(self) -> int:
        return len(self.after)

    def where(self, wanted: BoolArray) -> Steps:
        return Steps(self.after[wanted], self.before[wanted], self.column[wanted], self.ratio[wanted])


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What a pass over prices [T, N] found.

    ``fit`` [T, N]: from :data:`LEAST` to :data:`MOST`; ``None`` where all are. ``own`` [T, N]: fit, and the
    file's own rather than filled in; ``None`` where all are. ``still`` are columns that may hold
    :data:`STANDS` equal closes in a row.
    """

    prices: FloatArray
    fit: BoolArray | None
    own: BoolArray | None
    steps: Steps
    still: IntArray

    def of(self, column: int) -> tuple[IntArray, FloatArray]:
        """Rows and prices of a column that are its own."""
        if self.own is None:
            return np.arange(len(self.prices)), self.prices[:, column]
        rows = np.flatnonzero(self.own[:, column])
        return rows, self.prices[rows, column]


def scan(prices: FloatArray, observed: BoolArray | None) -> Scan:
    """Look at all prices once. ``observed`` [T, N] is False where a price was filled in."""
    sessions, symbols = prices.shape
    equal = np.zeros((max(sessions - 1, 0), symbols), np.bool_)
    far: list[tuple[int, IntArray, IntArray, FloatArray]] = []
    sound = True
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for first, block in _blocks(prices):
            # A NaN is the smallest and the largest, and within no bounds.
            sound = sound and bool(block.min() >= LEAST and block.max() <= MOST)
            ratio = block[1:] / block[:-1]
            if not (ratio.size == 0 or (ratio.min() >= 1.0 / FAR and ratio.max() <= FAR)):
                rows, columns = np.nonzero((ratio > FAR) | (ratio < 1.0 / FAR))
                far.append((first, rows, columns, ratio[rows, columns]))
            np.equal(block[1:], block[:-1], out=equal[first : first + len(block) - 1])
    fit: BoolArray | None = None if sound else fit_prices(prices)
    own: BoolArray | None = fit
    if observed is not None and not observed.all():
        own = _both(observed, fit)
    steps, still = _steps(far), _still(equal)
    if own is not None:
        holes: BoolArray = ~np.logical_and.reduce(own, axis=0)
        steps, still = _without_holes(prices, own, holes, steps, still)
    return Scan(prices, fit, own, steps, still)


def fit_prices(prices: FloatArray) -> BoolArray:
    """Which of ``prices`` can be used: neither missing nor outside of :data:`LEAST` to :data:`MOST`."""
    fit: BoolArray = (prices >= LEAST) & (prices <= MOST)
    return fit


def _both(one: BoolArray, other: BoolArray | None) -> BoolArray:
    return one if other is None else one & other


def _blocks(prices: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Rows of ``prices`` and the number of the first; the last of one is the first of the next."""
    sessions, symbols = prices.shape
    height = max(1, _BLOCK // max(symbols, 1))
    for first in range(0, max(sessions - 1, 1), height):
        yield first, prices[first : first + height + 1]


def _steps(far: list[tuple[int, IntArray, IntArray, FloatArray]]) -> Steps:
    if not far:
        none = np.empty(0, np.int64)
        return Steps(none, none, none, np.empty(0))
    before = np.concatenate([first + rows for first, rows, _, _ in far])
    column = np.concatenate([columns for _, _, columns, _ in far])
    ratio = np.concatenate([ratios for _, _, _, ratios in far])
    order = np.lexsort((before, column))
    return Steps(before[order] + 1, before[order], column[order], ratio[order])


def _still(equal: BoolArray) -> IntArray:
    """Columns with ``STANDS - 1`` times in a row the same as before."""
    run = equal
    for _ in range(STANDS - 2):
        run = run[:-1] & equal[len(equal) - len(run) + 1 :]
        if not run.any():
            return np.empty(0, np.int64)
    found: IntArray = np.flatnonzero(run.any(axis=0))
    return found


def _without_holes(
    prices: FloatArray, own: BoolArray, holes: BoolArray, steps: Steps, still: IntArray
) -> tuple[Steps, IntArray]:
    """Steps from one price of its own to the next, in columns that lack some."""
    whole = steps.where(~holes[steps.column])
    parts = [whole]
    stands = [still[~holes[still]]]
    for column in np.flatnonzero(holes).tolist():
        rows = np.flatnonzero(own[:, column])
        if len(rows) < 2:
            continue
        values = prices[rows, column]
        ratio = values[1:] / values[:-1]
        far = np.flatnonzero((ratio > FAR) | (ratio < 1.0 / FAR))
        parts.append(Steps(rows[far + 1], rows[far], np.full(len(far), column), ratio[far]))
        if len(_still((values[1:] == values[:-1])[:, None])):
            stands.append(np.array([column]))
    order = np.argsort(np.concatenate([part.column for part in parts]), kind="stable")
    return (
        Steps(
            np.concatenate([part.after for part in parts])[order],
            np.concatenate([part.before for part in parts])[order],
            np.concatenate([part.column for part in parts])[order],
            np.concatenate([part.ratio for part in parts])[order],
        ),
        np.sort(np.concatenate(stands)),
    )


def usual_moves(scan: Scan, columns: IntArray) -> FloatArray:
    """Median absolute return (fraction) of each of ``columns``, of at most 500 sessions of each.

    Sessions are taken at equal distances, so that the answer is the same each time.
    """
    pairs = len(scan.prices) - 1
    if pairs < 1:
        return np.zeros(len(columns))
    if scan.own is None:
        rows = np.arange(0, pairs, max(1, pairs // 500))[:, None]
        moves = np.abs(scan.prices[rows + 1, columns] / scan.prices[rows, columns] - 1.0)
        median: FloatArray = np.median(moves, axis=0)
        return median
    usual = np.zeros(len(columns))
    for place, column in enumerate(columns.tolist()):
        _, values = scan.of(column)
        if len(values) > 1:
            step = max(1, (len(values) - 1) // 500)
            usual[place] = np.median(np.abs(values[1:] / values[:-1] - 1.0)[::step])
    return usual
