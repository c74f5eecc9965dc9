"""Fills gathered one by one, as most engines tell of them, and what follows from them."""

from __future__ import annotations

import numpy as np

from pytest_finbot.contracts import Fills, FloatArray, IntArray, SessionArray


class FillList:
    """Fills in the order in which they came; several of one session and asset stay several."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, float, float, float, float]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self, session: int, asset: int, quantity: float, price: float, fee: float = 0.0, slippage: float = 0.0
    ) -> None:
        """One fill: row and column, signed units, price a unit, fee and slippage (currency, >= 0)."""
        self._rows.append((session, asset, quantity, price, fee, slippage))

    def fills(self) -> Fills:
        """In order of session; within one, in the order in which they came."""
        if not self._rows:
            return Fills.none()
        session, asset, quantity, price, fee, slippage = zip(*self._rows, strict=True)
        rows = np.array(session, np.int64)
        order = np.argsort(rows, kind="stable")
        return Fills(
            rows[order],
            np.array(asset, np.int64)[order],
            *(np.array(column, np.float64)[order] for column in (quantity, price, fee, slippage)),
        )


def quantity_of(fills: Fills, sessions: int, assets: int) -> FloatArray:
    """Units held [T, N] after each session's fills, where nothing else changes them."""
    change = np.zeros((sessions, assets))
    np.add.at(change, (fills.session, fills.asset), fills.quantity)
    return np.cumsum(change, axis=0)


def cash_of(fills: Fills, start_cash: float, sessions: int) -> FloatArray:
    """Cash [T] after each session's fills and fees, where nothing else changes it (currency)."""
    change = np.zeros(sessions)
    np.subtract.at(change, fills.session, fills.quantity * fills.price + fills.fee)
    return start_cash + np.cumsum(change)


def rows_of(sessions: SessionArray, wanted: SessionArray) -> IntArray:
    """Row of each ``wanted`` day among ``sessions`` (``datetime64[D]``). Raises KeyError where it is none."""
    rows = np.searchsorted(sessions, wanted)
    strange = (rows == len(sessions)) | (sessions[np.minimum(rows, len(sessions) - 1)] != wanted)
    if strange.any():
        raise KeyError(str(wanted[int(strange.argmax())]))
    return rows.astype(np.int64)
