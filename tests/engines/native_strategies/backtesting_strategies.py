"""Native strategies of backtesting for its tests; imported only where it is installed."""

import warnings

from backtesting import Strategy
from backtesting.lib import crossover


class BuyOnce(Strategy):
    """Buys ``units`` on its first bar and holds them."""

    units = 10

    def init(self):
        pass

    def next(self):
        if not self.position:
            self.buy(size=self.units)


class Orders(Strategy):
    """Orders of ``plan``: units by row of the bar on which they are decided."""

    plan = {}

    def init(self):
        pass

    def next(self):
        size = self.plan.get(str(len(self.data) - 1))
        if size:
            (self.buy if size > 0 else self.sell)(size=abs(size))


class AllIn(Strategy):
    """A fraction of what is free, which is less than one unit."""

    def init(self):
        pass

    def next(self):
        if len(self.data) == 3:
            self.buy(size=0.5)


class Limit(Strategy):
    """A limit that is never reached, and an order of the last session."""

    def init(self):
        pass

    def next(self):
        if len(self.data) == 2:
            self.buy(size=3, limit=0.5)
            self.sell(size=0.25, limit=100)
        if len(self.data) == 5:
            self.buy(size=2)


class Bracket(Strategy):
    """A position with a stop."""

    def init(self):
        pass

    def next(self):
        if len(self.data) == 2:
            self.buy(size=10, sl=10.5, tp=100)


class Cross(Strategy):
    """Two moving averages; the first bars are their warm-up."""

    fast = 2
    slow = 3

    def init(self):
        def average(values, length):
            import pandas as pd

            return pd.Series(values).rolling(length).mean()

        self.one = self.I(average, self.data.Close, self.fast)
        self.other = self.I(average, self.data.Close, self.slow)

    def next(self):
        if crossover(self.one, self.other):
            self.buy(size=5)
        elif self.position and crossover(self.other, self.one):
            self.position.close()


class Warns(Strategy):
    def init(self):
        warnings.warn("of the strategy's own", UserWarning, stacklevel=1)

    def next(self):
        pass


class Raises(Strategy):
    def init(self):
        pass

    def next(self):
        raise ZeroDivisionError("of the strategy's own")


class NoStrategy:
    """Not of backtesting's kind."""
