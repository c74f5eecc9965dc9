"""backtesting behind the contract: fills a session later, orders it cancels, and an account rebuilt."""

import dataclasses
import sys
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import ActionSpec, CostSpec, DataSpec, Flow, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.backtesting import FRACTION, BacktestingEngine
from pytest_finbot.engines.resolve import engine_problems
from pytest_finbot.errors import EngineError, MissingDependencyError, ParameterError
from pytest_finbot.market.store import load_market
from pytest_finbot.valuation.books import Books

pytestmark = pytest.mark.engine("backtesting")

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(autouse=True)
def _strategies_there(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "native_strategies"))


def a_spec(strategy="fixed_weights", **changes):
    spec = RunSpec(
        name="run",
        engine="backtesting",
        strategy=strategy,
        params={},
        symbols=("A",),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
        rebalance_freq="none",
        fill="next_open",
    )
    return dataclasses.replace(spec, **changes)


def native(name, **changes):
    return a_spec(strategy=f"backtesting_strategies:{name}", **changes)


def a_market(closes, opens=None):
    closes = np.asarray(closes, np.float64)[:, None]
    return MarketData(
        sessions=np.datetime64("2020-01-01") + np.arange(len(closes)),
        symbols=("A",),
        close=closes,
        field="close",
        source="prices.csv",
        open=None if opens is None else np.asarray(opens, np.float64)[:, None],
    )


CLOSES, OPENS = [10, 11, 12, 11, 13, 14], [10, 10.5, 11.5, 11.25, 12, 13.5]
MARKET = a_market(CLOSES, OPENS)


@pytest.fixture
def decided(monkeypatch):
    """A strategy that decides {row: weight}."""

    def strategy_of(weights):
        module = type(sys)("decided_weights")
        rows, values = np.array(list(weights), np.int64), np.array(list(weights.values()), np.float64)
        module.strategy = lambda spec, market: TargetWeights(rows, values[:, None])
        module.strategy.__module__ = "decided_weights"
        monkeypatch.setitem(sys.modules, "decided_weights", module)
        return "decided_weights:strategy"

    return strategy_of


def proven(spec, market=MARKET):
    """The result of backtesting, which keeps the contract and every identity."""
    result = BacktestingEngine().run(spec, market)
    check_result(result, spec, market)
    checks = (
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, spec.marks),
        check_orders(Books(result), spec, market, result.decisions),
    )
    assert not [check for check in checks if check.failed]
    return result


def units_and_prices(result):
    fills = result.fills
    return list(zip(fills.session.tolist(), fills.quantity.tolist(), fills.price.tolist(), strict=True))


def rejected(result):
    return [(order.session, order.asset, order.quantity, order.reason) for order in result.rejected_orders]


# ---------------------------------------------------------------------- by hand


def test_orders_are_sized_at_the_decision_and_filled_at_the_next_open(decided):
    result = proven(a_spec(decided({0: 0.5, 2: 0.25, 3: 0.0}), units="whole"))
    # 500 / 10 = 50 at 10.5; NAV 475 + 600: 268.75 / 12 = 22; then nothing
    assert units_and_prices(result) == [(1, 50, 10.5), (3, -28, 11.25), (4, -22, 12)]
    assert result.cash.tolist() == [1000, 475, 475, 790, 1054, 1054]
    assert result.nav.tolist() == [1000, 1025, 1075, 1032, 1054, 1054]
    assert result.quantity[:, 0].tolist() == [0, 50, 50, 22, 0, 0]
    assert result.rejected_orders == ()
    assert result.native["conventions"]["sized_at"] == "decision"


def test_fractional_units_are_multiples_of_the_smallest(decided):
    result = proven(a_spec(decided({0: 1 / 3})))
    units = 1000 / 3 / 10
    assert result.quantity[-1, 0] == pytest.approx(units, abs=1.01 * FRACTION)
    assert result.quantity[-1, 0] <= units
    assert result.fills.price == pytest.approx([10.5], rel=1e-15)
    assert result.nav[-1] == pytest.approx(1000 + units * 3.5, abs=1e-6)


def test_at_next_close_bars_have_the_close_for_an_open(decided):
    result = proven(a_spec(decided({0: 0.5}), units="whole", fill="next_close"), a_market(CLOSES))
    assert units_and_prices(result) == [(1, 50, 11)]
    assert result.nav.tolist() == [1000, 1000, 1050, 1000, 1100, 1150]
    assert any("close in place of the open" in note for note in result.native["conventions"]["notes"])
    # with opens there, it is still the close
    assert units_and_prices(proven(a_spec(decided({0: 0.5}), units="whole", fill="next_close"))) == [
        (1, 50, 11)
    ]


def test_commissions_are_charged_on_each_fill_and_never_on_what_is_left_open(decided):
    costs = CostSpec(commission_bps=100, commission_per_share=0.5)
    result = proven(a_spec(decided({0: 0.5, 2: 0.25}), units="whole", costs=costs))
    sold = 50 - int(0.25 * (1000 - 50 * 10.5 * 1.01 - 25 + 600) / 12)
    assert result.fills.fee.tolist() == pytest.approx(
        [50 * 10.5 * 0.01 + 25, sold * 11.25 * 0.01 + sold * 0.5]
    )
    assert result.nav[1] == pytest.approx(1025 - 50 * 10.5 * 0.01 - 25)


