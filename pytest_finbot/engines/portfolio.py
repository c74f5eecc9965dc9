"""The built-in engine: target weights to fills, quantities, cash, market values and NAV.

Python is touched only at rebalances, and at events (see ``events``); between them quantities stand
still and NAV is one product and one sum a session. The NAV path uses sums, products and quotients
only, so that the same prices give the same NAV bit for bit on every NumPy build.

A position is worth quantity * price * multiplier. Orders are sized on that, and commission and
slippage in basis points are of it; a commission per share is for a unit, whatever it stands for.
Strategies see prices without their splits (see ``split_adjusted``), the account trades at raw ones.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

import pytest_finbot
from pytest_finbot.contracts import (
    Conventions,
    EngineResult,
    Fills,
    FloatArray,
    IntArray,
    MarketData,
    RunSpec,
    TargetWeights,
)
from pytest_finbot.engines.decisions import Decisions, decide, fillable
from pytest_finbot.engines.events import EventBook, Events, multipliers, steps
from pytest_finbot.engines.execution import PLAIN, Execution, Orders
from pytest_finbot.engines.sizing import Rebalancer, total
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.resolve import strategy_module


class PortfolioEngine:
    """Target weights on one account, long and short, without margin calls or interest."""

    name = "portfolio"

    def version(self) -> str:
        return pytest_finbot.__version__

    def modules(self, spec: RunSpec) -> tuple[str, ...]:
        return (__name__, strategy_module(spec.strategy))

    def conventions(self, spec: RunSpec) -> Conventions:
        """As ``spec`` says; an order that cash does not pay for takes it below zero."""
        booking = spec.costs.booking
        paid = "the target weights hold after costs" if booking == "targeted" else "cash pays the costs"
        return Conventions(
            fill=spec.fill,
            sized_at="fill",
            units=spec.units,
            costs=f"{booking}: {paid}",
            cash_buffer=spec.cash_buffer,
        )

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """Backtest the strategy that ``spec`` names; see :func:`simulate`."""
        terms = _Terms(spec, market)
        return _simulated(terms, decide(spec, market))


def simulate(
    spec: RunSpec, market: MarketData, targets: TargetWeights, execution: Execution = PLAIN
) -> EngineResult:
    """The account that follows ``targets``; see the module for the method.

    Orders decided at a session's close fill at that close, the next close or the next open,
    as ``spec.fill`` says, and are sized at the prices they fill at, unless ``execution`` says
    otherwise. Raises ParameterError where ``next_open`` is asked for and the prices have no
    opens, for a flow on a day that is no session, and for the multiplier of a symbol that the
    run does not trade.
    """
    return _simulated(_Terms(spec, market), fillable(spec, market, targets), execution)


class _Terms:
    """What a run is simulated on: settings and prices that have been found to go together.

    ``unit_values`` [T, N] is what a unit is worth at each close, the close times its multiplier.
    """

    __slots__ = ("events", "fill_prices", "market", "multiplier", "spec", "unit_values")

    def __init__(self, spec: RunSpec, market: MarketData) -> None:
        self.spec = spec
        self.market = market
        self.fill_prices = _fill_prices(spec, market)
        self.multiplier = multipliers(spec, market.symbols)
        self.unit_values = market.close if self.multiplier is None else market.close * self.multiplier
        self.events = Events.of(spec, market, self.multiplier)


def _simulated(terms: _Terms, decisions: Decisions, execution: Execution = PLAIN) -> EngineResult:
    spec, market = terms.spec, terms.market
    warnings = list(decisions.warnings)
    rows = decisions.fill_rows
    prices = np.ascontiguousarray(terms.fill_prices[rows])
    book = _trade(terms, decisions, prices, warnings, execution)
    fills = _fills(spec, rows, prices, book.trades, terms.multiplier)
    income = None
    if book.events is not None:
        fills = book.events.with_reinvested(fills, market.close)
        income = book.events.income
        warnings += book.events.warnings(market.sessions, book.cash)
    warnings += _unobserved(market, fills)
    if not len(fills):
        warnings.append(_never_invested(decisions, len(market.sessions)))
    return EngineResult.of(
        sessions=market.sessions,
        assets=market.symbols,
        nav=book.nav,
        cash=book.cash,
        quantity=book.quantity,
        mark=market.close,
        start_cash=spec.start_capital,
        fills=fills,
        multiplier=terms.multiplier,
        flows=terms.events.flows,
        income=income,
        splits=terms.events.splits,
        warnings=warnings,
        native={
            "decisions": decisions.made,
            "scaled_decisions": decisions.scaled,
            "conventions": dataclasses.replace(
                PortfolioEngine().conventions(spec), sized_at=execution.sized_at
            ).to_json(),
        },
        decisions=_followed(decisions, book.lost),
    )


def _followed(decisions: Decisions, lost: int | None) -> Decisions:
    """``decisions`` up to that of number ``lost``, at which NAV was spent: no later one is traded."""
    if lost is None:
        return decisions
    return dataclasses.replace(
        decisions,
        rows=decisions.rows[:lost],
        weights=decisions.weights[:lost],
        fill_rows=decisions.fill_rows[:lost],
    )


def _fill_prices(spec: RunSpec, market: MarketData) -> FloatArray:
    if spec.fill != "next_open":
        return market.close
    if market.open is None:
        raise ParameterError(
            f"fill: next_open needs opening prices and {market.source} has none; expected one OHLCV file "
            "per symbol, or data.open_path beside the closes; or fill: close or next_close"
        )
    return market.open


class _Book:
    """Arrays of the account as the engine fills them in; ``trades`` [K, N] in units.

    ``lost`` is the number of the decision that NAV did not pay for.
    """

    __slots__ = ("cash", "events", "lost", "nav", "quantity", "trades")

    def __init__(self, sessions: int, assets: int) -> None:
        self.nav = np.empty(sessions)
        self.cash = np.empty(sessions)
        self.trades: FloatArray = np.empty((0, assets))
        self.quantity: FloatArray = np.empty((0, assets))
        self.events: EventBook | None = None
        self.lost: int | None = None


def _trade(
    terms: _Terms, decisions: Decisions, prices: FloatArray, warnings: list[str], execution: Execution
) -> _Book:
    """Walk rebalances and events: book each, then value the sessions up to the next."""
    spec, unit_values = terms.spec, terms.unit_values
    rows = decisions.fill_rows
    sessions, assets = unit_values.shape
    book = _Book(sessions, assets)
    bounds, numbers = steps(rows, terms.events, sessions)
    filled_at = prices if terms.multiplier is None else prices * terms.multiplier
    rebalancer: Rebalancer | Orders = (
        Rebalancer(spec, decisions.weights, filled_at)
        if execution.plain
        else Orders(spec, decisions, unit_values, filled_at, terms.events.splits, execution)
    )
    orders = rebalancer if isinstance(rebalancer, Orders) else None
    if terms.events.rows:
        book.events = EventBook(terms.events, spec, unit_values)
    happening, at_open = set(terms.events.rows), spec.fill == "next_open"

    cash = float(spec.start_capital)
    quantity = np.zeros(assets)
    held = np.zeros((len(numbers) + 1, assets))
    book.nav[: bounds[0]] = cash
    book.cash[: bounds[0]] = cash
    for step, (begin, end) in enumerate(itertools.pairwise(bounds)):
        k = numbers[step]
        if orders is not None and k >= 0:
            orders.decide(k, cash, quantity)
        events = book.events if begin in happening else None
        if events is not None:
            cash, quantity = events.begin(begin, cash, quantity)
            if not at_open:
                cash, quantity = events.end(begin, cash, quantity)
        if k >= 0:
            cash -= rebalancer.trade(k, cash, quantity)
            quantity = np.add(quantity, rebalancer.trades[k], out=held[step + 1])
        if events is not None:
            if at_open:
                cash, quantity = events.end(begin, cash, quantity)
            held[step + 1] = quantity
        book.cash[begin:end] = cash
        nav_between = total(unit_values[begin:end] * quantity, axis=1)
        nav_between += cash
        book.nav[begin:end] = nav_between
    if rebalancer.lost is not None:
        k, nav = rebalancer.lost
        book.lost = k
        warnings.append(
            f"NAV is {nav:,.2f} on {terms.market.sessions[rows[k]]}, which does not pay for the next trades: "
            "all positions were closed and nothing was traded afterwards"
        )
    book.trades = rebalancer.trades
    book.quantity = np.repeat(held, np.diff([0, *bounds]), axis=0)
    return book


def _fills(
    spec: RunSpec, rows: IntArray, prices: FloatArray, trades: FloatArray, multiplier: FloatArray | None
) -> Fills:
    """The trades [K, N] that were made, in order of session and asset, with their costs."""
    made = trades != 0.0
    if made.all():  # everything traded every time: no need to look anything up
        rebalances, assets = trades.shape
        session, asset = np.repeat(rows, assets), np.tile(np.arange(assets, dtype=np.int64), rebalances)
        quantity, reference = trades.ravel(), prices.ravel()
    else:
        decision, asset = np.nonzero(made)
        session, quantity, reference = rows[decision], trades[made], prices[made]
    units = np.abs(quantity)
    slip = spec.costs.slippage_bps * 1e-4
    if slip:
        paid = reference * np.where(quantity > 0.0, 1.0 + slip, 1.0 - slip)
        slippage = units * reference * slip
    else:
        paid, slippage = reference, np.zeros(len(units))
    fee = units * paid
    fee *= spec.costs.commission_bps * 1e-4
    if multiplier is not None:
        fee *= multiplier[asset]
        slippage *= multiplier[asset]
    if spec.costs.commission_per_share:
        fee += units * spec.costs.commission_per_share
    return Fills(session, asset.astype(np.int64, copy=False), quantity, paid, fee, slippage)


def _never_invested(decisions: Decisions, sessions: int) -> str:
    """What to say of a strategy that held nothing: a flat NAV passes every check of the books."""
    made = decisions.made
    if not made:
        why = "it decided nothing"
    elif not decisions.weights.any():
        why = f"the weights of its {made:,} decision{'' if made == 1 else 's'} are all zero"
    else:
        why = f"none of its {made:,} decision{'' if made == 1 else 's'} led to a trade"
    return f"the strategy never took a position: 0 fills in {sessions:,} sessions; {why}"


def _unobserved(market: MarketData, fills: Fills) -> list[str]:
    """Told where fills were made in sessions whose close the policy for missing data put there."""
    if market.observed is None or not len(fills):
        return []
    unseen = ~market.observed[fills.session, fills.asset]
    count = int(unseen.sum())
    if not count:
        return []
    first = int(unseen.argmax())
    symbol, session = market.symbols[fills.asset[first]], market.sessions[fills.session[first]]
    return [
        f"{count:,} of {len(fills):,} fills are in sessions whose close is not in the file but was put there "
        f"by data.missing; the first is of {symbol} on {session}"
    ]
