"""backtrader on target weights: what is ordered, filled, charged and rejected."""

import dataclasses
import importlib.metadata
import sys
import warnings
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.checks.rejections import check_rejections
from pytest_finbot.contracts import ActionSpec, CostSpec, DataSpec, Flow, RunSpec
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.resolve import engine_problems, resolve_engine
from pytest_finbot.errors import MissingDependencyError, ParameterError
from pytest_finbot.market.store import load_market

pytestmark = pytest.mark.engine("backtrader")

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
EXAMPLES = Path(__file__).parents[3] / "examples"
TEN = ("AAPL", "BAC", "CVX", "GE", "HD", "JNJ", "JPM", "KO", "MSFT", "XOM")


def test_an_order_is_sized_at_the_close_and_filled_at_the_next_open(rule, a_spec, a_market, proven):
    rule({0: [0.5], 2: [0.5]})
    result = proven(a_spec(), a_market([10, 20, 40, 40], opens=[9, 12, 30, 41]))
    # 500 / 10 units at 12; then 1200 - 2000 of 2400, 800 / 40 units at 41
    assert result.fills.session.tolist() == [1, 3]
    assert result.fills.quantity.tolist() == [50, -20]
    assert result.fills.price.tolist() == [12, 41]
    assert result.cash.tolist() == [1000, 400, 400, 1220]
    assert result.quantity[:, 0].tolist() == [0, 50, 50, 30]
    assert result.nav.tolist() == [1000, 1400, 2400, 2420]
    assert result.rejected_orders == ()
    assert result.native["conventions"]["sized_at"] == "decision"
    assert result.native["orders"] == {"Completed": 2}
    assert result.decisions.fill_rows.tolist() == [1, 3]


def test_at_the_next_close_nothing_depends_on_the_opens(rule, a_spec, a_market, proven):
    rule({0: [0.4], 2: [0.4]})
    spec, closes = a_spec(fill="next_close"), [10, 20, 40, 50]
    result = proven(spec, a_market(closes))
    # 40 units at 20; NAV of row 2 is 1800: 720 - 1600, 22 units at 50
    assert result.fills.price.tolist() == [20, 50]
    assert result.fills.quantity.tolist() == [40, -22]
    assert result.cash.tolist() == [1000, 200, 200, 1300]
    with_opens = proven(spec, a_market(closes, opens=[1, 1, 1, 1]))
    assert with_opens.nav.tobytes() == result.nav.tobytes()


def test_every_cost_is_charged_exactly_and_no_high_or_low_caps_slippage(rule, a_spec, a_market, proven):
    # The purchase is filled where the open is the high of the bar, the sale where it is the low.
    rule({0: [0.5], 2: [0.0]})
    costs = CostSpec(commission_bps=100, commission_per_share=0.5, slippage_bps=200)
    result = proven(a_spec(costs=costs), a_market([10, 8, 10, 11], opens=[9, 12, 8, 9]))
    bought, sold = 12 * 1.02, 9 * 0.98
    assert result.fills.quantity.tolist() == [50, -50]
    assert result.fills.price.tolist() == pytest.approx([bought, sold], rel=1e-15)
    fees = [50 * (bought * 0.01 + 0.5), 50 * (sold * 0.01 + 0.5)]
    assert result.fills.fee.tolist() == pytest.approx(fees, rel=1e-15)
    assert result.fills.slippage.tolist() == pytest.approx([50 * 0.24, 50 * 0.18], rel=1e-13)
    assert result.nav[-1] == pytest.approx(1000 - 50 * bought - fees[0] + 50 * sold - fees[1], rel=1e-15)


def test_whole_units_are_those_of_the_change(rule, a_spec, a_market, proven):
    rule({0: [0.5], 2: [0.3]})
    result = proven(a_spec(units="whole"), a_market([30, 30, 40, 40], opens=[30, 30, 40, 40]))
    # 500 // 30; then 0.3 * 1160 - 640 = -292: 292 // 40 = 7
    assert result.fills.quantity.tolist() == [16, -7]
    assert result.native["conventions"]["units"] == "whole"


def test_fractional_units_are_not_rounded(rule, a_spec, a_market, proven):
    rule({0: [0.5], 2: [0.3]})
    result = proven(a_spec(), a_market([32, 30, 40, 40], opens=[30, 30, 40, 40]))
    assert result.fills.quantity.tolist() == [15.625, pytest.approx(0.3 * 1156.25 / 40 - 15.625, rel=1e-14)]


def test_an_open_above_the_close_leaves_cash_short_and_the_order_is_told(rule, a_spec, a_market, proven):
    rule({0: [1.0]})
    result = proven(a_spec(), a_market([10, 11], opens=[10, 10.5]))
    [order] = result.rejected_orders
    assert (order.session, order.asset, order.quantity) == (1, 0, 100)
    assert order.reason == "margin: cash did not pay for it at its fill"
    assert result.nav.tolist() == [1000, 1000]
    assert check_rejections(result, "fail").failed
    assert "no order was filled" in result.warnings[0]


