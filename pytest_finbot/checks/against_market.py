"""Marks and fill prices of a result against the prices of the market it traded in."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pytest_finbot.checks.figures import units
from pytest_finbot.contracts import (
    CheckResult,
    EngineResult,
    FloatArray,
    IntArray,
    MarketData,
    MarkSpec,
    Verdict,
)

NAME = "marks_at_market"
FAR = 0.25
"""Fraction beyond the session's prices at which the price of a fill is far away from them."""
_BLOCK = 1 << 16
"""Cells looked at together: few enough to stay in a processor's cache."""


def check_marks_at_market(result: EngineResult, market: MarketData, marks: MarkSpec) -> CheckResult:
    """Whether what is held is valued at the market's closes.

    Where the market has an observed close of an asset and session, the mark of a position may
    differ from it by ``marks.max_deviation`` * close + ``result.cent``. ``value`` is the largest
    deviation, a fraction of the close. Skipped where no position has such a close.
    ``result`` has passed ``checks.contract.check_result``; a mark that is not a number is told
    by ``market_value_finite``.
    """
    limit = marks.max_deviation
    if result.mark is market.close and result.assets == market.symbols:
        return CheckResult(NAME, Verdict.IDENTICAL, "marks are the market's closes", 0.0, limit)
    found = _deviations(result, market, limit)
    if not found.compared:
        return CheckResult(NAME, Verdict.SKIPPED, "no held position has a close of the market's to compare")
    if not len(found.size):
        verdict = Verdict.WITHIN if found.largest else Verdict.IDENTICAL
        holds = f"every held position is valued within {_percent(limit)} of the market's close"
        return CheckResult(NAME, verdict, holds, found.largest, limit)

    def told(at: int) -> str:
        row, n = int(found.row[at]), int(found.column[at])
        close = float(found.close[at])
        return (
            f"{result.assets[n]} on {result.sessions[row]} at {units(float(result.mark[row, n]))}, where the "
            f"close is {units(close)} ({_percent(found.size[at])} off)"
        )

    count, furthest = len(found.size), int(found.size.argmax())
    message = (
        f"{count:,} of {found.compared:,} positions held {'is' if count == 1 else 'are'} not valued at the "
        f"market's close, or within {_percent(limit)} of it: first {told(0)}"
    )
    if furthest:
        message += f"; furthest {told(furthest)}"
    largest = float(found.size[furthest])
    return CheckResult(
        NAME,
        Verdict.ERROR,
        message,
        largest if math.isfinite(largest) else None,
        limit,
        str(result.sessions[found.row[0]]),
        result.assets[int(found.column[0])],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Deviations:
    """``compared`` positions, the ``largest`` deviation of all (a fraction of the close), and those
    beyond their limit: row, column of the result, deviation and close of each of C."""

    compared: int
    largest: float
    row: IntArray
    column: IntArray
    size: FloatArray
    close: FloatArray


def _deviations(result: EngineResult, market: MarketData, limit: float) -> _Deviations:
    """Marks of held positions against observed closes, block by block of sessions."""
    columns, theirs = _known(result, market)
    mine, others = _chosen(columns, len(result.assets)), _chosen(theirs, len(market.symbols))
    sessions, known = len(result.sessions), len(columns)
    first = len(market.sessions) - sessions
    compared, largest, found = 0, 0.0, []
    step = max(_BLOCK // max(known, 1), 1)
    with np.errstate(all="ignore"):
        for begin in range(0, sessions if known else 0, step):
            end = min(begin + step, sessions)
            held = np.asarray(result.quantity[begin:end, mine]) != 0
            if market.observed is not None:
                held &= market.observed[first + begin : first + end, others]
            close = market.close[first + begin : first + end, others]
            off = np.asarray(result.mark[begin:end, mine], np.float64) - close
            np.abs(off, out=off)
            off /= close
            off *= held
            compared += int(np.count_nonzero(held))
            top = float(np.fmax.reduce(off, axis=None, initial=0.0))
            largest = max(largest, top)
            if top > limit:
                wrong = np.flatnonzero(off > (limit + result.cent / close if result.cent else limit))
                found.append((begin * known + wrong, off.flat[wrong], close.flat[wrong]))
    if not found:
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return _Deviations(compared, largest, none, none, nothing, nothing)
    cells, size, at = (np.concatenate(parts) for parts in zip(*found, strict=True))
    row, k = np.divmod(cells, known)
    return _Deviations(compared, largest, row, columns[k], size, at)


def distant_fills(result: EngineResult, market: MarketData) -> tuple[str, ...]:
    """Told where fills are priced more than :data:`FAR` beyond what the market traded at.

    The session's prices are its open, where it is known, its close, and the close before in
    units after the session's split. Highs and lows are not known here, so a fill within a
    session's range may be outside them: this is a warning, and no fault.
    ``result`` has passed ``checks.contract.check_result``.
    """
    fills = result.fills
    columns, theirs = _known(result, market)
    place = np.full(len(result.assets), -1, np.int64)
    place[columns] = theirs
    column = place[fills.asset]
    row = fills.session + (len(market.sessions) - len(result.sessions))
    known = column >= 0
    if not known.all():
        column, row = column[known], row[known]
    if not len(column):
        return ()
    price = np.asarray(fills.price, np.float64)[known] if not known.all() else fills.price
    cell = row * len(market.symbols) + column
    close = np.take(market.close, cell)
    before = np.take(market.close, np.where(row > 0, cell - len(market.symbols), cell))
    if market.splits is not None:
        before = np.where(row > 0, before / np.take(market.splits, cell), before)
    low, high = np.minimum(close, before), np.maximum(close, before)
    if market.open is not None:
        opened = np.take(market.open, cell)
        low, high = np.fmin(low, opened), np.fmax(high, opened)
    far = (price < low * (1.0 - FAR)) | (price > high * (1.0 + FAR))
    count = int(np.count_nonzero(far))
    if not count:
        return ()
    at = int(far.argmax())
    return (
        f"{count:,} of {len(fills):,} fills {'is' if count == 1 else 'are'} priced more than {FAR * 100:g} % "
        f"beyond the market's prices of the session: first {market.symbols[int(column[at])]} on "
        f"{market.sessions[row[at]]} at {units(float(price[at]))}, the market's are "
        f"{units(float(low[at]))} to {units(float(high[at]))}",
    )


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.6g} %"


def _known(result: EngineResult, market: MarketData) -> tuple[IntArray, IntArray]:
    """Columns [K] of the result's assets that the market knows, and the market's columns of them."""
    if result.assets == market.symbols:
        every = np.arange(len(result.assets))
        return every, every
    number = {symbol: n for n, symbol in enumerate(market.symbols)}
    place = np.array([number.get(asset, -1) for asset in result.assets], np.int64)
    columns = np.flatnonzero(place >= 0)
    return columns, place[columns]


def _chosen(columns: IntArray, count: int) -> IntArray | slice:
    """``columns``, or a slice where they are all: a view costs nothing."""
    return slice(None) if np.array_equal(columns, np.arange(count)) else columns
