"""Orders executed otherwise than the plain account executes them: sized earlier, or not in full.

No run can ask for it by a key of its own. It is how the built-in engine takes on what another engine
does, so that a difference between the two can be split into its parts (see ``ladder``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pytest_finbot.contracts import FloatArray, RunSpec
from pytest_finbot.engines.decisions import Decisions
from pytest_finbot.engines.sizing import CostRates, Rebalancer, total, whole_units


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """``sized_at`` ``decision``: units are those that prices, NAV and quantities of the decision's close
    give, and are filled at the fill's price, as with engines that take orders for the next session.
    Where a decision is filled at its own close, the two are one.

    ``executed`` [K, N], a row for each decision of the strategy: the fraction of each order that is
    executed, 1 for all of it, 0 for none. ``None``: all of every order.
    """

    sized_at: Literal["fill", "decision"] = "fill"
    executed: FloatArray | None = None

    @property
    def plain(self) -> bool:
        """Whether that is what the account does by itself."""
        return self.sized_at == "fill" and self.executed is None


PLAIN: Final = Execution()


class Orders:
    """Takes the place of a Rebalancer: orders are decided first, and filled as far as they are executed.

    ``closes`` [T, N] is what a unit is worth at each close, ``filled_at`` [K, N] what it is worth
    where it is filled. A split between the two multiplies an order as it does what is held.
    """

    __slots__ = ("_ahead", "_executed", "_filled_at", "_rates", "_sized", "_splits", "_whole", "trades")

    def __init__(
        self,
        spec: RunSpec,
        decisions: Decisions,
        closes: FloatArray,
        filled_at: FloatArray,
        splits: FloatArray | None,
        execution: Execution,
    ) -> None:
        self._ahead = execution.sized_at == "decision" and spec.fill != "close"
        sized_on = closes[decisions.rows] if self._ahead else filled_at
        self._sized = Rebalancer(spec, decisions.weights, sized_on)
        self._filled_at = filled_at
        self._splits = splits[decisions.fill_rows] if self._ahead and splits is not None else None
        self._executed = execution.executed
        self._rates = CostRates(spec.costs)
        self._whole = spec.units == "whole"
        self.trades = np.zeros(decisions.weights.shape)

    @property
    def lost(self) -> tuple[int, float] | None:
        """As a Rebalancer's."""
        return self._sized.lost

    def decide(self, k: int, cash: float, quantity: FloatArray) -> None:
        """Size the orders of decision ``k`` on ``cash`` and ``quantity`` [N] at the decision's close."""
        if self._ahead:
            self._sized.trade(k, cash, quantity)

    def trade(self, k: int, cash: float, quantity: FloatArray) -> float:
        """Currency that the orders of decision ``k``, as far as they are executed, take from ``cash``."""
        if not self._ahead:
            self._sized.trade(k, cash, quantity)
        units = self._sized.trades[k]
        if self._splits is not None:
            units = units * self._splits[k]
        if self._executed is not None:
            share = self._executed[k]
            part = units * share
            units = np.where(share == 1.0, units, whole_units(part) if self._whole else part)
        self.trades[k] = units
        unit_value = self._filled_at[k]
        value = units * unit_value
        return float(total(value)) + self._rates.at(unit_value).of(value, np.abs(value))
