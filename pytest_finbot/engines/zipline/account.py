"""The account as zipline's ledger and blotter tell of it, session by session."""

from __future__ import annotations

from typing import Any

import numpy as np
from zipline.finance.blotter import SimulationBlotter
from zipline.finance.order import ORDER_STATUS

from pytest_finbot.contracts import MarketData, RejectedOrder
from pytest_finbot.engines.adapting.fill_list import FillList, rows_of


class Account:
    """A metric, as zipline calls what it asks at each session's end; all arrays are filled by then.

    An asset's sid is its column. ``sessions`` [T] are those that zipline went through, ``nav`` and
    ``cash`` [T] its portfolio's, ``quantity`` [T, N] its positions, and ``mark`` [T, N] their last
    sale prices: the closes it was fed for what is not held. ``row`` is that of the session that
    is under way. ``models`` are the names of the commission and slippage models in force.
    """

    def __init__(self, market: MarketData) -> None:
        sessions, assets = market.close.shape
        self.row = -1
        self.sessions = np.full(sessions, "NaT", "datetime64[D]")
        self.nav = np.full(sessions, np.nan)
        self.cash = np.full(sessions, np.nan)
        self.quantity = np.zeros((sessions, assets))
        self.mark = market.close.copy()
        self.fills = FillList()
        self.orders: dict[str, Any] = {}
        self.models = ("", "")
        self._close = market.close

    def start_of_session(self, _ledger: Any, session: Any, _portal: Any) -> None:
        self.row += 1
        self.sessions[self.row] = np.datetime64(session.tz_localize(None), "D")

    def end_of_session(self, _packet: Any, ledger: Any, _session: Any, _number: int, _portal: Any) -> None:
        row, portfolio = self.row, ledger.portfolio
        self.nav[row] = portfolio.portfolio_value
        self.cash[row] = portfolio.cash
        for asset, position in ledger.position_tracker.positions.items():
            self.quantity[row, asset.sid] = position.amount
            self.mark[row, asset.sid] = position.last_sale_price

    def filled(self, transaction: Any, fee: float) -> None:
        """One transaction of the session under way, and the commission that was charged for it."""
        column, units, price = transaction.asset.sid, float(transaction.amount), float(transaction.price)
        worse = (price - float(self._close[self.row, column])) * units
        self.fills.add(self.row, column, units, price, fee, max(worse, 0.0))

    def unfilled(self) -> tuple[list[RejectedOrder], list[str]]:
        """Orders that were not, or not wholly, filled: rejected ones, and what is told of the others.

        Those of the last session are told only: no session is left to fill them.
        """
        left = [order for order in self.orders.values() if order.open_amount]
        if not left:
            return [], []
        days = [np.datetime64(order.created.tz_localize(None), "D") for order in left]
        placed = rows_of(self.sessions, np.array(days))
        last, late, rejected = len(self.sessions) - 1, 0, []
        for order, row in zip(left, placed.tolist(), strict=True):
            if row == last and order.open:
                late += 1
            else:
                units = float(order.open_amount)
                rejected.append(RejectedOrder(row, order.asset.sid, units, _why(order)))
        if not late:
            return rejected, []
        words = "1 order was" if late == 1 else f"{late:,} orders were"
        return rejected, [
            f"{words} placed on {self.sessions[last]} and not filled: no session is left to fill them"
        ]


def _why(order: Any) -> str:
    """Why ``order`` was not filled, or not wholly."""
    what = "limit or stop order" if order.limit is not None or order.stop is not None else "order"
    part = f", {order.filled:g} of {order.amount:g} units filled" if order.filled else ""
    if order.status == ORDER_STATUS.CANCELLED:
        return f"{what} cancelled by the strategy or its cancel policy{part}"
    if order.status == ORDER_STATUS.REJECTED:
        return f"{what} rejected: {order.reason}{part}"
    return f"{what} still open after the last session{part}"


class Blotter(SimulationBlotter):  # type: ignore[misc]
    """Zipline's own, which tells ``account`` of each transaction with its commission."""

    def __init__(self, account: Account, **models: Any) -> None:
        super().__init__(**models)
        self._account = account
        account.orders = self.orders

    def get_transactions(self, bar_data: Any) -> tuple[list[Any], list[Any], list[Any]]:
        transactions, commissions, closed = super().get_transactions(bar_data)
        fees = {commission["order"].id: float(commission["cost"]) for commission in commissions}
        for transaction in transactions:
            self._account.filled(transaction, fees.get(transaction.order_id, 0.0))
        return transactions, commissions, closed
