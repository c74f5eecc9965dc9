"""Facts of the risk report."""

import json

import numpy as np
import pytest

from pytest_finbot.contracts import EngineResult
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.risk import DayReturn, analyse_risk


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


def test_exposure_counts_short_positions_in_full():
    found, _ = analysed(
        account(
            ["2020-01-02", "2020-01-03"],
            [100.0, 100.0],
            cash=[150.0, 70.0],
            quantity=[-1, 1],
            mark=[50.0, 30.0],
        )
    )

    assert found.exposure_gross_mean == pytest.approx(0.4)
    assert found.exposure_gross_max == pytest.approx(0.5)
    assert found.exposure_net_mean == pytest.approx(-0.1)
    assert found.cash_share_min == pytest.approx(0.7)


@pytest.mark.parametrize("nav", [[100.0, -1.0], [np.nan, 1.0], [100.0, np.inf]])
def test_an_account_without_returns_has_empty_tables_and_says_why(nav):
    found, plain = analysed(account(["2020-01-02", "2020-01-03"], nav))

    assert found.years == ()
    assert found.drawdowns == ()
    assert plain["var_5"] is None
    assert "needs one above zero" in plain["undefined"]["returns"]


def test_a_held_asset_without_a_mark_leaves_exposure_undefined():
    found, _ = analysed(
        account(["2020-01-02", "2020-01-03"], [100.0, 100.0], quantity=[1, 1], mark=[1.0, np.nan])
    )

    assert found.exposure_gross_mean is None
    assert "2020-01-03" in found.undefined["exposure_gross_mean"]
