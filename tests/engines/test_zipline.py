"""zipline behind the contract: what it buys, when, at what price, and what it books."""

from __future__ import annotations

import dataclasses
import logging
import sys
import types
import warnings
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import (
    ActionSpec,
    CostSpec,
    DataSpec,
    Dividend,
    Flow,
    MarketData,
    RunSpec,
    Split,
    TargetWeights,
)
from pytest_finbot.engines.resolve import engine_problems, resolve_engine
from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.valuation.books import Books

pytestmark = pytest.mark.engine("zipline")

FIRST = np.datetime64("2020-01-01")


def a_spec(symbols="AB", **changes):
    spec = RunSpec(
        name="run",
        engine="zipline",
        strategy="zipline_test_weights:weights",
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
        fill="next_close",
        units="whole",
        costs=CostSpec(booking="from_cash"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes, days=None, **arrays):
    closes = np.ascontiguousarray(closes, dtype=np.float64)
    sessions = FIRST + (np.arange(len(closes)) if days is None else np.asarray(days))
    symbols = tuple("ABCDEFGH"[: closes.shape[1]])
    return MarketData(sessions, symbols, closes, "close", "prices.csv", **arrays)


TWO = [[10, 20], [11, 20], [12, 25], [12, 24]]


@pytest.fixture
def decided(monkeypatch):
    """Makes the run's strategy one that decides ``weights`` at the closes of ``rows``."""

    def decide_on(rows, weights):
        module = types.ModuleType("zipline_test_weights")
        targets = TargetWeights(np.asarray(rows, np.int64), np.asarray(weights, np.float64))
        module.weights = lambda spec, market: targets
        monkeypatch.setitem(sys.modules, "zipline_test_weights", module)

    return decide_on


def proven(spec, market):
    """The result, of which every identity and check was found to hold."""
    result = resolve_engine("zipline").run(spec, market)
    check_result(result, spec, market)
    checks = (
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, spec.marks),
        check_orders(Books(result), spec, market, result.decisions),
    )
    assert [check.message for check in checks if check.failed] == []
    return result


# --------------------------------------------------------------------------- what is executed


def test_orders_of_one_close_fill_at_the_next_in_units_sized_at_the_first(decided):
    decided([0, 2], [[0.5, 0.5], [1.0, 0.0]])
    result = proven(a_spec(), a_market(TWO))
    # Decided on 1000: 500 / 10 and 500 / 20, paid at 11 and 20. Then on -50 + 600 + 625 = 1175:
    # 1175 / 12 = 97.9, less 50 held: 47 are bought.
    assert result.quantity.tolist() == [[0, 0], [50, 25], [50, 25], [97, 0]]
    assert result.cash.tolist() == [1000, -50, -50, -50 - 47 * 12 + 25 * 24]
    assert result.nav.tolist() == [1000, 1000, 1175, 97 * 12 - 14]
    fills = result.fills
    assert fills.session.tolist() == [1, 1, 3, 3]
    assert fills.asset.tolist() == [0, 1, 0, 1]
    assert fills.quantity.tolist() == [50, 25, 47, -25]
    assert fills.price.tolist() == [11, 20, 12, 24]
    assert not fills.fee.any()
    assert not fills.slippage.any()
    assert (result.rejected_orders, result.warnings) == ((), ())
    assert result.decisions.rows.tolist() == [0, 2]
    assert result.mark.tolist() == TWO


def test_each_cost_is_charged_exactly(decided):
    decided([0, 1], [[0.5], [0.0]])
    costs = CostSpec(commission_bps=10, commission_per_share=0.01, slippage_bps=50, booking="from_cash")
    fills = proven(a_spec("A", costs=costs), a_market([[10], [11], [12]])).fills
    assert fills.price.tolist() == pytest.approx([11 * 1.005, 12 * 0.995], rel=1e-15)
    assert fills.fee.tolist() == pytest.approx(
        [50 * 11.055 * 0.001 + 0.5, 50 * 11.94 * 0.001 + 0.5], rel=1e-14
    )
    assert fills.slippage.tolist() == pytest.approx([50 * 0.055, 50 * 0.06], rel=1e-12)


@pytest.mark.parametrize(
    ("costs", "fee"),
    [
        (CostSpec(commission_bps=10, booking="from_cash"), 50 * 11 * 0.001),
        (CostSpec(commission_per_share=0.02, booking="from_cash"), 1.0),
        (CostSpec(booking="from_cash"), 0.0),
    ],
)
def test_a_cost_that_is_not_asked_for_is_not_charged(decided, costs, fee):
    decided([0], [[0.5]])
    result = proven(a_spec("A", costs=costs), a_market([[10], [11]]))
    assert result.fills.fee.tolist() == pytest.approx([fee], rel=1e-14)
    assert result.cash[-1] == pytest.approx(1000 - 550 - fee, rel=1e-14)


def test_short_positions_are_bought_back(decided):
    decided([0, 2], [[-0.5], [0.0]])
    result = proven(a_spec("A"), a_market([[10], [10], [8], [9]]))
    assert result.quantity[:, 0].tolist() == [0, -50, -50, 0]
    assert result.nav.tolist() == [1000, 1000, 1100, 1050]


