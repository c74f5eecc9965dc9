"""From target weights to trades: how much to buy and sell, and what that costs.

Trades are counted in value at the reference price (currency). A purchase worth x pays
slippage s and commission b (fractions) and k currency a unit worth p; per currency that is

    buying:   s + b + s*b + k/p
    selling:  s + b - s*b + k/p

What a unit is worth is its price, times the contract's multiplier where it has one.

*Targeted* booking wants the weights to hold for NAV after costs. That NAV, V, solves

    V + sum_i c_i * |w_i * V - h_i| = NAV

with h_i the value held and c_i the rate in the direction traded. The left side rises, convex
and piecewise linear, in V: Newton's method from V = NAV meets the solution exactly once the
directions stop changing, after one step as a rule.
"""

from __future__ import annotations

import copy
import math

import numpy as np

from pytest_finbot.contracts import CostSpec, FloatArray, RunSpec
from pytest_finbot.errors import ParameterError

NOISE = 1e-12
"""Trades smaller than this fraction of NAV are rounding, not decisions, and are not made."""
_SOLVED = 1e-14
_MAX_STEPS = 100
total = np.add.reduce
"""A plain sum, without the layers that ``ndarray.sum`` puts over it: this is the inner loop."""


class CostRates:
    """Cost of trading per currency traded, by direction.

    ``buy`` and ``sell`` are one number where there is no cost per unit, else [N].
    """

    __slots__ = ("buy", "per_share", "same", "sell")

    def __init__(self, costs: CostSpec) -> None:
        slippage, commission = costs.slippage_bps * 1e-4, costs.commission_bps * 1e-4
        both, cross = slippage + commission, slippage * commission
        self.buy: FloatArray | float = both + cross
        self.sell: FloatArray | float = both - cross
        self.per_share = costs.commission_per_share
        self.same = not cross

    def at(self, unit_values: FloatArray) -> CostRates:
        """The rates where units are worth ``unit_values`` [N]; only a cost per unit depends on them."""
        if not self.per_share:
            return self
        rates = copy.copy(self)
        per_unit = self.per_share / unit_values
        rates.buy, rates.sell = self.buy + per_unit, self.sell + per_unit
        return rates

    def of(self, trade: FloatArray, size: FloatArray) -> float:
        """Cost (currency) of trades [N] in value; ``size`` is their absolute value."""
        if self.same:
            if isinstance(self.buy, float):
                return self.buy * float(total(size))
            return float(total(size * self.buy))
        return float(total(size * np.where(trade > 0.0, self.buy, self.sell)))

    def marginal(self, trade: FloatArray) -> FloatArray:
        """Signed rates [N]: what another currency of each asset would cost."""
        if self.same:
            return np.copysign(self.buy, trade)
        return np.where(trade > 0.0, self.buy, np.negative(self.sell))


def targeted_trades(
    weights: FloatArray, held: FloatArray, nav: float, rates: CostRates
) -> tuple[FloatArray, FloatArray, float, float]:
    """Trades [N] in value after which the weights hold, their size, their cost, NAV after it.

    ``held`` [N] is the value held of each asset, ``nav`` the NAV before costs (currency).
    Where trading would cost all of a small NAV, everything held is sold instead, and the NAV
    returned is zero or less. Raises ParameterError where costs exceed what is traded, and where
    values are too large to be numbers.
    """
    after = nav
    for _ in range(_MAX_STEPS):
        trade = weights * after
        trade -= held
        size = np.abs(trade)
        cost = rates.of(trade, size)
        excess = after + cost - nav
        if abs(excess) <= _SOLVED * nav:
            return trade, size, cost, after
        slope = 1.0 + float(total(rates.marginal(trade) * weights))
        if slope <= 0.0:
            break
        after -= excess / slope
        if after <= 0.0:
            size = np.abs(held)
            cost = rates.of(-held, size)
            return -held, size, cost, min(0.0, nav - cost)
    if not math.isfinite(excess):
        raise ParameterError(
            f"start_capital, multipliers and weights make values that are no finite numbers: NAV {nav:g}, "
            f"weights up to {np.abs(weights).max():g}"
        )
    raise ParameterError(
        "costs: commissions and slippage are as large as the values traded; "
        "expected basis points and currency a unit, well below the price"
    )


def whole_units(quantity: FloatArray) -> FloatArray:
    """Units cut to whole numbers towards zero; within 1e-9 of a whole number counts as it."""
    nearest = np.rint(quantity)
    return np.where(np.abs(quantity - nearest) < 1e-9, nearest, np.trunc(quantity))


