"""A backtest of nautilus_trader's: its venue and account, who writes down what they come to, and the
strategy that follows target weights."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import numpy as np
from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.backtest.config import SimulationModuleConfig
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FeeModel, MakerTakerFeeModel
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.common.component import is_backtest_force_stop, set_backtest_force_stop
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.enums import (
    AccountType,
    AggressorSide,
    ContingencyType,
    OmsType,
    OrderSide,
    OrderStatus,
)
from nautilus_trader.model.events import (
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderPendingCancel,
    OrderRejected,
)
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.trading.strategy import Strategy

from pytest_finbot.contracts import Decisions, FloatArray, MarketData, RejectedOrder, RunSpec
from pytest_finbot.engines.adapting.fill_list import FillList
from pytest_finbot.engines.adapting.undisturbed import undisturbed
from pytest_finbot.engines.nautilus.bars import VENUE, Feed
from pytest_finbot.engines.sizing import Rebalancer
from pytest_finbot.errors import EngineError

__all__ = ["Backtest", "Recorder", "Strategy", "TargetWeights"]

_NO_LIMIT = "1000000000/00:00:01"


class Recorder(SimulationModule):  # type: ignore[misc]
    """Writes down the account after each session, when every order of its last bar is settled.

    ``cash`` [T], ``quantity`` and ``mark`` [T, N] are as nautilus has them, ``equity`` [T] is what its
    portfolio says they come to, each position's value rounded to a cent. Rows that the backtest did not
    come to are NaN.
    """

    def __init__(self, feed: Feed, *, checks_cash: bool) -> None:
        super().__init__(SimulationModuleConfig())
        self._checks_cash = checks_cash
        sessions, assets = len(feed.close_ns), len(feed.instruments)
        self._rows = {at: row for row, at in enumerate(feed.close_ns.tolist())}
        self._rows_at_open = {at: row for row, at in enumerate(feed.open_ns.tolist())}
        self._ids = [each.id for each in feed.instruments]
        self._columns = {each.id: column for column, each in enumerate(feed.instruments)}
        self.row = 0
        """Row of the session that the backtest has come to."""
        self._closing = False
        self.equity = np.full(sessions, np.nan)
        self.cash = np.full(sessions, np.nan)
        self.quantity = np.full((sessions, assets), np.nan)
        self.mark = np.full((sessions, assets), np.nan)
        self.fills = FillList()
        self.rejected: list[RejectedOrder] = []
        self.events: dict[str, int] = {}

    # ------------------------------------------------------------- called by nautilus' venue

    def pre_process(self, data: Any) -> None:
        """Told of each bar before the venue's market moves to it."""
        row = self._rows.get(data.ts_init)
        if row is None:
            self.row, self._closing = self._rows_at_open[data.ts_init], False
            return
        self.row = row
        column = self._columns[data.bar_type.instrument_id]
        self.mark[row, column] = data.close.as_double()
        self._closing = column == len(self._ids) - 1
        if self._checks_cash:
            # Of market orders, nautilus checks the cash at the last trade; where there is none, it fills
            # them unchecked. A trade among the data would move the market past orders that wait.
            self.cache.add_trade_tick(
                TradeTick(
                    data.bar_type.instrument_id,
                    data.close,
                    data.volume,
                    AggressorSide.NO_AGGRESSOR,
                    TradeId(str(row)),
                    data.ts_event,
                    data.ts_init,
                )
            )

    def process(self, ts_now: int) -> None:
        """Told after each bar and timer, when what strategies did on it is settled."""
        if not self._closing:
            return
        row, portfolio = self.row, self.portfolio
        self.cash[row] = portfolio.account(VENUE).balance_total(USD).as_double()
        self.equity[row] = portfolio.equity(VENUE)[USD].as_double()
        self.quantity[row] = [float(portfolio.net_position(each)) for each in self._ids]

    def log_diagnostics(self, logger: Any) -> None:
        """Nothing to tell."""

    def reset(self) -> None:
        """A recorder is of one run."""

    # ------------------------------------------------------------ called by nautilus' message bus

    def on_order_event(self, event: Any) -> None:
        """Fills, and orders that came to nothing."""
        kind = type(event).__name__
        self.events[kind] = self.events.get(kind, 0) + 1
        if isinstance(event, OrderFilled):
            sign = 1.0 if event.order_side == OrderSide.BUY else -1.0
            self.fills.add(
                self.row,
                self._columns[event.instrument_id],
                sign * event.last_qty.as_double(),
                event.last_px.as_double(),
                fee=event.commission.as_double(),
            )
        elif isinstance(event, OrderDenied):
            self._reject(event.client_order_id, f"denied by nautilus: {event.reason}")
        elif isinstance(event, OrderRejected):
            self._reject(event.client_order_id, f"rejected by nautilus: {event.reason}")
        elif isinstance(event, OrderExpired):
            self._reject(event.client_order_id, "expired before it was filled")
        elif isinstance(event, OrderCanceled):
            order = self.cache.order(event.client_order_id)
            asked_for = any(isinstance(each, OrderPendingCancel) for each in order.events)
            # Of orders that are linked, the fill of one is what cancels the other.
            if not asked_for and order.contingency_type == ContingencyType.NO_CONTINGENCY:
                self._reject(event.client_order_id, "canceled by nautilus before it was filled")

    def at_end(self) -> None:
        """Orders that are still open when the data end."""
        for order in self.cache.orders():
            if not order.is_closed:
                status = OrderStatus(order.status).name
                self._reject(order.client_order_id, f"not filled when the data ended: {status}")

    def _reject(self, identity: Any, reason: str) -> None:
        order = self.cache.order(identity)
        missing = float(order.quantity.as_decimal() - order.filled_qty.as_decimal())
        sign = 1.0 if order.side == OrderSide.BUY else -1.0
        column = self._columns[order.instrument_id]
        self.rejected.append(RejectedOrder(self.row, column, sign * missing, reason))


