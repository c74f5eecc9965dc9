"""What a test hands in becomes one result, or one message that names the argument."""

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.errors import ParameterError
from pytest_finbot.session.fixture_inputs import result_of

DAYS = pd.to_datetime(["2024-01-02", "2024-01-03", "2024-01-04"])
NAV = pd.Series([100.0, 101.0, 102.0], index=DAYS)
POSITIONS = pd.DataFrame({"AAA": [50.0, 51.0, 52.0], "BBB": [10, 11, 12]}, index=DAYS)
FILLS = pd.DataFrame(
    {"session": DAYS[[0, 0, 2]], "asset": ["AAA", "CCC", "AAA"], "quantity": [1, 2, -1], "price": [50, 5, 52]}
)


def test_everything_given_is_one_result_on_the_assets_of_all():
    quantities = pd.DataFrame({"BBB": [1, 1, 1], "DDD": [2, 2, 2]}, index=DAYS)
    result = result_of(
        NAV,
        positions=POSITIONS,
        cash=NAV - 60,
        quantities=quantities,
        fills=FILLS,
        metrics={"sharpe": np.float64(1.5), "trades": np.int64(3), "calmar": None},
    )
    assert result.assets == ("AAA", "BBB", "DDD", "CCC")
    assert result.sessions.dtype == "datetime64[D]"
    assert result.sessions.astype(str).tolist() == ["2024-01-02", "2024-01-03", "2024-01-04"]
    assert result.market_values[1].tolist() == [51.0, 11.0, 0.0, 0.0]
    assert result.quantity[1].tolist() == [0.0, 1.0, 2.0, 0.0]
    assert result.cash.tolist() == [40.0, 41.0, 42.0]
    assert result.fills.asset.tolist() == [0, 3, 0]
    assert result.fills.session.astype(str).tolist() == ["2024-01-02", "2024-01-02", "2024-01-04"]
    assert result.fills.fee.tolist() == [0.0, 0.0, 0.0]
    assert result.metrics == {"sharpe": 1.5, "trades": 3, "calmar": None}
    assert [type(value) for value in result.metrics.values()] == [float, int, type(None)]


def test_what_is_not_given_stays_unknown_and_no_metric_is_invented():
    result = result_of(NAV)
    assert (result.cash, result.quantity, result.market_values, result.fills) == (None, None, None, None)
    assert (result.assets, result.metrics) == ((), {})


@pytest.mark.parametrize(
    "nav",
    [
        pd.Series([1, 2], index=[date(2024, 1, 2), date(2024, 1, 3)]),
        pd.Series([1, 2], index=[datetime(2024, 1, 2), datetime(2024, 1, 3)], dtype="Int64"),
        ([date(2024, 1, 2), date(2024, 1, 3)], [1, 2]),
        (np.array(["2024-01-02", "2024-01-03"], "datetime64[D]"), np.array([1.0, 2.0])),
        (pd.DatetimeIndex(["2024-01-02", "2024-01-03"]), pd.Series([1.0, 2.0])),
    ],
    ids=["dates", "datetimes", "lists", "arrays", "index"],
)
def test_days_may_be_spelled_in_many_ways(nav):
    result = result_of(nav)
    assert result.sessions.astype(str).tolist() == ["2024-01-02", "2024-01-03"]
    assert result.nav.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_nav_that_is_no_number_is_refused_and_dated(hole):
    with pytest.raises(ParameterError, match=rf"nav: {hole} on {DAYS[1]:%Y-%m-%d}; expected a number"):
        result_of(pd.Series([1.0, hole, 3.0], index=DAYS))


def at(*stamps, values=None):
    return pd.Series(values or [1.0] * len(stamps), index=pd.DatetimeIndex(list(stamps)))


