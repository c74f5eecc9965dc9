"""zipline on thirteen years of ten shares: the rules it is said to follow, written once more by hand."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.orders import check_orders
from pytest_finbot.contracts import DataSpec, RunSpec, TargetWeights
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.execution import Execution
from pytest_finbot.engines.portfolio import simulate
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.market.store import load_market
from pytest_finbot.valuation.books import Books

pytestmark = pytest.mark.engine("zipline")

PRICES = Path(__file__).parents[2].parent / "shared" / "data" / "sp500_20_daily.csv.gz"

REFERENCE = {
    "fixed_weights": {"strategy": "fixed_weights", "params": {}},
    "sma_crossover": {"strategy": "sma_crossover", "params": {"fast": 50, "slow": 200}},
    "momentum_rotation": {"strategy": "momentum_rotation", "params": {"top": 3, "lookback": 126}},
}
TEN = ("AAPL", "BAC", "CVX", "GE", "HD", "JNJ", "JPM", "KO", "MSFT", "XOM")


@pytest.fixture(params=REFERENCE)
def real(request):
    """One of three strategies on ten shares over thirteen years."""
    if not PRICES.exists():
        pytest.skip("the real prices are not there")
    spec = RunSpec(
        name="run",
        engine="zipline",
        symbols=TEN,
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=1e6,
        data=DataSpec(str(PRICES)),
        fill="next_close",
        units="whole",
        **REFERENCE[request.param],
    )
    return spec, load_market(spec)


def proven(spec, market):
    """The result, whose books, marks and orders were found to be in order."""
    result = resolve_engine("zipline").run(spec, market)
    checks = (
        *check_books(result, spec),
        check_marks_at_market(result, market, spec.marks),
        check_orders(Books(result), spec, market, result.decisions),
    )
    assert [check.message for check in checks if check.failed] == []
    return result


def by_hand(spec, market):
    """NAV and quantities of an account that follows zipline's rules, written once more and plainly."""
    decisions = decide(spec, market)
    due = dict(zip(decisions.rows.tolist(), decisions.weights, strict=True))
    cash, held = float(spec.start_capital), np.zeros(len(market.symbols))
    orders = np.zeros(len(market.symbols))
    nav, quantity = [], []
    for row, close in enumerate(market.close):
        cash -= float(orders @ close)
        held = held + orders
        orders = np.zeros(len(held))
        nav.append(cash + float(held @ close))
        quantity.append(held)
        if row in due:
            wanted = nav[-1] * due[row] / close - held
            orders = np.where(np.abs(wanted - np.rint(wanted)) < 1e-4, np.rint(wanted), np.trunc(wanted))
    return np.array(nav), np.array(quantity)


def test_real_prices_give_what_the_rules_give(real):
    spec, market = real
    result = proven(spec, market)
    nav, quantity = by_hand(spec, market)
    assert result.quantity.tobytes() == quantity.tobytes()
    np.testing.assert_allclose(result.nav, nav, rtol=1e-12)
    assert result.mark.tobytes() == market.close.tobytes()
    assert len(result.fills) > 100


def test_with_much_capital_it_is_the_built_in_engine_sized_at_the_decision(real):
    """The two cut to whole units differently, which ten billion hides: what is left is the method."""
    spec, market = real
    spec = dataclasses.replace(spec, start_capital=1e10)
    decisions = decide(spec, market)
    built_in = dataclasses.replace(spec, engine="portfolio", units="fractional")
    targets = TargetWeights(decisions.rows, decisions.weights)
    other = simulate(built_in, market, targets, Execution(sized_at="decision"))
    np.testing.assert_allclose(proven(spec, market).nav, other.nav, rtol=1e-7)
