"""Facts of the risk report."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import EngineResult
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.extremes import Extremes
from pytest_finbot.valuation.risk import DayReturn, analyse_risk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the oracle warns of is its own affair
    import empyrical


def account(sessions, nav, *, cash=None, quantity=None, mark=None):
    nav = np.asarray(nav, np.float64)
    shape = (len(nav), 1)
    return EngineResult.of(
        sessions=np.array(sessions, "datetime64[D]"),
        assets=("SPY",),
        nav=nav,
        cash=nav if cash is None else np.asarray(cash),
        quantity=np.zeros(shape) if quantity is None else np.asarray(quantity, np.float64).reshape(shape),
        mark=np.ones(shape) if mark is None else np.asarray(mark, np.float64).reshape(shape),
        start_cash=100.0,
    )


def analysed(result):
    found = analyse_risk(result, Books(result))
    return found, json.loads(json.dumps(found.to_json(), allow_nan=False))


def test_months_and_years_compound_from_the_session_before_them():
    days = ["2019-11-29", "2019-12-02", "2019-12-31", "2020-02-03", "2020-02-28"]

    found, plain = analysed(account(days, [110.0, 121.0, 99.0, 108.9, 198.0]))

    assert [year.year for year in found.years] == [2019, 2020]
    first, second = found.years
    assert first.months[10:] == (pytest.approx(0.1), pytest.approx(-0.1))
    assert first.months[:10] == (None,) * 10
    assert second.months[:3] == (None, pytest.approx(1.0), None)
    assert first.total == pytest.approx(-0.01)
    assert second.total == pytest.approx(1.0)
    assert plain["years"][0]["months"][10] == pytest.approx(0.1)


def test_the_best_and_the_worst_day_are_named():
    found, _ = analysed(account(["2020-01-02", "2020-01-03", "2020-01-06"], [100.0, 80.0, 88.0]))

    assert found.worst_day == DayReturn("2020-01-03", pytest.approx(-0.2))
    assert found.best_day == DayReturn("2020-01-06", pytest.approx(0.1))
    assert [drawdown.trough for drawdown in found.drawdowns] == ["2020-01-03"]


def portfolio(values, *, nav=None, cash=None, assets=("A", "B", "C")):
    """Market values [T, N] of units that cost 1."""
    values = np.asarray(values, np.float64)
    nav = np.full(len(values), 100.0) if nav is None else np.asarray(nav, np.float64)
    return EngineResult.of(
        sessions=np.datetime64("2020-01-01", "D") + np.arange(len(values)),
        assets=assets,
        nav=nav,
        cash=nav - values.sum(axis=1) if cash is None else np.asarray(cash, np.float64),
        quantity=values,
        mark=np.ones(values.shape),
        start_cash=100.0,
    )


def test_exposure_is_long_plus_short_with_the_days_of_its_extremes():
    found, plain = analysed(portfolio([[60, -20, 0], [100, -50, 10], [30, 0, 0]]))

    by_kind = found.exposure
    assert list(by_kind) == ["gross", "net", "long", "short", "cash"]
    assert by_kind["gross"] == Extremes(pytest.approx(0.9), 1.6, "2020-01-02", 0.3, "2020-01-03")
    assert by_kind["net"] == Extremes(pytest.approx(1.3 / 3), 0.6, "2020-01-02", 0.3, "2020-01-03")
    assert by_kind["long"] == Extremes(pytest.approx(2.0 / 3), 1.1, "2020-01-02", 0.3, "2020-01-03")
    assert by_kind["short"] == Extremes(pytest.approx(0.7 / 3), 0.5, "2020-01-02", 0.0, "2020-01-03")
    assert by_kind["cash"] == Extremes(pytest.approx(1.7 / 3), 0.7, "2020-01-03", 0.4, "2020-01-02")
    assert plain["exposure"]["gross"]["max_on"] == "2020-01-02"


def test_days_that_are_as_extreme_but_for_rounding_are_told_by_the_first():
    found, _ = analysed(portfolio([[50, 0, 0], [100, 0, 0], [100 * (1 + 1e-15), 0, 0]]))

    assert found.exposure["gross"].max_on == "2020-01-02"
    assert found.exposure["cash"].min_on == "2020-01-02"


def test_concentration_is_of_gross_value_and_counts_only_sessions_with_positions():
    found, plain = analysed(portfolio([[0, 0, 0], [25, -25, 50], [10, -70, 20], [25, 25, 50]]))

    held = found.concentration
    assert held.sessions_held == 3
    assert held.largest == Extremes(
        pytest.approx((0.5 + 0.7 + 0.5) / 3), 0.7, "2020-01-03", 0.5, "2020-01-02"
    )
    assert held.largest_asset == "B"
    assert held.herfindahl.max == pytest.approx(0.54)
    assert held.herfindahl.min == pytest.approx(0.375)
    assert held.effective_positions.max == pytest.approx(1 / 0.375)
    assert held.effective_positions.mean == pytest.approx((2 / 0.375 + 1 / 0.54) / 3)
    assert plain["concentration"]["largest_asset"] == "B"
    assert found.series.to_json()["largest_position"] == [None, 0.5, 0.7, 0.5]
    assert (
        found.series.reasons()["largest_position"]
        == "nothing is held on 1 of 4 sessions, the first 2020-01-01"
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=1, max_size=20))
def test_the_parts_of_exposure_and_concentration_agree(values):
    found, _ = analysed(portfolio(values))

    mean = {kind: facts.mean for kind, facts in found.exposure.items()}
    assert mean["gross"] == pytest.approx(mean["long"] + mean["short"])
    assert mean["net"] == pytest.approx(mean["long"] - mean["short"])
    assert mean["cash"] == pytest.approx(1.0 - mean["net"])
    held = found.concentration
    if held is None:
        assert not np.any(values)
        assert found.undefined["concentration"] == "nothing was held on any session"
    else:
        assert 1 / 3 - 1e-12 <= held.herfindahl.min <= held.herfindahl.max <= 1.0 + 1e-12
        assert held.herfindahl.max <= held.largest.max + 1e-12
        assert held.effective_positions.min == pytest.approx(1.0 / held.herfindahl.max)


def test_months_and_years_are_those_of_empyrical():
    days = np.datetime64("2019-03-01", "D") + np.arange(500)
    returns = np.random.default_rng(5).normal(0.0005, 0.01, 500)
    found, _ = analysed(account(days, 100.0 * np.cumprod(1.0 + returns)))

    pandas = pytest.importorskip("pandas")
    series = pandas.Series(returns, pandas.DatetimeIndex(days.astype("datetime64[ns]")))
    monthly, yearly = (empyrical.aggregate_returns(series, period) for period in ("monthly", "yearly"))
    assert [month for year in found.years for month in year.months if month is not None] == pytest.approx(
        monthly.tolist()
    )
    assert [year.total for year in found.years] == pytest.approx(yearly.tolist())


def test_deposits_and_withdrawals_are_no_performance_anywhere_in_the_report():
    rows = 300
    returns = np.random.default_rng(9).normal(0.0005, 0.01, rows)
    days = np.datetime64("2019-01-01", "D") + np.arange(rows)
    flows = np.zeros(rows)
    flows[[40, 200]] = 500.0, -300.0
    nav, before = np.empty(rows), 100.0
    for row in range(rows):
        nav[row] = before = before * (1.0 + returns[row]) + flows[row]

    told, _ = analysed(dataclasses.replace(account(days, nav), flows=flows))
    plain, _ = analysed(account(days, 100.0 * np.cumprod(1.0 + returns)))

    assert told.var_1 == pytest.approx(plain.var_1)
    assert told.cvar_5 == pytest.approx(plain.cvar_5)
    assert [drawdown.trough for drawdown in told.drawdowns] == [
        drawdown.trough for drawdown in plain.drawdowns
    ]
    assert told.rolling[0].sharpe.mean == pytest.approx(plain.rolling[0].sharpe.mean)
    assert told.years[0].total == pytest.approx(plain.years[0].total)
    assert told.series.values["wealth"] == pytest.approx(plain.series.values["nav"])
    assert told.series.values["nav"][-1] != pytest.approx(plain.series.values["nav"][-1])


def test_the_columns_for_charts_are_of_one_length_and_say_why_they_have_gaps():
    days = np.datetime64("2019-01-01", "D") + np.arange(100)
    found, _ = analysed(account(days, 100.0 + np.sin(np.arange(100.0))))

    columns = found.series.to_json()

    assert list(columns) == [
        "session",
        "nav",
        "wealth",
        "drawdown",
        "rolling_volatility_63",
        "rolling_sharpe_63",
        "rolling_volatility_252",
        "rolling_sharpe_252",
        "exposure_gross",
        "exposure_net",
        "largest_position",
    ]
    assert {len(column) for column in columns.values()} == {100}
    assert columns["session"][0] == "2019-01-01"
    assert min(columns["drawdown"]) == found.drawdowns[0].depth
    reasons = found.series.reasons()
    assert set(reasons) == {name for name, column in columns.items() if None in column}
    assert reasons["rolling_sharpe_63"] == "the window of 63 sessions is not full before 2019-03-04"
    assert reasons["rolling_sharpe_252"] == "fewer than 252 sessions: there are 100"
    json.dumps(columns, allow_nan=False)


def test_every_undefined_figure_says_why():
    found, plain = analysed(account(["2020-01-02", "2020-03-03"], [100.0, 90.0]))

    assert found.drawdowns[0].recovery is None
    assert plain["undefined"] == {
        "rolling_volatility_63": "fewer than 63 sessions: there are 2",
        "rolling_volatility_63.last": "fewer than 63 sessions: there are 2",
        "rolling_sharpe_63": "fewer than 63 sessions: there are 2",
        "rolling_sharpe_63.last": "fewer than 63 sessions: there are 2",
        "rolling_volatility_252": "fewer than 252 sessions: there are 2",
        "rolling_volatility_252.last": "fewer than 252 sessions: there are 2",
        "rolling_sharpe_252": "fewer than 252 sessions: there are 2",
        "rolling_sharpe_252.last": "fewer than 252 sessions: there are 2",
        "drawdowns[0].recovery": "not recovered by the last session",
        "drawdowns[0].to_recover": "not recovered by the last session",
        "years[0].months": "no session in the months without a return",
        "concentration": "nothing was held on any session",
    }


@pytest.mark.parametrize("nav", [[100.0, -1.0], [np.nan, 1.0], [100.0, np.inf]])
def test_an_account_without_returns_has_empty_tables_and_says_why(nav):
    found, plain = analysed(account(["2020-01-02", "2020-01-03"], nav))

    assert found.years == ()
    assert found.drawdowns == ()
    assert found.rolling == ()
    assert plain["var_5"] is None
    assert "needs one above zero" in plain["undefined"]["returns"]
    columns = found.series.to_json()
    assert columns["drawdown"] == [None, None]
    assert "needs one above zero" in found.series.reasons()["rolling_sharpe_63"]
    json.dumps(columns, allow_nan=False)


@pytest.mark.parametrize("nav", [[1e-300, 1e300], [1e-300, 1.0, 1e300]])
def test_growth_beyond_all_numbers_has_no_returns(nav):
    found, plain = analysed(account(["2020-01-02", "2020-01-03", "2020-02-03"][: len(nav)], nav))

    assert found.best_day is None
    assert "wealth is between" in plain["undefined"]["best_day"]


def test_a_held_asset_without_a_mark_leaves_exposure_and_concentration_undefined():
    found, _ = analysed(
        account(["2020-01-02", "2020-01-03"], [100.0, 100.0], quantity=[1, 1], mark=[1.0, np.nan])
    )

    assert found.exposure["gross"] is None
    assert "2020-01-03" in found.undefined["exposure.gross"]
    assert found.concentration is None
    assert "2020-01-03" in found.undefined["concentration"]
    reasons = found.series.reasons()
    assert reasons["exposure_net"] == "a held asset has no mark on 1 of 2 sessions, the first 2020-01-03"
    assert reasons["largest_position"] == reasons["exposure_net"]
    assert found.series.to_json()["exposure_gross"] == [0.01, None]
