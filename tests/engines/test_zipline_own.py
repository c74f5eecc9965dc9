"""Strategies written for zipline: what they are given, and what becomes of their orders."""

from __future__ import annotations

import dataclasses
import sys
import types
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import CostSpec, DataSpec, MarketData, RunSpec
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.errors import ParameterError

pytestmark = pytest.mark.engine("zipline")

CLOSES = [[10.0], [11.0], [12.0], [13.0], [14.0]]


def a_spec(**changes):
    spec = RunSpec(
        name="run",
        engine="zipline",
        strategy="zipline_test_own:Own",
        params={},
        symbols=("A",),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
        fill="next_close",
        units="whole",
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes=CLOSES):
    closes = np.array(closes)
    sessions = np.datetime64("2020-01-01") + np.arange(len(closes))
    return MarketData(sessions, ("A", "B")[: closes.shape[1]], closes, "close", "prices.csv")


@pytest.fixture
def outcome(monkeypatch):
    """Runs a class as the run's strategy; every identity and check of the result holds."""

    def outcome_of(own, market=None, **changes):
        module = types.ModuleType("zipline_test_own")
        module.Own = own
        monkeypatch.setitem(sys.modules, "zipline_test_own", module)
        spec, market = a_spec(**changes), a_market() if market is None else market
        result = resolve_engine("zipline").run(spec, market)
        check_result(result, spec, market)
        checks = (
            *check_books(result, spec),
            check_declared(result, spec, market),
            check_marks_at_market(result, market, spec.marks),
        )
        assert [check.message for check in checks if check.failed] == []
        return result

    return outcome_of


class Own:
    """Calls what a test wants at the sessions that it wants."""

    def __init__(self, **params):
        self.params = params
        self.row = -1

    def initialize(self, context):
        from zipline.api import symbol

        context.a = symbol("A")

    def handle_data(self, context, data):
        self.row += 1
        act = getattr(self, f"at_{self.row}", None)
        if act is not None:
            act(context, data)


class Buys(Own):
    def at_1(self, context, data):
        from zipline.api import order

        order(context.a, self.params.get("units", 10))


def test_its_orders_fill_at_the_next_close_with_the_runs_costs(outcome):
    costs = CostSpec(commission_bps=10, commission_per_share=0.01, slippage_bps=50)
    result = outcome(Buys, params={"units": 20}, costs=costs)
    fills = result.fills
    assert (fills.session.tolist(), fills.quantity.tolist()) == ([2], [20])
    assert fills.price[0] == pytest.approx(12 * 1.005)
    assert fills.fee[0] == pytest.approx(20 * 12.06 * 0.001 + 0.2)
    assert result.decisions is None
    assert "decisions" not in result.native


def test_what_zipline_would_charge_by_default_is_not_charged(outcome):
    result = outcome(Buys)
    assert result.cash.tolist() == [1000, 1000, 880, 880, 880]
    assert (result.native["commission_model"], result.native["slippage_model"]) == (
        "Commission",
        "FixedBasisPointsSlippage",
    )


def test_it_is_told_where_it_stands(outcome):
    seen = []

    class Looks(Own):
        def handle_data(self, context, data):
            history = data.history(context.a, "price", 3, "1d").tolist()
            seen.append((str(context.get_datetime().date()), data.current(context.a, "close"), history))

    outcome(Looks)
    assert [day for day, _, _ in seen] == [f"2020-01-0{day}" for day in range(1, 6)]
    assert [close for _, close, _ in seen] == [10, 11, 12, 13, 14]
    assert seen[2][2] == [10, 11, 12]
    assert np.isnan(seen[0][2][:2]).all()  # before its first session there are no prices
    assert seen[0][2][2] == 10


def test_bars_have_opens_and_volume(outcome):
    seen = []

    class Looks(Own):
        def at_1(self, context, data):
            seen.extend(data.current(context.a, name) for name in ("open", "high", "low", "volume"))

    market = dataclasses.replace(a_market(), open=np.array(CLOSES) - 0.5)
    outcome(Looks, market)
    assert seen == [10.5, 11.0, 10.5, 1e12]


