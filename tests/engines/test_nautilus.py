"""nautilus_trader behind the contract: target weights, what they cost, and what it books."""

import asyncio
import dataclasses
import os
import random
import sys
import types
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import (
    ActionSpec,
    CostSpec,
    DataSpec,
    Flow,
    MarketData,
    MarkSpec,
    RunSpec,
    TargetWeights,
)
from pytest_finbot.engines.portfolio import simulate
from pytest_finbot.engines.resolve import engine_problems, resolve_engine
from pytest_finbot.errors import EngineError, ParameterError
from pytest_finbot.market.store import load_market
from pytest_finbot.strategies.resolve import target_weights

pytestmark = pytest.mark.engine("nautilus")

PRICES = Path(__file__).parents[2].parent / "shared" / "data" / "sp500_20_daily.csv.gz"
TEN = ("AAPL", "BAC", "CVX", "GE", "HD", "JNJ", "JPM", "KO", "MSFT", "XOM")
REFERENCES = {
    "fixed_weights": {},
    "sma_crossover": {"fast": 50, "slow": 200},
    "momentum_rotation": {"top": 3, "lookback": 126},
}


def a_spec(symbols="AB", **changes):
    spec = RunSpec(
        name="run",
        engine="nautilus",
        strategy="nautilus_test_weights:weights",
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, opens=None, symbols="ABCDEFGH"):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    return MarketData(
        sessions=np.datetime64("2020-01-01") + 3 * np.arange(len(closes)),
        symbols=tuple(symbols[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
        open=None if opens is None else np.asarray(opens, np.float64),
    )


@pytest.fixture
def decided(monkeypatch):
    """Makes the run's strategy one that decides ``weights`` at the closes of ``rows``."""

    def decide_on(rows, weights):
        module = types.ModuleType("nautilus_test_weights")
        targets = TargetWeights(np.asarray(rows, np.int64), np.asarray(weights, np.float64))
        module.weights = lambda spec, market: targets
        monkeypatch.setitem(sys.modules, "nautilus_test_weights", module)
        return targets

    return decide_on


def proven(spec, market):
    """The run, held to the contract and to every identity."""
    result = resolve_engine("nautilus").run(spec, market)
    check_result(result, spec, market)
    checks = [
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, MarkSpec()),
    ]
    assert [check.message for check in checks if check.failed] == []
    return result


def fills_of(result):
    fills = result.fills
    return [
        tuple(each)
        for each in zip(
            fills.session.tolist(), fills.asset.tolist(), fills.quantity.tolist(), fills.price.tolist(),
            fills.fee.tolist(), strict=True,
        )
    ]  # fmt: skip


# ----------------------------------------------------------------- what is bought, when, and at what

TWO = [[10.0, 20.0], [11.0, 20.0], [12.5, 25.0], [12.0, 24.0]]
OPENS = [[9.0, 19.0], [10.5, 21.0], [11.0, 20.0], [12.25, 25.5]]


def test_orders_fill_at_the_close_on_which_they_are_decided(decided):
    decided([0, 2], [[0.5, 0.5], [0.0, 1.0]])
    result = proven(a_spec(), a_market(TWO))
    # 500 of each at first; then A is sold for 625, and B is 625 + 625 worth.
    assert fills_of(result) == [
        (0, 0, 50.0, 10.0, 0.0),
        (0, 1, 25.0, 20.0, 0.0),
        (2, 0, -50.0, 12.5, 0.0),
        (2, 1, 25.0, 25.0, 0.0),
    ]
    assert result.cash.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert result.nav.tolist() == [1000.0, 1050.0, 1250.0, 1200.0]
    assert result.quantity.tolist() == [[50, 25], [50, 25], [0, 50], [0, 50]]
    assert result.mark.tolist() == TWO
    assert result.rejected_orders == ()
    assert result.cent == 0.01
    assert result.decisions.made == 2


@pytest.mark.parametrize(
    ("fill", "filled_at"),
    [("next_close", (1, [11.0, 20.0])), ("next_open", (1, [10.5, 21.0]))],
)
def test_orders_of_a_later_fill_are_sized_and_filled_at_it(decided, fill, filled_at):
    decided([0], [[0.5, 0.25]])
    result = proven(a_spec(fill=fill, units="whole"), a_market(TWO, OPENS))
    row, (a, b) = filled_at
    assert fills_of(result) == [(row, 0, float(500 // a), a, 0.0), (row, 1, float(250 // b), b, 0.0)]
    assert result.nav[0] == result.cash[0] == 1000.0
    assert result.native["conventions"]["fill"] == fill


def test_a_decision_on_the_last_session_that_nothing_fills_is_told(decided):
    decided([0, 3], [[0.5, 0.5], [1.0, 0.0]])
    result = proven(a_spec(fill="next_open"), a_market(TWO, OPENS))
    assert len(result.fills) == 2
    assert "no session is left to fill it" in " ".join(result.warnings)


def test_shares_are_sold_short_and_money_is_borrowed(decided):
    decided([0, 3], [[1.5, -0.25], [0.0, 0.0]])
    result = proven(a_spec(), a_market(TWO))
    assert fills_of(result)[:2] == [(0, 1, -12.5, 20.0, 0.0), (0, 0, 150.0, 10.0, 0.0)]
    assert result.cash[:3].tolist() == [-250.0, -250.0, -250.0]
    assert result.nav.tolist() == [1000.0, 1150.0, 1312.5, 1250.0]
    assert result.quantity[3].tolist() == [0.0, 0.0]
    assert result.nav[3] == result.cash[3]
    assert result.native["conventions"]["short_of_cash"] == "borrows"
    assert result.rejected_orders == ()


def test_what_a_fill_pays_is_rounded_to_a_cent(decided):
    decided([0], [[1.0]])
    result = proven(a_spec("A", units="whole", start_capital=100.0), a_market([[3.337], [4.0]]))
    # 29 units at 3.337 are 96.773.
    assert fills_of(result) == [(0, 0, 29.0, 3.337, 0.0)]
    assert result.cash.tolist() == [3.23, 3.23]
    assert result.nav.tolist() == [pytest.approx(3.23 + 29 * 3.337, abs=1e-12), 3.23 + 29 * 4.0]
    assert result.native["conventions"]["cent"] == 0.01


def test_fractions_have_nine_decimals_where_a_float_holds_them(decided):
    decided([0, 1], [[1.0], [0.0]])
    result = proven(a_spec("A"), a_market([[3.0], [6.0]]))
    assert result.quantity.tolist() == [[333.333333333], [0.0]]
    assert result.cash.tolist() == [0.0, 2000.0]
    assert "units of 9 decimals" in result.native["instruments"]["A"]


# ---------------------------------------------------------------------------------------- costs


def test_commissions_are_charged_and_rounded_to_a_cent(decided):
    decided([0, 2], [[0.5, 0.0], [0.0, 0.0]])
    costs = CostSpec(commission_bps=12.5, commission_per_share=0.0051, booking="from_cash")
    result = proven(a_spec(units="whole", costs=costs), a_market(TWO))
    # 500 * 0.00125 + 50 * 0.0051 = 0.88; 625 * 0.00125 + 50 * 0.0051 = 1.03625.
    assert [fee for *_, fee in fills_of(result)] == [0.88, 1.04]
    assert result.cash[0] == 1000.0 - 500.0 - 0.88
    assert result.cash[2] == pytest.approx(499.12 + 625.0 - 1.04, abs=1e-9)
    assert "from_cash" in result.native["conventions"]["costs"]


@pytest.mark.parametrize("costs", [{"commission_bps": 25.0}, {"commission_per_share": 0.02}])
def test_one_kind_of_commission_is_charged_alone(decided, costs):
    decided([0], [[0.5, 0.0]])
    result = proven(a_spec(units="whole", costs=CostSpec(**costs, booking="from_cash")), a_market(TWO))
    assert [fee for *_, fee in fills_of(result)] == [1.25 if "commission_bps" in costs else 1.0]


def test_targets_hold_after_costs(decided):
    decided([0], [[1.0, 0.0]])
    result = proven(a_spec(costs=CostSpec(commission_bps=100.0)), a_market(TWO))
    assert result.cash[0] == pytest.approx(0.0, abs=0.02)
    assert result.quantity[0, 0] == pytest.approx(1000 / 1.01 / 10, abs=1e-8)


# ------------------------------------------------------------------------------ refused beforehand


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"costs": CostSpec(slippage_bps=1.0)}, ("costs", "slippage_bps"), "no costs.slippage_bps"),
        ({"min_trade": 5.0}, ("min_trade",), "no min_trade"),
        ({"flows": (Flow(date(2020, 1, 4), 10.0),)}, ("flows",), "no flows"),
        ({"actions": ActionSpec(dividends="from_prices")}, ("dividends",), "no dividends"),
        ({"actions": ActionSpec(splits="from_prices")}, ("splits",), "no splits"),
        ({"multipliers": {"A": 50.0}}, ("multipliers",), "no multipliers"),
        ({"start_capital": 1000.005}, ("start_capital",), "books in cents"),
        ({"start_date": date(1969, 12, 31)}, ("start_date",), "1970-01-01"),
    ],
)
def test_what_it_cannot_express_is_refused(changes, key, words):
    problems = dict(engine_problems(a_spec(**changes)))
    assert list(problems) == [key]
    assert words in problems[key]


