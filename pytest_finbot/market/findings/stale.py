"""Closes that do not move, more often than rounding explains."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import DataFinding, FloatArray, SessionArray
from pytest_finbot.market.findings.steps import STANDS, Scan
from pytest_finbot.market.findings.words import count
from pytest_finbot.market.table_file import some
from pytest_finbot.market.window import Window

_AROUND = 63
"""Sessions before and after a run of equal closes in which it is looked how often closes repeat."""
_BY_CHANCE = 0.01
"""Runs of that length that may be expected in the window and yet one is told."""


def stale_findings(window: Window, scanned: Scan, field: str) -> Iterator[DataFinding]:
    """Runs of equal closes that would hardly be there by rounding, a symbol each (odd).

    Where a fraction q of the closes around it repeat the one before, n closes hold about
    n * q**(L - 1) runs of L equal ones; a run is told where that is below 0.01. A share whose
    price is small against its last decimal repeats often, and its runs say little.
    """
    for column in scanned.still.tolist():
        rows, prices = scanned.of(column)
        runs = _unlikely(prices)
        if not runs:
            continue
        symbol, days = window.symbols[column], window.sessions
        told = some(
            f"{length} sessions from {days[rows[first]]} to {days[rows[first + length - 1]]} at "
            f"{prices[first]:.10g}"
            for first, length in runs
        )
        message = f"{symbol} ({field}): {count(len(runs), 'run')} of equal closes: {told}"
        first = _day(days, int(rows[runs[0][0]]))
        yield DataFinding("stale", "odd", message, symbol, first, len(runs))


def _day(days: SessionArray, row: int) -> str:
    return str(days[row])


def _unlikely(prices: FloatArray) -> list[tuple[int, int]]:
    """First place and length of each run, in closes."""
    same = (prices[1:] == prices[:-1]).astype(np.int8)
    edges = np.diff(same, prepend=0, append=0)
    first, after = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    length = after - first + 1
    long = length >= STANDS
    first, after, length = first[long], after[long], length[long]
    before = np.concatenate([[0], np.cumsum(same)])
    left, right = np.maximum(first - _AROUND, 0), np.minimum(after + _AROUND, len(same))
    others = (right - left) - (after - first)
    repeated = (before[right] - before[left]) - (after - first)
    share = (repeated + 1.0) / (others + 2.0)
    told = len(prices) * share ** (length - 1.0) < _BY_CHANCE
    return list(zip(first[told].tolist(), length[told].tolist(), strict=True))