class PerShare(FeeModel):  # type: ignore[misc]
    """The instrument's taker fee and an amount of currency a unit; together rounded to a cent."""

    def __init__(self, per_share: float) -> None:
        super().__init__()
        self._per_share = Decimal(repr(per_share))

    def get_commission(self, order: Any, fill_qty: Any, fill_px: Any, instrument: Any) -> Any:
        notional = instrument.notional_value(fill_qty, fill_px).as_decimal()
        return Money(notional * instrument.taker_fee + fill_qty.as_decimal() * self._per_share, USD)


class TargetWeights(Strategy):  # type: ignore[misc]
    """Sends market orders for the target weights on the last bar of the sessions that fill them.

    They are sized on cash and positions as nautilus reports them, at the prices they fill at.
    """

    def __init__(self, spec: RunSpec, decisions: Decisions, prices: FloatArray, feed: Feed) -> None:
        super().__init__()
        at = feed.open_ns if spec.fill == "next_open" else feed.close_ns
        self._decision = {when: k for k, when in enumerate(at[decisions.fill_rows].tolist())}
        self._rebalancer = Rebalancer(
            spec, decisions.weights, np.ascontiguousarray(prices[decisions.fill_rows])
        )
        self._feed = feed

    @property
    def lost(self) -> tuple[int, float] | None:
        """Decision and NAV at which NAV did not pay for the trades; see Rebalancer."""
        return self._rebalancer.lost

    def on_start(self) -> None:
        self.subscribe_bars(self._feed.bar_types[-1])

    def on_bar(self, bar: Any) -> None:
        k = self._decision.get(bar.ts_init)
        if k is None:
            return
        quantity = np.array([float(self.portfolio.net_position(each.id)) for each in self._feed.instruments])
        cash = self.portfolio.account(VENUE).balance_total(USD).as_double()
        self._rebalancer.trade(k, cash, quantity)
        units = self._rebalancer.trades[k]
        for column in np.argsort(units > 0.0, kind="stable").tolist():
            if not units[column]:
                continue
            instrument = self._feed.instruments[column]
            if abs(units[column]) > self._feed.depth:
                raise EngineError(
                    f"an order of {units[column]:g} {instrument.id} is more than the {self._feed.depth:g} "
                    "units in the order book that nautilus makes of a bar: the rest would fill a tick away"
                )
            size = Quantity(abs(float(units[column])), instrument.size_precision)
            if size:
                side = OrderSide.BUY if units[column] > 0.0 else OrderSide.SELL
                self.submit_order(self.order_factory.market(instrument.id, side, size))


class Backtest:
    """One backtest of nautilus' engine: ``feed``, ``recorder``, and ``stopped`` where it ended early."""

    def __init__(self, spec: RunSpec, market: MarketData, *, lends: bool) -> None:
        self._spec = spec
        self._lends = lends
        self.feed = Feed(spec, market, shortable=lends)
        self.recorder = Recorder(self.feed, checks_cash=not lends)
        self.stopped = False

    def execute(self, strategy: Any, open_rows: frozenset[int]) -> None:
        """Run ``strategy``; whatever it raises passes through."""
        engine = BacktestEngine(
            BacktestEngineConfig(
                trader_id="FINBOT-001",
                logging=LoggingConfig(bypass_logging=True),
                risk_engine=RiskEngineConfig(
                    max_order_submit_rate=_NO_LIMIT, max_order_modify_rate=_NO_LIMIT
                ),
                run_analysis=False,
            )
        )
        try:
            with undisturbed():  # nautilus' model of fills seeds Python's random numbers anew
                self._prepare(engine, open_rows)
            engine.add_strategy(strategy)
            engine.run()
            self.stopped = is_backtest_force_stop()
            self.recorder.at_end()
        except BaseException:
            with suppress(Exception):
                engine.dispose()
            raise
        else:
            engine.dispose()
        finally:
            if self._lends:
                AccountFactory.deregister_cash_borrowing(VENUE.value)
            set_backtest_force_stop(False)

    def _prepare(self, engine: Any, open_rows: frozenset[int]) -> None:
        costs, capital = self._spec.costs, self._spec.start_capital
        engine.add_venue(
            venue=VENUE,
            oms_type=OmsType.NETTING,
            account_type=AccountType.CASH,
            base_currency=USD,
            starting_balances=[Money(capital, USD)],
            modules=[self.recorder],
            fee_model=PerShare(costs.commission_per_share)
            if costs.commission_per_share
            else MakerTakerFeeModel(),
            allow_cash_borrowing=self._lends,
        )
        for instrument in self.feed.instruments:
            engine.add_instrument(instrument)
        data = self.feed.data(open_rows)
        engine.add_data(data, validate=False, sort=True)
        engine.kernel.msgbus.subscribe(topic="events.order.*", handler=self.recorder.on_order_event)
