"""Facts of the transaction cost analysis."""

import json

import numpy as np
import pytest

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.costs import analyse_costs


def account(fills, nav=1000.0):
    return EngineResult.of(
        sessions=np.datetime64("2020-01-01", "D") + np.arange(252),
        assets=("AAPL", "IDLE", "ES"),
        nav=np.full(252, nav),
        cash=np.full(252, nav),
        quantity=np.zeros((252, 3)),
        mark=np.ones((252, 3)),
        start_cash=1000.0,
        fills=fills,
        multiplier=np.array([1.0, 1.0, 50.0]),
    )


FILLS = Fills(
    np.array([0, 1, 1]),
    np.array([0, 2, 0]),
    np.array([10.0, -1.0, -10.0]),
    np.array([20.0, 4.0, 30.0]),
    np.array([1.0, 2.0, 0.5]),
    np.array([0.0, 0.5, 0.5]),
)


def test_costs_are_told_by_kind_and_by_asset_dearest_first():
    result = account(FILLS)
    found = analyse_costs(result, Books(result))

    assert (found.fills, found.traded, found.fees, found.slippage, found.costs) == (3, 700.0, 3.5, 1.0, 4.5)
    assert [(row.symbol, row.fills, row.traded, row.costs) for row in found.by_symbol] == [
        ("ES", 1, 200.0, 2.5),
        ("AAPL", 2, 500.0, 2.0),
    ]
    assert found.by_symbol[1].cost_bps == pytest.approx(40.0)
    assert found.drag_bps == pytest.approx(45.0)
    assert found.turnover == pytest.approx(0.35)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["by_symbol"][0]["symbol"] == "ES"


def test_a_run_without_trades_costs_nothing_and_says_what_has_no_value():
    result = account(Fills.none())
    found = analyse_costs(result, Books(result))

    assert found.costs == 0.0
    assert found.drag_bps == 0.0
    assert found.cost_bps is None
    assert found.undefined == {"cost_bps": "nothing was traded"}


def test_an_account_in_debt_has_no_drag():
    result = account(FILLS, nav=-1.0)
    found = analyse_costs(result, Books(result))

    assert found.drag_bps is None
    assert "-1.00" in found.undefined["drag_bps"]