def test_what_it_can_express_is_not_refused():
    for fill in ("close", "next_open", "next_close"):
        for units in ("whole", "fractional"):
            costs = CostSpec(commission_bps=1.0, commission_per_share=0.005)
            assert not list(engine_problems(a_spec(fill=fill, units=units, costs=costs)))


def test_the_next_open_needs_opens(decided):
    decided([0], [[0.5, 0.5]])
    with pytest.raises(ParameterError, match=r"next_open needs opening prices and prices\.csv has none"):
        resolve_engine("nautilus").run(a_spec(fill="next_open"), a_market(TWO))


def test_a_class_of_another_kind_is_refused(monkeypatch):
    module = types.ModuleType("nautilus_test_weights")
    module.weights = dict
    monkeypatch.setitem(sys.modules, "nautilus_test_weights", module)
    with pytest.raises(ParameterError, match=r"expected a subclass of nautilus_trader\.trading\.strategy"):
        resolve_engine("nautilus").run(a_spec(), a_market(TWO))


def test_an_order_beyond_the_order_book_is_an_error_and_no_fill_at_another_price(decided):
    decided([0], [[1.0]])
    with pytest.raises(EngineError, match=r"an order of 1e\+12 A\.SIM is more than the 2\.5e\+11"):
        resolve_engine("nautilus").run(a_spec("A", start_capital=1e8), a_market([[1e-4], [2e-4]]))


