"""Costs that are asked for and not charged: books add up without them."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.costs import check_costs
from pytest_finbot.contracts import (
    ActionSpec,
    CostSpec,
    DataSpec,
    Dividend,
    ErrorCategory,
    MarketData,
    RunSpec,
    Verdict,
)
from pytest_finbot.engines.portfolio import PortfolioEngine
from pytest_finbot.valuation.books import Books

DAYS = np.arange("2015-03-02", "2015-06-30", dtype="datetime64[D]")
WAVE = np.sin(np.arange(len(DAYS)) / 7.0)
MARKET = MarketData(
    DAYS, ("AAPL", "XOM"), np.column_stack([100.0 + 10.0 * WAVE, 50.0 - 5.0 * WAVE]), "close", "prices.csv"
)
SPEC = RunSpec(
    name="run",
    engine="mine:run",
    strategy="fixed_weights",
    params={},
    symbols=("AAPL", "XOM"),
    start_date=date(2015, 3, 2),
    end_date=date(2015, 6, 29),
    start_capital=100_000.0,
    data=DataSpec("prices.csv"),
)
KEYS = {"commission_bps": 10.0, "commission_per_share": 0.02, "slippage_bps": 5.0}


def asks(market=MARKET, **costs):
    return dataclasses.replace(SPEC, costs=CostSpec(**costs)), market


def charged(spec, market=MARKET):
    return PortfolioEngine().run(spec, market)


def checked(result, spec, market=MARKET):
    return check_costs(Books(result), spec, market)


def without(result, column, of):
    """``result`` that never charged ``column`` of the fills ``of``: in neither fill nor cash nor NAV."""
    fills = result.fills
    paid = np.where(of, getattr(fills, column), 0.0)
    saved = np.cumsum(np.bincount(fills.session, paid, len(result.sessions)))
    changed = dataclasses.replace(fills, **{column: getattr(fills, column) - paid})
    if column == "slippage":
        units = np.abs(fills.quantity)
        changed = dataclasses.replace(changed, price=fills.price - np.sign(fills.quantity) * paid / units)
    return dataclasses.replace(result, fills=changed, cash=result.cash + saved, nav=result.nav + saved)


@pytest.mark.parametrize("costs", [{}, *({key: value} for key, value in KEYS.items()), KEYS])
def test_costs_that_are_charged_pass_without_a_word(costs):
    spec, market = asks(**costs)
    check, told = checked(charged(spec), spec, market)
    assert (check.verdict, told) == (Verdict.IDENTICAL if costs else Verdict.SKIPPED, ())


@pytest.mark.parametrize("key", KEYS)
def test_a_cost_that_no_fill_paid_is_an_error(key):
    spec, market = asks(**{key: KEYS[key]})
    free = charged(SPEC)
    assert not any(check.failed for check in check_books(free, spec))
    check, _ = checked(free, spec, market)
    count, column = len(free.fills), "slippage" if key == "slippage_bps" else "fee"
    assert (check.verdict, check.value, check.session, check.asset) == (
        Verdict.ERROR, count, "2015-03-02", "AAPL"
    )  # fmt: skip
    assert check.message.startswith(f"{key} {KEYS[key]:g} is asked for, and {count} of {count} fills have no")
    assert f"no {column}: the first of AAPL on 2015-03-02, expected" in check.message


def test_one_fill_without_a_fee_is_named():
    spec, market = asks(**KEYS)
    result = charged(spec)
    of = np.arange(len(result.fills)) == 3
    lying = without(result, "fee", of)
    assert not any(check.failed for check in check_books(lying, spec))
    check, _ = checked(lying, spec, market)
    day, asset = result.sessions[result.fills.session[3]], result.assets[result.fills.asset[3]]
    assert (check.verdict, check.value) == (Verdict.ERROR, 1.0)
    assert check.message == (
        f"commission_bps 10 and commission_per_share 0.02 is asked for, and 1 of {len(of)} fills has no fee: "
        f"{asset} on {day}, expected {result.fills.fee[3]:,.2f}"
    )


def test_slippage_that_some_fills_do_not_have_is_told():
    spec, market = asks(**KEYS)
    result = charged(spec)
    check, told = checked(without(result, "slippage", result.fills.quantity < 0.0), spec, market)
    assert check.verdict is Verdict.WITHIN
    assert [words.partition(" is asked for")[0] for words in told] == ["slippage_bps 5"]


@pytest.mark.parametrize(("asked", "of"), [(100.0, "AAPL on 2015-03-02"), (9.8, "AAPL on 2015-03-02")])
def test_a_fee_that_is_another_is_told(asked, of):
    ten, market = asks(commission_bps=10.0)
    spec, _ = asks(commission_bps=asked)
    check, told = checked(charged(ten), spec, market)
    assert check.verdict is Verdict.WITHIN
    assert len(told) == 1
    assert of in told[0]
    assert "with 49.95" in told[0]


def test_what_is_rounded_away_is_no_fault():
    spec, market = asks(commission_bps=10.0)
    result = charged(spec)
    cent = float(np.median(result.fills.fee))
    tiny = result.fills.fee <= cent
    free = without(result, "fee", tiny)
    assert checked(free, spec, market)[0].failed
    check, told = checked(dataclasses.replace(free, cent=cent), spec, market)
    assert (check.failed, told) == (False, ())


def test_reinvested_dividends_cost_nothing_and_other_purchases_do():
    paid = np.zeros(MARKET.close.shape)
    paid[40, 0] = 1.5
    market = dataclasses.replace(MARKET, dividends=paid)
    actions = ActionSpec(dividends=(Dividend("AAPL", DAYS[40].item(), 1.5),), booking="reinvest")
    spec = dataclasses.replace(asks(commission_bps=10.0)[0], actions=actions)
    result = charged(spec, market)
    (free,) = np.flatnonzero(result.fills.fee == 0.0)
    assert (result.fills.session[free], result.fills.asset[free]) == (40, 0)
    check, told = checked(result, spec, market)
    assert (check.verdict, told) == (Verdict.IDENTICAL, ())
    to_cash = dataclasses.replace(spec, actions=dataclasses.replace(actions, booking="cash"))
    assert checked(result, to_cash, market)[0].failed


def test_a_run_without_fills_has_nothing_to_pay():
    spec, market = asks(**KEYS)
    nothing = dataclasses.replace(spec, params={"weights": {"AAPL": 0.0}})
    assert checked(charged(nothing), spec, market)[0].verdict is Verdict.SKIPPED


def free_of_charge(spec, market):
    return charged(dataclasses.replace(spec, costs=CostSpec()), market)


def test_a_run_that_pays_nothing_fails(tmp_path):
    from pytest_finbot.pipeline.execute import execute
    from pytest_finbot.testing.synthetic import written

    data = written(MARKET, tmp_path)
    spec, _ = asks(**KEYS)
    spec = dataclasses.replace(spec, engine=f"{__name__}:free_of_charge", data=data)
    outcome = execute(spec, lambda *_, **__: None)
    assert outcome.error is not None
    assert outcome.error.category is ErrorCategory.ENGINE
    assert "costs_charged: commission_bps 10 and commission_per_share 0.02" in outcome.error.message