def test_what_cash_does_not_pay_for_is_borrowed(decided):
    decided([0], [[3.0]])
    result = proven(a_spec("A"), a_market([[10], [10], [9]]))
    assert result.cash.tolist() == [1000, -2000, -2000]
    assert result.nav[-1] == 700
    assert resolve_engine("zipline").conventions(a_spec()).short_of_cash == "borrows"


def test_orders_are_cut_towards_zero_unless_within_a_ten_thousandth_of_a_unit(decided):
    decided([0, 1], [[0.99999], [0.005]])
    result = proven(a_spec("A"), a_market([[1000 / 7], [1000 / 7], [1000 / 7]]))
    # 6.99993 is 7 to zipline; 0.035 - 7 = -6.965 becomes -6.
    assert result.quantity[:, 0].tolist() == [0, 7, 1]


def test_prices_keep_all_their_decimals(decided):
    decided([0], [[1.0]])
    closes = [[1.23456789], [0.0123456], [1.00049999]]
    result = proven(a_spec("A"), a_market(closes))
    assert result.mark.tolist() == closes
    assert result.fills.price.tolist() == [0.0123456]
    assert result.nav[-1] == pytest.approx(1000 - 810 * 0.0123456 + 810 * 1.00049999, rel=1e-15)


def test_a_decision_of_the_last_session_is_told(decided):
    decided([2], [[1.0]])
    result = proven(a_spec("A"), a_market([[10], [10], [9]]))
    assert result.warnings == (
        "the decision of 2020-01-03 was not executed: no session is left to fill it",
        "the strategy never took a position: 0 fills in 3 sessions",
    )


def test_gross_limit_and_cash_buffer_are_in_the_weights(decided):
    decided([0], [[1.0, 1.0]])
    result = proven(a_spec(max_gross_exposure=1.0, cash_buffer=0.2), a_market([[10, 20], [10, 20]]))
    assert result.quantity[-1].tolist() == [40, 20]
    assert result.native["scaled_decisions"] == 1


# --------------------------------------------------------------------------- sessions


@pytest.mark.parametrize("days", [[0, 1, 2, 3], [0, 2, 3, 7], [0, 30, 31, 400], [3, 4, 10, 11]])
def test_sessions_are_exactly_the_markets(decided, days):
    decided([0, 1, 2], [[1.0], [0.0], [1.0]])
    market = a_market([[10], [11], [12], [13]], days)
    result = proven(a_spec("A"), market)
    assert result.sessions.tolist() == market.sessions.tolist()
    assert result.fills.session.tolist() == [1, 2, 3]


@pytest.mark.parametrize("first", ["1962-01-02", "1999-12-31", "2035-06-01"])
def test_sessions_of_any_time(decided, first):
    decided([0], [[1.0]])
    market = a_market([[10], [11]], (np.datetime64(first) - FIRST).astype(int) + np.arange(2))
    assert proven(a_spec("A"), market).nav.tolist() == [1000, 1000]


def test_a_single_session(decided):
    decided([], np.empty((0, 1)))
    assert proven(a_spec("A"), a_market([[10]])).nav.tolist() == [1000]


# --------------------------------------------------------------------------- events


def test_flows_are_in_cash_when_their_session_begins(decided):
    decided([1], [[0.5]])
    flows = (Flow(date(2020, 1, 2), 500.0), Flow(date(2020, 1, 3), -100.0))
    result = proven(a_spec("A", flows=flows), a_market([[10], [10], [12], [12]]))
    assert result.flows.tolist() == [0, 500, -100, 0]
    assert result.fills.quantity.tolist() == [75]  # of 1500
    assert result.cash.tolist() == [1000, 1500, 1400 - 900, 500]


def test_a_flow_on_the_first_session(decided):
    decided([0], [[1.0]])
    result = proven(a_spec("A", flows=(Flow(date(2020, 1, 1), 500.0),)), a_market([[10], [10]]))
    assert result.nav.tolist() == [1500, 1500]
    assert result.quantity[-1, 0] == 150


def test_dividends_are_paid_on_what_was_held_before(decided):
    decided([0, 1], [[0.5, 0.5], [0.0, 0.5]])
    paid = np.zeros((4, 2))
    paid[1:, 0] = 1.0, 0.5, 7.0
    paid[2, 1] = 0.25
    market = a_market([[10, 20]] * 4, dividends=paid)
    actions = ActionSpec(dividends=(Dividend("A", date(2020, 1, 3), 0.5),))
    result = proven(a_spec(actions=actions), market)
    # Nothing was held when session 1 began; A is sold at the close of session 2.
    assert result.income.tolist() == [[0, 0], [0, 0], [25.0, 6.25], [0, 0]]
    assert result.cash.tolist() == [1000, 0, 25 + 6.25 + 500, 531.25]


def test_a_short_position_pays_the_dividend(decided):
    decided([0], [[-0.5]])
    paid = np.array([[0.0], [0.0], [2.0]])
    actions = ActionSpec(dividends=(Dividend("A", date(2020, 1, 3), 2.0),))
    result = proven(a_spec("A", actions=actions), a_market([[10]] * 3, dividends=paid))
    assert result.income[2, 0] == -100
    assert result.nav.tolist() == [1000, 1000, 900]


