"""What runs on the same sessions and symbols have in common: calendar and assets, built once."""

from __future__ import annotations

import atexit
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import time
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import sqlalchemy
from exchange_calendars import ExchangeCalendar
from zipline.assets import AssetDBWriter, AssetFinder

from pytest_finbot.contracts import MarketData, SessionArray
from pytest_finbot.errors import DataError
from pytest_finbot.market.calendars import sessions_between

LEAD_IN: Final = 520
"""Sessions before the first one, without prices, for ``data.history`` to look back on: at most so many."""
EXCHANGE: Final = "FINBOT"
COUNTRY: Final = "US"
_REACH: Final = 800
"""Days in which the sessions before the first one are looked for."""
_KEPT: Final = 4

_Key = tuple[bytes, str | None, tuple[str, ...]]
_kept: OrderedDict[_Key, Ground] = OrderedDict()


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Calendar and assets; the market's sessions are the calendar's from number ``lead_in`` on."""

    calendar: ExchangeCalendar
    finder: AssetFinder
    lead_in: int

    @classmethod
    def of(cls, market: MarketData) -> Ground:
        """That of ``market``: the process keeps the last few, as a batch has many runs on the same prices."""
        key = (market.sessions.tobytes(), market.calendar, market.symbols)
        ground = _kept.get(key)
        if ground is None:
            ground = _kept[key] = cls._built(market)
            while len(_kept) > _KEPT:
                _kept.popitem(last=False)[1].close()
        _kept.move_to_end(key)
        return ground

    @classmethod
    def _built(cls, market: MarketData) -> Ground:
        before = _lead_in(market)
        days = pd.DatetimeIndex(np.concatenate([before, market.sessions]).astype("datetime64[ns]"))
        return cls(_calendar(days), _finder(market.symbols, days[len(before) :]), len(before))

    def close(self) -> None:
        """Give back what SQLite holds."""
        self.finder.engine.dispose()


@atexit.register
def forget() -> None:
    """Close all that is kept."""
    while _kept:
        _kept.popitem()[1].close()


def _lead_in(market: MarketData) -> SessionArray:
    """Sessions before the market's first: those of its calendar.

    Where that is not known they are weekdays of earlier months and weeks, so that the first session is
    the first of its month and week, as it is to strategies of weights.
    """
    first = market.sessions[0]
    day, reach = np.timedelta64(1, "D"), np.timedelta64(_REACH, "D")
    if market.calendar is not None:
        with suppress(DataError):
            known = sessions_between(market.calendar, (first - reach).item(), (first - day).item())
            if len(known):
                return known[-LEAD_IN:]
    monday = np.busday_offset(first, 0, roll="backward", weekmask="Mon")
    begin = min(first.astype("datetime64[M]").astype("datetime64[D]"), monday)
    days = np.arange(begin - reach, begin, day)
    weekdays: SessionArray = days[np.is_busday(days)][-LEAD_IN:]
    return weekdays


def _calendar(days: pd.DatetimeIndex) -> ExchangeCalendar:
    """The calendar whose sessions are ``days``, with New York's hours, whatever the weekday."""
    closed = pd.date_range(days[0], days[-1]).difference(days)

    class Calendar(ExchangeCalendar):  # type: ignore[misc]
        name = EXCHANGE
        tz = ZoneInfo("America/New_York")
        open_times = ((None, time(9, 30)),)
        close_times = ((None, time(16)),)
        weekmask = "1111111"
        adhoc_holidays: ClassVar[list[pd.Timestamp]] = list(closed)

    return Calendar(start=days[0], end=days[-1], side="right")


def _finder(symbols: Sequence[str], sessions: pd.DatetimeIndex) -> AssetFinder:
    """Equities by symbol, with their column as sid; none is closed before the last session is over."""
    equities = pd.DataFrame(
        {
            "symbol": list(symbols),
            "asset_name": list(symbols),
            "start_date": sessions[0],
            "end_date": sessions[-1],
            "auto_close_date": sessions[-1] + pd.Timedelta(days=2),
            "exchange": EXCHANGE,
        },
        index=range(len(symbols)),
    )
    exchanges = pd.DataFrame(
        {"exchange": [EXCHANGE], "canonical_name": [EXCHANGE], "country_code": [COUNTRY]}
    )
    engine = sqlalchemy.create_engine("sqlite://")
    try:
        AssetDBWriter(engine).write(equities=equities, exchanges=exchanges)
        return AssetFinder(engine)
    except BaseException:
        engine.dispose()
        raise
