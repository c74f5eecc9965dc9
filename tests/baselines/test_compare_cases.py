"""Baselines without a size of their own, metrics that are not there, and what cannot be compared."""

import dataclasses
import math

import numpy as np
import pytest

from pytest_finbot.contracts import Limit, Verdict

NAN = math.nan


# ------------------------------------------- NAV of zero, below zero, and not a number


def test_where_nav_crosses_zero_the_scale_is_one_percent_of_the_first(book):
    baseline = book.with_nav([1000.0, 400.0, 0.0, -400.0, 5.0])
    tenth = Limit(rtol=0.1)
    for row, size in [(0, 100.0), (1, 40.0), (2, 1.0), (3, 40.0), (4, 1.0)]:
        near = book.put(baseline, "nav", row, baseline.nav[row] - 0.99 * size)
        assert book.compare(near, baseline, nav=tenth).verdict is Verdict.WITHIN, row
        far = book.compare(
            book.put(baseline, "nav", row, baseline.nav[row] + 1.01 * size), baseline, nav=tenth
        )
        assert far.verdict is Verdict.MOVED, row
        assert far.nav_at_first.relative == pytest.approx(0.101)


def test_a_negative_nav_is_measured_by_its_absolute_value(book):
    baseline = book.with_nav([-1000.0, -2000.0, -500.0])
    now = book.put(baseline, "nav", 1, -2100.0)
    assert book.compare(now, baseline, nav=Limit(rtol=0.051)).verdict is Verdict.WITHIN
    compared = book.compare(now, baseline, nav=Limit(rtol=0.049))
    assert compared.verdict is Verdict.MOVED
    assert (compared.largest.change, compared.largest.relative) == (-100.0, -0.05)


def test_the_first_nav_that_is_a_number_and_not_zero_sets_the_floor(book):
    baseline = book.with_nav([NAN, 0.0, 500.0, 1.0])
    now = book.put(baseline, "nav", 3, 1.4)
    assert book.compare(now, baseline, nav=Limit(rtol=0.1)).verdict is Verdict.WITHIN
    assert book.compare(now, baseline, nav=Limit(rtol=0.07)).verdict is Verdict.MOVED


def test_against_a_nav_that_is_zero_throughout_any_difference_is_a_move(book):
    baseline = book.with_nav([0.0, 0.0, 0.0])
    compared = book.compare(book.put(baseline, "nav", 1, 1e-12), baseline, nav=Limit(rtol=0.5))
    assert compared.verdict is Verdict.MOVED
    assert compared.largest.relative is None
    assert book.compare(baseline, baseline, nav=Limit(rtol=0.5)).verdict is Verdict.IDENTICAL


@pytest.mark.parametrize("odd", [NAN, math.inf, -math.inf])
@pytest.mark.parametrize(
    "limit", [Limit(rtol=1e9), Limit(atol=1e9, share=0.1), Limit(rtol=1.0, none_beyond=9.0)]
)
def test_no_limit_is_so_wide_that_a_number_may_become_none(book, odd, limit):
    whole = book.with_nav([10.0, 11.0, 12.0, 13.0])
    torn = book.put(whole, "nav", 2, odd)
    for now, baseline in [(torn, whole), (whole, torn)]:
        compared = book.compare(now, baseline, nav=limit)
        assert compared.verdict is Verdict.MOVED
        assert compared.first_session == str(whole.sessions[2])
        check = book.check(compared, "nav")
        assert (check.value, check.message) == (None, "NAV: a number on one side, none on the other")
    assert book.compare(torn, torn, nav=limit).verdict is Verdict.IDENTICAL


def test_what_is_no_number_equals_itself_beside_others_of_its_kind(book):
    odd = book.with_nav([1.0, NAN, math.inf, -math.inf])
    assert book.compare(odd, book.with_nav(odd.nav.copy()), "exact").verdict is Verdict.IDENTICAL
    compared = book.compare(book.put(odd, "nav", 0, 2.0), odd)
    assert compared.first_session == str(odd.sessions[0])


def test_infinities_of_opposite_sign_are_not_alike(book):
    up, down = book.with_nav([1.0, math.inf]), book.with_nav([1.0, -math.inf])
    assert book.compare(up, down, "exact").verdict is Verdict.MOVED


def test_a_value_that_neither_side_has_does_not_hide_another_that_moved(book):
    baseline = book.put(book(), "market_values", (3, 1), NAN)
    now = book.put(baseline, "market_values", (9, 2), 0.0)
    compared = book.compare(now, baseline)
    assert compared.first_session == str(baseline.sessions[9])
    assert [position.asset for position in compared.positions] == ["A2"]


