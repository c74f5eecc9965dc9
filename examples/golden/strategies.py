"""Two strategies of backtrader's own kind, by the rules that go with the published figures.

They need the extra ``backtrader``. Both buy whole units with the cash there is at the decision, at
that session's close; backtrader fills the order at the next open, or rejects it where the open has
moved beyond the cash.
"""

import backtrader


def affordable(strategy: backtrader.Strategy, data) -> int:
    """Whole units of ``data`` that the cash of this moment pays at this session's close."""
    return int(strategy.broker.getcash() // data.close[0])


class BuyAndHold(backtrader.Strategy):
    """Buys the first symbol on the first session without a position, and keeps it."""

    def next(self) -> None:
        if not self.getposition(self.data).size:
            units = affordable(self, self.data)
            if units:
                self.buy(data=self.data, size=units)


class DualMomentum(backtrader.Strategy):
    """The first symbol, or the second (the safe one), or cash, looked at once every ``every`` sessions.

    Momentum is the close over that of ``lookback`` sessions ago, minus one. The first symbol is held
    where its momentum is positive and at least the other's, else the other where its is positive,
    else nothing. Sessions are counted from the first that has ``lookback`` before it, and each
    ``every``-th of them is looked at, so the first look is ``every - 1`` sessions later.

    Symbols are gone through in their order: what is not to be held is sold whole, and what is to be
    held is bought where none is, with the cash before that sale has filled. So a change of symbol
    takes two looks, and leaves a few units where a little cash was left.
    """

    params = (("lookback", 252), ("every", 21))

    def next(self) -> None:
        had = len(self.data) - self.p.lookback
        if had < 1 or had % self.p.every:
            return
        wanted = self.wanted()
        for data in self.datas:
            held = self.getposition(data).size
            if data is wanted and not held:
                units = affordable(self, data)
                if units:
                    self.buy(data=data, size=units)
            elif data is not wanted and held:
                self.close(data=data)

    def wanted(self):
        """The data to hold; ``None``: cash."""
        risky, safe = self.datas
        of_risky, of_safe = self.momentum(risky), self.momentum(safe)
        if of_risky > 0 and of_risky >= of_safe:
            return risky
        return safe if of_safe > 0 else None

    def momentum(self, data) -> float:
        return data.close[0] / data.close[-self.p.lookback] - 1.0
