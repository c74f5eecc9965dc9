"""Strategies of backtrader's own kind: their orders, whatever becomes of them, and their parameters."""

import dataclasses
import datetime
import warnings

import pytest

from pytest_finbot.contracts import CostSpec
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import EngineError, ParameterError

pytestmark = pytest.mark.engine("backtrader")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its sources are old
    try:
        import backtrader as bt
    except ImportError:  # each test is skipped by its marker, or fails where the engine must be there
        bt = None


def scripted(**by_row):
    """A strategy whose method for a row is called in that session: ``row0=lambda strategy: …``."""

    class Scripted(bt.Strategy):
        def next(self):
            step = by_row.get(f"row{len(self) - 1}")
            if step is not None:
                step(self)

    return Scripted


def test_its_orders_parameters_and_account_are_what_is_recorded(rule, a_spec, a_market, proven):
    class Buys(bt.Strategy):
        params = (("units", 1),)

        def next(self):
            if not self.position:
                self.buy(size=self.p.units)

    rule(Buys)
    result = proven(a_spec(params={"units": 30}), a_market([10, 11, 12], opens=[9, 10.5, 12]))
    assert result.fills.quantity.tolist() == [30]
    assert result.fills.price.tolist() == [10.5]
    assert result.nav.tolist() == [1000, 1015, 1045]
    assert result.native["sized_by"] == "the strategy itself"
    assert "places its own orders" in result.native["conventions"]["notes"][0]
    assert result.decisions is None


def test_sessions_before_its_indicators_have_values_are_in_the_account(rule, a_spec, a_market, proven):
    seen = []

    class Averages(bt.Strategy):
        params = (("period", 3),)

        def __init__(self):
            self.average = bt.indicators.SMA(self.data.close, period=self.p.period)

        def next(self):
            seen.append((len(self) - 1, self.average[0], self.data.datetime.date(0)))
            if not self.position:
                self.buy(size=1)

    rule(Averages)
    prices = [10, 20, 30, 40, 50]
    market = a_market(prices, opens=prices)
    result = proven(a_spec(), market)
    assert [row for row, _, _ in seen] == [2, 3, 4]
    assert [average for _, average, _ in seen] == [20, 30, 40]
    assert result.nav.tolist() == [1000, 1000, 1000, 1000, 1010]
    # Rows are counted, and each is the session that the strategy sees.
    assert [day for _, _, day in seen] == market.sessions[2:].astype(object).tolist()


def test_bars_of_another_day_would_be_noticed(rule, a_spec, a_market, monkeypatch):
    rule(scripted())
    day = bt.date2num(datetime.datetime(2020, 1, 2))
    from pytest_finbot.engines.backtrader import account

    loaded = account.Feed._load
    market = a_market([10, 10, 10], opens=[10, 10, 10])

    def late(feed):
        there = loaded(feed)
        if there and len(feed) == 1:
            feed.lines.datetime[0] = day
        return there

    monkeypatch.setattr(account.Feed, "_load", late)
    with pytest.raises(EngineError, match="is at 2020-01-02 in what should be session 0"):
        resolve_engine("backtrader").run(a_spec(), market)


def test_symbols_are_the_names_of_its_data_feeds(rule, a_spec, a_market, proven):
    rule(scripted(row0=lambda strategy: strategy.buy(data=strategy.getdatabyname("B"), size=2)))
    prices = [[10, 20], [10, 20]]
    assert proven(a_spec("AB"), a_market(prices, opens=prices)).quantity[-1].tolist() == [0, 2]


def test_an_order_of_kind_close_is_what_next_close_gives(rule, a_spec, a_market, proven):
    closes, opens = [10.1, 12.3, 11.7, 13.9], [10.5, 11.1, 12.9, 13.3]
    bits = []
    for spec, kind in ((a_spec(), bt.Order.Close), (a_spec(fill="next_close"), bt.Order.Market)):
        rule(
            scripted(
                row0=lambda strategy, kind=kind: strategy.buy(size=40.5, exectype=kind),
                row2=lambda strategy, kind=kind: strategy.sell(size=11.3, exectype=kind),
            )
        )
        result = proven(dataclasses.replace(spec, costs=CostSpec(7, 0.01)), a_market(closes, opens=opens))
        bits.append((result.nav.tobytes(), result.cash.tobytes(), result.fills.price.tolist()))
    assert bits[0] == bits[1]
    assert bits[0][2] == [12.3, 13.9]


def test_a_reversal_that_cash_pays_in_part_is_filled_in_part_and_the_rest_is_told(
    rule, a_spec, a_market, proven
):
    rule(
        scripted(
            row0=lambda strategy: strategy.sell(size=10),
            row1=lambda strategy: strategy.buy(size=110),
        )
    )
    result = proven(a_spec(), a_market([10, 10, 20], opens=[10, 10, 20]))
    # 1100 in cash: at 10 the check passes, at 20 closing 10 units leaves 900 for 100 more
    assert result.fills.quantity.tolist() == [-10, 10]
    [order] = result.rejected_orders
    assert (order.session, order.quantity) == (2, 100)
    assert order.reason == "margin: cash did not pay for it at its fill"
    assert result.quantity[:, 0].tolist() == [0, -10, 0]


def test_what_is_cancelled_or_expires_is_told_on_its_day(rule, a_spec, a_market, proven):
    def cancels(strategy):
        strategy.cancel(strategy.waiting)

    def waits(strategy):
        strategy.waiting = strategy.sell(size=3, exectype=bt.Order.Limit, price=99)
        strategy.buy(size=2, exectype=bt.Order.Limit, price=1, valid=datetime.datetime(2020, 1, 8))

    rule(scripted(row0=waits, row4=cancels))
    prices = [10] * 5
    result = proven(a_spec(), a_market(prices, opens=prices))
    told = {order.reason: (order.session, order.quantity) for order in result.rejected_orders}
    assert told == {"expired: not filled while it was valid": (3, 2), "cancelled": (4, -3)}
    assert result.warnings == ("no order was filled: NAV is the start capital throughout",)