def test_one_quantity_that_is_no_number_does_not_make_the_others_of_its_asset_exact(book):
    baseline = book.put(book(), "quantity", (3, 1), NAN)
    near = book.put(baseline, "quantity", (9, 1), baseline.quantity[9, 1] * (1 + 1e-12))
    assert book.compare(near, baseline).verdict is Verdict.WITHIN


def test_a_holding_of_what_the_baseline_never_holds_has_moved_however_small(book):
    baseline = book(names=("AAA", "BBB"))
    baseline = dataclasses.replace(
        baseline, quantity=baseline.quantity * [1.0, 0.0], market_values=baseline.market_values * [1.0, 0.0]
    )
    now = book.put(baseline, "quantity", (5, 1), 1e-9)
    compared = book.compare(now, baseline)
    assert compared.verdict is Verdict.MOVED
    [position] = compared.positions
    assert (position.asset, position.baseline_quantity, position.now_quantity) == ("BBB", 0.0, 1e-9)


def test_an_asset_that_is_gone_counts_as_sold(book):
    baseline = book(names=("AAA", "BBB"))
    now = dataclasses.replace(
        book.pick(baseline, np.flatnonzero(baseline.fills.asset == 0)),
        assets=("AAA",),
        quantity=baseline.quantity[:, :1],
        market_values=baseline.market_values[:, :1],
    )
    compared = book.compare(now, baseline)
    moved = {check.name for check in compared.moved_checks}
    assert moved == {"market_values", "quantity", "fills", "coverage"}
    [position] = compared.positions
    assert (position.asset, position.now, position.now_quantity) == ("BBB", 0.0, 0.0)


def test_an_asset_in_the_place_of_another_is_told_as_both(book):
    baseline = book(names=("AAA", "BBB"))
    compared = book.compare(dataclasses.replace(baseline, assets=("AAA", "CCC")), baseline)
    assert {check.name for check in compared.moved_checks} == {"market_values", "quantity", "fills"}
    assert {position.asset for position in compared.positions} == {"BBB", "CCC"}
    assert (compared.first_fill.baseline.asset, compared.first_fill.now.asset) == ("BBB", "CCC")


# ---------------------------------------------------------------------- where and how much


def test_positions_are_the_largest_difference_first_and_the_rest_is_counted(book):
    baseline = book(assets=13)
    values = baseline.market_values.copy()
    values[6] += np.arange(1, 14) * 1000.0
    compared = book.compare(dataclasses.replace(baseline, market_values=values), baseline)
    assert [position.asset for position in compared.positions] == [f"A{n}" for n in range(12, 2, -1)]
    assert compared.positions_not_listed == 3
    assert compared.positions[0].now - compared.positions[0].baseline == pytest.approx(13_000.0)


def test_the_check_names_the_asset_furthest_apart_at_the_first_session(book):
    baseline = book()
    values = baseline.market_values.copy()
    values[6] += [100.0, -300.0, 200.0]
    values[7] += [9e5, 0.0, 0.0]
    check = book.check(
        book.compare(dataclasses.replace(baseline, market_values=values), baseline), "market_values"
    )
    assert (check.session, check.asset, check.value) == (
        str(baseline.sessions[6]),
        "A1",
        pytest.approx(300.0),
    )


def test_cash_and_nav_at_the_first_session_are_told_in_money(book):
    baseline = book()
    now = book.put(book.put(baseline, "cash", 6, baseline.cash[6] - 500.0), "nav", 6, baseline.nav[6] - 500.0)
    compared = book.compare(now, baseline)
    assert compared.first_checks == ("nav", "cash")
    for difference in (compared.nav_at_first, compared.cash_at_first):
        assert difference.session == str(baseline.sessions[6])
        assert difference.change == pytest.approx(-500.0)
        assert difference.relative == pytest.approx(-500.0 / baseline.nav[6])


def test_where_only_metrics_left_theirs_the_first_difference_at_all_is_told(book):
    baseline = book()
    now = book.put(book.metric(baseline, sharpe=2.0), "nav", 6, baseline.nav[6] * (1 + 1e-7))
    compared = book.compare(now, baseline, "rounding")
    assert compared.verdict is Verdict.MOVED
    assert (compared.first_session, compared.first_checks) == (str(baseline.sessions[6]), ())
    noise = book.put(book.metric(baseline, sharpe=2.0), "nav", 6, baseline.nav[6] * (1 + 1e-11))
    assert book.compare(noise, baseline, "rounding").first_session is None


def test_none_beyond_less_than_rtol_is_what_counts(book):
    baseline = book()
    now = book.put(baseline, "nav", 6, baseline.nav[6] * 1.007)
    limit = Limit(rtol=0.01, share=0.5, none_beyond=0.005)
    compared = book.compare(now, baseline, nav=limit)
    assert compared.verdict is Verdict.MOVED
    assert compared.first_session == str(baseline.sessions[6])


