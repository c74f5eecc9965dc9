"""One honest engine, and engines that do as it does but for one thing; named in runs as ``lying_engines:…``.

Each lie is told on real days of SPY and TLT: :data:`QUARTER` is a session in which orders are filled,
:data:`EX_DATE` one on which SPY pays, :data:`BEFORE_A_FALL` one after which SPY falls by 2.3 %.
"""

import numpy as np

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.engines.decisions import decide

QUARTER, EX_DATE, BEFORE_A_FALL = "2012-10-01", "2012-09-21", "2012-11-06"
SPY, TLT = 0, 1


class Honest:
    """Target weights at the close, commission from cash, dividends to cash."""

    says_what_was_decided = True

    def __init__(self, spec, market):
        self.spec, self.market = spec, market
        self.cash, self.held = spec.start_capital, np.zeros(len(market.symbols))
        self.income = np.zeros(market.close.shape)
        self.fills = []

    def row(self, day):
        return int(np.searchsorted(self.market.sessions, np.datetime64(day)))

    def run(self):
        decisions = decide(self.spec, self.market)
        wanted = dict(zip(decisions.fill_rows.tolist(), decisions.weights, strict=True))
        rows = {name: [] for name in ("nav", "cash", "quantity", "mark")}
        for t in range(len(self.market.sessions)):
            for n in (SPY, TLT):
                self.income[t, n] = self.held[n] * self.market.dividends[t, n]
                self.pay(t, n)
            self.cash += self.income[t].sum()
            if t in wanted:
                nav = self.cash + float(self.held @ self.market.close[t])
                for n in (SPY, TLT):
                    self.trade(t, n, wanted[t][n] * nav / self.market.close[t, n] - self.held[n])
            mark = self.mark(t)
            values = (self.nav(t, mark), self.cash, self.reported(t), mark)
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
        kinds = (np.int64, np.int64, *[np.float64] * 4)
        columns = zip(*self.fills, strict=True)
        return EngineResult.of(
            sessions=self.market.sessions,
            assets=self.market.symbols,
            start_cash=self.spec.start_capital,
            income=self.income,
            fills=Fills(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True))),
            decisions=decisions if self.says_what_was_decided else None,
            **{name: np.array(values) for name, values in rows.items()},
        )

    def pay(self, t, n):
        pass

    def trade(self, t, n, quantity):
        price = self.market.close[t, n]
        fee = abs(quantity) * price * self.spec.costs.commission_bps * 1e-4
        self.cash -= quantity * price + fee
        self.held[n] += quantity
        self.fills.append((t, n, quantity, price, self.fee(t, n, fee), 0.0))

    def fee(self, t, n, fee):
        return fee

    def mark(self, t):
        return self.market.close[t].copy()

    def reported(self, t):
        return self.held.copy()

    def nav(self, t, mark):
        return self.cash + float(self.held @ mark)


class NavOffByACent(Honest):
    """For a single day."""

    def nav(self, t, mark):
        return super().nav(t, mark) + (0.01 if t == self.row(QUARTER) + 20 else 0.0)


class FillWithoutItsFee(Honest):
    """Cash paid it, and the fill does not say so."""

    def fee(self, t, n, fee):
        return 0.0 if (t, n) == (self.row(QUARTER), TLT) else fee


class DividendTwice(Honest):
    """In income and in cash, so that every sum is right."""

    def pay(self, t, n):
        if (t, n) == (self.row(EX_DATE), SPY):
            self.income[t, n] *= 2.0


class PositionLeftOut(Honest):
    """NAV and cash are right, and for a month nobody is told of TLT."""

    def reported(self, t):
        held = super().reported(t)
        if self.row(QUARTER) + 5 <= t < self.row(QUARTER) + 25:
            held[TLT] = 0.0
        return held


class MarkFromTomorrow(Honest):
    """Of one share on one day, in mark and in NAV."""

    def mark(self, t):
        mark = super().mark(t)
        if t == self.row(BEFORE_A_FALL):
            mark[SPY] = self.market.close[t + 1, SPY]
        return mark


class OrderDropped(Honest):
    """The quarter's order in SPY is neither filled nor told as rejected; the books know of nothing."""

    def trade(self, t, n, quantity):
        if (t, n) != (self.row(QUARTER), SPY):
            super().trade(t, n, quantity)


class OrderDroppedAndNoWord(OrderDropped):
    """It does not say what was decided either."""

    says_what_was_decided = False


def _as_function(engine):
    return lambda spec, market: engine(spec, market).run()


honest = _as_function(Honest)
nav_off_by_a_cent = _as_function(NavOffByACent)
fill_without_its_fee = _as_function(FillWithoutItsFee)
dividend_twice = _as_function(DividendTwice)
position_left_out = _as_function(PositionLeftOut)
mark_from_tomorrow = _as_function(MarkFromTomorrow)
order_dropped = _as_function(OrderDropped)
order_dropped_and_no_word = _as_function(OrderDroppedAndNoWord)
