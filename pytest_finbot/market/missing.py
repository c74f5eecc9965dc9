"""What becomes of prices that are not there.

A policy sees one run's window and symbols only: what lies before the window is not used, so that
a run's prices depend on nothing but the window it names. A price that is there is never touched,
and one that is infinite, zero or negative is there: it stays the error it is.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pytest_finbot.contracts import (
    LOOK_AHEAD_POLICIES,
    BoolArray,
    FloatArray,
    MissingPolicy,
    MissingPrices,
    SessionArray,
)
from pytest_finbot.errors import DataError
from pytest_finbot.market.wide import read_only
from pytest_finbot.market.window import Window


def fill(prices: FloatArray, policy: MissingPolicy, limit: int) -> FloatArray:
    """``prices`` [T, N] of a window with what ``policy`` puts where they are NaN.

    ``forward_fill`` repeats the last price on at most ``limit`` sessions in a row,
    ``interpolate`` draws a line, by number of session, from the last price to the next, and
    ``backfill`` takes the next price. Only from finite prices above zero. NaN stays where the
    policy does not reach, and under every other policy. ``prices`` are not changed.
    """
    gone = np.isnan(prices)
    if policy not in ("forward_fill", "interpolate", "backfill") or not gone.any():
        return prices
    count = len(prices)
    # Missing cells symbol by symbol, so that those of one gap follow each other.
    cells = np.flatnonzero(gone.T)
    column, row = cells // count, cells % count
    opens_gap = np.r_[True, (np.diff(cells) != 1) | (row[1:] == 0)]
    gap = np.cumsum(opens_gap) - 1
    before = row[opens_gap][gap] - 1
    after = row[np.r_[opens_gap[1:], True]][gap] + 1
    last = prices[np.maximum(before, 0), column]
    following = prices[np.minimum(after, count - 1), column]
    has_last = (before >= 0) & _fit(last)
    has_following = (after < count) & _fit(following)
    if policy == "forward_fill":
        put, reached = last, has_last & (row - before <= limit)
    elif policy == "backfill":
        put, reached = following, has_following
    else:
        reached = has_last & has_following
        start, end = np.where(reached, last, 0.0), np.where(reached, following, 0.0)
        put = start + (end - start) * ((row - before) / (after - before))
    filled = prices.copy()
    filled[row[reached], column[reached]] = put[reached]
    return filled


def _fit(prices: FloatArray) -> BoolArray:
    fit: BoolArray = np.isfinite(prices) & (prices > 0.0)
    return fit


def apply_policy(window: Window, policy: MissingPolicy, limit: int) -> tuple[Window, MissingPrices | None]:
    """``window`` as ``policy`` leaves it, and what was done; nothing under ``error``.

    Where a price was put in, the window's table has ``observed``; where sessions were left out,
    ``dropped``. An open is put in by the same policy, from opens, where open and close are both
    missing. Raises DataError where ``drop`` leaves no session.
    """
    if policy == "error":
        return window, None
    close = window.part(window.table.close)
    gone = np.isnan(close)
    if not gone.any():
        return window, MissingPrices(policy, {})
    if policy == "drop":
        return _without_gaps(window, gone)
    return _with_fills(window, close, policy, limit)


def not_reached(window: Window, policy: MissingPolicy, limit: int) -> str | None:
    """Why ``policy`` did not put every price of ``window`` right, in a line; ``None`` where it did."""
    dropped = window.table.dropped
    if policy == "drop" and dropped is not None:
        return f"data.missing: drop left out {_sessions(len(dropped))}, from {dropped[0]} to {dropped[-1]}"
    if not np.isnan(window.part(window.table.close)).any():
        return None
    if policy == "forward_fill":
        return f"data.missing: forward_fill reaches {_sessions(limit)} from a price in the window, never back"
    if policy == "interpolate":
        return "data.missing: interpolate reaches from one price in the window to the next, not beyond"
    if policy == "backfill":
        return "data.missing: backfill reaches back from a price in the window, not beyond the last one"
    return None


def _sessions(count: int) -> str:
    return f"{count} session{'' if count == 1 else 's'}"


def _without_gaps(window: Window, gone: BoolArray) -> tuple[Window, MissingPrices]:
    table = window.table.of(window.columns)
    keep = np.ones(len(table.sessions), bool)
    keep[window.first : window.last] = ~gone.any(axis=1)
    dropped: SessionArray = table.sessions[~keep]
    count = window.last - window.first
    if len(dropped) == count:
        worst = int(np.argmax(gone.sum(axis=0)))
        there = count - int(gone[:, worst].sum())
        raise DataError(
            f"{table.source}: data.missing: drop leaves none of the {_sessions(count)} from {dropped[0]} to "
            f"{dropped[-1]}: on each of them a symbol has no close "
            f"({table.symbols[worst]} has {'none at all' if not there else f'{there} closes'})"
        )
    read_only(dropped)
    kept = dataclasses.replace(table.at(keep), dropped=dropped)
    days = tuple(str(day) for day in dropped)
    return (
        Window(
            kept, window.start, window.end, window.first, window.last - len(dropped), range(gone.shape[1])
        ),
        MissingPrices("drop", {}, dropped=days, first=days[0]),
    )


def _with_fills(
    window: Window, close: FloatArray, policy: MissingPolicy, limit: int
) -> tuple[Window, MissingPrices]:
    table = window.table.of(window.columns)
    part = slice(window.first, window.last)
    closes, observed = table.close.copy(), np.ones(table.close.shape, bool)
    closes[part] = fill(close, policy, limit)
    put = np.isnan(close) & ~np.isnan(closes[part])
    if not put.any():
        return window, MissingPrices(policy, {})
    observed[part] = ~put
    read_only(closes, observed)
    opens = table.open
    if opens is not None:
        filled = fill(opens[part], policy, limit)
        opens = opens.copy()
        opens[part] = np.where(np.isnan(close), filled, opens[part])
        read_only(opens)
    counts = put.sum(axis=0).tolist()
    table = dataclasses.replace(table, close=closes, open=opens, observed=observed)
    return (
        Window(table, window.start, window.end, window.first, window.last, range(len(table.symbols))),
        MissingPrices(
            policy,
            {symbol: count for symbol, count in zip(table.symbols, counts, strict=True) if count},
            first=str(window.sessions[np.argmax(put.any(axis=1))]),
            look_ahead=policy in LOOK_AHEAD_POLICIES,
        ),
    )