WRONG_NAV = {
    "a number": (100.0, "nav: got of type float; expected a pandas Series"),
    "a frame": (POSITIONS, "nav: got of type DataFrame; expected a pandas Series"),
    "empty": (NAV[:0], "nav: it is empty"),
    "an empty pair": (([], []), "nav: it is empty"),
    "not in order": (at("2024-01-03", "2024-01-02"), "nav: 2024-01-02 comes after 2024-01-03; .*sort_index"),
    "twice": (at("2024-01-02", "2024-01-02"), "nav: 2024-01-02 is there twice"),
    "NaT": (at("2024-01-02", pd.NaT), "nav: a day is missing"),
    "NaT of dates": (pd.Series([1, 2], index=[date(2024, 1, 2), pd.NaT]), "nav: a day is missing"),
    "time zone": (NAV.tz_localize("UTC"), "nav: its index has the time zone UTC; .*tz_localize"),
    "time zone of one": (
        pd.Series([1], index=pd.Index([datetime(2024, 1, 2, tzinfo=UTC)], dtype=object)),
        "nav: 2024-01-02 .*has a time zone",
    ),
    "intraday": (
        at("2024-01-02", "2024-01-03 16:00"),
        "nav: 2024-01-03 16:00:00 is a time of day; .*normalize",
    ),
    "row numbers": (pd.Series([1.0, 2.0]), "nav: its index holds 0, of type int; expected days"),
    "text": (pd.Series([1.0], index=["2024-01-02"]), "nav: its index holds '2024-01-02'.*pd.to_datetime"),
    "months": (pd.Series([1.0], index=pd.PeriodIndex(["2024-01"], freq="M")), "nav: its index holds Period"),
    "words": (NAV.map(str), "nav: holds '100.0'.*expected numbers"),
    "truths": (NAV > 100, "nav: holds .*bool.*expected numbers"),
    "complex": (NAV * 1j, "nav: holds .*complex.*expected numbers"),
    "shorter": ((list(DAYS), [1.0]), "nav: 3 sessions and 1 values"),
    "square": ((list(DAYS), np.ones((3, 3))), r"nav, its values: has shape \(3, 3\)"),
    "no list": ((5, [1.0]), "nav, its sessions: got of type int; expected a list"),
}


@pytest.mark.parametrize(("nav", "told"), WRONG_NAV.values(), ids=WRONG_NAV)
def test_a_nav_that_is_none_is_told(nav, told):
    with pytest.raises(ParameterError, match=f"^{told}"):
        result_of(nav)


def fills(**columns):
    return FILLS.assign(**columns)


WRONG_REST = {
    "positions of other days": (
        {"positions": POSITIONS.shift(1, freq="D")},
        "positions: row 1 is 2024-01-03 where nav has 2024-01-02",
    ),
    "positions of fewer days": (
        {"positions": POSITIONS[1:]},
        "positions: 2 rows where nav has 3 sessions; 2024-01-02 is in nav alone",
    ),
    "quantities as array": ({"quantities": np.ones((3, 1))}, "quantities: got of type ndarray"),
    "quantities in words": ({"quantities": POSITIONS.astype(str)}, r"quantities\['AAA'\]: holds '50.0'"),
    "an asset twice": (
        {"positions": pd.concat([POSITIONS, POSITIONS], axis=1)},
        "positions: column 'AAA' is there twice",
    ),
    "an asset without name": (
        {"positions": pd.DataFrame({1.5: [1, 1, 1]}, index=DAYS)},
        "positions, its columns: 1.5 is of type float",
    ),
    "cash of fewer days": ({"cash": NAV[:2]}, "cash: 2 rows where nav has 3 sessions"),
    "cash too short": ({"cash": [1.0]}, "cash: 1 values; expected 3"),
    "fills as list": ({"fills": []}, "fills: got of type list; expected a DataFrame"),
    "fills misspelled": (
        {"fills": FILLS.assign(fees=1)},
        "fills: unknown column 'fees'; did you mean 'fee'",
    ),
    "fills without price": ({"fills": FILLS.drop(columns="price")}, "fills: no column 'price'"),
    "fills on no session": (
        {"fills": fills(session=pd.to_datetime(["2024-01-02", "2024-01-02", "2024-01-06"]))},
        "fills: row 3 is on 2024-01-06, which is no session",
    ),
    "fills not in order": (
        {"fills": FILLS[::-1]},
        "fills: row 2 is on 2024-01-02, after one on 2024-01-04",
    ),
    "fills without asset": ({"fills": fills(asset=[None, "AAA", "AAA"])}, r"fills\['asset'\]: (None|nan) is"),
    "metrics as list": ({"metrics": [1]}, "metrics: got of type list"),
    "metric NaN": ({"metrics": {"sharpe": np.nan}}, r"metrics\['sharpe'\]: is nan; .*None where undefined"),
    "metric in words": ({"metrics": {"sharpe": "high"}}, r"metrics\['sharpe'\]: the text 'high'"),
    "metric true": ({"metrics": {"sharpe": True}}, r"metrics\['sharpe'\]: got True"),
    "metric without name": ({"metrics": {1: 2.0}}, "metrics: the name 1 is of type int"),
}


@pytest.mark.parametrize(("given", "told"), WRONG_REST.values(), ids=WRONG_REST)
def test_what_does_not_go_with_nav_is_told(given, told):
    with pytest.raises(ParameterError, match=f"^{told}"):
        result_of(NAV, **given)
