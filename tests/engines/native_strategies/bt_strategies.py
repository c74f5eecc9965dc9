"""Native strategies of bt for its tests; imported only where bt is installed."""

import bt
from bt.algos import Rebalance, RunMonthly, RunOnce, SelectAll, SelectThese, WeighSpecified


class Monthly(bt.Strategy):
    """Equal weights, every month."""

    def __init__(self, fraction=1.0):
        self.fraction = fraction
        weigh = WeighSpecified(A=fraction / 2, B=fraction / 2)
        super().__init__("monthly", [RunMonthly(run_on_first_date=True), SelectAll(), weigh, Rebalance()])


class BackAndForth(bt.Strategy):
    """Buys and sells the same units in one session, which bt reports as no trade at all."""

    def run(self):
        self.transact(10.0, "A")
        self.transact(-10.0, "A")


class OwnCommission(bt.Strategy):
    """Charges a currency unit a trade, whatever the batch says."""

    def __init__(self):
        super().__init__("own", [RunOnce(), WeighSpecified(A=0.5), Rebalance()])
        self.set_commissions(lambda quantity, price: 1.0)


class Tree(bt.Strategy):
    """Two strategies as parts of one."""

    def __init__(self):
        parts = [
            bt.Strategy(
                name,
                [
                    RunMonthly(run_on_first_date=True),
                    SelectThese([symbol]),
                    WeighSpecified(**{symbol: 0.8}),
                    Rebalance(),
                ],
            )
            for name, symbol in (("first", "A"), ("second", "B"))
        ]
        super().__init__("tree", [RunOnce(), WeighSpecified(first=0.6, second=0.3), Rebalance()], parts)


class Deposits(bt.Strategy):
    """Money from outside on the second session."""

    def run(self):
        if len(self.universe) == 3:
            self.adjust(500.0)


class NoNumber(bt.Strategy):
    """Wants to hold a weight that is not a number."""

    def run(self):
        self.rebalance(float("nan"), "A")
        self.rebalance(0.5, "B")


class Raises(bt.Strategy):
    def run(self):
        raise ZeroDivisionError("of the strategy's own")


class Draws(bt.Strategy):
    """Weights that are drawn."""

    def run(self):
        import random

        self.rebalance(random.random(), "A")


class NoStrategy:
    """Not of bt's kind."""