# ------------------------------------------------------------------------------------- bookkeeping


def test_a_nav_that_does_not_pay_ends_the_trading(decided):
    decided([0, 1, 2], [[3.0], [3.0], [1.0]])
    result = proven(a_spec("A"), a_market([[10.0], [6.0], [10.0]]))
    assert result.nav.tolist() == [1000.0, -200.0, -200.0]
    assert "does not pay for the next trades" in " ".join(result.warnings)
    assert len(result.decisions.rows) == 1


def test_a_strategy_that_holds_nothing_is_told(decided):
    decided([0], [[0.0, 0.0]])
    assert "no order was filled" in " ".join(proven(a_spec(), a_market(TWO)).warnings)


@pytest.mark.parametrize("price", [1.0, 0.37, 123.456789, 1 / 3, 123456.78901234567, 3.1e-5])
def test_prices_are_those_of_the_market(decided, price):
    decided([0], [[0.9]])
    market = a_market([[price], [price * 1.1], [price * 0.7]])
    result = proven(a_spec("A"), market)
    assert np.abs(result.mark / market.close - 1.0).max() <= 4e-16
    assert result.native["largest_price_rounding"] <= 4e-16
    assert result.warnings == ()


def test_a_position_of_many_digits_is_closed_to_the_last(decided):
    decided([0, 1, 2, 3], [[0.3], [0.9], [0.7], [0.0]])
    market = a_market([[0.003], [0.00371], [0.0047], [0.0059]])
    result = proven(a_spec("A", start_capital=1_000_000.0), market)
    assert "units of 5 decimals" in result.native["instruments"]["A"]
    assert result.quantity[0, 0] == pytest.approx(1e8, rel=1e-15)
    assert result.quantity[3, 0] == 0.0
    assert result.nav[3] == result.cash[3]


def test_prices_have_no_more_decimals_than_the_market(decided):
    decided([0], [[0.5, 0.5]])
    told = proven(a_spec(), a_market([[10.25, 7.0], [11.5, 8.0]], [[10.125, 7.0], [11.0, 8.0]])).native
    assert "prices of 3 and" in told["instruments"]["A"]
    assert "prices of 0 and" in told["instruments"]["B"]


def test_prices_of_too_many_decimals_are_told(decided):
    decided([0], [[1e-5]])
    result = proven(a_spec("A"), a_market([[1.23456789123e-9], [1.3e-9]]))
    assert "off the market's" in " ".join(result.warnings)