def without_small_trades(
    units: FloatArray,
    unit_values: FloatArray,
    rates: CostRates,
    *,
    cash: float,
    cash_floor: float,
    min_trade: float,
    whole: bool,
) -> FloatArray:
    """Trades [N] in ``units`` without those worth less than ``min_trade`` (currency).

    A sale that is not made cannot pay for a purchase: if ``cash`` would then end below
    ``cash_floor``, purchases shrink in proportion, and those that became small go as well.
    """
    value = units * unit_values
    value = np.where(np.abs(value) < min_trade, 0.0, value)
    left = cash - float(value.sum()) - rates.of(value, np.abs(value))
    bought = np.where(value > 0.0, value, 0.0)
    outlay = float(bought.sum()) + rates.of(bought, bought)
    if left < cash_floor and outlay > 0.0:
        share = max(0.0, 1.0 - (cash_floor - left) / outlay)
        shrunk = units * share
        shrunk = whole_units(shrunk) if whole else shrunk
        units = np.where(value > 0.0, shrunk, units)
        value = np.where(np.abs(units * unit_values) < min_trade, 0.0, value)
    return np.where(value == 0.0, 0.0, units)


class Rebalancer:
    """Makes the trades of one decision after the other, on an account that its owner keeps.

    ``weights`` and ``unit_values`` [K, N]: what is wanted, and what a unit is worth (currency) when
    it is filled. ``trades`` [K, N] are the units traded so far. ``lost`` is decision and NAV of the
    first time that NAV did not pay for the trades: everything is sold then, and nothing is traded
    afterwards.
    """

    __slots__ = (
        "_in_units",
        "_leaves_out",
        "_left_out",
        "_rates",
        "_spec",
        "_targeted",
        "_unit_values",
        "_weights",
        "lost",
        "trades",
    )

    def __init__(self, spec: RunSpec, weights: FloatArray, unit_values: FloatArray) -> None:
        self._spec = spec
        self._weights = weights
        self._unit_values = unit_values
        self._rates = CostRates(spec.costs)
        self._targeted = spec.costs.booking == "targeted"
        self._in_units = spec.units == "whole" or spec.min_trade > 0.0
        self._left_out = weights == 0.0
        self._leaves_out = self._left_out.any(axis=1).tolist()
        self.trades = np.zeros(weights.shape)
        self.lost: tuple[int, float] | None = None

    def trade(self, k: int, cash: float, quantity: FloatArray) -> float:
        """Currency that the trades of decision ``k`` take from ``cash``; ``quantity`` [N] is held before."""
        unit_value = self._unit_values[k]
        value = quantity * unit_value
        nav = cash + float(total(value))
        rates = self._rates.at(unit_value)
        target = self._weights[k]
        bankrupt = self.lost is not None
        after = nav
        if self._targeted and not bankrupt and nav > 0.0:
            trade, size, cost, after = targeted_trades(target, value, nav, rates)
        if after <= 0.0 and not bankrupt:
            bankrupt = True
            self.lost = k, nav
        if bankrupt or not self._targeted:
            trade = -value if bankrupt else target * nav - value
            size = np.abs(trade)
            cost = rates.of(trade, size)
        least = NOISE * abs(nav)
        if np.minimum.reduce(size) <= least:
            trade[size <= least] = 0.0
        units: FloatArray = self.trades[k]
        np.divide(trade, unit_value, out=units)
        if bankrupt:
            units[:] = -quantity
        elif self._leaves_out[k]:
            # Sold whole: value / price may miss the quantity by a rounding.
            left_out = self._left_out[k]
            units[left_out] = -quantity[left_out]
        if self._in_units and not bankrupt:
            units[:] = self._constrained(k, units, quantity, rates, cash, after)
            trade = units * unit_value
            cost = rates.of(trade, np.abs(trade))
        return float(total(trade)) + cost

    def _constrained(
        self, k: int, units: FloatArray, quantity: FloatArray, rates: CostRates, cash: float, after: float
    ) -> FloatArray:
        """The trades [N] in ``units``, cut to whole units and to the least trade, where asked for.

        A fraction that a split left is held until its asset is traded: the position is whole then.
        """
        whole = self._spec.units == "whole"
        if whole:
            units = np.where(units == 0.0, 0.0, whole_units(quantity + units) - quantity)
        if self._spec.min_trade:
            uninvested = (1.0 - float(self._weights[k].sum())) * after
            units = without_small_trades(
                units,
                self._unit_values[k],
                rates,
                cash=cash,
                cash_floor=min(0.0, uninvested),
                min_trade=self._spec.min_trade,
                whole=whole,
            )
        return units
