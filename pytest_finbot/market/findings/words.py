"""How findings speak of sessions and counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import cast

import numpy as np

from pytest_finbot.contracts import IntArray, SessionArray
from pytest_finbot.market.table_file import NAMED_AT_MOST, some

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def count(number: int, what: str) -> str:
    """``1 session``, ``2 sessions``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def days_of(sessions: SessionArray) -> list[date]:
    return cast("list[date]", sessions.tolist())


def with_weekdays(sessions: SessionArray) -> str:
    """``2020-01-11 (Saturday), …``: the first of them, the rest counted."""
    return some(f"{day} ({_WEEKDAYS[day.weekday()]})" for day in days_of(sessions))


def at(sessions: SessionArray, rows: IntArray) -> str:
    """The days of ``rows``: the first of them, the rest counted."""
    return each(rows, lambda row: str(sessions[row]))


def each(numbers: IntArray, say: Callable[[int], str]) -> str:
    """What ``say`` says of each of ``numbers``: of the first of them, the rest counted."""
    told = [say(number) for number in numbers[:NAMED_AT_MOST].tolist()]
    left = len(numbers) - len(told)
    return ", ".join(told) + (f" and {left:,} more" if left else "")


def units_for(units: float) -> str:
    """``2 for 1``, ``3 for 2``, ``1 for 10``: units after for units before."""
    whole = units if units > 1.0 else 1.0 / units
    many, few = (f"{2.0 * whole:g}", "2") if whole % 1.0 == 0.5 else (f"{whole:g}", "1")
    return f"{many} for {few}" if units > 1.0 else f"{few} for {many}"


def weekday_of(sessions: SessionArray) -> IntArray:
    """0 for Monday to 6 for Sunday, of each session."""
    # 1970-01-01, day 0, was a Thursday.
    found: IntArray = (sessions.astype("datetime64[D]").astype(np.int64) + 3) % 7
    return found