# --------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"fill": "close"}, ("fill",), "engine 'zipline' has no fill: close; expected next_close"),
        ({"fill": "next_open"}, ("fill",), "engine 'zipline' has no fill: next_open; expected next_close"),
        ({"units": "fractional"}, ("units",), "engine 'zipline' has no units: fractional; expected whole"),
        ({"min_trade": 5.0}, ("min_trade",), "engine 'zipline' has no min_trade"),
        ({"multipliers": {"A": 50.0}}, ("multipliers",), "engine 'zipline' has no multipliers"),
        (
            {"actions": ActionSpec(splits=(Split("A", date(2020, 1, 2), 2.0),))},
            ("splits",),
            "engine 'zipline' has no splits; it books dividends and flows",
        ),
        (
            {"actions": ActionSpec(dividends="from_prices", booking="reinvest")},
            ("dividend_booking",),
            "engine 'zipline' has no dividend_booking: reinvest; expected cash",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_before_it_runs(changes, key, words):
    [(told, message)] = list(engine_problems(a_spec(**changes)))
    assert told == key
    assert message.startswith(words)


def test_what_it_can_do_is_not_refused():
    costs = CostSpec(1.0, 0.1, 2.0, "from_cash")
    spec = a_spec(costs=costs, flows=(Flow(date(2020, 1, 2), 1.0),), actions=ActionSpec("from_prices"))
    assert list(engine_problems(spec)) == []


def test_prices_that_zipline_takes_for_none_are_refused(decided):
    decided([0], [[1.0]])
    with pytest.raises(ParameterError, match=r"price of 1e-06 or less for none: A on 2020-01-02 is at 5e-07"):
        proven(a_spec("A"), a_market([[1.0], [5e-7]]))


def test_symbols_that_are_the_same_in_capitals_are_refused(decided):
    decided([0], [[0.5, 0.5]])
    market = dataclasses.replace(a_market(TWO), symbols=("ab", "AB"))
    with pytest.raises(ParameterError, match="'ab' and 'AB' are the same"):
        proven(a_spec(), market)


def test_a_flow_on_no_session_is_refused(decided):
    decided([0], [[1.0]])
    with pytest.raises(ParameterError, match="2021"):
        proven(a_spec("A", flows=(Flow(date(2021, 1, 2), 1.0),)), a_market([[1.0], [5.0]]))


@pytest.mark.parametrize("missing", ["zipline", "bcolz"])
def test_a_package_that_is_not_there_is_named(monkeypatch, missing):
    def nowhere():
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    engine = resolve_engine("zipline")
    monkeypatch.setattr(engine, "imported", nowhere)
    words = r"pip install 'pytest-finbot\[zipline\]'" if missing == "zipline" else "what it imports is not"
    with pytest.raises(MissingDependencyError, match=words):
        engine.run(a_spec(), a_market(TWO))


# --------------------------------------------------------------------------- what is left behind


def test_nothing_is_left_behind(decided, monkeypatch, tmp_path, capfd):
    for name in ("HOME", "ZIPLINE_ROOT", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    decided([0, 2], [[0.5, 0.5], [1.0, 0.0]])
    names = [None, *logging.root.manager.loggerDict]
    before = {name: list(logging.getLogger(name).handlers) for name in names}
    filters = list(warnings.filters)
    proven(a_spec(), a_market(TWO))
    assert list(tmp_path.rglob("*")) == []
    assert {name: logging.getLogger(name).handlers for name in names} == before
    assert warnings.filters == filters
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_second_run_gives_the_same_bits(decided):
    decided([0, 2], [[0.5, 0.5], [1.0, 0.0]])
    spec = a_spec(costs=CostSpec(3.0, 0.01, 5.0, "from_cash"))
    one, two = proven(spec, a_market(TWO)), proven(spec, a_market(TWO))
    for name in ("nav", "cash", "quantity", "mark"):
        assert getattr(one, name).tobytes() == getattr(two, name).tobytes()
    assert one.fills.fee.tobytes() == two.fills.fee.tobytes()
    assert one.native == two.native


def test_calendar_and_assets_are_built_once_for_the_same_sessions_and_symbols(decided, monkeypatch):
    from pytest_finbot.engines.zipline import ground

    ground.forget()
    built, closed = [], []
    make, close = ground._finder, ground.Ground.close
    monkeypatch.setattr(ground, "_finder", lambda *given: built.append(given) or make(*given))
    monkeypatch.setattr(ground.Ground, "close", lambda kept: closed.append(kept) or close(kept))
    decided([0], [[1.0]])
    spec = a_spec("A")
    for price in (10, 20, 10):  # other prices on the same ground
        assert proven(spec, a_market([[price], [price]])).quantity[1, 0] == 1000 // price
    assert len(built) == 1
    for gap in range(2, 7):
        proven(spec, a_market([[10], [10]], [0, gap]))
    assert (len(built), len(closed)) == (6, 2)
    ground.forget()
    assert len(closed) == 6