def test_fractional_commissions_a_share_are_for_a_whole_share(decided):
    costs = CostSpec(commission_bps=100, commission_per_share=0.5)
    result = proven(a_spec(decided({0: 0.5}), costs=costs))
    assert result.fills.fee.tolist() == pytest.approx([50 * 10.5 * 0.01 + 25])


def test_a_short_position_and_its_turn(decided):
    result = proven(a_spec(decided({0: -0.5, 1: 0.5}), units="whole"))
    nav = 1000 + 50 * 10.5 - 50 * 11
    long = int(0.5 * nav / 11)
    # one order closes what is short and buys; it is one fill, at one price
    assert units_and_prices(result) == [(1, -50, 10.5), (2, 50 + long, 11.5)]
    assert result.nav[1] == nav


# --------------------------------------------------------------- orders not executed


def test_an_order_that_free_equity_does_not_pay_is_rejected_with_its_units(decided):
    result = proven(a_spec(decided({0: 1.0}), units="whole"))
    # 100 units at 10.5 are more than 1000
    assert rejected(result) == [(1, 0, 100, "Broker canceled the order due to insufficient margin")]
    assert result.nav.tolist() == [1000] * 6
    assert "never took a position" in result.warnings[0]


def test_the_part_of_an_order_that_is_cancelled_is_told(decided):
    result = proven(a_spec(decided({0: 0.5, 1: -2.0}), units="whole"))
    # the 50 held are sold; of the short position nothing is
    short = int(-2 * 1025 / 11)
    assert units_and_prices(result) == [(1, 50, 10.5), (2, -50, 11.5)]
    assert rejected(result) == [(2, 0, short, "Broker canceled the order due to insufficient margin")]


def test_rejected_units_of_a_fractional_run_are_units(decided):
    (order,) = proven(a_spec(decided({0: 1.0}))).rejected_orders
    assert order.quantity == pytest.approx(100)


def test_an_order_of_less_than_one_unit_is_told(decided):
    result = proven(a_spec(decided({0: 0.005}), units="whole"))
    assert rejected(result) == [(1, 0, 0.5, "the order comes to less than one unit, and is not placed")]


def test_a_decision_of_the_last_session_is_told(decided):
    result = proven(a_spec(decided({0: 0.5, 5: 0.0}), units="whole"))
    assert result.warnings == ("the decision of 2020-01-06 was not executed: no session is left to fill it",)


def test_an_account_that_is_spent_is_an_error_with_what_is_owed(decided):
    market = a_market([10, 10, 40, 40], [10, 10, 30, 40])
    words = r"ran out of money on 2020-01-03: .* its trades leave -2,000\.00"
    with pytest.raises(EngineError, match=words):
        BacktestingEngine().run(a_spec(decided({0: -1.0}), units="whole"), market)


@pytest.mark.parametrize("sessions", [1, 2, 3])
def test_few_sessions_are_enough(decided, sessions):
    market = a_market(CLOSES[:sessions], OPENS[:sessions])
    assert len(proven(a_spec(decided({0: 0.5})), market).nav) == sessions


# ------------------------------------------------------------ beside plain arithmetic


@pytest.mark.parametrize("costs", [CostSpec(), CostSpec(commission_bps=10, commission_per_share=0.01)])
@pytest.mark.parametrize("units", ["whole", "fractional"])
def test_on_real_prices_it_is_what_a_plain_loop_makes_of_its_conventions(units, costs):
    spec = a_spec(
        params={},
        symbols=("AAPL",),
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(SHARED / "sp500_20_daily.csv.gz")),
        rebalance_freq="M",
        fill="next_close",
        cash_buffer=0.2,
        units=units,
        costs=costs,
    )
    market = load_market(spec, {})
    result = proven(spec, market)
    assert result.rejected_orders == ()
    close = market.close[:, 0]
    wanted = dict(zip(result.decisions.rows.tolist(), result.decisions.weights[:, 0].tolist(), strict=True))
    cash, held, order, step = spec.start_capital, 0.0, 0.0, 1.0 if units == "whole" else FRACTION
    for row, price in enumerate(close):
        cash -= order * price + abs(order) * (
            price * costs.commission_bps * 1e-4 + costs.commission_per_share
        )
        held, order = held + order, 0.0
        assert result.nav[row] == pytest.approx(cash + held * price, rel=1e-9)
        if row in wanted:
            order = np.floor(wanted[row] * (cash + held * price) / price / step) * step - held
    assert len(result.fills) > 150


# -------------------------------------------------------------- native strategies


def test_a_native_strategy_runs_with_the_runs_params():
    result = proven(native("BuyOnce", params={"units": 20}, units="whole"))
    assert units_and_prices(result) == [(2, 20, 11.5)]
    assert result.decisions is None
    assert result.warnings == ()


