"""The books of one result: market values, P&L and its parts, derived from positions and fills.

Nothing here reads the engine's NAV, so that NAV can be checked against it. Sums and products
only, so that the figures are the same on every NumPy build.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import EngineResult, FloatArray
from pytest_finbot.valuation.average_cost import AverageCost, average_cost


def market_values(result: EngineResult) -> FloatArray:
    """Market value [T, N] in currency: quantity * mark * multiplier.

    An asset that is not held is worth 0, whether or not it has a mark; one that is held
    without a finite mark is NaN.
    """
    return Books(result).market_values


@dataclass(frozen=True, eq=False)
class Books:
    """Everything derived from one :class:`EngineResult`, each part computed at first use.

    Series [T] are in currency, one value a session. ``result`` has passed
    ``checks.contract.check_result``.
    """

    result: EngineResult

    # ------------------------------------------------------------------------- positions

    @cached_property
    def quantity(self) -> FloatArray:
        """Units held after the session's fills [T, N]."""
        return np.asarray(self.result.quantity, np.float64)

    @cached_property
    def _priced(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Marks [T, N] with 0 for what is neither held nor marked, market values, their totals [T]."""
        mark = np.asarray(self.result.mark, np.float64)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is for the checks to tell
            values = self._times_multiplier(self.quantity * mark)
            totals = values.sum(axis=1)
        if not np.isfinite(totals).all():
            needless = ~np.isfinite(mark) & (self.quantity == 0)
            mark = np.where(needless, 0.0, mark)
            values = np.where(needless, 0.0, values)
            totals = values.sum(axis=1)
        return mark, values, totals

    @property
    def mark(self) -> FloatArray:
        """The engine's marks [T, N]; 0 where it gave none and nothing is held."""
        return self._priced[0]

    @property
    def market_values(self) -> FloatArray:
        """Market value [T, N]: quantity * mark * multiplier; NaN where a held asset has no mark."""
        return self._priced[1]

    @property
    def market_value(self) -> FloatArray:
        """Market value of all positions [T], net of short ones."""
        return self._priced[2]

    @cached_property
    def gross_market_value(self) -> FloatArray:
        """Sum of absolute market values [T]."""
        gross: FloatArray = np.abs(self.market_values).sum(axis=1)
        return gross

    @cached_property
    def split_factor(self) -> FloatArray | None:
        """Product of each asset's splits so far [T, N]; ``None`` where nothing was split."""
        if self.splits is None:
            return None
        return np.cumprod(self.splits, axis=0, dtype=np.float64)

    @cached_property
    def splits(self) -> FloatArray | None:
        """Split factors [T, N]; ``None`` where nothing was split."""
        splits = self.result.splits
        return None if _is_everywhere(splits, 1.0) else np.asarray(splits, np.float64)

    # ----------------------------------------------------------------------- by session

    @cached_property
    def fill_value(self) -> FloatArray:
        """Signed value of each fill [F]: quantity * price * multiplier; > 0 is money paid."""
        fills = self.result.fills
        quantity, price = np.asarray(fills.quantity, np.float64), np.asarray(fills.price, np.float64)
        value: FloatArray = quantity * price * self.result.multiplier[fills.asset]
        return value

    @cached_property
    def paid(self) -> FloatArray:
        """Net money paid for fills [T], without fees; below 0 where more was sold than bought."""
        return self._by_session(self.fill_value)

    @cached_property
    def fees(self) -> FloatArray:
        """Fees [T], >= 0."""
        return self._by_session(self.result.fills.fee)

    @cached_property
    def slippage(self) -> FloatArray:
        """Slippage [T], >= 0; part of the prices paid, not on top of them."""
        return self._by_session(self.result.fills.slippage)

    @cached_property
    def fill_count(self) -> FloatArray:
        """Number of fills [T]."""
        return np.bincount(self.result.fills.session, minlength=len(self.result.sessions)).astype(np.float64)

    @cached_property
    def income(self) -> FloatArray:
        """Dividends and interest [T]."""
        income = self.result.income
        if _is_everywhere(income, 0.0):
            return np.zeros(len(self.result.sessions))
        total: FloatArray = np.asarray(income, np.float64).sum(axis=1)
        return total

    # ------------------------------------------------------------------------------ P&L

    @cached_property
    def pnl(self) -> FloatArray:
        """P&L of each session [T], after fees, from positions alone.

        What was held before gains ``quantity[t-1] * (split[t] * mark[t] - mark[t-1])``, a
        fill gains ``quantity * (mark[t] - price)``, each times the multiplier; less fees,
        plus income.
        """
        fills = self.result.fills
        pnl = self.income - self.fees
        carried = self.quantity[:-1] if self.splits is None else self.quantity[:-1] * self.splits[1:]
        pnl[1:] += self._times_multiplier(carried * self.mark[1:]).sum(axis=1) - self.market_value[:-1]
        if len(fills):
            per_unit = self.mark[fills.session, fills.asset] - fills.price
            pnl += self._by_session(fills.quantity * per_unit * self.result.multiplier[fills.asset])
        return pnl

    @cached_property
    def cumulative_pnl(self) -> FloatArray:
        """Sum of :attr:`pnl` up to each session [T]."""
        return np.cumsum(self.pnl)

    @cached_property
    def realised(self) -> FloatArray:
        """P&L of closed positions up to each session [T] by average cost, before fees."""
        return np.cumsum(self._by_session(self._average_cost.realised))

    @cached_property
    def unrealised(self) -> FloatArray:
        """Market value less average cost of what is held [T]."""
        return self.market_value - np.cumsum(self._by_session(self._average_cost.basis_change))

    @cached_property
    def _average_cost(self) -> AverageCost:
        return average_cost(self.result.fills, self.result.multiplier, self.split_factor)

    # -------------------------------------------------------------------------- helpers

    @cached_property
    def _has_multipliers(self) -> bool:
        return bool((self.result.multiplier != 1.0).any())

    def _times_multiplier(self, values: FloatArray) -> FloatArray:
        if self._has_multipliers:
            values *= self.result.multiplier
        return values

    def _by_session(self, per_fill: FloatArray) -> FloatArray:
        """Sum by session [T] of a value per fill [F]."""
        sessions = len(self.result.sessions)
        summed = np.bincount(self.result.fills.session, weights=per_fill, minlength=sessions)
        return summed.astype(np.float64, copy=False)


def _is_everywhere(values: npt.NDArray[np.float64], constant: float) -> bool:
    """Whether all of ``values`` are ``constant``; a broadcast scalar is asked once, not T x N times."""
    if values.size and values.strides == (0, 0):
        return bool(values[0, 0] == constant)
    return bool((values == constant).all())
