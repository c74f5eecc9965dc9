"""Marks: a price of the position's own session, or an earlier one that is told, or none that is told."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.checks.marks import check_marks
from pytest_finbot.contracts import EngineResult, MarketData, MarkSpec, MissingPrices, Verdict
from pytest_finbot.market.calendars import sessions_between
from pytest_finbot.valuation.marks import NAMED, MarkFallback, value_marks

NAN = np.nan
WEEKDAYS = np.busday_offset("2012-10-01", np.arange(40)).astype("datetime64[D]")


def a_market(close, days=None, *, observed=None, calendar=None, missing=None, symbols=None):
    close = np.asarray(close, np.float64)
    return MarketData(
        sessions=WEEKDAYS[: len(close)] if days is None else np.asarray(days, "datetime64[D]"),
        symbols=symbols or tuple(f"S{n}" for n in range(close.shape[1])),
        close=close,
        field="close",
        source="prices.csv",
        calendar=calendar,
        observed=None if observed is None else np.asarray(observed, np.bool_),
        missing=missing,
    )


def a_result(market, mark, quantity=1.0, *, rows=None, assets=None, splits=None):
    mark = np.asarray(mark, np.float64)
    return EngineResult.of(
        sessions=market.sessions if rows is None else market.sessions[rows],
        assets=assets or market.symbols,
        nav=np.zeros(len(mark)),
        cash=np.zeros(len(mark)),
        quantity=np.broadcast_to(np.float64(quantity), mark.shape).copy(),
        mark=mark,
        start_cash=0.0,
        splits=splits,
    )


def column(*values):
    return np.array(values, np.float64)[:, np.newaxis]


def carried(days, *, gap, calendar):
    """One asset whose price is missing on the last ``gap`` of ``days`` and was carried forward."""
    close = np.full((len(days), 1), 50.0)
    observed = np.ones(close.shape, np.bool_)
    observed[len(days) - gap :] = False
    missing = MissingPrices("forward_fill", {"S0": gap})
    market = a_market(close, days, observed=observed, calendar=calendar, missing=missing)
    return a_result(market, close), market


# ------------------------------------------------------------------------------- all is well


def test_where_every_position_has_a_price_the_engines_own_array_is_kept():
    market = a_market([[10.0, 20.0], [11.0, 19.0]])
    result = a_result(market, market.close)

    marks = value_marks(result, market, MarkSpec())

    assert marks.mark is result.mark
    assert (marks.held, marks.updated, marks.fallback_count, marks.unmarked_count) == (4, 4, 0, 0)
    assert marks.to_json() == {}
    check = check_marks(marks, MarkSpec())
    assert (check.name, check.verdict, check.value, check.limit) == ("marks", Verdict.IDENTICAL, 0.0, 0.05)


def test_nothing_is_asked_of_what_is_not_held():
    market = a_market([[10.0], [11.0]], observed=[[True], [False]])
    result = a_result(market, column(NAN, NAN), quantity=0.0)

    marks = value_marks(result, market, MarkSpec())

    assert (marks.held, marks.to_json()) == (0, {})
    assert marks.mark is result.mark
    assert marks.share_unmarked == 0.0


# -------------------------------------------------------------------------------- falling back


def test_a_missing_mark_takes_the_last_price_and_says_of_when():
    market = a_market(column(10.0, 11.0, 99.0, 98.0), observed=column(1, 1, 0, 0))
    result = a_result(market, column(10.0, 11.5, NAN, NAN))

    marks = value_marks(result, market, MarkSpec())

    assert marks.mark.tolist() == [[10.0], [11.5], [11.5], [11.5]], "the engine's own price, not the market's"
    assert np.isnan(result.mark[2, 0]), "what the engine gave is left as it is"
    assert marks.fallbacks == (
        MarkFallback("2012-10-03", "S0", "2012-10-02", 1),
        MarkFallback("2012-10-04", "S0", "2012-10-02", 2),
    )
    assert (marks.held, marks.updated, marks.fallback_count) == (4, 2, 2)
    check = check_marks(marks, MarkSpec())
    assert (check.verdict, check.session, check.asset) == (Verdict.WITHIN, "2012-10-03", "S0")
    assert check.message == (
        "2 positions of 4 held are valued at a price that stands in: first S0 on 2012-10-03 at that of "
        "2012-10-02, 1 trading session old"
    )
    assert json.loads(json.dumps(marks.to_json(), allow_nan=False)) == {
        "held": 4,
        "fallback_count": 2,
        "fallbacks": [
            {"session": "2012-10-03", "asset": "S0", "from_session": "2012-10-02", "age": 1},
            {"session": "2012-10-04", "asset": "S0", "from_session": "2012-10-02", "age": 2},
        ],
    }


def test_where_the_market_has_a_close_of_that_very_day_it_stands_in():
    market = a_market(column(10.0, 11.0))
    marks = value_marks(a_result(market, column(10.0, NAN)), market, MarkSpec())

    assert marks.mark.tolist() == [[10.0], [11.0]]
    assert marks.fallbacks == (MarkFallback("2012-10-02", "S0", "2012-10-02", 0),)
    assert "at the market's close" in check_marks(marks, MarkSpec()).message


def test_a_session_that_the_engine_left_out_has_a_price_all_the_same():
    market = a_market(column(10.0, 11.0, 12.0, 99.0), observed=column(1, 1, 1, 0))
    result = a_result(market, column(10.0, NAN), rows=[0, 3])

    marks = value_marks(result, market, MarkSpec())

    assert marks.mark.tolist() == [[10.0], [12.0]]
    assert marks.fallbacks == (MarkFallback("2012-10-04", "S0", "2012-10-03", 1),)


def test_an_earlier_price_is_in_units_of_after_the_splits_since():
    market = a_market(column(100.0, 99.0, 99.0, 99.0), observed=column(1, 0, 0, 0))
    result = a_result(market, column(100.0, NAN, NAN, NAN), splits=column(1.0, 1.0, 2.0, 5.0))

    marks = value_marks(result, market, MarkSpec())

    assert marks.mark.tolist() == [[100.0], [100.0], [50.0], [10.0]]


def test_assets_are_found_by_name_and_one_that_the_market_has_not_by_its_own_marks():
    market = a_market(
        [[1.0, 2.0], [1.5, 2.5], [9.0, 9.0]], observed=[[1, 1], [1, 1], [0, 1]], symbols=("A", "B")
    )
    mark = [[7.0, 2.0, 1.0], [NAN, NAN, 1.5], [NAN, NAN, 9.0]]
    marks = value_marks(a_result(market, mark, assets=("OWN", "B", "A")), market, MarkSpec())

    assert marks.mark.tolist() == [[7.0, 2.0, 1.0], [7.0, 2.5, 1.5], [7.0, 9.0, 9.0]], (
        "A has the price that was carried forward"
    )
    assert [(use.session[-1], use.asset, use.age) for use in marks.fallbacks] == [
        ("2", "OWN", 1),
        ("2", "B", 0),
        ("3", "OWN", 2),
        ("3", "B", 0),
        ("3", "A", 1),
    ]


# -------------------------------------------------------------------------------- ages


@pytest.mark.parametrize("calendar", [None, "XNYS"])
@pytest.mark.parametrize("gap", [1, 5, 6, 8])
def test_a_price_missing_for_five_sessions_falls_back_and_for_six_does_not(calendar, gap):
    days = sessions_between("XNYS", *np.array(["2012-10-08", "2012-11-09"], "datetime64[D]").tolist())
    result, market = carried(days, gap=gap, calendar=calendar)

    marks = value_marks(result, market, MarkSpec())

    assert marks.mark is result.mark, "a price that was carried forward keeps its value, valid or not"
    assert marks.fallback_count == min(gap, 5)
    assert marks.unmarked_count == max(gap - 5, 0)
    assert [use.age for use in marks.fallbacks] == list(range(1, min(gap, 5) + 1))


@pytest.mark.parametrize("max_age", [0, 1, 3])
def test_how_old_a_price_may_be_is_the_users_to_say(max_age):
    result, market = carried(WEEKDAYS, gap=6, calendar=None)

    marks = value_marks(result, market, MarkSpec(max_age=max_age))

    assert (marks.fallback_count, marks.unmarked_count) == (max_age, 6 - max_age)


def test_five_sessions_back_from_the_day_after_the_hurricane_is_the_22nd_of_october():
    days = sessions_between("XNYS", *np.array(["2012-10-15", "2012-10-31"], "datetime64[D]").tolist())
    last = {"2012-10-19": 0, "2012-10-22": 1}
    for since, falls_back in last.items():
        gap = int((days > np.datetime64(since)).sum())
        result, market = carried(days, gap=gap, calendar="XNYS")
        marks = value_marks(result, market, MarkSpec())
        on_the_31st = [use for use in marks.fallbacks if use.session == "2012-10-31"]
        assert len(on_the_31st) == falls_back
    assert on_the_31st == [MarkFallback("2012-10-31", "S0", "2012-10-22", 5)]


def test_sessions_that_the_policy_left_out_still_age_a_price():
    """Six sessions lie between the prices, though the window has two rows."""
    days = WEEKDAYS[[0, 6]]
    dropped = MissingPrices("drop", {}, tuple(str(day) for day in WEEKDAYS[1:6]))
    for calendar, missing in (("weekdays", None), (None, dropped)):
        market = a_market(column(10.0, 11.0), days, observed=column(1, 0), calendar=calendar, missing=missing)
        marks = value_marks(a_result(market, column(10.0, NAN)), market, MarkSpec())
        assert (marks.fallback_count, marks.unmarked_count) == (0, 1), calendar
        assert "2012-10-01, 6 trading sessions earlier, and at most 5" in marks.unmarked[0].why


# ------------------------------------------------------------------------------ no valid mark


def test_a_position_that_was_never_priced_is_named_and_left_without_a_mark():
    market = a_market(column(10.0, 11.0, 12.0), observed=column(0, 0, 1))
    marks = value_marks(a_result(market, column(NAN, 11.0, 12.0)), market, MarkSpec())

    assert np.isnan(marks.mark[0, 0])
    assert [(lost.session, lost.asset) for lost in marks.unmarked] == [
        ("2012-10-01", "S0"),
        ("2012-10-02", "S0"),
    ]
    check = check_marks(marks, MarkSpec())
    assert (check.verdict, check.session, check.asset) == (Verdict.ERROR, "2012-10-01", "S0")
    assert check.value == pytest.approx(2 / 3)
    assert check.message == (
        "2 positions of 3 held (66.67 %) have no valid mark, more than the 5.00 % allowed: first S0 on "
        "2012-10-01: it has no price on that session, or on any before it in the run's window"
    )


def test_up_to_the_allowed_share_the_run_goes_on_and_the_positions_are_told():
    close = np.full((20, 1), 50.0)
    market = a_market(close, observed=np.arange(20)[:, np.newaxis] != 0)
    marks = value_marks(a_result(market, close), market, MarkSpec())

    exactly = check_marks(marks, MarkSpec(max_unmarked=0.05))

    assert marks.share_unmarked == 0.05
    assert (exactly.verdict, exactly.asset) == (Verdict.WITHIN, "S0")
    assert "within the 5.00 % allowed" in exactly.message
    assert check_marks(marks, MarkSpec(max_unmarked=0.049)).verdict is Verdict.ERROR


def test_prices_known_only_later_are_counted_apart_and_do_not_age():
    market = a_market(
        np.full((12, 1), 50.0),
        observed=np.arange(12)[:, np.newaxis] % 11 == 0,
        missing=MissingPrices("interpolate", {"S0": 10}, look_ahead=True),
    )
    mark = np.full((12, 1), 50.0)
    mark[11] = NAN
    marks = value_marks(a_result(market, mark), market, MarkSpec())

    assert (marks.held, marks.updated, marks.fallback_count, marks.look_ahead_count) == (12, 1, 1, 10)
    assert marks.to_json()["look_ahead_count"] == 10
    assert "10 positions of 12 held are valued at a price known only later" in (
        check_marks(marks, MarkSpec()).message
    )


def test_what_is_named_is_bounded_and_what_is_counted_is_whole():
    close = np.full((30, 20), 50.0)
    observed = np.ones(close.shape, np.bool_)
    observed[1:] = False
    market = a_market(close, observed=observed)

    marks = value_marks(a_result(market, close), market, MarkSpec(max_age=15))

    assert (len(marks.fallbacks), marks.fallback_count) == (NAMED, 15 * 20)
    assert (len(marks.unmarked), marks.unmarked_count) == (NAMED, 14 * 20)


# ----------------------------------------------------------------------------- the plain way


def plainly(result, market, max_age):
    """The same, one cell after the other."""
    marks, counts = result.mark.copy(), {"updated": 0, "fallback": 0, "unmarked": 0}
    row_of = {day: row for row, day in enumerate(market.sessions.tolist())}
    for t, day in enumerate(result.sessions.tolist()):
        for n in range(len(result.assets)):
            if not result.quantity[t, n]:
                continue
            at = row_of[day]
            if np.isfinite(result.mark[t, n]) and market.observed[at, n]:
                counts["updated"] += 1
                continue
            rows = [row for row in range(at + 1) if market.observed[row, n]]
            if not rows or at - rows[-1] > max_age:
                counts["unmarked"] += 1
                continue
            counts["fallback"] += 1
            if not np.isfinite(result.mark[t, n]):
                theirs = np.flatnonzero(result.sessions == market.sessions[rows[-1]])
                own = result.mark[theirs[0], n] if len(theirs) else NAN
                marks[t, n] = own if np.isfinite(own) else market.close[rows[-1], n]
    return marks, counts


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    sessions=st.integers(1, 30),
    assets=st.integers(1, 4),
    max_age=st.integers(0, 6),
)
def test_all_at_once_is_as_one_cell_after_the_other(seed, sessions, assets, max_age):
    draw = np.random.default_rng(seed)
    shape = (sessions, assets)
    market = a_market(draw.uniform(1.0, 9.0, shape), observed=draw.random(shape) < 0.6)
    rows = np.flatnonzero(draw.random(sessions) < 0.8)
    mark = market.close[rows] + draw.choice([0.0, 0.1], (len(rows), assets))
    mark[draw.random(mark.shape) < 0.4] = NAN
    result = a_result(market, mark, rows=rows)
    result.quantity[draw.random(mark.shape) < 0.3] = 0.0

    marks = value_marks(result, market, MarkSpec(max_age=max_age))

    expected, counts = plainly(result, market, max_age)
    np.testing.assert_array_equal(marks.mark, expected)
    assert {
        "updated": marks.updated,
        "fallback": marks.fallback_count,
        "unmarked": marks.unmarked_count,
    } == counts
    assert marks.held == sum(counts.values())
