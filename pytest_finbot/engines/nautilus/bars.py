"""Instruments and bars of a run as nautilus_trader has them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import numpy as np
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarSpecification, BarType
from nautilus_trader.model.enums import (
    AggregationSource,
    AssetClass,
    BarAggregation,
    PriceType,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import Commodity, Equity, Instrument
from nautilus_trader.model.objects import FIXED_PRECISION, QUANTITY_MAX, Price, Quantity

from pytest_finbot.contracts import FloatArray, IntArray, MarketData, RunSpec
from pytest_finbot.engines.adapting.bars import VOLUME, bars

VENUE: Final = Venue("SIM")
OPENS: Final = 9 * 3_600 * 10**9 + 1_800 * 10**9
"""Nanoseconds into the day (UTC) at which a session opens."""
CLOSES: Final = 16 * 3_600 * 10**9
_SHORT = 8
"""Decimals up to which prices are looked at for how many they have."""
_SIZE_DECIMALS = 9
_GROWTH = 100.0
"""Times the start capital that may be held of one symbol while sizes stay exact."""
_SPEC = BarSpecification(1, BarAggregation.DAY, PriceType.LAST)
_VOLUME = min(VOLUME, QUANTITY_MAX)
_COLUMNS = ("open", "high", "low", "close", "volume")


class Feed:
    """What a run's market is in nautilus: ``instruments`` and ``bar_types`` [N], and their data.

    ``open_ns`` and ``close_ns`` [T] are when each session opens and closes (UNIX nanoseconds).
    ``depth`` is how many units fill at one price: a quarter of a bar's volume, as nautilus takes a bar for
    four trades. ``rounding`` is the largest fraction of a price by which nautilus' is off the market's.
    """

    def __init__(self, spec: RunSpec, market: MarketData, *, shortable: bool) -> None:
        self._market = market
        days = market.sessions.astype("datetime64[ns]").astype(np.int64)
        self.open_ns: IntArray = days + OPENS
        self.close_ns: IntArray = days + CLOSES
        self._spec = spec
        equity = spec.units == "whole" and not shortable
        taker_fee = Decimal(repr(spec.costs.commission_bps)) / 10_000
        self.instruments: list[Instrument] = [
            self._instrument(symbol, column, taker_fee, equity=equity)
            for column, symbol in enumerate(market.symbols)
        ]
        self.bar_types = [BarType(each.id, _SPEC, AggregationSource.EXTERNAL) for each in self.instruments]
        self.depth = _VOLUME / 4.0
        self.rounding = 0.0

    @property
    def decimals(self) -> int:
        """Most decimals that prices of any symbol have in nautilus."""
        return max(int(each.price_precision) for each in self.instruments)

    def told(self) -> dict[str, str]:
        """What a record says of the instruments, by symbol."""
        return {
            symbol: f"{type(each).__name__} {each.id}, prices of {each.price_precision} and units of "
            f"{each.size_precision} decimals"
            for symbol, each in zip(self._market.symbols, self.instruments, strict=True)
        }

    def data(self, open_rows: frozenset[int]) -> list[Any]:
        """Bars [T, N] in the order of sessions, and in each of symbols.

        Before the bars of each of ``open_rows`` come bars of the open alone.
        """
        market, sessions = self._market, len(self._market.sessions)
        columns = [self._bars(column, open_rows) for column in range(len(market.symbols))]
        data: list[Any] = []
        for row in range(sessions):
            for part in ("open", "bar"):
                data += [column[part, row] for column in columns if (part, row) in column]
        return data

    def _bars(self, column: int, open_rows: frozenset[int]) -> dict[tuple[str, int], Any]:
        instrument, bar_type = self.instruments[column], self.bar_types[column]
        decimals = instrument.price_precision
        volume = Quantity(_VOLUME, instrument.size_precision)
        table = bars(self._market, column, _COLUMNS)
        found: dict[tuple[str, int], Any] = {}
        values = zip(*(table[name].tolist() for name in _COLUMNS[:4]), self.close_ns.tolist(), strict=True)
        for row, (opened, high, _, closed, at) in enumerate(values):
            close = Price(closed, decimals)
            self.rounding = max(self.rounding, abs(close.as_double() / closed - 1.0))
            if opened == closed:
                first = top = bottom = close
            else:
                first = Price(opened, decimals)
                top, bottom = (first, close) if high == opened else (close, first)
            if row in open_rows:
                opens_at = int(self.open_ns[row])
                found["open", row] = Bar(bar_type, first, first, first, first, volume, opens_at, opens_at)
            found["bar", row] = Bar(bar_type, first, top, bottom, close, volume, at, at)
        return found

    def _decimals(self, column: int) -> int:
        """Fewest decimals that hold the symbol's prices exactly; as many as nautilus has where none do."""
        market = self._market
        prices: FloatArray = market.close[:, column]
        if market.open is not None:
            prices = np.concatenate([prices, market.open[:, column]])
        for decimals in range(min(_SHORT, FIXED_PRECISION) + 1):
            if np.array_equal(np.round(prices, decimals), prices):
                return decimals
        return int(FIXED_PRECISION)

    def _size_decimals(self, column: int) -> int:
        """As many as a float holds of the largest position: nautilus keeps positions as floats, and with
        more of them what closes one would leave the last digit of it."""
        if self._spec.units == "whole":
            return 0
        largest = _GROWTH * self._spec.start_capital / float(self._market.close[:, column].min())
        decimals = min(_SIZE_DECIMALS, int(FIXED_PRECISION))
        while decimals and largest * 10.0**decimals > 2.0**53:
            decimals -= 1
        return decimals

    def _instrument(self, symbol: str, column: int, taker_fee: Decimal, *, equity: bool) -> Instrument:
        decimals, of_size = self._decimals(column), self._size_decimals(column)
        identity = InstrumentId(Symbol(symbol), VENUE)
        smallest = Price.from_decimal(Decimal(1).scaleb(-decimals))
        if equity:
            return Equity(
                instrument_id=identity,
                raw_symbol=identity.symbol,
                currency=USD,
                price_precision=decimals,
                price_increment=smallest,
                lot_size=Quantity.from_int(1),
                taker_fee=taker_fee,
                maker_fee=taker_fee,
                ts_event=0,
                ts_init=0,
            )
        return Commodity(
            instrument_id=identity,
            raw_symbol=identity.symbol,
            asset_class=AssetClass.EQUITY,
            quote_currency=USD,
            price_precision=decimals,
            size_precision=of_size,
            price_increment=smallest,
            size_increment=Quantity.from_decimal(Decimal(1).scaleb(-of_size)),
            taker_fee=taker_fee,
            maker_fee=taker_fee,
            ts_event=0,
            ts_init=0,
        )
