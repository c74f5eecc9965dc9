"""Dividends and splits that price files state, and what they are to the prices: explained, not judged."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, IntArray
from pytest_finbot.market.findings.booked import shown_by_adjusted
from pytest_finbot.market.findings.steps import MOST
from pytest_finbot.market.findings.words import count
from pytest_finbot.market.window import Window

Contained = Literal["all", "some", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class StatedActions:
    """What a symbol's file states of one kind in a window.

    ``number`` of them, from ``first`` to ``last`` (ISO dates, ``None`` without any), ``total``
    currency a unit of dividends or units for one of splits. ``contained``: whether prices are
    adjusted for them; of dividends that is known only where there are adjusted and raw closes.
    """

    symbol: str
    kind: Literal["dividends", "splits"]
    number: int
    first: str | None
    last: str | None
    total: float
    contained: Contained
    message: str


def stated_actions(window: Window, findings: tuple[DataFinding, ...]) -> tuple[StatedActions, ...]:
    """Dividends and splits of the window's symbols; none where the files have no such columns.

    ``findings`` are those of the same window: what they say of dividends is not said again.
    """
    if window.first == window.last:
        return ()
    told: list[StatedActions] = []
    dividends, splits = (
        None if values is None else window.part(values)
        for values in (window.table.dividends, window.table.splits)
    )
    close = window.part(window.table.close)
    shown = None
    if dividends is not None and window.table.field == "close":
        shown = shown_by_adjusted(window, dividends)
    restated = {one.symbol for one in findings if one.kind == "dividend_restated"}
    contained: Contained
    for column, symbol in enumerate(window.symbols):
        if dividends is not None:
            if window.table.field == "close":
                contained = _of_raw(None if shown is None else shown.of(column))
            elif window.table.raw is None:
                contained = "unknown"
            else:
                contained = "some" if symbol in restated else "all"
            told.append(_dividends(window, symbol, dividends[:, column], contained))
        if splits is not None:
            told.append(_splits(window, symbol, splits[:, column], close[:, column]))
    return tuple(told)


def bad_splits(window: Window, splits: FloatArray) -> Iterator[DataFinding]:
    """Stated ``splits`` [T, N] that no number of units can be: not finite, or not above zero (error)."""
    rows, columns = np.nonzero(~_can_be(splits))
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        symbol, day = window.symbols[column], str(window.sessions[row])
        message = (
            f"{symbol}: split of {splits[row, column]} on {day}; expected the number of units for each one "
            "before, above zero"
        )
        yield DataFinding("actions", "error", message, symbol, day)


def possible_splits(splits: FloatArray) -> FloatArray:
    """``splits`` [T, N] with 1, which is none, for those of :func:`bad_splits`."""
    can_be = _can_be(splits)
    return splits if can_be.all() else np.where(can_be, splits, 1.0)


def _can_be(splits: FloatArray) -> BoolArray:
    can_be: BoolArray = (splits > 0.0) & (splits < np.inf)
    return can_be


def _of_raw(shown: tuple[int, int] | None) -> Contained:
    """What adjusted closes show of a symbol's dividends: how many close contains, and leaves out."""
    contains, leaves = shown or (0, 0)
    if not contains and not leaves:
        return "unknown"
    return "none" if not contains else "some" if leaves else "all"


def _dividends(window: Window, symbol: str, paid: FloatArray, contained: Contained) -> StatedActions:
    field, rows = window.table.field, np.flatnonzero(paid)
    if field == "close":
        relation = {
            "all": "close contains them: a run leaves dividends out",
            "some": "close leaves them out, but for what is found",
            "none": "close leaves them out: a run has them with dividends: from_prices",
            "unknown": "whether close contains them cannot be told; if it leaves them out, a run has them "
            "with dividends: from_prices",
        }[contained]
    else:
        relation = {
            "all": f"{field} contains each of them",
            "some": f"{field} contains them, but for what is found",
            "none": f"{field} leaves them out",
            "unknown": f"whether {field} contains them cannot be told: the file has no close beside it",
        }[contained]
    # An amount that cannot be is counted, and adds nothing.
    total = float(np.sum(paid[rows], where=np.abs(paid[rows]) <= MOST))
    return _told(window, symbol, "dividends", rows, total, contained, f", {total:.6g} a unit; {relation}")


def _splits(window: Window, symbol: str, units: FloatArray, close: FloatArray) -> StatedActions:
    field, rows = window.table.field, np.flatnonzero((units != 1.0) & _can_be(units))
    # The first session has no step.
    seen = rows[rows > 0]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        step = close[seen] / close[seen - 1]
        by_split = np.abs(1.0 - step * units[seen]) < np.abs(1.0 - step)
        total = min(float(np.prod(units[rows])), sys.float_info.max)
    stepping = int(np.sum(by_split))
    contained: Contained = "all" if not stepping else "none" if stepping == len(seen) else "some"
    relation = {
        "all": f"{field} is adjusted for them",
        "some": f"{field} steps by {stepping:,} of them and is adjusted for the others",
        "none": f"{field} steps by them: a run needs splits: from_prices",
    }[contained]
    return _told(window, symbol, "splits", rows, total, contained, f"; {relation}")


def _told(
    window: Window,
    symbol: str,
    kind: Literal["dividends", "splits"],
    rows: IntArray,
    total: float,
    contained: Contained,
    more: str,
) -> StatedActions:
    if not len(rows):
        message = f"{symbol}: no {kind} are stated"
        return StatedActions(symbol, kind, 0, None, None, total, "all", message)
    first, last = (str(window.sessions[row]) for row in (rows[0], rows[-1]))
    when = f"on {first}" if len(rows) == 1 else f"from {first} to {last}"
    message = f"{symbol}: {count(len(rows), kind[:-1])} {when}{more}"
    return StatedActions(symbol, kind, len(rows), first, last, total, contained, message)