def test_what_is_open_at_the_end_is_told_by_a_warning(rule, a_spec, a_market, proven):
    rule(
        scripted(
            row0=lambda strategy: strategy.buy(size=2, exectype=bt.Order.Limit, price=1),
            row1=lambda strategy: strategy.buy(size=5),
        )
    )
    result = proven(a_spec(), a_market([10, 10], opens=[10, 10]))
    assert result.rejected_orders == ()
    assert result.warnings[0] == (
        "2 orders were still open after the last session, 2020-01-07: first one of kind Limit for 2 A"
    )
    assert result.native["orders"] == {"Accepted": 1, "Submitted": 1}


def test_slippage_is_charged_on_stops_and_refused_where_backtrader_would_not_charge_it(
    rule, a_spec, a_market, proven
):
    spec = a_spec(costs=CostSpec(slippage_bps=100))
    market = a_market([10, 14, 14], opens=[10, 10, 14])
    rule(scripted(row0=lambda strategy: strategy.buy(size=5, exectype=bt.Order.Stop, price=12)))
    result = proven(spec, market)
    assert result.fills.price.tolist() == [pytest.approx(12.12, rel=1e-15)]
    assert result.fills.slippage.tolist() == [pytest.approx(0.6, rel=1e-12)]
    rule(scripted(row0=lambda strategy: strategy.buy(size=5, exectype=bt.Order.Limit, price=11)))
    with pytest.raises(ParameterError, match="slippage_bps is charged on orders of kind Market, Stop"):
        resolve_engine("backtrader").run(spec, market)


def test_its_standard_observers_are_there(rule, a_spec, a_market, proven):
    values = []

    class Looks(bt.Strategy):
        def stop(self):
            values.extend(self.stats.broker.value.get(size=len(self)))

    rule(Looks)
    assert proven(a_spec(), a_market([10, 10], opens=[10, 10])).nav.tolist() == values


# ------------------------------------------------------------------ what it cannot do


def test_a_class_of_another_kind_is_refused(rule, a_spec, a_market):
    class NotOne:
        pass

    rule(NotOne)
    with pytest.raises(ParameterError, match=r"expected a subclass of backtrader\.Strategy"):
        resolve_engine("backtrader").run(a_spec(), a_market([10, 10], opens=[10, 10]))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cash_buffer": 0.02}, "cash_buffer is about target weights"),
        ({"max_gross_exposure": 1.0}, "max_gross_exposure is about target weights"),
        (
            {"params": {"peroid": 3}},
            r"has no parameter 'peroid'; did you mean 'period'\? \(known: period, top\)",
        ),
    ],
)
def test_what_it_would_not_hear_is_refused(changes, words, rule, a_spec, a_market):
    class Own(bt.Strategy):
        params = (("period", 3),)

        def __init__(self, top=1):
            self.top = top

    rule(Own)
    market = a_market([10, 10], opens=[10, 10])
    with pytest.raises(ParameterError, match=words):
        resolve_engine("backtrader").run(a_spec(**changes), market)
    resolve_engine("backtrader").run(a_spec(params={"period": 5, "top": 2}), market)


def test_fractions_where_whole_units_are_asked_for_are_an_error(rule, a_spec, a_market):
    rule(scripted(row0=lambda strategy: strategy.buy(size=2.5)))
    with pytest.raises(EngineError, match=r"traded 2\.5 of A on 2020-01-07, expected whole units"):
        resolve_engine("backtrader").run(a_spec(units="whole"), a_market([10, 10], opens=[10, 10]))


def test_a_run_that_stops_early_is_an_error(rule, a_spec, a_market):
    rule(scripted(row1=lambda strategy: strategy.env.runstop()))
    with pytest.raises(EngineError, match="stopped after 2020-01-07, expected sessions up to 2020-01-08"):
        resolve_engine("backtrader").run(a_spec(), a_market([10, 10, 10], opens=[10, 10, 10]))

    class Skips(bt.Strategy):
        def __init__(self):
            raise bt.errors.StrategySkipError

    rule(Skips)
    with pytest.raises(EngineError, match="stopped before the first session"):
        resolve_engine("backtrader").run(a_spec(), a_market([10, 10], opens=[10, 10]))


def test_what_a_strategy_raises_passes_through(rule, a_spec, a_market):
    def fails(strategy):
        raise ZeroDivisionError("of the strategy's own")

    rule(scripted(row1=fails))
    with pytest.raises(ZeroDivisionError, match="of the strategy's own"):
        resolve_engine("backtrader").run(a_spec(), a_market([10, 10], opens=[10, 10]))


def test_money_that_a_strategy_adds_on_its_own_does_not_pass_as_profit(rule, a_spec, a_market, proven):
    rule(scripted(row0=lambda strategy: strategy.broker.add_cash(500)))
    with pytest.raises(AssertionError, match="cash"):
        proven(a_spec(), a_market([10, 10, 10], opens=[10, 10, 10]))


def test_commission_that_a_strategy_sets_on_its_own_is_recorded(rule, a_spec, a_market, proven):
    def sets(strategy):
        strategy.broker.setcommission(commission=0.5)
        strategy.buy(size=10)

    rule(scripted(row0=sets))
    result = proven(a_spec(), a_market([10, 10], opens=[10, 10]))
    assert result.fills.fee.tolist() == [50]
    assert result.nav[-1] == 950
    assert "1 of 1 fills have a commission that is not of the run's costs" in result.warnings[0]