# ------------------------------------------------------------------------------- fills


def test_a_run_that_stopped_trading_names_the_first_fill_that_is_gone(book):
    baseline = book()
    compared = book.compare(book.pick(baseline, []), baseline)
    assert (compared.first_fill.number, compared.first_fill.now) == (1, None)
    check = book.check(compared, "fills")
    assert check.message == "24 fills, now 0; the first that differs is number 1"
    assert (check.session, check.asset) == (str(baseline.fills.session[0]), "A0")


def test_of_two_fills_the_earlier_one_dates_the_move(book):
    baseline = book()
    earlier = book.fill(baseline, "session", 4, baseline.sessions[2])
    for now, accepted in [(earlier, baseline), (baseline, earlier)]:
        assert book.check(book.compare(now, accepted), "fills").session == str(baseline.sessions[2])


def test_fills_outside_the_common_sessions_are_still_compared(book):
    baseline = book()
    short = book.sessions(baseline, slice(10, None))
    compared = book.compare(book.fill(short, "fee", 0, 5000.0), baseline)
    assert {check.name for check in compared.moved_checks} == {"sessions", "fills", "coverage"}
    assert compared.first_fill.number == 1


def test_a_fill_of_no_number_is_told_without_one(book):
    baseline = book()
    compared = book.compare(book.fill(baseline, "price", 2, NAN), baseline)
    assert compared.first_fill.now.price is None


# ----------------------------------------------------------------------------- metrics


def only(**metrics):
    return {"metrics": metrics}


def compare_metric(book, old, new, preset="refactor", **limits):
    compared = book.compare(
        book.with_nav([1.0, 2.0], **only(**new)), book.with_nav([1.0, 2.0], **only(**old)), preset, **limits
    )
    return compared, next((check for check in compared.checks if check.name.startswith("metrics.")), None)


