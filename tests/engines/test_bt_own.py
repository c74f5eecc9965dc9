"""Strategies written for bt: what they are given, and what becomes of their orders."""

import dataclasses
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import CostSpec, DataSpec, MarketData, RunSpec
from pytest_finbot.engines.bt import BtEngine
from pytest_finbot.errors import ParameterError

pytestmark = pytest.mark.engine("bt")


@pytest.fixture(autouse=True)
def _strategies_there(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "native_strategies"))


def native(name, **changes):
    spec = RunSpec(
        name="run",
        engine="bt",
        strategy=f"bt_strategies:{name}",
        params={},
        symbols=("A", "B"),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
    )
    return dataclasses.replace(spec, **changes)


def a_market(closes):
    closes = np.array(closes, np.float64)
    sessions = np.datetime64("2020-01-01") + np.arange(len(closes))
    return MarketData(sessions=sessions, symbols=("A", "B"), close=closes, field="close", source="prices.csv")


def proven(spec, market):
    """The result of bt, which keeps the contract and every identity."""
    result = BtEngine().run(spec, market)
    check_result(result, spec, market)
    assert not [
        check for check in (*check_books(result, spec), check_declared(result, spec, market)) if check.failed
    ]
    return result


PRICES = [[10, 20], [11, 20], [12, 19], [13, 22]]


def test_a_native_strategy_trades_with_the_runs_params_and_capital():
    result = proven(native("Monthly", params={"fraction": 0.5}), a_market(PRICES))
    assert result.quantity[0].tolist() == [25, 12.5]
    assert result.decisions is None
    assert result.nav[1] == 1025


def test_trades_that_cancel_out_in_a_session_are_fills_with_fees():
    spec = native("BackAndForth", costs=CostSpec(commission_bps=100))
    result = proven(spec, a_market(PRICES))
    assert result.fills.quantity.tolist() == [10, -10] * 4
    assert result.fills.fee[:2].tolist() == pytest.approx([1, 1])
    assert result.nav[0] == pytest.approx(998)


def test_a_strategys_own_commissions_count_where_the_batch_has_none():
    assert proven(native("OwnCommission"), a_market(PRICES)).fills.fee.tolist() == [1.0]
    result = proven(native("OwnCommission", costs=CostSpec(commission_bps=100)), a_market(PRICES))
    assert result.fills.fee[0] == pytest.approx(5 / 1.01)


def test_a_tree_of_strategies_is_one_account():
    result = proven(native("Tree"), a_market(PRICES))
    assert result.quantity[0] == pytest.approx([48, 12])
    assert result.cash[0] == pytest.approx(100 + 120 + 60)  # what it keeps, and its parts keep
    assert any("tree" in words for words in result.native["derived"])


def test_money_from_outside_is_a_flow():
    result = proven(native("Deposits"), a_market(PRICES))
    assert result.flows.tolist() == [0, 500, 0, 0]
    assert result.nav.tolist() == [1000, 1500, 1500, 1500]


def test_an_amount_that_is_no_number_is_a_rejected_order():
    result = proven(native("NoNumber"), a_market(PRICES))
    assert [(order.session, order.asset) for order in result.rejected_orders] == [
        (row, 0) for row in range(4)
    ]
    assert "not a number" in result.rejected_orders[0].reason


def test_what_a_strategy_raises_passes_through():
    with pytest.raises(ZeroDivisionError, match="of the strategy's own"):
        BtEngine().run(native("Raises"), a_market(PRICES))


def test_a_class_of_another_kind_is_refused():
    with pytest.raises(ParameterError, match=r"expected a subclass of bt\.Strategy"):
        BtEngine().run(native("NoStrategy"), a_market(PRICES))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cash_buffer": 0.02}, "cash_buffer: .* sizes its own orders"),
        ({"max_gross_exposure": 1.0}, "max_gross_exposure: .* sizes its own orders"),
        ({"fill": "next_close"}, "fill: next_close: .* trades it at close"),
    ],
)
def test_a_native_strategy_is_not_told_what_it_would_not_hear(changes, words):
    with pytest.raises(ParameterError, match=words):
        BtEngine().run(native("Monthly", **changes), a_market(PRICES))


def test_methods_of_bt_are_its_own_again_after_a_strategy_that_raises():
    import bt

    before = bt.core.SecurityBase.transact, bt.core.SecurityBase.allocate, list(warnings.filters)
    with pytest.raises(ZeroDivisionError):
        BtEngine().run(native("Raises"), a_market(PRICES))
    assert (bt.core.SecurityBase.transact, bt.core.SecurityBase.allocate, warnings.filters) == before


def test_a_seed_gives_the_same_draws_in_every_run():
    import random

    def drawn():
        random.seed(7)
        return proven(native("Draws", seed=7), a_market(PRICES)).nav.tolist()

    assert drawn() == drawn()