def test_every_method_of_a_strategy_is_called_and_analyze_gets_ziplines_own_table(outcome):
    called, tables = [], []

    class Whole(Buys):
        def before_trading_start(self, context, data):
            called.append(str(context.get_datetime().date()))

        def analyze(self, context, perf):
            tables.append(perf)

    result = outcome(Whole, costs=CostSpec(commission_bps=10))
    assert called == [f"2020-01-0{day}" for day in range(1, 6)]
    [perf] = tables
    assert perf.portfolio_value.tolist() == result.nav.tolist()
    assert perf.ending_cash.tolist() == result.cash.tolist()
    assert "sharpe" in perf
    assert [len(bought) for bought in perf.transactions] == [0, 0, 1, 0, 0]
    assert perf.orders.iloc[2][0]["commission"] == result.fills.fee[0]
    lean = outcome(Buys, costs=CostSpec(commission_bps=10))
    assert lean.nav.tobytes() == result.nav.tobytes()


@pytest.mark.parametrize(
    ("calendar", "first", "months"),
    [
        # Where nobody knows what came before, the first session is the first of its month.
        (None, "2020-01-06", ["2020-01-06", "2020-02-01"]),
        # New York traded on the 2nd and 3rd: January has begun.
        ("XNYS", "2020-01-06", ["2020-02-01"]),
        # The 1st is a weekday and a holiday: the 2nd is the month's first.
        ("XNYS", "2020-01-02", ["2020-01-02", "2020-02-01"]),
        ("weekdays", "2020-01-02", ["2020-02-01"]),
        ("24/7", "2020-01-01", ["2020-01-01", "2020-02-01"]),
        # Not recorded that far back.
        ("XHKG", "1950-01-05", ["1950-01-05", "1950-02-01"]),
    ],
)
def test_months_begin_as_the_runs_calendar_has_it(outcome, calendar, first, months):
    called, days = [], []

    class Scheduled:
        def initialize(self, context):
            from zipline.api import date_rules, schedule_function

            schedule_function(lambda context, data: days.append(1))
            schedule_function(self.monthly, date_rules.month_start())

        def monthly(self, context, data):
            called.append(str(context.get_datetime().date()))

    closes = np.linspace(10, 20, 40)[:, None]
    sessions = np.datetime64(first) + np.arange(40)
    outcome(Scheduled, dataclasses.replace(a_market(closes), sessions=sessions, calendar=calendar))
    assert called == months
    assert len(days) == 40


def test_a_pipeline_sees_the_runs_prices_of_the_day_before(outcome):
    seen = []

    class Piped(Own):
        def initialize(self, context):
            from zipline.api import attach_pipeline
            from zipline.pipeline import Pipeline
            from zipline.pipeline.data import EquityPricing

            attach_pipeline(Pipeline({"close": EquityPricing.close.latest}), "mine")

        def before_trading_start(self, context, data):
            from zipline.api import pipeline_output

            seen.append(pipeline_output("mine")["close"].tolist())

    outcome(Piped)
    assert np.isnan(seen[0]).all()
    assert seen[1:] == [[10], [11], [12], [13]]


# --------------------------------------------------------------------------- orders not executed


def test_an_order_that_is_never_filled_is_a_rejected_one(outcome):
    class Limits(Own):
        def at_1(self, context, data):
            from zipline.api import order

            order(context.a, 30, limit_price=5.0)

    [rejected] = outcome(Limits).rejected_orders
    assert (rejected.session, rejected.asset, rejected.quantity) == (1, 0, 30)
    assert rejected.reason == "limit or stop order still open after the last session"


def test_an_order_that_is_cancelled_is_a_rejected_one(outcome):
    class Cancels(Own):
        def at_1(self, context, data):
            from zipline.api import order

            self.order = order(context.a, -7, limit_price=50.0)

        def at_3(self, context, data):
            from zipline.api import cancel_order

            cancel_order(self.order)

    [rejected] = outcome(Cancels).rejected_orders
    assert (rejected.session, rejected.quantity) == (1, -7)
    assert rejected.reason == "limit or stop order cancelled by the strategy or its cancel policy"


def in_parts(of):
    """A slippage model that fills ``of`` units a session at the close."""
    from zipline.finance.slippage import SlippageModel

    class Parts(SlippageModel):
        def process_order(self, data, order):
            left = abs(order.open_amount)
            return data.current(order.asset, "close"), min(of, left) * order.direction

    return Parts()


class BuysInParts(Buys):
    def initialize(self, context):
        super().initialize(context)
        context.set_slippage(in_parts(4))


def test_an_order_filled_in_parts_has_a_fill_and_a_fee_for_each(outcome):
    result = outcome(BuysInParts, costs=CostSpec(commission_per_share=0.5), params={"units": 10})
    assert result.fills.session.tolist() == [2, 3, 4]
    assert result.fills.quantity.tolist() == [4, 4, 2]
    assert result.fills.fee.tolist() == [2.0, 2.0, 1.0]
    assert result.rejected_orders == ()
    assert result.native["slippage_model"] == "Parts"


