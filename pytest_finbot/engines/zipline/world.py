"""What zipline trades in, in memory: calendar, assets, prices and dividends of one market."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import time
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import sqlalchemy
from exchange_calendars import ExchangeCalendar
from zipline.assets import AssetDBWriter, AssetFinder
from zipline.data.adjustments import Dividend
from zipline.data.bar_reader import NoDataOnDate
from zipline.data.data_portal import DataPortal
from zipline.data.session_bars import CurrencyAwareSessionBarReader
from zipline.pipeline.data import EquityPricing
from zipline.pipeline.domain import EquitySessionDomain
from zipline.pipeline.loaders import USEquityPricingLoader

from pytest_finbot.contracts import FloatArray, MarketData, SessionArray
from pytest_finbot.engines.adapting.bars import VOLUME
from pytest_finbot.errors import DataError
from pytest_finbot.market.calendars import sessions_between

LEAD_IN: Final = 520
"""Sessions before the first one, without prices, for ``data.history`` to look back on: at most so many."""
_REACH: Final = 800
"""Days in which these are looked for."""
EXCHANGE: Final = "FINBOT"
_COUNTRY: Final = "US"


class World:
    """Everything that an algorithm asks about ``market``.

    ``sessions`` (``DatetimeIndex`` without a time zone) are the market's; ``dividends`` [T, N] in
    currency a unit, or ``None``. :meth:`close` gives back what SQLite holds.
    """

    def __init__(self, market: MarketData, dividends: FloatArray | None) -> None:
        self.sessions = pd.DatetimeIndex(market.sessions.astype("datetime64[ns]"))
        lead_in = _lead_in(market)
        days = np.concatenate([lead_in, market.sessions]).astype("datetime64[ns]")
        self.calendar = _calendar(pd.DatetimeIndex(days))
        self._engine = sqlalchemy.create_engine("sqlite://")
        try:
            self.finder = _finder(self._engine, market.symbols, self.sessions)
        except BaseException:
            self.close()
            raise
        prices = _Prices(self.calendar, market, len(lead_in))
        actions = _Actions(dividends, self.sessions)
        self.portal = _Portal(
            self.finder,
            self.calendar,
            self.calendar.sessions[0],
            equity_daily_reader=prices,
            adjustment_reader=None if dividends is None else actions,
        )
        self.domain = EquitySessionDomain(self.calendar.sessions, _COUNTRY)
        self._pipelines = USEquityPricingLoader.without_fx(prices, actions)

    @classmethod
    @contextmanager
    def of(cls, market: MarketData, dividends: FloatArray | None) -> Iterator[World]:
        """That of ``market``, closed afterwards, also where the run raises."""
        world = cls(market, dividends)
        try:
            yield world
        finally:
            world.close()

    def close(self) -> None:
        self._engine.dispose()

    def pipeline_loader(self, column: Any) -> Any:
        """What loads ``column`` for a pipeline. Raises ValueError for what is no price of an equity."""
        if column.unspecialize() in EquityPricing.columns:
            return self._pipelines
        raise ValueError(f"no data for the pipeline column {column}; expected those of EquityPricing")


def _lead_in(market: MarketData) -> SessionArray:
    """Sessions before the market's first: those of its calendar.

    Where that is not known they are weekdays of earlier months and weeks, so that the first session is
    the first of its month and week, as it is to strategies of weights.
    """
    first = market.sessions[0]
    if market.calendar is not None:
        with suppress(DataError):
            known = sessions_between(market.calendar, (first - _REACH).item(), (first - 1).item())
            if len(known):
                return known[-LEAD_IN:]
    monday = np.busday_offset(first + 1, -1, roll="backward", weekmask="Mon")
    begin = min(first.astype("datetime64[M]").astype("datetime64[D]"), monday)
    days = np.arange(begin - _REACH, begin)
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


def _finder(engine: Any, symbols: Sequence[str], sessions: pd.DatetimeIndex) -> AssetFinder:
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
        {"exchange": [EXCHANGE], "canonical_name": [EXCHANGE], "country_code": [_COUNTRY]}
    )
    AssetDBWriter(engine).write(equities=equities, exchanges=exchanges)
    finder = AssetFinder(engine)
    finder.retrieve_all(range(len(symbols)))
    return finder


class _Prices(CurrencyAwareSessionBarReader):  # type: ignore[misc]
    """Daily bars as zipline reads them, in full precision: its own files keep three decimals."""

    def __init__(self, calendar: ExchangeCalendar, market: MarketData, lead_in: int) -> None:
        self._calendar = calendar
        self._lead_in = lead_in
        self._row = {session.value: row for row, session in enumerate(calendar.sessions)}
        opened = market.close if market.open is None else market.open
        self._values = {
            "open": _led_in(opened, lead_in),
            "high": _led_in(np.maximum(opened, market.close), lead_in),
            "low": _led_in(np.minimum(opened, market.close), lead_in),
            "close": _led_in(market.close, lead_in),
        }

    @property
    def trading_calendar(self) -> ExchangeCalendar:
        return self._calendar

    @property
    def sessions(self) -> pd.DatetimeIndex:
        sessions: pd.DatetimeIndex = self._calendar.sessions
        return sessions

    @property
    def first_trading_day(self) -> pd.Timestamp:
        return self.sessions[0]

    @property
    def last_available_dt(self) -> pd.Timestamp:
        return self.sessions[-1]

    def get_value(self, sid: Any, dt: pd.Timestamp, field: str) -> float:
        row, column = self._at(dt), int(sid)
        if field == "volume":
            return 0 if row < self._lead_in else int(VOLUME)
        return float(self._values[field][row, column])

    def get_last_traded_dt(self, _asset: Any, dt: pd.Timestamp) -> Any:
        return dt if self._at(dt) >= self._lead_in else pd.NaT

    def load_raw_arrays(
        self, columns: Sequence[str], start_date: pd.Timestamp, end_date: pd.Timestamp, assets: Sequence[Any]
    ) -> list[Any]:
        rows = slice(self._at(start_date), self._at(end_date) + 1)
        sids = [int(asset) for asset in assets]
        volume = np.full((rows.stop - rows.start, len(sids)), int(VOLUME))
        volume[: max(self._lead_in - rows.start, 0)] = 0
        return [volume if name == "volume" else self._values[name][rows, sids] for name in columns]

    def currency_codes(self, sids: Any) -> Any:
        return np.full(len(sids), "USD", object)

    def _at(self, dt: pd.Timestamp) -> int:
        try:
            return self._row[dt.value]
        except KeyError:
            raise NoDataOnDate(dt) from None


def _led_in(prices: FloatArray, lead_in: int) -> FloatArray:
    """``prices`` [T, N] after so many sessions, which have none."""
    return np.vstack([np.full((lead_in, prices.shape[1]), np.nan), prices])


class _Portal(DataPortal):  # type: ignore[misc]
    """Zipline's own, which would read splits and stock dividends from a file: there are none."""

    def get_splits(self, _assets: Any, _dt: Any) -> list[Any]:
        return []

    def get_stock_dividends(self, _sid: int, _trading_days: Any) -> list[Any]:
        return []


class _Actions:
    """Cash dividends, paid on the ex-date; nothing that would change prices or quantities."""

    def __init__(self, dividends: FloatArray | None, sessions: pd.DatetimeIndex) -> None:
        self._dividends = dividends
        self._row = {session.value: row for row, session in enumerate(sessions)}

    def get_dividends_with_ex_date(self, assets: Any, date: pd.Timestamp, _finder: Any) -> list[Dividend]:
        if self._dividends is None:
            return []
        today = self._dividends[self._row[date.value]]
        return [Dividend(asset, float(today[asset.sid]), date) for asset in assets if today[asset.sid]]

    def get_stock_dividends_with_ex_date(self, _assets: Any, _date: Any, _finder: Any) -> list[Any]:
        return []

    def get_adjustments_for_sid(self, _table: str, _sid: int) -> list[Any]:
        return []

    def load_pricing_adjustments(self, columns: Sequence[str], _dates: Any, _assets: Any) -> list[Any]:
        return [{} for _ in columns]
