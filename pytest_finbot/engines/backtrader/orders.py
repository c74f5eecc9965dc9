"""What became of each order, as backtrader's broker tells it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pytest_finbot.contracts import Fills, MarketData, RejectedOrder, RunSpec
from pytest_finbot.engines.adapting.fill_list import FillList
from pytest_finbot.errors import ParameterError

_SLIPPED = ("Market", "Stop", "StopTrail")
"""Kinds of order that backtrader's slippage is charged on, always and whole."""


class OrderLog:
    """Fills and refusals in the order in which they come; ``kinds`` is ``backtrader.Order``.

    An order is told of when it is submitted, accepted, filled (also in part) and refused. Its
    session is the row of the bar that the broker is at.
    """

    def __init__(self, spec: RunSpec, kinds: Any) -> None:
        self.rejected: list[RejectedOrder] = []
        self._kinds = kinds
        self._costs = spec.costs
        self._slip = spec.costs.slippage_bps / 1e4
        self._charged_otherwise: list[tuple[int, int, float]] = []
        self._fills = FillList()
        self._seen: dict[int, tuple[Any, int, int]] = {}
        self._refusals = {
            kinds.Canceled: "cancelled",
            kinds.Expired: "expired: not filled while it was valid",
            kinds.Rejected: "rejected",
        }

    def see(self, order: Any, column: int) -> None:
        """``order`` of the asset in ``column`` has changed."""
        row = len(order.data) - 1
        kinds = self._kinds
        _, filled, status = self._seen.get(order.ref, (order, 0, kinds.Created))
        if self._slip and order.getordername() not in _SLIPPED:
            raise ParameterError(
                f"costs.slippage_bps is charged on orders of kind {', '.join(_SLIPPED)} in backtrader, and "
                f"the strategy places one of kind {order.getordername()}; expected no slippage_bps"
            )
        bits = list(order.executed.exbits)
        for bit in bits[filled:]:
            self._fill(row, column, float(bit.size), float(bit.price), float(bit.comm))
        if order.status == kinds.Margin:
            when = "at its fill" if status in (kinds.Accepted, kinds.Partial) else "when it was checked"
            self._reject(order, row, column, f"margin: cash did not pay for it {when}")
        elif order.status in self._refusals:
            self._reject(order, row, column, self._refusals[order.status])
        self._seen[order.ref] = (order, len(bits), order.status)

    def _fill(self, row: int, column: int, size: float, price: float, fee: float) -> None:
        before = price / (1.0 + self._slip if size > 0 else 1.0 - self._slip)
        self._fills.add(row, column, size, price, fee, abs(size) * abs(price - before))
        asked = abs(size) * (price * self._costs.commission_bps / 1e4 + self._costs.commission_per_share)
        if abs(fee - asked) > 1e-9 * max(fee, asked):
            self._charged_otherwise.append((row, column, fee))

    def _reject(self, order: Any, row: int, column: int, reason: str) -> None:
        self.rejected.append(RejectedOrder(row, column, float(order.executed.remsize), reason))

    def fills(self) -> Fills:
        return self._fills.fills()

    def counts(self) -> dict[str, int]:
        """Orders by their last status, by backtrader's own names."""
        return dict(sorted(Counter(order.getstatusname() for order, _, _ in self._seen.values()).items()))

    def charged_otherwise(self, market: MarketData) -> tuple[str, ...]:
        """Told where a fill's fee is not what the run's costs make it: a strategy may set its own."""
        if not self._charged_otherwise:
            return ()
        row, column, fee = self._charged_otherwise[0]
        return (
            f"{len(self._charged_otherwise):,} of {len(self._fills):,} fills have a commission that is not "
            f"of the run's costs, but of the strategy's own making: first {fee:,.2f} for "
            f"{market.symbols[column]} on {market.sessions[row]}",
        )

    def open_at_end(self, market: MarketData) -> tuple[str, ...]:
        """Told where orders were still open after the last session: nothing refused them, and nothing
        filled them."""
        still = [order for order, _, _ in self._seen.values() if order.alive()]
        if not still:
            return ()
        first = still[0]
        plural = "order was" if len(still) == 1 else "orders were"
        return (
            f"{len(still):,} {plural} still open after the last session, {market.sessions[-1]}: first one of "
            f"kind {first.getordername()} for {first.executed.remsize:g} {first.data._name}",
        )
