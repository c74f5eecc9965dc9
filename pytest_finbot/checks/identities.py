"""The identities of a result as numbers: what is said, what follows, and by how much they differ.

One truth for who judges a run, who reconciles a recorded one, and who asks for the figures.
NAV, cash, quantities and marks are the engine's; what follows is reckoned from positions, fills,
fees, income, splits and flows alone.

In exact arithmetic some of them are the same statement made from two sides: ``nav_rolled`` and
``realised_unrealised`` always (realised less the change of cost basis is what fills were paid),
``cumulative_pnl`` and ``equity`` always, and all four where quantities roll exactly. Each is a
figure that somebody reads, so each is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_finbot.checks.figures import money, units
from pytest_finbot.checks.quantities import largest_by_row, quantity_cells
from pytest_finbot.contracts import BoolArray, EngineResult, FloatArray, IntArray
from pytest_finbot.valuation.books import Books

RELATIVE_TOLERANCE = 1e-9

Words = Callable[[int], str]


@dataclass(frozen=True, slots=True, eq=False)
class IdentityResiduals:
    """One identity at every session [T].

    ``residual`` (currency) is ``said`` - ``follows``, NaN where it cannot be reckoned;
    ``limit`` (currency) is what it may be. An identity of single assets has the largest
    residual of each session, as its worth in currency; ``column`` says of which asset it is
    (-1: of none), and both sides are in units of that asset. ``holds`` tells what holds where
    nothing is broken, ``words`` what is wrong at a row.
    """

    name: str
    residual: FloatArray
    limit: FloatArray
    said: FloatArray
    follows: FloatArray
    holds: str
    words: Words
    sides: Literal["currency", "units"] = "currency"
    column: IntArray | None = None
    cents: FloatArray | None = None
    """What of ``limit`` [T] is there only because the engine books in cents; ``None``: nothing."""

    @property
    def needed_cents(self) -> BoolArray:
        """Sessions [T] that hold, and would be broken without ``cents``."""
        if self.cents is None:
            return np.zeros(len(self.residual), np.bool_)
        beyond: BoolArray = ~(np.abs(self.residual) <= self.limit - self.cents) & ~self.broken
        return beyond

    @property
    def broken(self) -> BoolArray:
        """Sessions [T] whose residual is beyond its limit, or not a number."""
        beyond: BoolArray = ~(np.abs(self.residual) <= self.limit)
        return beyond

    def worst(self, rows: slice = slice(None)) -> int:
        """Which of ``rows`` has the residual largest in terms of its limit; no number is largest."""
        size, limit = np.abs(self.residual[rows]), self.limit[rows]
        return int(np.argmax(size / np.maximum(limit, np.finfo(np.float64).tiny)))


def residuals(
    result: EngineResult,
    capital: float,
    books: Books | None = None,
    *,
    absolute: float = 0.0,
    relative: float = RELATIVE_TOLERANCE,
) -> tuple[IdentityResiduals, ...]:
    """Every identity of ``result``, from the ground up.

    A residual may be ``absolute`` + ``relative`` * max(\\|NAV\\|, ``capital``) (currency), and
    ``result.cent`` for each fill that enters the figure: those of the session, or all so far
    where the identity adds up. ``result`` has passed ``checks.contract.check_result``;
    ``books`` are its books, where they have been computed already.
    """
    with np.errstate(all="ignore"):  # a residual that is not a number is told as a broken one
        books = Books(result) if books is None else books
        account = _Account.of(result, books, capital, absolute, relative)
        return (
            account.market_value_finite(),
            account.nav_identity(),
            account.quantity_roll(relative),
            account.cash_roll(),
            account.nav_rolled(),
            account.pnl_flows(),
            account.cumulative_pnl(),
            account.equity_identity(),
            account.derived_cash(),
            account.realised_unrealised(),
        )


def equity(result: EngineResult, books: Books) -> FloatArray:
    """Capital paid in and what was earned with it [T]: start cash + flows + P&L so far.

    The other side of the balance sheet than NAV: nothing of the engine's NAV or cash enters.
    """
    paid_in = float(result.start_cash) + np.cumsum(np.asarray(result.flows, np.float64))
    total: FloatArray = paid_in + books.cumulative_pnl
    return total


def cash_from_equity(result: EngineResult, books: Books) -> FloatArray:
    """Equity - long market value + short proceeds [T], below zero where money is borrowed.

    Short proceeds are what short positions would cost to close: their absolute market value.
    """
    long, short = long_and_short(books)
    derived: FloatArray = equity(result, books) - long + np.abs(short)
    return derived


def long_and_short(books: Books) -> tuple[FloatArray, FloatArray]:
    """Market value of long positions [T], >= 0, and of short ones [T], <= 0."""
    values, net = books.market_values, books.market_value
    if values.size and values.min() >= 0.0:  # no need for another T x N
        return net, np.zeros(len(net))
    short = np.minimum(values, 0.0).sum(axis=1)
    return np.maximum(values, 0.0).sum(axis=1), short


def unmarked_cells(books: Books) -> BoolArray | None:
    """Cells [T, N] in which what is held has no finite market value; ``None`` where all have one."""
    if np.isfinite(books.market_value).all():
        return None
    unmarked: BoolArray = (books.quantity != 0) & ~np.isfinite(books.mark)
    if not unmarked.any():  # finite marks and quantities, and yet a product that is not
        unmarked = ~np.isfinite(books.market_values)
    if not unmarked.any():
        unmarked = np.broadcast_to(~np.isfinite(books.market_value)[:, None], unmarked.shape)
    return unmarked


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """One result, its books, and what they may be off by: ``daily`` [T], ``so_far`` [T]."""

    result: EngineResult
    books: Books
    nav: FloatArray
    cash: FloatArray
    flows: FloatArray
    daily: FloatArray
    so_far: FloatArray
    cents_daily: FloatArray | None = None
    cents_so_far: FloatArray | None = None

    @classmethod
    def of(
        cls, result: EngineResult, books: Books, capital: float, absolute: float, relative: float
    ) -> _Account:
        nav = np.asarray(result.nav, np.float64)
        # A NAV that is not a number makes its own residuals none; others keep a limit of theirs.
        daily = absolute + relative * np.fmax(np.abs(nav), capital)
        so_far = daily
        cents_daily = cents_so_far = None
        if result.cent:
            cents_daily = result.cent * books.fill_count
            cents_so_far = result.cent * np.cumsum(books.fill_count)
            so_far = daily + cents_so_far
            daily = daily + cents_daily
        return cls(
            result=result,
            books=books,
            nav=nav,
            cash=np.asarray(result.cash, np.float64),
            flows=np.asarray(result.flows, np.float64),
            daily=daily,
            so_far=so_far,
            cents_daily=cents_daily,
            cents_so_far=cents_so_far,
        )

    # ------------------------------------------------------------------------ positions

    def market_value_finite(self) -> IdentityResiduals:
        """What is held has a finite mark at every session."""
        books, value = self.books, self.books.market_value
        cells = unmarked_cells(books)
        column = None if cells is None else np.where(cells.any(axis=1), cells.argmax(axis=1), -1)

        def words(row: int) -> str:
            assert column is not None, "asked of a row that is broken"
            n = int(column[row])
            return (
                f"{self.result.assets[n]} is held ({units(books.quantity[row, n])} units) at mark "
                f"{books.mark[row, n]} on {self.result.sessions[row]}, expected a finite market value"
            )

        return IdentityResiduals(
            "market_value_finite",
            np.where(np.isfinite(value), 0.0, np.nan),
            self.daily,
            value,
            value,
            "every held asset has a mark",
            words,
            column=column,
        )

    def quantity_roll(self, relative: float) -> IdentityResiduals:
        """Quantity = quantity of the session before * split + fills, asset by asset."""
        books, holds = self.books, "every quantity follows from fills and splits"
        cells = quantity_cells(books, relative)
        sessions = len(self.nav)
        worth, off, held = np.zeros(sessions), np.zeros(sessions), np.zeros(sessions)
        column = np.full(sessions, -1)
        if len(cells.row):
            first = largest_by_row(cells)
            row = cells.row[first]
            worth[row], off[row], column[row] = cells.worth[first], cells.off[first], cells.column[first]
            held[row] = books.quantity[row, column[row]]

        def words(row: int) -> str:
            n = int(column[row])
            split = 1.0 if books.splits is None else float(books.splits[row, n])
            before = float(books.quantity[row - 1, n]) if row else 0.0
            expected = float(held[row] - off[row])
            return (
                f"quantity of {self.result.assets[n]} is {units(held[row])} on {self.result.sessions[row]}, "
                f"but {units(before)} held before{f' x split {split:g}' if split != 1.0 else ''} + fills "
                f"{units(expected - before * split)} make {units(expected)} (off by {units(off[row])} units)"
            )

        return IdentityResiduals(
            "quantity_roll",
            worth,
            self.daily,
            held,
            held - off,
            holds,
            words,
            "units",
            column,
            self.cents_daily,
        )

    # ---------------------------------------------------------------------- cash and NAV

    def nav_identity(self) -> IdentityResiduals:
        """NAV = cash + sum of market values."""
        held = self.books.market_value
        return self._by_session(
            "nav_identity",
            self.nav,
            self.cash + held,
            self.so_far,
            "NAV is cash + market value",
            lambda row: (
                f"NAV {money(self.nav[row])} is not cash {money(self.cash[row])} + market value "
                f"{money(held[row])}"
            ),
        )

    def cash_roll(self) -> IdentityResiduals:
        """Cash = cash of the session before - fills - fees + income + flows; at first, start cash."""
        books = self.books
        before = np.concatenate(([float(self.result.start_cash)], self.cash[:-1]))
        return self._by_session(
            "cash_roll",
            self.cash,
            before - books.paid - books.fees + books.income + self.flows,
            self.daily,
            "cash follows from fills, fees, income and flows",
            lambda row: (
                f"cash {money(self.cash[row])} is not {money(before[row])} before - fills "
                f"{money(books.paid[row])} - fees {money(books.fees[row])} + income "
                f"{money(books.income[row])} + flows {money(self.flows[row])}"
            ),
        )

    def nav_rolled(self) -> IdentityResiduals:
        """NAV = our valuation: our cash, rolled from the start cash on, + sum of market values."""
        books, held = self.books, self.books.market_value
        change = self.flows + books.income - books.paid - books.fees
        rolled = float(self.result.start_cash) + np.cumsum(change)
        return self._by_session(
            "nav_rolled",
            self.nav,
            rolled + held,
            self.so_far,
            "the engine's NAV is ours",
            lambda row: (
                f"NAV {money(self.nav[row])} is not ours, {money(rolled[row] + held[row])}: cash "
                f"{money(rolled[row])} from all fills, fees, income and flows so far + market value "
                f"{money(held[row])}"
            ),
        )

    def equity_identity(self) -> IdentityResiduals:
        """NAV = start cash + flows + P&L so far (:func:`equity`)."""
        owned = equity(self.result, self.books)
        return self._by_session(
            "equity",
            self.nav,
            owned,
            self.so_far,
            "NAV is equity: what was paid in and what it earned",
            lambda row: (
                f"NAV {money(self.nav[row])} is not equity {money(owned[row])}: start cash, flows and P&L "
                "so far"
            ),
        )

    def derived_cash(self) -> IdentityResiduals:
        """Cash = equity - long market value + short proceeds (:func:`cash_from_equity`)."""
        derived = cash_from_equity(self.result, self.books)
        return self._by_session(
            "derived_cash",
            self.cash,
            derived,
            self.so_far,
            "cash is equity less what is held",
            lambda row: (
                f"cash {money(self.cash[row])} is not {money(derived[row])}: equity - long market value + "
                "short proceeds"
            ),
        )

    # ------------------------------------------------------------------------------ P&L

    def pnl_flows(self) -> IdentityResiduals:
        """Change of NAV = P&L + flows, the P&L being that of positions (``Books.pnl``)."""
        pnl = self.books.pnl
        change = np.diff(self.nav, prepend=float(self.result.start_cash))
        return self._by_session(
            "pnl_flows",
            change,
            pnl + self.flows,
            self.daily,
            "every change of NAV is P&L + flows",
            lambda row: (
                f"NAV changed by {money(change[row])}, but P&L {money(pnl[row])} + flows "
                f"{money(self.flows[row])} make {money(pnl[row] + self.flows[row])}"
            ),
        )

    def cumulative_pnl(self) -> IdentityResiduals:
        """NAV - start cash - sum of flows = sum of P&L."""
        earned, summed = self._earned(), self.books.cumulative_pnl
        return self._by_session(
            "cumulative_pnl",
            earned,
            summed,
            self.so_far,
            "P&L adds up to NAV less capital and flows",
            lambda row: (
                f"NAV less start cash and flows is {money(earned[row])}, but the P&L of all sessions so far "
                f"is {money(summed[row])}"
            ),
        )

    def realised_unrealised(self) -> IdentityResiduals:
        """Realised + unrealised - fees + income = NAV - start cash - sum of flows."""
        books, earned = self.books, self._earned()
        fees, income = np.cumsum(books.fees), np.cumsum(books.income)
        parts = books.realised + books.unrealised - fees + income
        return self._by_session(
            "realised_unrealised",
            parts,
            earned,
            self.so_far,
            "realised and unrealised P&L, fees and income make the cumulative P&L",
            lambda row: (
                f"realised {money(books.realised[row])} + unrealised {money(books.unrealised[row])} - fees "
                f"{money(fees[row])} + income {money(income[row])} make {money(parts[row])}, but "
                f"cumulative P&L is {money(earned[row])}"
            ),
        )

    def _earned(self) -> FloatArray:
        """Cumulative P&L [T] as NAV has it."""
        return self.nav - float(self.result.start_cash) - np.cumsum(self.flows)

    def _by_session(
        self,
        name: str,
        said: FloatArray,
        follows: FloatArray,
        limit: FloatArray,
        holds: str,
        words: Words,
    ) -> IdentityResiduals:
        residual = said - follows

        def whole(row: int) -> str:
            day, off = self.result.sessions[row], float(residual[row])
            return f"{words(row)} on {day} (off by {money(off)})"

        cents = self.cents_daily if limit is self.daily else self.cents_so_far
        return IdentityResiduals(name, residual, limit, said, follows, holds, whole, cents=cents)
