"""Metrics against empyrical, and what becomes of them where they do not exist."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metric_kinds import METRIC_KINDS, Unit
from pytest_finbot.valuation.metrics import compute_metrics, historical_var

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the oracle warns of is its own affair
    import empyrical


def account(nav, *, start=100.0, flows=None, fills=None, quantity=None, mark=None, cash=None):
    """A result with the given NAV, all of it in cash unless positions are given."""
    nav = np.asarray(nav, np.float64)
    shape = (len(nav), 1)
    return EngineResult.of(
        sessions=np.datetime64("2020-01-01", "D") + np.arange(len(nav)),
        assets=("SPY",),
        nav=nav,
        cash=nav if cash is None else np.asarray(cash, np.float64),
        quantity=np.zeros(shape) if quantity is None else np.asarray(quantity, np.float64).reshape(shape),
        mark=np.ones(shape) if mark is None else np.asarray(mark, np.float64).reshape(shape),
        start_cash=start,
        flows=None if flows is None else np.asarray(flows, np.float64),
        fills=fills,
    )


def metrics_of(result):
    """Metrics of ``result``, having passed what is asked of every one of them."""
    found = compute_metrics(result, Books(result))
    assert list(found.values) == list(METRIC_KINDS)
    assert set(found.undefined) == {name for name, value in found.values.items() if value is None}
    assert all(found.undefined.values())
    assert all(type(value) in (float, int, str, type(None)) for value in found.values.values())
    json.dumps(dict(found.values), allow_nan=False)
    return found


RETURNS = st.lists(st.floats(-0.3, 0.4), min_size=2, max_size=120).map(np.array)


@settings(max_examples=200, deadline=None)
@given(returns=RETURNS)
def test_every_ratio_is_that_of_empyrical(returns):
    nav = 100.0 * np.cumprod(1.0 + returns)
    realised = nav / np.concatenate(([100.0], nav[:-1])) - 1.0

    found = metrics_of(account(nav)).values

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected = {
            "total_return": empyrical.cum_returns_final(realised),
            "cagr": empyrical.annual_return(realised),
            "volatility": empyrical.annual_volatility(realised),
            "sharpe": empyrical.sharpe_ratio(realised),
            "sortino": empyrical.sortino_ratio(realised),
            "max_drawdown": empyrical.max_drawdown(realised),
            "calmar": empyrical.calmar_ratio(realised),
            "var_5": empyrical.value_at_risk(realised),
            "cvar_5": empyrical.conditional_value_at_risk(realised),
        }
    # One bit of a NAV is 2e-16 of it: below this a ratio has fewer digits than are compared.
    flat = np.std(realised, ddof=1) < 1e-8
    barely_down = math.sqrt(np.mean(np.minimum(realised, 0.0) ** 2)) < 1e-8
    for name, value in expected.items():
        if found[name] is None:
            # Only where it does not exist, or where the oracle divides by rounding.
            rounding = flat if name == "sharpe" else barely_down or expected["max_drawdown"] > -1e-10
            assert not np.isfinite(value) or rounding or abs(value) > 1e300, name
        elif not (name in ("sharpe", "sortino", "calmar") and (flat or barely_down)):
            assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-10), name


@settings(max_examples=100, deadline=None)
@given(returns=RETURNS, level=st.sampled_from([0.01, 0.05, 0.1, 0.5]))
def test_value_at_risk_is_numpys_percentile_and_the_tail_is_below_it(returns, level):
    var, cvar = historical_var(returns, level)

    assert var == pytest.approx(np.percentile(returns, 100 * level), rel=1e-9, abs=1e-15)
    assert cvar == pytest.approx(empyrical.conditional_value_at_risk(returns, level), rel=1e-9, abs=1e-15)
    assert cvar <= var + 1e-12


DEGENERATE = {
    "flat": account([100.0] * 5),
    "one session": account([101.0]),
    "two sessions": account([101.0, 102.0]),
    "always up by the same": account(100.0 * 1.01 ** np.arange(1, 30)),
    "ruined": account([90.0, 10.0, 0.0, 0.0]),
    "in debt": account([90.0, -10.0, -20.0]),
    "not finite": account([100.0, np.nan, 100.0]),
    "infinite": account([100.0, np.inf, 100.0]),
    "all NaN": account([np.nan] * 3),
    "no capital": account([0.0, 100.0], start=0.0, flows=[0.0, 100.0]),
    "emptied by a withdrawal": account([100.0, 0.0], flows=[0.0, -100.0]),
    "absurd growth": account([1e200, 1e300]),
    "overflowing": account([1e308, 1e308, 1e-300], start=1e-300),
    "held without a mark": account([100.0, 101.0, 99.0], quantity=[1.0, 1.0, 1.0], mark=[1.0, np.nan, 1.0]),
    "infinite mark": account([100.0, 101.0, 99.0], quantity=[1.0, 1.0, 1.0], mark=[1.0, np.inf, 1.0]),
    "fills of nothing finite": account(
        [100.0, 101.0],
        fills=Fills(
            np.array([0]), np.array([0]), np.array([np.inf]), np.array([1.0]), np.array([np.nan]), np.zeros(1)
        ),
    ),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_what_does_not_exist_is_none_with_a_reason_never_nan(name):
    metrics_of(DEGENERATE[name])


@settings(max_examples=100, deadline=None)
@given(
    nav=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8),
    start=st.floats(allow_nan=True, allow_infinity=True),
)
def test_no_nav_however_wild_raises_or_gives_nan(nav, start):
    metrics_of(account(nav, start=start))


def test_a_flat_account_has_no_sharpe_and_says_why():
    found = metrics_of(DEGENERATE["flat"])

    assert found.values["volatility"] == 0.0
    assert found.values["max_drawdown"] == 0.0
    assert found.undefined["sharpe"] == "volatility is zero"
    assert found.undefined["sortino"] == "no session had a loss"
    assert "never fell" in found.undefined["calmar"]
    assert "never fell" in found.undefined["max_drawdown_trough"]


def test_the_same_gain_every_day_is_no_volatility_whatever_rounding_says():
    assert metrics_of(DEGENERATE["always up by the same"]).undefined["sharpe"] == "volatility is zero"


def test_a_ruined_account_is_told_by_its_first_day_without_nav():
    found = metrics_of(DEGENERATE["in debt"])

    assert found.undefined["cagr"] == "NAV is -10.00 on 2020-01-02: a return needs one above zero"
    assert found.values["final_nav"] == -20.0


def test_one_session_has_a_return_but_no_rate():
    found = metrics_of(DEGENERATE["one session"])

    assert found.values["total_return"] == pytest.approx(0.01)
    for name in ("cagr", "cagr_calendar", "volatility", "sharpe", "sortino", "calmar"):
        assert found.undefined[name] == "fewer than 2 sessions"


def test_what_opening_the_positions_cost_is_part_of_the_return():
    assert metrics_of(account([99.0, 99.0])).values["total_return"] == pytest.approx(-0.01)


def test_growth_by_sessions_and_by_calendar_count_their_own_years():
    nav = np.full(253, 100.0)
    nav[-1] = 110.0

    found = metrics_of(account(nav)).values

    assert found["cagr"] == pytest.approx(1.1 ** (252 / 253) - 1)
    assert found["cagr_calendar"] == pytest.approx(1.1 ** (365.25 / 252) - 1)


def test_a_deposit_is_not_performance():
    with_deposit = account([101.0, 1102.01, 1113.0301], flows=[0.0, 1000.0, 0.0])

    found = metrics_of(with_deposit).values

    # The deposit comes at the end of its session: 102.01 / 101 before it, 1 % on all of it after.
    assert found["total_return"] == pytest.approx(1.01 * 1.01 * (1113.0301 / 1102.01) - 1)
    assert found["max_drawdown"] == 0.0


def test_a_withdrawal_is_not_a_drawdown():
    assert metrics_of(account([100.0, 50.0, 50.0], flows=[0.0, -50.0, 0.0])).values["max_drawdown"] == 0.0


def test_wealth_too_large_for_a_number_is_told_by_its_day():
    found = metrics_of(account([1e300, 1e300], start=1e-10, flows=[0.0, 1.0]))

    assert found.undefined["max_drawdown"].startswith("time-weighted wealth is inf on 2020-01-01")


def test_the_largest_drawdown_has_its_dates_until_it_is_recovered():
    found = metrics_of(account([100.0, 120.0, 90.0, 119.0]))

    assert found.values["max_drawdown"] == pytest.approx(-0.25)
    assert found.values["max_drawdown_peak"] == "2020-01-02"
    assert found.values["max_drawdown_trough"] == "2020-01-03"
    assert found.undefined["max_drawdown_recovery"] == "not recovered by the last session"
    assert metrics_of(account([120.0, 90.0, 120.0])).values["max_drawdown_recovery"] == "2020-01-03"


def test_trading_is_counted_valued_and_charged():
    fills = Fills(
        np.array([0, 1]),
        np.array([0, 0]),
        np.array([10.0, -5.0]),
        np.array([5.0, 6.0]),
        np.array([0.1, 0.2]),
        np.array([0.5, 0.0]),
    )
    result = account([100.0, 100.0], fills=fills, quantity=[-10.0, 5.0], mark=[5.0, 6.0], cash=[150.0, 70.0])

    found = metrics_of(result).values

    assert found["trades"] == 2
    assert found["costs"] == pytest.approx(0.8)
    assert found["turnover"] == pytest.approx((50.0 + 30.0) / 2 / 100.0 / (2 / 252))
    assert found["exposure_gross"] == pytest.approx((0.5 + 0.3) / 2)
    assert found["cash_share"] == pytest.approx((1.5 + 0.7) / 2)


def test_dates_are_texts_and_counts_are_whole_numbers():
    found = metrics_of(account([100.0, 90.0, 100.0])).values

    for name, kind in METRIC_KINDS.items():
        if found[name] is not None:
            expected = {Unit.DATE: str, Unit.COUNT: int}.get(kind.unit, float)
            assert type(found[name]) is expected, name
