"""Runs of the engine bt: an account that trades at the close on which it decides.

Target weights are traded by bt's own algos, ``WeighTarget`` and ``Rebalance``. A native strategy is a
subclass of ``bt.Strategy``, built with the run's params; it trades as it likes, with the run's
capital, units and costs.

bt reports NAV, cash and positions by session. Of trades it reports the net by session and asset, of
fees the sum by session; so each trade is noted, with its fee, in the call in which bt books it.

Its first row is the day before the first session, with nothing but the capital; it is left out.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from pytest_finbot.contracts import (
    Conventions,
    Decisions,
    EngineResult,
    Fills,
    FloatArray,
    IntArray,
    MarketData,
    RejectedOrder,
    RunSpec,
)
from pytest_finbot.engines.adapting.adapter import Abilities, Adapter
from pytest_finbot.engines.adapting.bars import closes
from pytest_finbot.engines.adapting.own_strategy import refuse_what_only_weights_have
from pytest_finbot.engines.adapting.undisturbed import undisturbed
from pytest_finbot.engines.decisions import decide
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.resolve import is_callable_path

_NAME = "finbot"
_NOT_A_NUMBER = "bt was told to trade an amount that is not a number, and traded nothing"
_NO_UNIT = "the order comes to less than one unit, and bt dropped it"


class BtEngine(Adapter):
    """bt, at the close that decides, or at the next one by deciding a session later."""

    name = "bt"
    module = "bt"
    distribution = "bt"
    abilities: ClassVar[Abilities] = Abilities(
        fills=("close", "next_close"),
        units=("fractional", "whole"),
        costs=frozenset({"commission_bps", "commission_per_share", "slippage_bps"}),
        events=frozenset({"multipliers"}),
        from_cash=False,
    )

    def imported(self) -> Any:
        import bt

        return bt

    def conventions(self, spec: RunSpec) -> Conventions:
        """As bt trades; see the module."""
        notes = []
        if spec.fill == "next_close":
            notes.append("the decision is handed to bt one session later, and sized there")
        if spec.units == "whole":
            notes.append(
                "an order is rounded down to whole units: a purchase to less, a sale, and a short one, to "
                "more; less than one unit is only ordered to reduce a long position, and a purchase that "
                "would leave less than one unit short closes the position"
            )
        if spec.costs.slippage_bps:
            notes.append("slippage is half of bt's bid-offer spread, a fraction of the close")
        notes.append("where NAV falls below zero, bt closes every position and trades nothing afterwards")
        if is_callable_path(spec.strategy):
            notes.append("commissions that a strategy of bt's kind sets itself count where costs has none")
        return Conventions(
            fill=spec.fill,
            sized_at="fill",
            units=spec.units,
            costs=(
                "within each order: less is bought, or more is sold, until the cash that moves, costs "
                "included, is weight x NAV before costs less the value held; a position that is closed is "
                "closed whole, and cash pays its costs"
            ),
            cash_buffer=spec.cash_buffer,
            notes=tuple(notes),
        )

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """The backtest of ``spec``; raises ParameterError for what bt cannot express."""
        for _, words in self.problems(spec):
            raise ParameterError(words)
        own = self.own_strategy(spec)
        with undisturbed():
            bt = self.library()
        decisions = None
        if own is not None:
            if not issubclass(own, bt.core.StrategyBase):
                raise self.not_its_kind(spec, "a subclass of bt.Strategy")
            refuse_what_only_weights_have(self.name, spec, ("close",))
            strategy = own(**_arguments(own, spec))
        else:
            decisions = decide(spec, market)
            strategy = _follower(bt, spec, market, decisions)
        prices = closes(market)
        slip = spec.costs.slippage_bps * 1e-4
        test = bt.Backtest(
            strategy,
            prices,
            initial_capital=spec.start_capital,
            commissions=_commissions(spec),
            integer_positions=spec.units == "whole",
            progress_bar=False,
            additional_data={"bidoffer": prices * (2.0 * slip)} if slip else None,
        )
        trades = _Trades(test.strategy, bt.core.TOL)
        with warnings.catch_warnings(), trades.noted(bt.core.SecurityBase):
            for category in (DeprecationWarning, FutureWarning):
                warnings.filterwarnings("ignore", category=category, module=r"(bt|ffn)\.")
            # Statistics that nobody reads, of a NAV that may be zero or less.
            warnings.filterwarnings(
                "ignore", category=RuntimeWarning, module=r"ffn\.|pandas\.core\.arraylike"
            )
            test.run()
        return _result(spec, market, test.strategy, trades, decisions, self.conventions(spec))


def _arguments(own: type[Any], spec: RunSpec) -> dict[str, Any]:
    """The run's params, and the name that bt's own ``__init__`` asks for where ``own`` has none."""
    written_in = next(kind for kind in own.__mro__ if "__init__" in vars(kind)).__module__
    named = {"name": own.__name__} if written_in.partition(".")[0] == "bt" else {}
    return {**named, **spec.params}


def _follower(bt: Any, spec: RunSpec, market: MarketData, decisions: Decisions) -> Any:
    """A strategy that holds ``decisions``, each on the session that fills it."""
    import pandas as pd

    days = pd.DatetimeIndex(market.sessions[decisions.fill_rows].astype("datetime64[ns]"))
    weights = pd.DataFrame(decisions.weights, index=days, columns=list(market.symbols))
    children = None
    if any(value != 1.0 for value in spec.multipliers.values()):
        children = [
            bt.Security(symbol, multiplier=spec.multipliers.get(symbol, 1.0), lazy_add=True)
            for symbol in market.symbols
        ]
    return bt.Strategy(_NAME, [bt.algos.WeighTarget(weights), bt.algos.Rebalance()], children=children)


def _commissions(spec: RunSpec) -> Callable[[float, float], float] | None:
    """bt's commission function: of units and what one is worth at the close; ``None`` where nothing is due.

    What is paid for a unit has its slippage in it, as the commission in basis points is of that.
    """
    rate, per_unit = spec.costs.commission_bps * 1e-4, spec.costs.commission_per_share
    slip = spec.costs.slippage_bps * 1e-4
    if not rate and not per_unit:
        return None

    def commission(quantity: float, price: float) -> float:
        paid = price * (1.0 + math.copysign(slip, quantity))
        return abs(quantity) * paid * rate + abs(quantity) * per_unit

    return commission


class _Trades:
    """Each trade and each order without one of the tree under ``root``, in order.

    ``booked``: name, moment, units, fee and spread paid (currency). ``dropped``: name, moment, units,
    reason. ``rounded`` counts adjustments of less than one unit. Trees that bt keeps beside it, to
    price strategies that are parts of others, are no part of the account.
    """

    def __init__(self, root: Any, least: float) -> None:
        self._root = root
        self._least = least
        self.booked: list[tuple[str, Any, float, float, float]] = []
        self.dropped: list[tuple[str, Any, float, str]] = []
        self.rounded = 0

    @contextmanager
    def noted(self, security: Any) -> Iterator[None]:
        """Whatever is traded inside is noted; ``security`` is the class whose methods trade."""
        transact, allocate = security.transact, security.allocate

        def noting_transact(
            node: Any, q: float, update: bool = True, update_self: bool = True, price: float | None = None
        ) -> None:
            transact(node, q, update, update_self, price)
            if node.root is not self._root:
                return
            if abs(q) >= self._least:
                _, _, fee, spread = node.outlay(q, price)
                self.booked.append((node.name, node.parent.now, float(q), float(fee), float(spread)))
            elif math.isnan(q):
                self.dropped.append((node.name, node.parent.now, 0.0, _NOT_A_NUMBER))

        def noting_allocate(node: Any, amount: float, update: bool = True) -> None:
            booked, dropped = len(self.booked), len(self.dropped)
            allocate(node, amount, update)
            if len(self.booked) != booked or len(self.dropped) != dropped or node.root is not self._root:
                return
            if math.isnan(amount):
                self.dropped.append((node.name, node.parent.now, 0.0, _NOT_A_NUMBER))
            elif abs(amount) >= self._least:
                if node.position == 0.0:
                    units = float(amount / (node.price * node.multiplier))
                    self.dropped.append((node.name, node.parent.now, units, _NO_UNIT))
                else:
                    self.rounded += 1

        security.transact, security.allocate = noting_transact, noting_allocate
        try:
            yield
        finally:
            security.transact, security.allocate = transact, allocate

    def fills(self, index: Any, column: dict[str, int], prices: FloatArray, multiplier: FloatArray) -> Fills:
        """What was booked; ``index`` is bt's, with the day before the first session."""
        if not self.booked:
            return Fills.none()
        names, moments, units, fees, spreads = zip(*self.booked, strict=True)
        session = _rows(index, moments)
        asset = np.array([column[name] for name in names], np.int64)
        quantity, spread = np.array(units, np.float64), np.array(spreads, np.float64)
        price = prices[session, asset]
        if spread.any():
            price = price + spread / (quantity * multiplier[asset])
        return Fills(session, asset, quantity, price, np.array(fees, np.float64), np.maximum(spread, 0.0))

    def rejected(self, index: Any, column: dict[str, int]) -> tuple[RejectedOrder, ...]:
        """What was dropped."""
        if not self.dropped:
            return ()
        rows = _rows(index, [moment for _, moment, _, _ in self.dropped]).tolist()
        return tuple(
            RejectedOrder(row, column[name], units, reason)
            for row, (name, _, units, reason) in zip(rows, self.dropped, strict=True)
        )


