"""What was decided against what is held: an order dropped in silence leaves books that add up.

Engines size orders in ways of their own: at the decision's prices or at those of the fill, in whole
units, before or after costs, with cash kept back. So nothing is held exactly here. An order counts as
dropped where the position, after the session that was to fill it,

* misses the weight that was decided by more than :data:`MISS` of NAV, or by more than
  :data:`UNTRADED` where nothing at all was traded in it, and
* misses it by more than :data:`SHARE` of what was to be traded,

at the prices of the fill and at those of the decision, beyond one unit (of an engine that holds
whole ones), the run's ``min_trade`` and money that came or went in between. It is no fault of this
kind where the engine tells of a rejected order, or trades it later, before the next decision is
filled: late is not dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import (
    BoolArray,
    CheckResult,
    Decisions,
    FloatArray,
    IntArray,
    MarketData,
    RunSpec,
    Verdict,
)
from pytest_finbot.valuation.books import Books

NAME = "orders_executed"
MISS = 0.05
"""Fraction of NAV by which a position may miss its weight: gaps and shrunk orders stay below."""
UNTRADED = 0.01
"""The same of a position without a fill: whoever trades at all does not leave that much undone."""
SHARE = 0.5
"""Fraction of an order that may be missing: sizing at other prices leaves far less."""
_BLOCK = 1 << 16
"""Cells looked at together: few enough to stay in a processor's cache."""


