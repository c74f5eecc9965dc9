"""The built-in engine: target weights to fills, quantities, cash, market values and NAV.

Python is touched only at rebalances; between them quantities stand still and NAV is one
product and one sum a session. The NAV path uses sums, products and quotients only, so that
the same prices give the same NAV bit for bit on every NumPy build.
"""

from __future__ import annotations

import itertools

import numpy as np

import pytest_finbot
from pytest_finbot.contracts import (
    EngineResult,
    Fills,
    FloatArray,
    IntArray,
    MarketData,
    RunSpec,
    TargetWeights,
)
from pytest_finbot.engines.sizing import (
    NOISE,
    CostRates,
    targeted_trades,
    total,
    whole_units,
    without_small_trades,
)
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.resolve import strategy_module, target_weights


class PortfolioEngine:
    """Target weights on one account, long and short, without margin calls or interest."""

    name = "portfolio"

    def version(self) -> str:
        return pytest_finbot.__version__

    def modules(self, spec: RunSpec) -> tuple[str, ...]:
        return (__name__, strategy_module(spec.strategy))

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """Backtest the strategy that ``spec`` names; see :func:`simulate`."""
        return simulate(spec, market, target_weights(spec, market))


def simulate(spec: RunSpec, market: MarketData, targets: TargetWeights) -> EngineResult:
    """The account that follows ``targets``; see the module for the method.

    Orders decided at a session's close fill at that close, the next close or the next open,
    as ``spec.fill`` says, and are sized at the prices they fill at. Raises ParameterError
    where ``next_open`` is asked for and the prices have no opens.
    """
    warnings: list[str] = []
    weights, scaled = _within_gross_exposure(targets.weights, spec.max_gross_exposure)
    if scaled:
        warnings.append(
            f"{scaled} of {len(weights)} decisions were scaled down to the gross exposure limit "
            f"{spec.max_gross_exposure:g}"
        )
    rows = targets.rows if spec.fill == "close" else targets.rows + 1
    fillable = int(np.searchsorted(rows, len(market.sessions)))
    if fillable < len(rows):
        last = market.sessions[targets.rows[-1]]
        warnings.append(f"the decision of {last} was not executed: no session is left to fill it")
    rows, weights = rows[:fillable], weights[:fillable]

    prices = np.ascontiguousarray(_fill_prices(spec, market)[rows])
    book = _trade(spec, market, rows, weights, prices, warnings)
    return EngineResult.of(
        sessions=market.sessions,
        assets=market.symbols,
        nav=book.nav,
        cash=book.cash,
        quantity=book.quantity,
        mark=market.close,
        start_cash=spec.start_capital,
        fills=_fills(spec, rows, prices, book.trades),
        warnings=warnings,
        native={"decisions": len(targets.rows), "scaled_decisions": scaled},
    )


def _within_gross_exposure(weights: FloatArray, limit: float | None) -> tuple[FloatArray, int]:
    """Weights [K, N] scaled so that their absolute sum stays within ``limit``; how many were."""
    if limit is None or not len(weights):
        return weights, 0
    gross = np.abs(weights).sum(axis=1)
    over = gross > limit * (1 + NOISE)
    if not over.any():
        return weights, 0
    factor = np.where(over, limit / np.where(over, gross, 1.0), 1.0)
    return weights * factor[:, None], int(over.sum())


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
    """Arrays of the account as the engine fills them in."""

    __slots__ = ("cash", "nav", "quantity", "trades")

    def __init__(self, sessions: int, assets: int, rebalances: int) -> None:
        self.nav = np.empty(sessions)
        self.cash = np.empty(sessions)
        self.trades = np.zeros((rebalances, assets))
        self.quantity: FloatArray = np.empty((0, assets))


def _trade(
    spec: RunSpec,
    market: MarketData,
    rows: IntArray,
    weights: FloatArray,
    prices: FloatArray,
    warnings: list[str],
) -> _Book:
    """Walk the rebalances: size and book each, then value the sessions up to the next."""
    close = market.close
    sessions, assets = close.shape
    book = _Book(sessions, assets, len(rows))
    any_rates = CostRates(spec.costs)
    targeted = spec.costs.booking == "targeted"
    in_units = spec.units == "whole" or spec.min_trade > 0.0
    left_out = weights == 0.0
    leaves_out = left_out.any(axis=1).tolist()
    bankrupt = False

    cash = float(spec.start_capital)
    quantity = np.zeros(assets)
    held = np.zeros((len(rows) + 1, assets))
    bounds = [*rows.tolist(), sessions]
    book.nav[: bounds[0]] = cash
    book.cash[: bounds[0]] = cash
    for k, (begin, end) in enumerate(itertools.pairwise(bounds)):
        price = prices[k]
        value = quantity * price
        nav = cash + float(total(value))
        rates = any_rates.at(price)
        target = weights[k]
        after = nav
        if targeted and not bankrupt and nav > 0.0:
            trade, size, cost, after = targeted_trades(target, value, nav, rates)
        if after <= 0.0 and not bankrupt:
            bankrupt = True
            warnings.append(
                f"NAV is {nav:,.2f} on {market.sessions[begin]}, which does not pay for the next trades: "
                "all positions were closed and nothing was traded afterwards"
            )
        if bankrupt or not targeted:
            trade = -value if bankrupt else target * nav - value
            size = np.abs(trade)
            cost = rates.of(trade, size)
        least = NOISE * abs(nav)
        if np.minimum.reduce(size) <= least:
            trade[size <= least] = 0.0
        units = book.trades[k]
        np.divide(trade, price, out=units)
        if bankrupt:
            units[:] = -quantity
        elif leaves_out[k]:
            # Sold whole: value / price may miss the quantity by a rounding.
            units[left_out[k]] = -quantity[left_out[k]]
        if in_units and not bankrupt:
            units[:] = _constrained(spec, units, quantity, price, rates, cash, target, after)
            trade = units * price
            cost = rates.of(trade, np.abs(trade))
        cash -= float(total(trade)) + cost
        quantity = np.add(quantity, units, out=held[k + 1])
        book.cash[begin:end] = cash
        nav_between = total(close[begin:end] * quantity, axis=1)
        nav_between += cash
        book.nav[begin:end] = nav_between
    book.quantity = np.repeat(held, np.diff([0, *bounds]), axis=0)
    return book


def _constrained(
    spec: RunSpec,
    units: FloatArray,
    quantity: FloatArray,
    price: FloatArray,
    rates: CostRates,
    cash: float,
    weights: FloatArray,
    after: float,
) -> FloatArray:
    """The trades [N] in ``units``, cut to whole units and to the least trade, where asked for."""
    whole = spec.units == "whole"
    if whole:
        units = np.where(units == 0.0, 0.0, whole_units(quantity + units) - quantity)
    if spec.min_trade:
        uninvested = (1.0 - float(weights.sum())) * after
        units = without_small_trades(
            units,
            price,
            rates,
            cash=cash,
            cash_floor=min(0.0, uninvested),
            min_trade=spec.min_trade,
            whole=whole,
        )
    return units


def _fills(spec: RunSpec, rows: IntArray, prices: FloatArray, trades: FloatArray) -> Fills:
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
    if spec.costs.commission_per_share:
        fee += units * spec.costs.commission_per_share
    return Fills(session, asset.astype(np.int64, copy=False), quantity, paid, fee, slippage)