def _rows(index: Any, moments: Any) -> IntArray:
    """Rows of the market's sessions in which ``moments`` are; bt's first row is none of them."""
    rows: IntArray = index.get_indexer(list(moments)).astype(np.int64) - 1
    return rows


def _result(
    spec: RunSpec,
    market: MarketData,
    root: Any,
    trades: _Trades,
    decisions: Decisions | None,
    conventions: Conventions,
) -> EngineResult:
    """What bt's tree of strategies and securities says, as the contract has it."""
    index = root.values.index
    nav = _column(root.values)
    strategies = [node for node in root.members if hasattr(node, "cash")]
    cash = np.add.reduce([_column(strategy.cash) for strategy in strategies])
    column = {symbol: n for n, symbol in enumerate(market.symbols)}
    quantity = np.zeros(market.close.shape)
    mark = market.close.copy()
    multiplier = np.array([spec.multipliers.get(symbol, 1.0) for symbol in market.symbols])
    for security in root.securities:
        n = column.get(security.name)
        if n is not None:
            quantity[:, n] += _column(security.positions)
            mark[:, n] = _column(security.prices)
            multiplier[n] = security.multiplier
    flows = _column(root.flows)
    fills = trades.fills(index, column, mark, multiplier)
    told = [] if decisions is None else list(decisions.warnings)
    if root.bankrupt:
        lost = int((nav < 0.0).argmax())
        words = (
            f"NAV is {nav[lost]:,.2f} on {market.sessions[lost]}: bt closed every position and traded "
            "nothing afterwards"
        )
        if decisions is not None:
            followed = int(np.searchsorted(decisions.fill_rows, lost))
            words += f"; {len(decisions.rows) - followed:,} decisions were not executed"
            decisions = _first(decisions, followed)
        told.append(words)
    if not len(fills):
        told.append(f"the strategy never took a position: 0 fills in {len(nav):,} sessions")
    native: dict[str, Any] = {
        "conventions": conventions.to_json(),
        "derived": [
            "fills and the fee of each: noted as bt books them; it reports net trades by asset and "
            "session, and fees by session",
            *(["cash: the sum of what each strategy of the tree reports"] if len(strategies) > 1 else []),
        ],
        "integer_positions": spec.units == "whole",
        "adjustments of less than one unit": trades.rounded,
        "bankrupt": bool(root.bankrupt),
    }
    if decisions is not None:
        native |= {
            "algos": ["WeighTarget", "Rebalance"],
            "decisions": decisions.made,
            "scaled_decisions": decisions.scaled,
        }
    return EngineResult.of(
        sessions=market.sessions,
        assets=market.symbols,
        nav=nav,
        cash=cash,
        quantity=quantity,
        mark=mark,
        start_cash=spec.start_capital,
        fills=fills,
        multiplier=multiplier,
        flows=flows if flows.any() else None,
        rejected_orders=trades.rejected(index, column),
        warnings=told,
        native=native,
        decisions=decisions,
    )


def _first(decisions: Decisions, count: int) -> Decisions:
    """The first ``count`` of ``decisions``."""
    return dataclasses.replace(
        decisions,
        rows=decisions.rows[:count],
        weights=decisions.weights[:count],
        fill_rows=decisions.fill_rows[:count],
    )


def _column(series: Any) -> FloatArray:
    """A series of bt's without the row before the first session."""
    values: FloatArray = np.array(series.to_numpy(), np.float64)[1:]
    return values