def check_orders(books: Books, spec: RunSpec, market: MarketData, decisions: Decisions | None) -> CheckResult:
    """Whether each order of ``decisions`` was executed, at least for the most part, or told as rejected.

    ``value`` counts the orders that were not; session and asset are those of the first, at which it was
    to be filled. Skipped where nobody says what was decided.
    """
    if decisions is None:
        return CheckResult(NAME, Verdict.SKIPPED, "the engine does not say what was decided")
    with np.errstate(all="ignore"):  # what is not finite is told by others
        account = _Account.of(books, spec, market, decisions)
        k, n = account.misses()
        if len(k):
            dropped = account.dropped(k, n)
            if dropped.any():
                return account.told(k[dropped], n[dropped])
            short = account.dropped(k, n, whole_too=True)
            k, n = k[short], n[short]
        words = f"what {_count(len(account.rows), 'decision')} asked for was traded, or told as rejected"
        if len(k):
            words += f"; less than one unit is lacking to {_count(len(k), 'order')}: {account.where(k, n)}"
        return CheckResult(NAME, Verdict.IDENTICAL, words, 0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """A result and the decisions [K] on rows of its own: ``rows`` decided, ``fill_rows`` filled, ``last``
    the rows up to which an order is late and not dropped. ``columns`` [N] are the result's of the market's
    symbols, -1 for one that it does not know; ``weights`` [K, N].
    """

    books: Books
    spec: RunSpec
    market: MarketData
    rows: IntArray
    fill_rows: IntArray
    last: IntArray
    weights: FloatArray
    columns: IntArray
    first: int

    @classmethod
    def of(cls, books: Books, spec: RunSpec, market: MarketData, decisions: Decisions) -> _Account:
        result = books.result
        first = len(market.sessions) - len(result.sessions)
        own = decisions.rows >= first
        rows, fill_rows = decisions.rows - first, decisions.fill_rows - first
        weights = decisions.weights
        if not own.all():
            rows, fill_rows, weights = rows[own], fill_rows[own], weights[own]
        following = np.append(fill_rows[1:], len(result.sessions))
        last = np.minimum(np.maximum(fill_rows + 1, following - 1), len(result.sessions) - 1)
        if result.assets == market.symbols:
            columns = np.arange(len(market.symbols))
        else:
            place = {asset: n for n, asset in enumerate(result.assets)}
            columns = np.array([place.get(symbol, -1) for symbol in market.symbols], np.int64)
        return cls(books, spec, market, rows, fill_rows, last, weights, columns, first)

    # ------------------------------------------------------------------- at a glance

    def misses(self) -> tuple[IntArray, IntArray]:
        """Decision and symbol of each position that misses its weight by more than :data:`UNTRADED` of NAV
        at the marks of the session: nearly always none, so the rest is asked of these alone.
        """
        values, nav = self.books.market_values, np.asarray(self.books.result.nav, np.float64)
        plain = self.books.result.assets == self.market.symbols
        count, wide = len(self.rows), max(len(self.columns), 1)
        step, found = max(_BLOCK // wide, 1), []
        for begin in range(0, count, step):
            at = self.fill_rows[begin : begin + step]
            run = int(at[-1]) - int(at[0]) + 1 == len(at)
            pick = slice(int(at[0]), int(at[-1]) + 1) if run else at
            held, worth = values[pick], nav[pick]
            if not plain:
                known = self.columns >= 0
                of_market = np.zeros((len(held), len(known)))
                of_market[:, known] = held[:, self.columns[known]]
                held = of_market
            off = self.weights[begin : begin + step] * worth[:, None]
            off -= held
            np.abs(off, out=off)
            # A session whose NAV is lost can hold nothing that was asked for.
            limit = np.where(worth > 0.0, UNTRADED * worth, np.inf)
            if (off.max(axis=1, initial=0.0) > limit).any():
                found.append(begin * wide + np.flatnonzero(off > limit[:, None]))
        if not found:
            none = np.empty(0, np.int64)
            return none, none
        k, n = np.divmod(np.concatenate(found), wide)
        return k, n

    # ------------------------------------------------------------------ one by one

    def dropped(self, k: IntArray, n: IntArray, *, whole_too: bool = False) -> BoolArray:
        """Which of these orders [C] are neither executed, nor late, nor rejected; with ``whole_too``, also
        those that lack less than one unit of an engine that holds whole ones.
        """
        fill, last, column = self.fill_rows[k], self.last[k], self.columns[n]
        before = self._held(fill - 1, column) * self._split(fill - 1, fill, column)
        positions = (self._held(fill, column), self._held(last, column) / self._split(fill, last, column))
        multiplier = _of_known(self.books.result.multiplier, column)
        slack = self._slack(k)
        whole = np.zeros(len(k), np.bool_) if whole_too else self._whole(column)
        miss = np.where(self._traded(k, column), MISS, UNTRADED)
        dropped = np.ones(len(k), np.bool_)
        for price, nav in self._bases(k, n):
            unit = price * multiplier
            wanted = self.weights[k, n] * nav
            order = np.abs(wanted - before * unit)
            allowed = np.maximum(miss * nav, SHARE * order) + slack + np.where(whole, unit, 0.0)
            for held in positions:
                dropped &= np.abs(wanted - held * unit) > allowed
        return dropped & ~self._rejected(k, n)

    def _held(self, rows: IntArray, column: IntArray) -> FloatArray:
        """Units held at the end of ``rows``; none before the first, and none of what is not known."""
        known = (column >= 0) & (rows >= 0)
        held = np.zeros(len(column))
        held[known] = self.books.quantity[rows[known], column[known]]
        return held

    def _split(self, begin: IntArray, end: IntArray, column: IntArray) -> FloatArray:
        """Units at the end of session ``end`` for one at the end of ``begin``."""
        factor = self.books.split_factor
        if factor is None:
            return np.ones(len(column))
        known = column >= 0
        begin, end, column = begin[known], end[known], column[known]
        ratio = np.ones(len(known))
        ratio[known] = factor[end, column] / np.where(begin >= 0, factor[begin, column], 1.0)
        return ratio

    def _bases(self, k: IntArray, n: IntArray) -> list[tuple[FloatArray, FloatArray]]:
        """Prices [C] and NAV [C] by which the order may have been sized: those of the fill, after its costs
        or before them, those of the decision in units of the fill.
        """
        result, market = self.books.result, self.market
        nav = np.asarray(result.nav, np.float64)
        decided, fill = self.rows[k], self.fill_rows[k]
        of_fill = market.close[fill + self.first, n], nav[fill]
        if self.spec.fill == "next_open" and market.open is not None:
            rows, back = np.unique(fill, return_inverse=True)
            of_fill = market.open[fill + self.first, n], self._nav_at_open(rows)[back]
        after, costs = of_fill[1], self._costs()[fill]
        bases = [of_fill, (of_fill[0], after + costs)] if costs.any() else [of_fill]
        if (decided == fill).all():
            return bases
        close = market.close[decided + self.first, n] / self._split(decided, fill, self.columns[n])
        return [*bases, (close, nav[decided])]

    def _costs(self) -> FloatArray:
        """What each session's fills cost (currency): their fees, and the slippage in their prices."""
        fills = self.books.result.fills
        costs = np.zeros(len(self.books.result.sessions))
        np.add.at(costs, fills.session, fills.fee + fills.slippage)
        return costs

    def _nav_at_open(self, rows: IntArray) -> FloatArray:
        """NAV of ``rows`` after their fills, at the session's opens where the market has them."""
        assert self.market.open is not None, "asked of a market with opens"
        result, known = self.books.result, self.columns >= 0
        mark = self.books.mark[rows].copy()
        mark[:, self.columns[known]] = self.market.open[rows + self.first][:, known]
        value = (self.books.quantity[rows] * mark * result.multiplier).sum(axis=1)
        nav: FloatArray = np.asarray(result.cash, np.float64)[rows] + value
        return nav

    def _traded(self, k: IntArray, column: IntArray) -> BoolArray:
        """Whether there is a fill, from the session that was to have it until it would be late."""
        fills, sessions = self.books.result.fills, len(self.books.result.sessions)
        known = np.sort(fills.asset * sessions + fills.session)
        begin = np.searchsorted(known, column * sessions + self.fill_rows[k])
        traded: BoolArray = np.searchsorted(known, column * sessions + self.last[k], side="right") > begin
        return traded & (column >= 0)

    def _slack(self, k: IntArray) -> FloatArray:
        """Currency by which positions may differ for reasons of their own: least trades, and money that
        came or went between decision and fill.
        """
        result = self.books.result
        daily = np.abs(np.asarray(result.flows, np.float64))
        if any(result.income.strides):  # else it is one number, none
            daily = daily + np.abs(np.asarray(result.income, np.float64)).sum(axis=1)
        so_far = np.append(0.0, np.cumsum(daily))
        moved = so_far[self.fill_rows[k] + 1] - so_far[self.rows[k]]
        slack: FloatArray = moved + self.spec.min_trade * (len(self.columns) + 1)
        return slack

    def _whole(self, column: IntArray) -> BoolArray:
        """Whether only whole units are held: as asked for, or as it turns out. What is never held is as
        the rest of the account; an account without any position shows nothing of the kind.
        """
        whole = np.full(len(self.books.result.assets) + 1, self.spec.units == "whole")
        if not whole.all():
            of, held = np.unique(column[column >= 0]), self.books.quantity
            own = held[:, of]
            whole[of] = (own == np.rint(own)).all(axis=0)
            never = of[~own.any(axis=0)]
            if len(never):
                whole[never] = held.any() and (held == np.rint(held)).all()
        return whole[column]

    def _rejected(self, k: IntArray, n: IntArray) -> BoolArray:
        """Whether an order of the symbol was told as rejected, from the decision until it would be late."""
        told: dict[int, list[int]] = {}
        for order in self.books.result.rejected_orders:
            told.setdefault(order.asset, []).append(order.session)
        rejected = np.zeros(len(k), np.bool_)
        if not told:
            return rejected
        column = self.columns[n]
        for asset, sessions in told.items():
            own = column == asset
            rising = np.sort(np.array(sessions, np.int64))
            of_own = k[own]
            since = np.searchsorted(rising, self.rows[of_own])
            rejected[own] = np.searchsorted(rising, self.last[of_own], side="right") > since
        return rejected

    def where(self, k: IntArray, n: IntArray) -> str:
        """The first of these orders, at least one, in words."""
        result, first, column = self.books.result, int(k[0]), int(self.columns[n[0]])
        fill, decided = int(self.fill_rows[first]), int(self.rows[first])
        weight = float(self.books.market_values[fill, column] / result.nav[fill]) if column >= 0 else 0.0
        return (
            f"{'the first of ' if len(k) > 1 else ''}{self.market.symbols[int(n[0])]} on "
            f"{result.sessions[fill]}, where {_percent(weight)} of NAV is held and "
            f"{_percent(float(self.weights[first, n[0]]))} was decided on {result.sessions[decided]}"
        )

    def told(self, k: IntArray, n: IntArray) -> CheckResult:
        """The check of orders that were dropped, at least one."""
        result, count, first = self.books.result, len(k), int(k[0])
        symbol, session = self.market.symbols[int(n[0])], str(result.sessions[self.fill_rows[first]])
        message = f"{_count(count, 'order')} neither executed nor told as rejected: {self.where(k, n)}"
        if result.decisions is None:
            message += (
                f" by the strategy {self.spec.strategy}; an engine that decides otherwise returns its own "
                "decisions (EngineResult.decisions)"
            )
        return CheckResult(NAME, Verdict.ERROR, message, float(count), 0.0, session, symbol)


def _of_known(values: FloatArray, column: IntArray) -> FloatArray:
    """``values`` [N] of each column, 1 of what is not known: a result may know no asset at all."""
    of_each = np.ones(len(column))
    of_each[column >= 0] = values[column[column >= 0]]
    return of_each


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _percent(fraction: float) -> str:
    return f"{fraction * 100:.4g} %"
