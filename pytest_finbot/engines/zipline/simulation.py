"""One backtest driven by zipline's ``TradingAlgorithm``."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd
from zipline.algorithm import TradingAlgorithm
from zipline.assets import Equity
from zipline.finance import metrics
from zipline.finance.commission import EquityCommissionModel
from zipline.finance.slippage import FixedBasisPointsSlippage
from zipline.finance.trading import SimulationParameters

from pytest_finbot.contracts import CostSpec, Decisions, MarketData, RunSpec
from pytest_finbot.engines.events import Events
from pytest_finbot.engines.zipline.account import Account, Blotter
from pytest_finbot.engines.zipline.world import World
from pytest_finbot.errors import ParameterError


class Strategy(Protocol):
    """What zipline calls; ``before_trading_start`` and ``analyze`` are ``None`` where there is none.

    ``placing`` is told of the account whose ``row`` is the session under way.
    """

    before_trading_start: Any
    analyze: Any
    account: Account

    def initialize(self, context: Any) -> None: ...

    def handle_data(self, context: Any, data: Any) -> None: ...


class Follower:
    """Orders each decision's weights at the close of its row, with zipline's own way to do so."""

    before_trading_start = None
    analyze = None
    account: Account

    def __init__(self, decisions: Decisions) -> None:
        self._due = dict(zip(decisions.rows.tolist(), decisions.weights.tolist(), strict=True))

    def initialize(self, context: Any) -> None:
        context.equities = context.asset_finder.retrieve_all(context.asset_finder.sids)

    def handle_data(self, context: Any, _data: Any) -> None:
        weights = self._due.get(self.account.row)
        if weights is None:
            return
        held = context.portfolio.positions
        for asset, weight in zip(context.equities, weights, strict=True):
            if weight or asset in held:
                context.order_target_percent(asset, weight)


class Native:
    """A user's class. Costs that it sets for itself are its own matter, unless the run has some."""

    account: Account

    def __init__(self, strategy: Any, spec: RunSpec) -> None:
        self._strategy = strategy
        self._spec = spec
        self._initialize = getattr(strategy, "initialize", None)
        self._handle_data = getattr(strategy, "handle_data", None)
        self.before_trading_start = getattr(strategy, "before_trading_start", None)
        self.analyze = getattr(strategy, "analyze", None)

    def initialize(self, context: Any) -> None:
        blotter = context.blotter
        given = blotter.commission_models[Equity], blotter.slippage_models[Equity]
        if self._initialize is not None:
            self._initialize(context)
        costs = self._spec.costs
        replaced = (
            (
                "set_commission",
                blotter.commission_models,
                given[0],
                ("commission_bps", "commission_per_share"),
            ),
            ("set_slippage", blotter.slippage_models, given[1], ("slippage_bps",)),
        )
        for call, models, ours, keys in replaced:
            asked = [f"costs.{key}" for key in keys if getattr(costs, key)]
            if asked and models[Equity] is not ours:
                raise ParameterError(
                    f"strategy {self._spec.strategy!r} calls {call}, and the run has {' and '.join(asked)}: "
                    "which of them is to be charged? Expected one of them only"
                )

    def handle_data(self, context: Any, data: Any) -> None:
        if self._handle_data is not None:
            self._handle_data(context, data)


class Commission(EquityCommissionModel):  # type: ignore[misc]
    """What a batch file says: basis points of what was paid, and an amount a unit (currency)."""

    def __init__(self, costs: CostSpec) -> None:
        self._rate = costs.commission_bps * 1e-4
        self._per_unit = costs.commission_per_share

    def calculate(self, _order: Any, transaction: Any) -> float:
        units = abs(transaction.amount)
        return float(units * transaction.price * self._rate + units * self._per_unit)


def simulate(spec: RunSpec, market: MarketData, strategy: Strategy, events: Events) -> Account:
    """The account after ``strategy`` was run on ``market`` from first to last session."""
    account = strategy.account = Account(market)
    blotter = Blotter(
        account,
        # Volume is such that the limit, which zipline wants, is beyond the largest order it takes.
        equity_slippage=FixedBasisPointsSlippage(spec.costs.slippage_bps, volume_limit=1.0),
        equity_commission=Commission(spec.costs),
    )
    world = World(market, events.dividends)
    first, last = world.sessions[0], world.sessions[-1]

    class Algorithm(TradingAlgorithm):  # type: ignore[misc]
        @staticmethod
        def default_pipeline_domain(_calendar: Any) -> Any:
            return world.domain

    algorithm = Algorithm(
        sim_params=SimulationParameters(first, last, world.calendar, capital_base=spec.start_capital),
        data_portal=world.portal,
        trading_calendar=world.calendar,
        # What zipline reports by default takes longer than the simulation: only where it is read.
        metrics_set={account} if strategy.analyze is None else metrics.load("default") | {account},
        blotter=blotter,
        benchmark_returns=pd.Series(0.0, index=world.sessions),
        capital_changes=_capital_changes(events, world.sessions),
        get_pipeline_loader=world.pipeline_loader,
        initialize=strategy.initialize,
        handle_data=strategy.handle_data,
        before_trading_start=strategy.before_trading_start,
        analyze=strategy.analyze,
    )
    algorithm.run()
    account.models = (
        type(blotter.commission_models[Equity]).__name__,
        type(blotter.slippage_models[Equity]).__name__,
    )
    return account


def _capital_changes(events: Events, sessions: pd.DatetimeIndex) -> dict[Any, Any]:
    """Deposits and withdrawals by session, as zipline wants them: in UTC."""
    if events.flows is None:
        return {}
    rows = np.flatnonzero(events.flows).tolist()
    return {
        sessions[row].tz_localize("UTC"): {"type": "delta", "value": float(events.flows[row])} for row in rows
    }
