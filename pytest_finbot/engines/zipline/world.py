"""What zipline trades in, in memory: prices and dividends of one market, on its ground."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from exchange_calendars import ExchangeCalendar
from zipline.data.adjustments import Dividend
from zipline.data.bar_reader import NoDataOnDate
from zipline.data.data_portal import DataPortal
from zipline.data.session_bars import CurrencyAwareSessionBarReader
from zipline.pipeline.data import EquityPricing
from zipline.pipeline.domain import EquitySessionDomain
from zipline.pipeline.loaders import USEquityPricingLoader

from pytest_finbot.contracts import FloatArray, MarketData
from pytest_finbot.engines.adapting.bars import VOLUME
from pytest_finbot.engines.zipline.ground import COUNTRY, Ground


class World:
    """Everything that an algorithm asks about ``market``.

    ``sessions`` (``DatetimeIndex`` without a time zone) are the market's; ``dividends`` [T, N] in
    currency a unit, or ``None``.
    """

    def __init__(self, market: MarketData, dividends: FloatArray | None) -> None:
        ground = Ground.of(market)
        self.calendar, self.finder = ground.calendar, ground.finder
        self.sessions = self.calendar.sessions[ground.lead_in :]
        prices = _Prices(self.calendar, market, ground.lead_in)
        actions = _Actions(dividends, self.sessions)
        self.portal = _Portal(
            self.finder,
            self.calendar,
            self.calendar.sessions[0],
            equity_daily_reader=prices,
            adjustment_reader=None if dividends is None else actions,
        )
        self.domain = EquitySessionDomain(self.calendar.sessions, COUNTRY)
        self._pipelines = USEquityPricingLoader.without_fx(prices, actions)

    def pipeline_loader(self, column: Any) -> Any:
        """What loads ``column`` for a pipeline. Raises ValueError for what is no price of an equity."""
        if column.unspecialize() in EquityPricing.columns:
            return self._pipelines
        raise ValueError(f"no data for the pipeline column {column}; expected those of EquityPricing")


class _Prices(CurrencyAwareSessionBarReader):  # type: ignore[misc]
    """Daily bars as zipline reads them, in full precision: its own files keep three decimals."""

    def __init__(self, calendar: ExchangeCalendar, market: MarketData, lead_in: int) -> None:
        self._calendar = calendar
        self._lead_in = lead_in
        self._row = _rows(calendar.sessions)
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


def _rows(sessions: pd.DatetimeIndex) -> dict[int, int]:
    """Rows of ``sessions`` by their nanoseconds, as ``Timestamp.value`` has them."""
    return {nanoseconds: row for row, nanoseconds in enumerate(sessions.as_unit("ns").asi8.tolist())}


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
        self._row = _rows(sessions)

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
