"""The identities that every result must satisfy, whatever engine it came from.

Each compares what the engine says with what follows from its own positions, fills and flows,
to ``1e-9 * max(|NAV|, capital)`` in currency, plus ``cent`` for each fill that enters the
figure (those of the session, or all so far where the identity adds up). A residual that is
not a number is broken.

``nav_identity``, ``quantity_roll`` and ``cash_roll`` are the ground; a fault there shows in the
others as well. Those find what drifts by less than a session's tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pytest_finbot.checks.rejections import check_rejections
from pytest_finbot.contracts import CheckResult, EngineResult, FloatArray, IntArray, RunSpec, Verdict
from pytest_finbot.valuation.books import Books

RELATIVE_TOLERANCE = 1e-9


def check_books(result: EngineResult, spec: RunSpec, books: Books | None = None) -> tuple[CheckResult, ...]:
    """Every identity, in order from the ground up, and the rejected orders.

    ``result`` has passed ``checks.contract.check_result``; ``books`` are its books, where they
    have been computed already.
    """
    with np.errstate(all="ignore"):  # a residual that is not a number is told as a broken one
        audit = _Audit.of(result, spec, Books(result) if books is None else books)
        return (
            audit.market_value_finite(),
            audit.nav_identity(),
            audit.quantity_roll(),
            audit.cash_roll(),
            audit.pnl_flows(),
            audit.cumulative_pnl(),
            audit.realised_unrealised(),
            check_rejections(result),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Audit:
    """One result, its books, and what they may be off by: ``daily`` [T], ``so_far`` [T]."""

    result: EngineResult
    books: Books
    nav: FloatArray
    cash: FloatArray
    flows: FloatArray
    daily: FloatArray
    so_far: FloatArray

    @classmethod
    def of(cls, result: EngineResult, spec: RunSpec, books: Books) -> _Audit:
        nav = np.asarray(result.nav, np.float64)
        daily = RELATIVE_TOLERANCE * np.maximum(np.abs(nav), spec.start_capital)
        so_far = daily
        if result.cent:
            so_far = daily + result.cent * np.cumsum(books.fill_count)
            daily = daily + result.cent * books.fill_count
        return cls(
            result=result,
            books=books,
            nav=nav,
            cash=np.asarray(result.cash, np.float64),
            flows=np.asarray(result.flows, np.float64),
            daily=daily,
            so_far=so_far,
        )

    def market_value_finite(self) -> CheckResult:
        """What is held has a finite mark at every session."""
        name = "market_value_finite"
        if np.isfinite(self.books.market_value).all():
            return CheckResult(name, Verdict.IDENTICAL, "every held asset has a mark", 0.0, 0.0)
        unmarked = (self.books.quantity != 0) & ~np.isfinite(self.books.mark)
        if not unmarked.any():  # finite marks and quantities, and yet a product that is not
            unmarked = ~np.isfinite(self.books.market_values)
        if not unmarked.any():
            unmarked = np.broadcast_to(~np.isfinite(self.books.market_value)[:, None], unmarked.shape)
        cells = int(unmarked.sum())
        row, column = divmod(int(unmarked.argmax()), unmarked.shape[1])
        session, asset = str(self.result.sessions[row]), self.result.assets[column]
        message = (
            f"{asset} is held ({_units(self.books.quantity[row, column])} units) at mark "
            f"{self.books.mark[row, column]} on {session}, expected a finite market value"
        )
        if cells > 1:
            message += f"; {cells:,} positions in all"
        return CheckResult(name, Verdict.ERROR, message, float(cells), 0.0, session, asset)

    def nav_identity(self) -> CheckResult:
        """NAV = cash + sum of market values."""
        held = self.books.market_value
        residual = self.nav - (self.cash + held)

        def broken(row: int) -> str:
            return (
                f"NAV {_money(self.nav[row])} is not cash {_money(self.cash[row])} + market value "
                f"{_money(held[row])}"
            )

        return self._by_session("nav_identity", residual, self.so_far, "NAV is cash + market value", broken)

    def quantity_roll(self) -> CheckResult:
        """Quantity = quantity of the session before * split + fills, asset by asset."""
        name, holds = "quantity_roll", "every quantity follows from fills and splits"
        found = _quantity_residuals(self.books)
        if not len(found.row):
            return CheckResult(name, Verdict.IDENTICAL, holds, 0.0, _plain(self.daily.min()))
        limit = self.daily[found.row]
        broken = ~(found.worth <= limit)
        worst = _worst(found.worth, limit)
        value, bound = _plain(found.worth[worst]), _plain(limit[worst])
        if not broken.any():
            return CheckResult(name, Verdict.WITHIN, holds, value, bound)
        first = int(broken.argmax())
        row, column = int(found.row[first]), int(found.column[first])
        session, asset = str(self.result.sessions[row]), self.result.assets[column]
        split = 1.0 if self.books.splits is None else float(self.books.splits[row, column])
        before = float(self.books.quantity[row - 1, column]) if row else 0.0
        held = float(self.books.quantity[row, column])
        expected = held - float(found.residual[first])
        message = (
            f"quantity of {asset} is {_units(held)} on {session}, but {_units(before)} held before"
            f"{f' x split {split:g}' if split != 1.0 else ''} + fills {_units(expected - before * split)} "
            f"make {_units(expected)} (off by {_units(float(found.residual[first]))} units)"
        )
        more = int(broken.sum()) - 1
        return CheckResult(name, Verdict.ERROR, message + _and_more(more), value, bound, session, asset)

    def cash_roll(self) -> CheckResult:
        """Cash = cash of the session before - fills - fees + income + flows; at first, start cash."""
        books = self.books
        before = np.concatenate(([float(self.result.start_cash)], self.cash[:-1]))
        expected = before - books.paid - books.fees + books.income + self.flows

        def broken(row: int) -> str:
            return (
                f"cash {_money(self.cash[row])} is not {_money(before[row])} before - fills "
                f"{_money(books.paid[row])} - fees {_money(books.fees[row])} + income "
                f"{_money(books.income[row])} + flows {_money(self.flows[row])}"
            )

        return self._by_session(
            "cash_roll",
            self.cash - expected,
            self.daily,
            "cash follows from fills, fees, income and flows",
            broken,
        )

    def pnl_flows(self) -> CheckResult:
        """Change of NAV = P&L + flows, the P&L being that of positions (:attr:`Books.pnl`)."""
        pnl = self.books.pnl
        change = np.diff(self.nav, prepend=float(self.result.start_cash))

        def broken(row: int) -> str:
            return (
                f"NAV changed by {_money(change[row])}, but P&L {_money(pnl[row])} + flows "
                f"{_money(self.flows[row])} make {_money(pnl[row] + self.flows[row])}"
            )

        return self._by_session(
            "pnl_flows",
            change - (pnl + self.flows),
            self.daily,
            "every change of NAV is P&L + flows",
            broken,
        )

    def cumulative_pnl(self) -> CheckResult:
        """NAV - start cash - sum of flows = sum of P&L."""
        earned, summed = self._earned(), self.books.cumulative_pnl

        def broken(row: int) -> str:
            return (
                f"NAV less start cash and flows is {_money(earned[row])}, but the P&L of all sessions so far "
                f"is {_money(summed[row])}"
            )

        return self._by_session(
            "cumulative_pnl",
            earned - summed,
            self.so_far,
            "P&L adds up to NAV less capital and flows",
            broken,
        )

    def realised_unrealised(self) -> CheckResult:
        """Realised + unrealised - fees + income = NAV - start cash - sum of flows."""
        books, earned = self.books, self._earned()
        fees, income = np.cumsum(books.fees), np.cumsum(books.income)
        parts = books.realised + books.unrealised - fees + income

        def broken(row: int) -> str:
            return (
                f"realised {_money(books.realised[row])} + unrealised {_money(books.unrealised[row])} - fees "
                f"{_money(fees[row])} + income {_money(income[row])} make {_money(parts[row])}, but "
                f"cumulative P&L is {_money(earned[row])}"
            )

        return self._by_session(
            "realised_unrealised",
            parts - earned,
            self.so_far,
            "realised and unrealised P&L, fees and income make the cumulative P&L",
            broken,
        )

    def _earned(self) -> FloatArray:
        """Cumulative P&L [T] as NAV has it."""
        return self.nav - float(self.result.start_cash) - np.cumsum(self.flows)

    def _by_session(
        self,
        name: str,
        residual: FloatArray,
        limit: FloatArray,
        holds: str,
        broken: Callable[[int], str],
    ) -> CheckResult:
        """The verdict on ``residual`` [T]: ``holds`` if within ``limit`` [T], else what ``broken`` says.

        ``value`` is the residual that is worst against its limit, which stands beside it.
        """
        size = np.abs(residual)
        worst = _worst(size, limit)
        value, bound = _plain(size[worst]), _plain(limit[worst])
        good = size <= limit
        if good.all():
            verdict = Verdict.WITHIN if size.any() else Verdict.IDENTICAL
            return CheckResult(name, verdict, holds, value, bound)
        row = int(good.argmin())
        session = str(self.result.sessions[row])
        message = f"{broken(row)} on {session} (off by {_money(residual[row])})"
        more = int((~good).sum()) - 1
        return CheckResult(name, Verdict.ERROR, message + _and_more(more), value, bound, session)


@dataclass(frozen=True, slots=True, eq=False)
class _QuantityResiduals:
    """Cells whose quantity does not follow exactly: ``residual`` in units, ``worth`` in currency."""

    row: IntArray
    column: IntArray
    residual: FloatArray
    worth: FloatArray


def _quantity_residuals(books: Books) -> _QuantityResiduals:
    """Differences between quantities and their roll-forward, in order of session and asset."""
    quantity, splits, fills = books.quantity, books.splits, books.result.fills
    assets = quantity.shape[1]
    residual = np.empty(quantity.shape)
    residual[:1] = quantity[:1]
    np.subtract(
        quantity[1:], quantity[:-1] if splits is None else quantity[:-1] * splits[1:], out=residual[1:]
    )
    if len(fills):
        row, column, moved = _summed_by_cell(fills.session, fills.asset, fills.quantity, assets)
        before = np.where(row > 0, quantity[row - 1, column], 0.0)
        if splits is not None:
            before = before * splits[row, column]
        # As an engine rolls it: (before + fills) is rounded once, so that an exact engine is exact here.
        residual[row, column] = quantity[row, column] - (before + moved)
    flat = residual.reshape(-1)
    cells = np.flatnonzero(flat)
    at_row, at_column = np.divmod(cells, max(assets, 1))
    off = flat[cells]
    price = np.abs(books.mark[at_row, at_column]) * books.result.multiplier[at_column]
    worth = np.abs(off) * price
    # Without a mark there is no price to say what is missing: then units must agree, to rounding.
    unpriced = ~(price > 0.0)
    if unpriced.any():
        largest = np.maximum(
            np.abs(quantity[at_row, at_column]),
            np.where(at_row > 0, np.abs(quantity[at_row - 1, at_column]), 0.0),
        )
        lost = ~(np.abs(off) <= RELATIVE_TOLERANCE * np.maximum(largest, 1.0))
        worth = np.where(unpriced, np.where(lost, np.inf, 0.0), worth)
    return _QuantityResiduals(at_row, at_column, off, worth)


def _summed_by_cell(
    session: IntArray, asset: IntArray, quantity: FloatArray, assets: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Row, column and sum of quantities of each cell [T, N] that has fills."""
    cell = session.astype(np.int64, copy=False) * assets + asset
    if not (cell[1:] > cell[:-1]).all():
        cell, of = np.unique(cell, return_inverse=True)
        quantity = np.bincount(of.reshape(-1), weights=quantity).astype(np.float64, copy=False)
    row, column = np.divmod(cell, assets)
    return row, column, np.asarray(quantity, np.float64)


def _worst(size: FloatArray, limit: FloatArray) -> int:
    """Where ``size`` is largest in terms of ``limit``; what is not a number counts as largest."""
    return int(np.argmax(size / np.maximum(limit, np.finfo(np.float64).tiny)))


def _plain(value: float) -> float | None:
    """A Python float for the record, ``None`` for what JSON has no word for."""
    number = float(value)
    return number if math.isfinite(number) else None


def _money(value: float) -> str:
    """``1,000.00``; three digits where that would round away what is to be seen."""
    return f"{value + 0.0:,.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def _units(value: float) -> str:
    return f"{value:,.10g}"


def _and_more(count: int) -> str:
    if not count:
        return ""
    return f"; and {count:,} more time{'s' if count > 1 else ''}"