def test_an_unknown_param_is_its_own_error():
    with pytest.raises(AttributeError, match="missing parameter 'unit'"):
        BacktestingEngine().run(native("BuyOnce", params={"unit": 20}), MARKET)


def test_trades_that_are_reduced_in_parts_are_the_orders_again():
    plan = {"1": 50, "2": -20, "3": -10, "4": 5}
    result = proven(native("Orders", params={"plan": plan}, units="whole"))
    assert units_and_prices(result) == [(2, 50, 11.5), (3, -20, 11.25), (4, -10, 12), (5, 5, 13.5)]
    assert result.quantity[:, 0].tolist() == [0, 0, 50, 30, 20, 25]


def test_a_fraction_that_is_less_than_one_unit_is_rejected():
    result = proven(native("AllIn", units="whole", start_capital=20.0))
    ((session, _, quantity, reason),) = rejected(result)
    assert (session, quantity) == (3, pytest.approx(10 / 11.25))
    assert reason == "Broker canceled the relative-sized order due to insufficient margin"


def test_orders_that_wait_at_the_end_are_told():
    result = proven(native("Limit", units="whole"), a_market(CLOSES[:5], OPENS[:5]))
    words = "its limit or stop was never reached"
    assert rejected(result) == [(4, 0, 3, words), (4, 0, -2.5, words)]  # a quarter of 1000, at 100
    assert "an order of 2020-01-05 was not executed: no session is left to fill it" in result.warnings


def test_a_stop_is_a_fill_and_its_bracket_no_order_left_open():
    result = proven(
        native("Bracket", units="whole"), a_market([10, 11, 13, 10, 13, 14], [10, 11, 12, 12.5, 12, 13])
    )
    assert units_and_prices(result) == [(2, 10, 12), (3, -10, 10.5)]
    assert result.rejected_orders == ()


def test_a_warm_up_is_at_the_start_capital():
    result = proven(
        native("Cross", units="whole"), a_market([10, 9, 8, 12, 13, 9, 8, 8], [10, 9, 8, 12, 12.5, 9, 8, 8])
    )
    assert result.nav[0] == 1000
    assert [row for row, _, _ in units_and_prices(result)] == [4, 6]


def test_what_a_strategy_warns_of_and_raises_passes_through():
    with pytest.warns(UserWarning, match="of the strategy's own"):
        BacktestingEngine().run(native("Warns"), MARKET)
    with pytest.raises(ZeroDivisionError, match="of the strategy's own"):
        BacktestingEngine().run(native("Raises"), MARKET)


def test_a_class_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match=r"expected a subclass of backtesting\.Strategy"):
        BacktestingEngine().run(native("NoStrategy"), MARKET)


@pytest.mark.parametrize("changes", [{"cash_buffer": 0.02}, {"max_gross_exposure": 1.0}])
def test_a_native_strategy_is_not_told_what_it_would_not_hear(changes):
    with pytest.raises(ParameterError, match="sizes its own orders"):
        BacktestingEngine().run(native("BuyOnce", **changes), MARKET)


# ---------------------------------------------------------- refused, and no trace


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"fill": "close"}, ("fill",)),
        ({"costs": CostSpec(slippage_bps=5)}, ("costs", "slippage_bps")),
        ({"min_trade": 10.0}, ("min_trade",)),
        ({"flows": (Flow(date(2020, 1, 2), 5.0),)}, ("flows",)),
        ({"actions": ActionSpec(dividends="from_prices")}, ("dividends",)),
        ({"actions": ActionSpec(splits="from_prices")}, ("splits",)),
        ({"multipliers": {"A": 5.0}}, ("multipliers",)),
        ({"symbols": ("A", "B")}, ("symbols",)),
    ],
)
def test_what_it_cannot_is_refused_before_anything_runs(changes, key):
    spec = a_spec(**changes)
    assert [path for path, _ in engine_problems(spec)] == [key]
    with pytest.raises(ParameterError, match="engine 'backtesting' "):
        BacktestingEngine().run(spec, MARKET)


def test_next_open_without_opens_is_refused():
    with pytest.raises(ParameterError, match=r"prices\.csv has none.*or fill: next_close"):
        BacktestingEngine().run(a_spec(), a_market(CLOSES))


def test_a_missing_package_is_told_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "backtesting", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pytest-finbot\[backtesting\]'"):
        BacktestingEngine().run(a_spec(), MARKET)


def test_a_second_run_gives_the_same_bits_and_nothing_is_printed_or_left_behind(decided, capfd):
    import backtesting.backtesting as core

    spec = a_spec(decided({0: 0.3, 2: 1.5}), costs=CostSpec(commission_bps=7))
    before = core._tqdm, warnings.showwarning, list(warnings.filters)
    first, second = (BacktestingEngine().run(spec, MARKET) for _ in range(2))
    for name in ("nav", "cash", "quantity"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert rejected(first) == rejected(second) != []
    with pytest.raises(ZeroDivisionError):
        BacktestingEngine().run(native("Raises"), MARKET)
    assert (core._tqdm, warnings.showwarning, warnings.filters) == before
    assert capfd.readouterr() == ("", "")