def test_an_order_that_its_own_commission_makes_too_large_fails_the_check(rule, a_spec, a_market, proven):
    rule({0: [0.6, 0.4]})
    costs = CostSpec(commission_bps=10)
    result = proven(a_spec("AB", costs=costs), a_market([[10, 10], [10, 10]], opens=[[10, 10], [9, 9]]))
    # A passes, B then misses 1; at the opens cash would have paid for both
    [order] = result.rejected_orders
    assert (order.session, order.asset, order.quantity) == (1, 1, 40)
    assert order.reason == "margin: cash did not pay for it when it was checked"
    assert result.quantity[-1].tolist() == [60, 0]


def test_what_is_sold_pays_for_what_is_bought_whichever_comes_first(rule, a_spec, a_market, proven):
    rule({0: [0.0, 0.98], 1: [0.98, 0.0]})
    prices = [[10, 20], [10, 20], [10, 20]]
    result = proven(a_spec("AB"), a_market(prices, opens=prices))
    assert result.rejected_orders == ()
    assert result.quantity.tolist() == [[0, 0], [0, 49], [98, 0]]
    assert result.fills.asset.tolist() == [1, 1, 0]


def test_short_positions_and_an_account_that_is_spent(rule, a_spec, a_market, proven):
    rule({0: [-1.0], 2: [-1.0], 3: [-1.0]})
    prices = [10, 10, 25, 25, 30]
    result = proven(a_spec(), a_market(prices, opens=prices))
    # 100 short at 10; at 25 NAV is 2000 - 2500, and cash does not pay for buying them back
    assert result.quantity[:, 0].tolist() == [0, -100, -100, -100, -100]
    assert result.nav.tolist() == [1000, 1000, -500, -500, -1000]
    assert [(order.session, order.quantity) for order in result.rejected_orders] == [(3, 100), (4, 100)]
    assert "NAV was -500.00 on 2020-01-08" in result.warnings[0]
    assert result.decisions.rows.tolist() == [0]


def test_a_decision_without_a_session_left_is_told_and_not_ordered(rule, a_spec, a_market, proven):
    rule({0: [0.5], 2: [0.1]})
    result = proven(a_spec(), a_market([10, 10, 10], opens=[10, 10, 10]))
    assert result.warnings == ("the decision of 2020-01-08 was not executed: no session is left to fill it",)
    assert len(result.fills) == 1


# ------------------------------------------------------------------ against a loop of our own


def followed(spec: RunSpec, market, opens):
    """NAV [T], cash and units of an account that follows the run's decisions as backtrader says it does."""
    decisions = decide(spec, market)
    rate, per_unit = spec.costs.commission_bps / 1e4, spec.costs.commission_per_share
    slip = spec.costs.slippage_bps / 1e4
    cash, held, orders = spec.start_capital, np.zeros(len(market.symbols)), None
    wanted = dict(zip(decisions.rows.tolist(), decisions.weights, strict=True))
    nav, quantity = np.empty(len(market.sessions)), np.empty(market.close.shape)
    for row, close in enumerate(market.close):
        if orders is not None:
            price = opens[row] * (1.0 + slip * np.sign(orders))
            cash -= float((orders * price + np.abs(orders) * (rate * price + per_unit)).sum())
            held, orders = held + orders, None
        nav[row], quantity[row] = cash + float((held * close).sum()), held
        if row in wanted:
            orders = (wanted[row] * nav[row] - held * close) / close
    return nav, quantity


REFERENCE = [
    ("fixed_weights", {}),
    ("sma_crossover", {"fast": 50, "slow": 200}),
    ("momentum_rotation", {"top": 3, "lookback": 126}),
]