@pytest.mark.parametrize(
    ("old", "new", "limit", "verdict"),
    [
        (0.0, 1e-12, Limit(rtol=0.5), Verdict.MOVED),  # nothing is a fraction of zero
        (0.0, 0.009, Limit(rtol=0.5, atol=0.01), Verdict.WITHIN),
        (0.0, 0.011, Limit(rtol=0.5, atol=0.01), Verdict.MOVED),
        (0.0, -0.0, Limit(), None),
        (-2.0, -2.1, Limit(rtol=0.06), Verdict.WITHIN),
        (-2.0, -2.1, Limit(rtol=0.04), Verdict.MOVED),
        (-1.0, 1.0, Limit(rtol=1.9), Verdict.MOVED),  # the wrong sign
        (None, None, Limit(), None),
        (None, 0.0, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
        (0.5, None, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
        (NAN, NAN, Limit(), None),
        (NAN, 1.0, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
        (1.0, NAN, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
        (math.inf, 1.0, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
        (1.0, math.inf, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
        (5, 5.0, Limit(), None),
        ("2015-01-02", 3.0, Limit(rtol=9.0, atol=9.0), Verdict.MOVED),
    ],
)
def test_a_metric_against_what_was_accepted(book, old, new, limit, verdict):
    compared, check = compare_metric(book, {"sharpe": old}, {"sharpe": new}, metrics_sharpe=limit)
    assert (check.verdict if check else None) is verdict
    assert compared.verdict is (Verdict.IDENTICAL if verdict is None else verdict)


def test_a_metric_that_is_gone_has_moved_even_where_it_was_undefined(book):
    for old in (0.7, None):
        compared, check = compare_metric(book, {"sharpe": old}, {})
        assert (compared.verdict, check.verdict) == (Verdict.MOVED, Verdict.MOVED)
        assert "gone" in check.message


def test_a_metric_that_is_new_is_skipped_unless_it_was_asked_for(book):
    compared, check = compare_metric(book, {}, {"sharpe": 1.0})
    assert (compared.verdict, check.verdict) == (Verdict.WITHIN, Verdict.SKIPPED)
    compared, check = compare_metric(book, {}, {"sharpe": 1.0}, metrics_sharpe=Limit(atol=1.0))
    assert (compared.verdict, check.verdict) == (Verdict.NOT_COMPARABLE, Verdict.NOT_COMPARABLE)
    assert compared.reason == "metrics.sharpe: the baseline has no such metric"
    assert compared.fails


def test_what_was_asked_for_and_neither_side_has_does_not_pass_silently(book):
    same = book.with_nav([1.0, 2.0])
    for check in ("cash", "quantity", "market_values", "fills", "metrics_sharpe"):
        compared = book.compare(same, same, **{check: Limit(rtol=0.1)})
        assert compared.verdict is Verdict.NOT_COMPARABLE, check
        assert compared.fails
        assert book.compare(same, same, **{check: None}).verdict is Verdict.IDENTICAL


def test_a_metric_that_is_switched_off_is_shown_and_skipped(book):
    compared, check = compare_metric(book, {"sharpe": 1.0}, {"sharpe": 2.0}, metrics_sharpe=None)
    assert (compared.verdict, check.verdict) == (Verdict.WITHIN, Verdict.SKIPPED)
    assert check.message == "differs; switched off (checks.metrics.sharpe)"


@pytest.mark.parametrize(
    ("name", "old", "new", "judgement"),
    [
        ("sharpe", 1.0, 2.0, "better"),
        ("sharpe", 2.0, 1.0, "worse"),
        ("max_drawdown", -0.2, -0.1, "better"),
        ("volatility", 0.2, 0.1, "better"),
        ("costs", 10.0, 20.0, "worse"),
        ("trades", 10, 20, "changed"),
        ("sharpe", None, 2.0, "changed"),
        ("house_metric", 1.0, 2.0, "changed"),
    ],
)
def test_better_or_worse_a_move_is_a_move(book, name, old, new, judgement):
    compared, check = compare_metric(book, {name: old}, {name: new})
    assert compared.verdict is Verdict.MOVED
    [move] = compared.metrics
    assert (move.name, move.baseline, move.now, move.judgement) == (name, old, new, judgement)
    assert f"({judgement})" in check.message


def test_why_a_metric_is_undefined_is_said(book):
    old = book.with_nav([1.0, 2.0], metrics={"sharpe": 1.0})
    now = book.with_nav([1.0, 2.0], metrics={"sharpe": None}, undefined={"sharpe": "the series is flat"})
    assert book.check(book.compare(now, old), "metrics.sharpe").message == (
        "1 → undefined (the series is flat) (changed)"
    )


def test_identical_metrics_are_one_check(book):
    compared = book.compare(book(), book())
    assert [check.name for check in compared.checks if "metrics" in check.name] == ["metrics"]
    assert book.check(compared, "metrics").message == "9 metrics"


# ---------------------------------------------------------------- what cannot be compared


@pytest.mark.parametrize("series", ["cash", "market_values", "quantity", "fills"])
def test_a_series_that_one_side_lacks_is_not_comparable_and_closes_the_gate(book, series):
    whole = book()
    part = dataclasses.replace(whole, **{series: None})
    for now, baseline, which in [(part, whole, "this result"), (whole, part, "the baseline")]:
        compared = book.compare(now, baseline)
        assert compared.verdict is Verdict.NOT_COMPARABLE
        assert compared.fails
        assert compared.reason.startswith(f"{series}: {which} has no ")
        assert book.compare(now, baseline, **{series: None}).verdict is Verdict.WITHIN


def test_a_move_is_told_before_what_could_not_be_compared(book):
    whole = book()
    part = book.put(dataclasses.replace(whole, cash=None), "nav", 5, 1.0)
    assert book.compare(part, whole).verdict is Verdict.MOVED


def test_results_without_a_common_session_have_moved(book):
    early, late = book(), book()
    late = dataclasses.replace(late, sessions=late.sessions + np.timedelta64(900, "D"))
    compared = book.compare(late, early)
    assert compared.verdict is Verdict.MOVED
    assert book.check(compared, "nav").verdict is Verdict.NOT_COMPARABLE
    assert compared.first_session == str(early.sessions[0])
    assert (compared.nav_at_first, compared.positions) == (None, ())


def test_a_preset_that_holds_nothing_of_a_result_is_not_comparable(book):
    old = book.with_nav([1.0, 2.0], metrics={"house_metric": 1.0})
    same_metric = book.put(old, "nav", 1, 2.5)
    compared = book.compare(same_metric, old, "cross_engine")
    assert compared.verdict is Verdict.NOT_COMPARABLE
    assert compared.reason == "no check holds this run to anything; give checks a limit"
    assert (
        book.compare(
            book.metric(same_metric, final_nav=2.0), book.metric(old, final_nav=2.0), "cross_engine"
        ).verdict
        is Verdict.WITHIN
    )


def test_what_is_to_be_accepted_fails_nothing(book):
    compared = book.compare(book(seed=1), book(seed=2))
    assert compared.fails
    assert not dataclasses.replace(compared, accepting=True).fails


def test_only_an_informational_move_fails_nothing(book):
    old, new = book.metric(book(), cagr=0.08), book.metric(book(), cagr=0.2)
    compared = book.compare(new, old, "cross_engine")
    assert (compared.verdict, compared.informational, compared.fails) == (Verdict.MOVED, True, False)
    gone = book.compare(book.with_nav([1.0]), book.with_nav([2.0]), "cross_engine", cash=Limit())
    assert gone.verdict is Verdict.NOT_COMPARABLE
    assert gone.fails
