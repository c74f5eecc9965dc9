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
from pytest_finbot.market.findings.steps import fit_prices
from pytest_finbot.market.wide import read_only
from pytest_finbot.market.window import Window


def fill(prices: FloatArray, policy: MissingPolicy, limit: int) -> FloatArray:
    """``prices`` [T, N] of a window with what ``policy`` puts where they are NaN.

    ``forward_fill`` repeats the last price on at most ``limit`` sessions in a row,
    ``interpolate`` draws a line, by number of session, from the last price to the next, and
    ``backfill`` takes the next price. Only from prices that can be used. NaN stays where the
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
    has_last = (before >= 0) & fit_prices(last)
    has_following = (after < count) & fit_prices(following)
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


def apply_policy(window: Window, policy: MissingPolicy, limit: int) -> tuple[Window, MissingPrices | None]:
    """``window`` as ``policy`` leaves it, and what was done; nothing under ``error``.

    Where a close was put in, the window's table has ``observed``, where an open was,
    ``open_observed``; where sessions were left out, ``dropped``. What is counted are closes.
    Raises DataError where ``drop`` leaves no session.

    An open is known before the close of its session, and what is put in its place is no less:
    the close of the session before, as the policy leaves it. Where the close is missing too,
    ``interpolate`` and ``backfill``, which look ahead, put in what opens make.
    """
    if policy == "error":
        return window, None
    close = window.part(window.table.close)
    gone = np.isnan(close)
    if policy != "drop":
        return _with_fills(window, close, policy, limit)
    return _without_gaps(window, gone) if gone.any() else (window, MissingPrices(policy, {}))


def not_reached(window: Window, policy: MissingPolicy, limit: int, *, opens: bool = False) -> tuple[str, ...]:
    """Why ``policy`` did not put every price of ``window`` right, in lines; none where it did.

    ``opens`` says that the run fills at them, and needs them too.
    """
    of_opens = _opens_not_reached(window, policy) if opens else None
    return tuple(line for line in (_closes_not_reached(window, policy, limit), of_opens) if line is not None)


def _opens_not_reached(window: Window, policy: MissingPolicy) -> str | None:
    opens, close = window.table.open, window.part(window.table.close)
    if opens is None or policy not in ("error", "drop"):
        return None
    if not (np.isnan(window.part(opens)) & ~np.isnan(close)).any():
        return None
    left_out = "drop looks at closes, and leaves out no session that lacks an open alone"
    put_in = "forward_fill puts in the close of the session before"
    if policy == "drop":
        return f"data.missing: {left_out}; {put_in}"
    return f"data.missing: error puts in no open; {put_in}; {left_out}"


def _closes_not_reached(window: Window, policy: MissingPolicy, limit: int) -> str | None:
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
    closes = fill(close, policy, limit)
    put = np.isnan(close) & ~np.isnan(closes)
    opened = None if window.table.open is None else window.part(window.table.open)
    opens = None if opened is None else _opens(opened, close, closes, policy, limit)
    put_open = None if opened is None or opens is None else np.isnan(opened) & ~np.isnan(opens)
    if not put.any() and (put_open is None or not put_open.any()):
        return window, MissingPrices(policy, {})
    part = slice(window.first, window.last)
    table = window.table.of(window.columns)

    def beside(whole: FloatArray, of_window: FloatArray) -> FloatArray:
        values = whole.copy()
        values[part] = of_window
        read_only(values)
        return values

    def all_but(put: BoolArray) -> BoolArray:
        observed = np.ones(table.close.shape, bool)
        observed[part] = ~put
        read_only(observed)
        return observed

    if put.any():
        table = dataclasses.replace(table, close=beside(table.close, closes), observed=all_but(put))
    if table.open is not None and opens is not None and put_open is not None and put_open.any():
        table = dataclasses.replace(table, open=beside(table.open, opens), open_observed=all_but(put_open))
    counts = put.sum(axis=0).tolist()
    return (
        Window(table, window.start, window.end, window.first, window.last, range(len(table.symbols))),
        MissingPrices(
            policy,
            {symbol: count for symbol, count in zip(table.symbols, counts, strict=True) if count},
            first=str(window.sessions[np.argmax(put.any(axis=1))]) if put.any() else None,
            look_ahead=policy in LOOK_AHEAD_POLICIES and bool(put.any()),
        ),
    )


def _opens(
    opens: FloatArray, close: FloatArray, closes: FloatArray, policy: MissingPolicy, limit: int
) -> FloatArray:
    """``opens`` [T, N] with what is put in; ``closes`` are what the policy made of ``close``."""
    gone = np.isnan(opens)
    if not gone.any():
        return opens
    before = np.full(closes.shape, np.nan)
    before[1:] = np.where(fit_prices(closes[:-1]), closes[:-1], np.nan)
    if policy in LOOK_AHEAD_POLICIES:
        before = np.where(np.isnan(close), fill(opens, policy, limit), before)
    else:
        # Beyond its limit nothing is put in, neither as a close nor as the open before it.
        before[np.isnan(closes)] = np.nan
    return np.where(gone, before, opens)