def ten_shares(strategy, params, **changes):
    return RunSpec(
        name="run",
        engine="backtrader",
        strategy=strategy,
        params=params,
        symbols=TEN,
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(SHARED / "sp500_20_daily.csv.gz"), field="adj_close"),
        fill="next_close",
        **changes,
    )


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared prices")
@pytest.mark.parametrize(("strategy", "params"), REFERENCE, ids=[name for name, _ in REFERENCE])
def test_with_cash_to_spare_it_is_an_account_of_our_own_to_1e12(strategy, params, proven):
    spec = ten_shares(strategy, params, cash_buffer=0.02)
    market = load_market(spec)
    result = proven(spec, market)
    nav, quantity = followed(spec, market, market.close)
    assert result.rejected_orders == ()
    np.testing.assert_allclose(result.nav, nav, rtol=1e-12)
    np.testing.assert_allclose(result.quantity, quantity, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared prices")
def test_with_all_invested_it_rejects_orders_and_every_one_is_told(proven):
    spec = ten_shares(*REFERENCE[2])
    market = load_market(spec)
    result = proven(spec, market)
    assert len(result.rejected_orders) == 91
    assert result.native["orders"]["Margin"] == 91
    assert result.native["orders"]["Completed"] == len(result.fills)
    nav, _ = followed(spec, market, market.close)
    assert abs(result.nav[-1] / nav[-1] - 1.0) > 0.1  # what it would hide


@pytest.mark.parametrize("costs", [CostSpec(), CostSpec(10.0, 0.01, 5.0)], ids=["free", "costs"])
def test_at_real_opens_and_with_costs_too(costs, proven):
    spec = RunSpec(
        name="run",
        engine="backtrader",
        strategy="fixed_weights",
        params={"weights": {"SPY": 0.6, "TLT": 0.4}},
        symbols=("SPY", "TLT"),
        start_date=date(2015, 1, 2),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(EXAMPLES / "golden" / "data"), field="adj_close"),
        fill="next_open",
        cash_buffer=0.05,
        costs=costs,
    )
    market = load_market(spec)
    result = proven(spec, market)
    nav, _ = followed(spec, market, market.open)
    np.testing.assert_allclose(result.nav, nav, rtol=1e-12)
    assert len(result.fills) > 150


# ------------------------------------------------------------------ refusals and manners


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"fill": "close"},
            "no fill: close; expected next_open or next_close: what its cheat-on-close fills",
        ),
        ({"min_trade": 10.0}, "no min_trade"),
        ({"flows": (Flow(date(2020, 1, 7), 5.0),)}, "no flows"),
        ({"actions": ActionSpec(dividends="from_prices")}, "no dividends"),
        ({"actions": ActionSpec(splits="from_prices")}, "no splits"),
        ({"multipliers": {"A": 50.0}}, "no multipliers"),
    ],
)
def test_what_it_cannot_express_is_refused_beforehand(changes, words, a_spec):
    [(_, message)] = engine_problems(a_spec(**changes))
    assert words in message


def test_everything_else_is_not_refused(a_spec):
    spec = a_spec(units="whole", cash_buffer=0.1, costs=CostSpec(1, 1, 1), max_gross_exposure=1.0)
    assert [*engine_problems(spec)] == []
    assert [*engine_problems(dataclasses.replace(spec, fill="next_close"))] == []


def test_next_open_needs_opens(rule, a_spec, a_market):
    rule({0: [0.5]})
    with pytest.raises(ParameterError, match=r"next_open needs opening prices and prices\.csv has none"):
        resolve_engine("backtrader").run(a_spec(), a_market([10, 10]))


def test_it_leaves_nothing_behind_and_a_second_run_gives_the_same_bits(
    rule, capsys, a_spec, a_market, proven
):
    rule({0: [0.3, 0.5], 1: [0.5, 0.2], 2: [0.1, 0.8]})
    prices = [[10.1, 20.3], [10.7, 19.9], [11.3, 18.1], [12.9, 21.7]]
    spec, market = a_spec("AB", costs=CostSpec(7, 0.001, 3)), a_market(prices, opens=prices)
    first = proven(spec, market)
    import backtrader

    from pytest_finbot.engines.backtrader import account

    kept = (len(vars(account)), len(backtrader.Strategy._indcol), [*warnings.filters])
    second = proven(spec, market)
    assert (len(vars(account)), len(backtrader.Strategy._indcol), [*warnings.filters]) == kept
    for name in ("nav", "cash", "quantity"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert first.fills.fee.tobytes() == second.fills.fee.tobytes()
    assert capsys.readouterr() == ("", "")


def test_without_the_package_it_says_what_to_install(rule, monkeypatch, a_spec, a_market):
    rule({0: [0.5]})
    engine = resolve_engine("backtrader")
    assert engine.version() == importlib.metadata.version("backtrader")
    monkeypatch.setitem(sys.modules, "backtrader", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pytest-finbot\[backtrader\]'"):
        engine.run(a_spec(), a_market([10, 10], opens=[10, 10]))
    monkeypatch.setattr(type(engine), "distribution", "no-such-distribution")
    with pytest.raises(MissingDependencyError, match="no-such-distribution, which is not installed"):
        engine.version()


def test_its_own_code_is_part_of_the_fingerprint(a_spec):
    from pytest_finbot.pipeline.fingerprints import code_of

    code = code_of(
        resolve_engine("backtrader").modules(dataclasses.replace(a_spec(), strategy="fixed_weights"))
    )
    told = " ".join(code["modules"])
    assert "pytest_finbot.engines.backtrader.account" in told
    assert "backtrader" in code["distributions"]