def test_symbols_of_every_market_are_traded(decided):
    decided([0], [[0.2] * 5])
    symbols = ("BRK.B", "BTC-USD", "^GSPC", "EURUSD=X", "A.SIM")
    market = dataclasses.replace(a_market([[10.0] * 5, [11.0] * 5]), symbols=symbols)
    assert proven(a_spec(symbols), market).nav.tolist() == [1000.0, 1100.0]


def test_a_wrong_equity_of_its_own_is_an_error(decided, monkeypatch):
    from pytest_finbot.engines.nautilus.account import Recorder

    decided([0], [[0.5, 0.5]])
    plain = Recorder.process

    def off(self, ts_now):
        plain(self, ts_now)
        self.equity[self.row] += 0.02

    monkeypatch.setattr(Recorder, "process", off)
    with pytest.raises(EngineError, match=r"nautilus' equity is 1,000\.02 on 2020-01-01"):
        resolve_engine("nautilus").run(a_spec(), a_market(TWO))


def test_many_orders_of_one_session_are_not_held_up(decided):
    symbols = tuple(f"S{number}" for number in range(150))
    decided([0], [[1 / 150] * 150])
    market = dataclasses.replace(a_market([[10.0] * 150, [11.0] * 150]), symbols=symbols)
    result = proven(a_spec(symbols, start_capital=150_000.0), market)
    assert len(result.fills) == 150
    assert result.rejected_orders == ()


# ----------------------------------------------------------------------------- beside the built-in


@pytest.fixture(scope="module")
def ten():
    if not PRICES.is_file():
        pytest.skip("the real prices are not here")
    spec = a_spec(TEN, data=DataSpec(str(PRICES)), start_capital=1_000_000.0)
    spec = dataclasses.replace(spec, start_date=date(2010, 1, 4), end_date=date(2022, 12, 28))
    return spec, load_market(spec, ())


@pytest.mark.parametrize(
    ("strategy", "costs"),
    [
        *((strategy, CostSpec()) for strategy in REFERENCES),
        ("sma_crossover", CostSpec(commission_bps=5.0, commission_per_share=0.005)),
    ],
)
def test_the_account_is_the_built_in_ones_up_to_cents(ten, strategy, costs):
    spec, market = ten
    spec = dataclasses.replace(spec, strategy=strategy, params=REFERENCES[strategy], costs=costs)
    result = proven(spec, market)
    plain = simulate(spec, market, target_weights(spec, market))
    cents = 0.01 * len(result.fills)
    assert len(result.fills) == len(plain.fills)
    # Half a cent for what a fill pays and half for its commission, compounded with what they earn.
    assert np.abs(result.nav - plain.nav).max() < cents
    assert np.abs(result.nav / plain.nav - 1.0).max() < 2e-7
    assert np.array_equal(result.fills.session, plain.fills.session)
    assert np.abs((result.quantity - plain.quantity) * market.close).max() < cents


def test_whole_units_are_the_built_in_ones(ten):
    spec, market = ten
    spec = dataclasses.replace(spec, strategy="momentum_rotation", units="whole")
    spec = dataclasses.replace(spec, params=REFERENCES["momentum_rotation"])
    result = proven(spec, market)
    plain = simulate(spec, market, target_weights(spec, market))
    assert np.array_equal(result.quantity, plain.quantity)
    assert np.abs(result.nav - plain.nav).max() < 0.01 * len(result.fills)


# ------------------------------------------------------------------------------ one process, many runs


def surroundings():
    return (
        random.getstate(),
        str(np.random.get_state()),
        dict(os.environ),
        list(warnings.filters),
        asyncio.events._event_loop_policy,
        sys.excepthook,
        os.listdir(),
    )


def test_a_second_run_is_the_first_and_nothing_is_left_behind(decided, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    decided([0, 2], [[0.3, 0.5], [0.6, 0.1]])
    random.seed(1)
    before = surroundings()
    spec = a_spec(costs=CostSpec(commission_bps=7.0, commission_per_share=0.003))
    one, other = (resolve_engine("nautilus").run(spec, a_market(TWO)) for _ in range(2))
    assert surroundings() == before
    assert capfd.readouterr() == ("", "")
    for name in ("nav", "cash", "quantity", "mark"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert fills_of(one) == fills_of(other)
    assert one.native == other.native
