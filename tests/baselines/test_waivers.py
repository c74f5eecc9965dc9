"""A waiver excuses the moves it names, until its last day, and nothing else."""

import dataclasses
from datetime import date

import pytest

from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.waivers import describe, expired, waive
from pytest_finbot.contracts import CheckResult, Verdict, Waiver

TODAY = date(2026, 11, 21)
NAV = Waiver("held", "nav", "new roll dates", "Ada", date(2026, 12, 31), "https://example.org/7")
SHARPE = Waiver("held", "metrics.sharpe", "annualised anew", "Bob", date(2026, 12, 31))


@pytest.fixture
def moved(book):
    baseline = book()
    return book.compare(book.metric(book.put(baseline, "nav", 5, 1.0), sharpe=9.0, volatility=9.0), baseline)


def verdicts(comparison):
    return {
        check.name: check.verdict.value
        for check in comparison.checks
        if check.verdict not in (Verdict.IDENTICAL, Verdict.WITHIN)
    }


def test_a_run_whose_every_move_is_waived_is_waived_and_keeps_its_facts(moved):
    everything = dataclasses.replace(NAV, check="*")
    waived = waive(moved, "held", [everything], TODAY)
    assert (waived.verdict, waived.fails) == (Verdict.WAIVED, False)
    assert set(verdicts(waived).values()) == {"waived"}
    assert waived.waivers == (0,)
    assert waived.waived_by == ("new roll dates (Ada, https://example.org/7; until 2026-12-31)",)
    for fact in ("first_session", "first_checks", "largest", "final", "metrics", "positions"):
        assert getattr(waived, fact) == getattr(moved, fact)


def test_a_move_that_is_left_keeps_the_run_moved(moved):
    waived = waive(moved, "held", [SHARPE, NAV], TODAY)
    assert (waived.verdict, waived.fails) == (Verdict.MOVED, True)
    assert verdicts(waived) == {
        "nav": "waived",
        "metrics.sharpe": "waived",
        "metrics.volatility": "moved",
    }
    assert waived.waivers == (0, 1)
    assert waived.waived_by == (describe(SHARPE), describe(NAV))


@pytest.mark.parametrize(
    ("run", "check", "matches"),
    [
        ("held", "nav", True),
        ("h*", "n?v", True),
        ("hel[de]", "*", True),
        ("Held", "nav", False),
        ("hel", "nav", False),
        ("held", "metrics", False),
        ("held", "metrics.*", False),
        ("other", "*", False),
    ],
)
def test_run_and_check_are_names_or_patterns(book, run, check, matches):
    compared = book.compare(book.put(book(), "nav", 5, 1.0), book())
    waived = waive(compared, "held", [dataclasses.replace(NAV, run=run, check=check)], TODAY)
    assert waived.verdict is (Verdict.WAIVED if matches else Verdict.MOVED)
    assert waived.waivers == ((0,) if matches else ())


@pytest.mark.parametrize(
    ("last", "holds"), [(date(2026, 11, 22), True), (TODAY, True), (date(2026, 11, 20), False)]
)
def test_the_last_day_of_a_waiver_still_counts(book, last, holds):
    compared = book.compare(book.put(book(), "nav", 5, 1.0), book())
    waiver = dataclasses.replace(NAV, expires=last)
    waived = waive(compared, "held", [waiver], TODAY)
    assert waived.verdict is (Verdict.WAIVED if holds else Verdict.MOVED)
    assert waived.fails is not holds
    assert expired([NAV, waiver], TODAY) == (() if holds else (waiver,))


def test_an_expired_waiver_does_not_stand_before_one_in_force(book):
    compared = book.compare(book.put(book(), "nav", 5, 1.0), book())
    old = dataclasses.replace(NAV, expires=date(2020, 1, 1))
    assert waive(compared, "held", [old, NAV], TODAY).waivers == (1,)


@pytest.mark.parametrize("verdict", [Verdict.NEW, Verdict.MISSING, Verdict.NOT_COMPARABLE, Verdict.ERROR])
def test_only_a_move_can_be_waived(verdict):
    checks = (CheckResult("nav", Verdict.NOT_COMPARABLE, "no"),)
    comparison = Comparison(verdict, "refactor", checks=checks, reason="because")
    assert waive(comparison, "held", [dataclasses.replace(NAV, check="*")], TODAY) is comparison


def test_what_could_not_be_compared_outlives_a_waiver_and_says_why(book):
    now = dataclasses.replace(book.put(book(), "nav", 5, 1.0), cash=None)
    waived = waive(book.compare(now, book()), "held", [dataclasses.replace(NAV, check="*")], TODAY)
    assert (waived.verdict, waived.fails) == (Verdict.NOT_COMPARABLE, True)
    assert waived.reason == "cash: this result has no cash"
    assert book.check(waived, "cash").verdict is Verdict.NOT_COMPARABLE


def test_what_passes_needs_no_waiver(book):
    compared = book.compare(book(), book())
    assert waive(compared, "held", [dataclasses.replace(NAV, check="*")], TODAY) is compared


def test_of_two_waivers_that_excuse_the_same_none_is_of_no_use(moved):
    everything = dataclasses.replace(NAV, check="*")
    waived = waive(moved, "held", [everything, SHARPE], TODAY)
    assert (waived.verdict, waived.waivers) == (Verdict.WAIVED, (0, 1))