def test_what_is_left_of_an_order_is_rejected(outcome):
    result = outcome(BuysInParts, params={"units": -30})
    assert result.fills.quantity.tolist() == [-4, -4, -4]
    [rejected] = result.rejected_orders
    assert (rejected.session, rejected.quantity) == (1, -18)
    assert rejected.reason == "order still open after the last session, -12 of -30 units filled"


def test_orders_of_the_last_session_are_told(outcome):
    class Late(Own):
        def at_4(self, context, data):
            from zipline.api import order

            order(context.a, 3)

    result = outcome(Late)
    assert result.rejected_orders == ()
    assert result.warnings == (
        "1 order was placed on 2020-01-05 and not filled: no session is left to fill them",
        "the strategy never took a position: 0 fills in 5 sessions",
    )


# --------------------------------------------------------------------------- costs of its own


class Charged(Buys):
    def initialize(self, context):
        from zipline.finance.commission import PerTrade
        from zipline.finance.slippage import FixedSlippage

        super().initialize(context)
        if "set_commission" in self.params.get("calls", ()):
            context.set_commission(PerTrade(7.0))
        if "set_slippage" in self.params.get("calls", ()):
            context.set_slippage(FixedSlippage(spread=0.5))


def test_costs_of_its_own_are_charged_where_the_run_has_none(outcome):
    result = outcome(Charged, params={"calls": ["set_commission", "set_slippage"]})
    assert result.fills.fee.tolist() == [7.0]
    assert result.fills.price.tolist() == [12.25]
    assert result.fills.slippage.tolist() == [2.5]
    assert result.native["commission_model"] == "PerTrade"


@pytest.mark.parametrize(
    ("call", "costs", "words"),
    [
        ("set_commission", CostSpec(commission_bps=1), "calls set_commission, and the run has costs.comm"),
        (
            "set_commission",
            CostSpec(commission_per_share=1),
            "calls set_commission, and the run has costs.commission_per_share",
        ),
        ("set_slippage", CostSpec(slippage_bps=1), "calls set_slippage, and the run has costs.slippage_bps"),
    ],
)
def test_costs_of_both_are_refused(outcome, call, costs, words):
    with pytest.raises(ParameterError, match=words):
        outcome(Charged, params={"calls": [call]}, costs=costs)


def test_commission_of_the_run_and_slippage_of_its_own_go_together(outcome):
    result = outcome(Charged, params={"calls": ["set_slippage"]}, costs=CostSpec(commission_per_share=1))
    assert result.fills.fee.tolist() == [10.0]


# --------------------------------------------------------------------------- refusals and errors


def test_a_class_of_another_kind_is_refused(outcome):
    class Other:
        def next(self):
            """As in engines of another kind."""

    with pytest.raises(ParameterError, match="a class that engine 'zipline' cannot run; expected a plain"):
        outcome(Other)


def test_an_algorithm_of_ziplines_is_refused(outcome):
    from zipline.algorithm import TradingAlgorithm

    class Old(TradingAlgorithm):
        pass

    with pytest.raises(ParameterError, match="expected a plain class with initialize"):
        outcome(Old)


@pytest.mark.parametrize("changes", [{"cash_buffer": 0.1}, {"max_gross_exposure": 1.0}])
def test_what_only_weights_can_be_held_to_is_refused(outcome, changes):
    with pytest.raises(ParameterError, match=next(iter(changes))):
        outcome(Buys, **changes)


@pytest.mark.parametrize("where", ["initialize", "before_trading_start", "handle_data", "analyze"])
def test_what_a_strategy_raises_passes(outcome, where):
    def broken(self, *given):
        raise ZeroDivisionError("mine")

    own = type("Broken", (Buys,), {where: broken})
    with pytest.raises(ZeroDivisionError, match="mine"):
        outcome(own)
    assert outcome(Buys).cash[-1] == 880  # and the next run does not know of it


def test_an_order_larger_than_zipline_takes_fails_as_ziplines(outcome):
    with pytest.raises(OverflowError, match="Can't order more than"):
        outcome(Buys, params={"units": 10**12})


def test_warnings_of_a_strategy_are_heard(outcome):
    import warnings

    class Warns(Own):
        def at_0(self, context, data):
            warnings.warn("mind this", stacklevel=1)

    with pytest.warns(UserWarning, match="mind this"):
        outcome(Warns)
