"""Prices that were not there, and what is odd about those that were, stay with the run."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.contracts import DataFinding, DataSpec, MarketData, MissingPrices, RunSpec
from pytest_finbot.pipeline.data_notes import data_counters, data_notes, data_warnings
from pytest_finbot.pipeline.execute import execute

SPEC = RunSpec(
    name="run",
    engine="portfolio",
    strategy="fixed_weights",
    params={},
    symbols=("AAA", "BBB"),
    start_date=date(2020, 1, 2),
    end_date=date(2020, 1, 7),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
)
MARKET = MarketData(
    sessions=np.arange("2020-01-02", "2020-01-05", dtype="datetime64[D]"),
    symbols=("AAA", "BBB"),
    close=np.ones((3, 2)),
    field="close",
    source="prices.csv",
)
BACKFILLED = MissingPrices("backfill", {"AAA": 2, "BBB": 1}, first="2020-01-03", look_ahead=True)


def odd(count):
    return tuple(
        DataFinding("spike", "odd", f"AAA jumps on day {number}", "AAA", f"2020-01-{number:02}")
        for number in range(1, count + 1)
    )


def test_clean_prices_leave_nothing_to_say():
    assert data_notes(SPEC, MARKET) == {}
    assert not list(data_warnings(MARKET))
    counters = data_counters(MARKET)
    assert counters.pop("sessions") == 3
    assert counters.pop("symbols") == 2
    assert set(counters.values()) == {0}


def test_what_was_put_in_is_counted_by_symbol_and_what_was_known_later_is_warned_of():
    observed = np.array([[True, True], [False, False], [False, True], [True, True]])
    market = dataclasses.replace(MARKET, observed=observed, missing=BACKFILLED)
    assert data_counters(market)["prices_missing"] == 3
    assert data_counters(market)["prices_filled"] == 3
    assert data_notes(SPEC, market)["missing"] == {
        "policy": "backfill",
        "filled": {"AAA": 2, "BBB": 1},
        "dropped": [],
        "dropped_count": 0,
        "first": "2020-01-03",
        "look_ahead": True,
    }
    assert list(data_warnings(market)) == [
        "data.missing: backfill looks ahead: 3 prices of AAA, BBB, the first on 2020-01-03, were put in by "
        "what was known only later"
    ]


def test_a_policy_that_had_nothing_to_do_is_recorded_and_warns_of_nothing():
    market = dataclasses.replace(MARKET, missing=MissingPrices("interpolate", {}))
    assert data_notes(SPEC, market)["missing"]["policy"] == "interpolate"
    assert not list(data_warnings(market))


def test_sessions_without_end_are_counted_and_a_hundred_are_named():
    dropped = tuple(str(day) for day in np.arange("2020-01-01", "2020-05-01", dtype="datetime64[D]"))
    market = dataclasses.replace(MARKET, missing=MissingPrices("drop", {}, dropped, dropped[0]))
    missing = data_notes(SPEC, market)["missing"]
    assert (len(missing["dropped"]), missing["dropped_count"]) == (100, 121)
    assert data_counters(market)["sessions_dropped"] == 121


@pytest.mark.parametrize(("count", "warned", "noted"), [(1, 1, 1), (10, 10, 10), (60, 11, 50)])
def test_what_is_odd_is_noted_and_warned_of_but_not_without_end(count, warned, noted):
    market = dataclasses.replace(MARKET, odd=odd(count))
    warnings = list(data_warnings(market))
    assert len(warnings) == warned
    assert warnings[0] == "AAA jumps on day 1"
    notes = data_notes(SPEC, market)
    assert (len(notes["odd"]), notes["odd_count"]) == (noted, count)
    assert notes["odd"][0]["session"] == "2020-01-01"
    if count > 10:
        assert warnings[-1] == "and 50 more odd findings about its prices"


def at_days(first, count, calendar=None, days="D"):
    sessions = np.arange(first, count, dtype="datetime64[D]")
    if days == "B":
        sessions = np.busday_offset(first, np.arange(count)).astype("datetime64[D]")
    close = np.ones((count, 2))
    return dataclasses.replace(MARKET, sessions=sessions, close=close, calendar=calendar)


@pytest.mark.parametrize(
    ("market", "warned"),
    [
        (at_days("2020-01-06", 5, "24/7"), ["figures a year count 252 sessions; 24/7 has 365"]),
        (at_days("2020-01-06", 40), ["figures a year count 252 sessions; this market has 365"]),
        (at_days("2020-01-06", 5), []),
        (at_days("2020-01-06", 40, "weekdays", "B"), []),
        (at_days("2020-01-06", 40, None, "B"), []),
    ],
)
def test_a_market_that_never_closes_has_more_sessions_a_year_than_figures_count(market, warned):
    assert list(data_warnings(market)) == warned


def test_a_snapshot_is_noted_by_its_id():
    spec = dataclasses.replace(SPEC, data=DataSpec("", snapshot="ab12"))
    assert data_notes(spec, MARKET) == {"snapshot": "ab12"}


def test_an_order_is_not_filled_at_a_price_from_before_its_decision(tmp_path):
    """AAA gains 8 % within the session that is decided on, and has no bar on the next."""
    (tmp_path / "AAA.csv").write_text(
        "Date,Open,High,Low,Close\n2020-01-02,100,108,100,108\n2020-01-03,,,,\n2020-01-06,108,109,108,109\n"
        "2020-01-07,109,110,109,110\n"
    )
    data = DataSpec(str(tmp_path / "AAA.csv"), missing="forward_fill")
    spec = dataclasses.replace(SPEC, symbols=("AAA",), data=data, fill="next_open")
    run = execute(spec, lambda kind, payload, *, flush=True: None)
    assert run.error is None
    assert run.result.fills.price.tolist() == [108.0]
    (warning,) = run.warnings
    assert "the first is of AAA on 2020-01-03" in warning


def test_a_run_takes_them_along(tmp_path):
    (tmp_path / "prices.csv").write_text(
        "Date,AAA,BBB\n2020-01-02,10,20\n2020-01-03,,21\n2020-01-06,12,22\n2020-01-07,13,23\n"
    )
    data = DataSpec(str(tmp_path / "prices.csv"), missing="backfill")
    run = execute(dataclasses.replace(SPEC, data=data), lambda kind, payload, *, flush=True: None)
    assert run.error is None
    counters = {phase.name: phase.counters for phase in run.phases}
    assert counters["market_data"]["prices_filled"] == 1
    assert run.data_notes["missing"]["filled"] == {"AAA": 1}
    assert any("looks ahead" in warning for warning in run.warnings)
    analytics = counters["analytics"]
    assert analytics["made"] == sum(value is not None for value in run.metrics.values())
    assert analytics["skipped"] == len(run.undefined_metrics)
    assert analytics["made"] + analytics["skipped"] == len(run.metrics)
