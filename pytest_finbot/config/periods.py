"""Lengths of time on the calendar: ``3y``, ``6m``, ``8w``, ``90d``, and days that lie so much later."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta
from typing import Annotated, Any, Final

from pydantic import PlainValidator, WithJsonSchema

from pytest_finbot.config.fields import wrong
from pytest_finbot.config.problems import describe, quoted

_EXPECTED: Final = "a period such as 3y, 6m, 8w or 90d"
_PERIOD: Final = re.compile(r"([0-9]+)\s*([A-Za-z]*)", re.ASCII)
_MOST_DIGITS: Final = 5
_MONTHS: Final = {"y": 12, "m": 1}
_DAYS: Final = {"w": 7, "d": 1}
_SAME_AS: Final = {
    **dict.fromkeys(("yr", "yrs", "year", "years", "a"), "y"),
    **dict.fromkeys(("mo", "mon", "month", "months"), "m"),
    **dict.fromkeys(("wk", "week", "weeks"), "w"),
    **dict.fromkeys(("day", "days"), "d"),
}


@dataclass(frozen=True, slots=True)
class Period:
    """``months`` or ``days``, the other is 0; ``text`` is how it was written."""

    text: str
    months: int
    days: int

    def __str__(self) -> str:
        return self.text


def later(day: date, *periods: tuple[Period, int]) -> date | None:
    """``day`` and after it each period, so many times; ``None``: beyond the year 9999.

    Months that follow one another are added up before they are counted from ``day``, and a day
    that its month has not becomes the month's last: three times a year after 2012-02-29 is
    2015-02-28, and four times is 2016-02-29 again.
    """
    months = 0
    found: date | None = day
    for period, times in periods:
        if period.months:
            months += period.months * times
            continue
        found = _after_months(found, months)
        months = 0
        found = _after_days(found, period.days * times)
    return _after_months(found, months)


def _after_months(day: date | None, months: int) -> date | None:
    if day is None or not months:
        return day
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > MAXYEAR:
        return None
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _after_days(day: date | None, days: int) -> date | None:
    if day is None or days > (date.max - day).days:
        return None
    return day + timedelta(days=days)


def _read(value: Any) -> Period:
    match = _PERIOD.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise wrong(f"expected {_EXPECTED}, got {describe(value)}")
    digits, unit = match.groups()
    if unit not in _MONTHS and unit not in _DAYS:
        meant = _SAME_AS.get(unit.lower(), unit.lower())
        known = meant in _MONTHS or meant in _DAYS
        hint = f"did you mean '{digits}{meant}'?" if known else "expected one of y, m, w, d"
        raise wrong(
            f"{quoted(value)}: {quoted(unit)} is no unit; {hint}" if unit else f"{quoted(value)}: {hint}"
        )
    if len(digits) > _MOST_DIGITS or int(digits) < 1:
        raise wrong(f"{quoted(value)} is not from 1{unit} to {'9' * _MOST_DIGITS}{unit}")
    count = int(digits)
    return Period(f"{count}{unit}", count * _MONTHS.get(unit, 0), count * _DAYS.get(unit, 0))


PeriodText = Annotated[
    Period,
    PlainValidator(_read),
    WithJsonSchema({"type": "string", "pattern": r"^\s*[0-9]{1,5}\s*[ymwd]\s*$"}),
]
