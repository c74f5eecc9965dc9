"""What backtrader makes us derive from: feed, costs, broker, analyzer, and a strategy of target weights.

Imported when a run is executed. backtrader keeps every class derived from its own for as long as the
process lives, so they are made once, here.
"""

from __future__ import annotations

import datetime
from typing import Any

import backtrader
import numpy as np

from pytest_finbot.contracts import Decisions, FloatArray, MarketData, RunSpec
from pytest_finbot.engines.adapting.bars import VOLUME
from pytest_finbot.engines.backtrader.orders import OrderLog
from pytest_finbot.engines.sizing import NOISE
from pytest_finbot.errors import EngineError


class Book:
    """The account [T] and positions [T, N] as the broker tells them; ``rows`` sessions are filled in.

    ``lost`` is row and NAV of the first decision that found no NAV left to follow it with.
    """

    __slots__ = ("cash", "lost", "nav", "quantity", "rows")

    def __init__(self, sessions: int, assets: int) -> None:
        self.nav = np.empty(sessions)
        self.cash = np.empty(sessions)
        self.quantity: FloatArray = np.zeros((sessions, assets))
        self.rows = 0
        self.lost: tuple[int, float] | None = None


class Feed(backtrader.feed.DataBase):  # type: ignore[misc]
    """Bars from lists: ``bars`` holds datetime, open, high, low, close and volume, each [T]."""

    params = (("bars", None),)

    def start(self) -> None:
        super().start()
        self._row = 0

    def _load(self) -> bool:
        moments, opened, high, low, close = self.p.bars
        row = self._row
        if row == len(moments):
            return False
        lines = self.lines
        lines.datetime[0] = moments[row]
        lines.open[0] = opened[row]
        lines.high[0] = high[row]
        lines.low[0] = low[row]
        lines.close[0] = close[row]
        lines.volume[0] = VOLUME
        lines.openinterest[0] = 0.0
        self._row += 1
        return True


class Costs(backtrader.CommInfoBase):  # type: ignore[misc]
    """Commission of the value traded (``rate``, a fraction) and for each unit (``per_unit``, currency)."""

    params = (("rate", 0.0), ("per_unit", 0.0), ("fractional", True), ("stocklike", True))

    def getsize(self, price: float, cash: float) -> float:
        if self.p.fractional:
            return cash / price
        return int(super().getsize(price, cash))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        return float(abs(size) * (price * self.p.rate + self.p.per_unit))


class Broker(backtrader.brokers.BackBroker):  # type: ignore[misc]
    """backtrader's broker, which also writes down every change of an order when it happens.

    A strategy hears of a change one session later where it cancels, and of none after the last.
    """

    params = (("log", None), ("columns", None))

    def notify(self, order: Any) -> None:
        column = self.p.columns.get(order.data)
        if column is None:
            raise EngineError(
                f"engine 'backtrader': an order is for data {order.data._name!r}, which is none of the run's "
                f"symbols ({', '.join(data._name for data in self.p.columns)})"
            )
        self.p.log.see(order, column)
        super().notify(order)


class Account(backtrader.Analyzer):  # type: ignore[misc]
    """Fills in a Book, session by session, whether or not the strategy has begun."""

    params = (("book", None), ("columns", None), ("moments", None))

    def next(self) -> None:
        book, broker = self.p.book, self.strategy.broker
        row = book.rows
        if len(self.strategy) != row + 1 or self.strategy.datetime[0] != self.p.moments[row]:
            at = backtrader.num2date(self.strategy.datetime[0]).date()
            raise EngineError(f"engine 'backtrader' is at {at} in what should be session {row} (from 0)")
        book.nav[row] = broker.getvalue()
        book.cash[row] = broker.getcash()
        # Not getposition(): it would add empty positions, and so change the order of the broker's sums.
        for data, position in broker.positions.items():
            if position.size:
                book.quantity[row, self.p.columns[data]] = position.size
        book.rows = row + 1


class TargetOrders(backtrader.Strategy):  # type: ignore[misc]
    """Orders what ``weights`` (row -> weights of NAV, one a data feed) want, sales before purchases.

    Where a decision finds no NAV left, it and those after it only close what is held.
    """

    params = (("weights", None), ("book", None))

    def next(self) -> None:
        row, book = len(self) - 1, self.p.book
        weights = self.p.weights.get(row)
        if weights is None:
            return
        nav = self.broker.getvalue()
        if nav <= 0.0 and book.lost is None:
            book.lost = row, nav
        sales: list[tuple[Any, float]] = []
        purchases: list[tuple[Any, float]] = []
        for data, weight in zip(self.datas, weights, strict=True):
            target = 0.0 if book.lost is not None else weight
            change = target * nav - self.broker.getvalue(datas=[data])
            held = self.getposition(data).size != 0.0
            # Not a trade: what a sum in another order would leave over.
            if abs(change) <= NOISE * abs(nav) and not (target == 0.0 and held):
                continue
            (sales if change <= 0.0 else purchases).append((data, target))
        for data, target in (*sales, *purchases):
            self.order_target_percent(data=data, target=target)


def follow(
    spec: RunSpec, market: MarketData, opens: FloatArray, decisions: Decisions, log: OrderLog, book: Book
) -> None:
    """Run what follows ``decisions``, see :func:`execute`."""
    weights = dict(zip(decisions.rows.tolist(), decisions.weights.tolist(), strict=True))
    execute(spec, market, opens, TargetOrders, {"weights": weights, "book": book}, log, book)


def execute(
    spec: RunSpec,
    market: MarketData,
    opens: FloatArray,
    strategy: type[Any],
    params: dict[str, Any],
    log: OrderLog,
    book: Book,
) -> None:
    """Run ``strategy`` on ``market``, filling market orders of the session before at ``opens`` [T, N].

    What came of it is in ``log`` and ``book`` afterwards.
    """
    # Its author may read the standard observers under ``self.stats``.
    cerebro = backtrader.Cerebro(stdstats=strategy is not TargetOrders)
    moments = [
        backtrader.date2num(datetime.datetime.combine(day, datetime.time()))
        for day in market.sessions.astype(object)
    ]
    columns: dict[Any, int] = {}
    high, low = np.maximum(opens, market.close), np.minimum(opens, market.close)
    for column, symbol in enumerate(market.symbols):
        prices = (values[:, column].tolist() for values in (opens, high, low, market.close))
        feed = Feed(bars=(moments, *prices))
        cerebro.adddata(feed, name=symbol)
        columns[feed] = column
    costs = spec.costs
    broker = Broker(log=log, columns=columns)
    broker.setcash(float(spec.start_capital))
    broker.addcommissioninfo(
        Costs(
            rate=costs.commission_bps / 1e4,
            per_unit=costs.commission_per_share,
            fractional=spec.units == "fractional",
        )
    )
    if costs.slippage_bps:
        # slip_out: high and low are made of open and close here, and must not cap what slippage costs.
        broker.set_slippage_perc(costs.slippage_bps / 1e4, slip_open=True, slip_match=True, slip_out=True)
    cerebro.setbroker(broker)
    cerebro.addanalyzer(Account, book=book, columns=columns, moments=moments)
    cerebro.addstrategy(strategy, **params)
    cerebro.run()
