"""The kit on engines that are wrong in one way each: the point made for it fails, and others do not."""

from pathlib import Path

import pytest

from pytest_finbot.testing import EngineConformance
from pytest_finbot.testing.declared_exceptions import points_of

IN_FRESH_PROCESSES = "test_fresh_processes"
"""Takes seconds, and is looked at where it is the point."""


@pytest.fixture(autouse=True)
def engines(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


def bench_of(engine):
    return type("Bench", (EngineConformance,), {"engine": f"wrong_engines:{engine}"})()


def failures(engine, points):
    """What each of these points says, where it does not hold."""
    bench, said = bench_of(engine), {}
    for name in points:
        try:
            getattr(bench, name)()
        except (Exception, pytest.fail.Exception) as broken:  # noqa: BLE001 - whatever it says
            said[name] = str(broken)
    return said


ALSO = {
    "pays_rebates": {"test_orders_executed"},
    "loses_cash_for_a_day": {f"test_{name}" for name in ("flows", "dividends", "splits", "multipliers")},
}
"""Points that cannot but fail as well."""
QUICK = [name for name in points_of(EngineConformance) if name != IN_FRESH_PROCESSES]


def test_the_right_engine_keeps_every_point_as_a_users_own():
    assert failures("right", points_of(EngineConformance)) == {}


@pytest.mark.parametrize(
    ("engine", "points", "words"),
    [
        ("knows_tomorrow", ["data_cut", "prices_scrambled"], "rotation: prices that end there, after 20"),
        ("remembers", ["second_run"], "the same run a second time in one process differs in warnings"),
        ("makes_no_small_trades", ["capital_scaling"], "NAV / capital on 2020-"),
        ("serves_the_first_best", ["symbol_order"], "NAV on 2020-01-02 is"),
        ("trades_on_nothing", ["zero_weights"], "it was to hold nothing and made"),
        ("charges_nothing", ["costs"], "fixed: with commission_bps 50 NAV ends at"),
        ("sells_for_nothing", ["costs"], "costs_charged: commission_bps 50 is asked for, and"),
        ("pays_rebates", ["costs"], "expected less"),
        ("swallows_errors", ["strategy_error_is_told"], "the strategy raises, and the run succeeds"),
        (
            "takes_any_strategy",
            ["unknown_strategy_is_told"],
            "there is no such strategy, and the run succeeds",
        ),
        ("cannot_travel", ["pickles"], "pickle"),
        ("loses_cash_for_a_day", ["identities"], "nav_identity: "),
        ("marks_at_yesterdays_close", ["marks_at_market"], "are not valued at the market's close"),
        ("drops_orders", ["orders_executed"], "AAA on 2020-01-01, where 0 % of NAV is held and 6 % was"),
        ("shrinks_in_silence", ["leverage_is_told"], "asked to hold 3 times its NAV it holds 1 times"),
        ("never_trades_in_silence", ["small_capital_is_told"], "it never trades, without a rejected order"),
        ("knows_no_whole_units", ["units"], "units: whole, and it holds"),
        ("fills_at_the_close_always", ["fill_timing"], "fill: next_close, and there is a fill on"),
        ("knows_no_flows", ["flows"], "ignores flows"),
        ("knows_no_dividends", ["dividends"], "ignores dividends"),
        ("knows_no_splits", ["splits"], "ignores splits"),
        ("knows_no_multipliers", ["multipliers"], "ignores multipliers"),
    ],
)
def test_the_point_made_for_it_fails_and_no_other(engine, points, words):
    said = failures(engine, QUICK)
    expected = {f"test_{name}" for name in points}
    assert expected <= set(said), f"not seen: {sorted(expected - set(said))}"
    assert words in said[f"test_{points[0]}"]
    assert set(said) - expected <= ALSO.get(engine, set()), said


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("walks_a_set", "fresh processes under PYTHONHASHSEED 1 and 2 differ in warnings"),
        ("remembers", "a fresh process differs from this one in warnings"),
    ],
)
def test_what_a_process_knows_is_found_by_fresh_ones(engine, words):
    bench = bench_of(engine)
    bench.run("fixed")
    with pytest.raises(AssertionError, match=words):
        bench.test_fresh_processes()


@pytest.mark.parametrize(
    ("engine", "point", "words"),
    [
        ("gives_single_precision", "test_contract", "sessions are a datetime64"),
        ("starts_with_more", "test_declared", "expected the start capital"),
        ("fills_at_tomorrows_close", "test_fill_timing", "is filled on"),
    ],
)
def test_a_fault_at_the_ground_is_told_by_the_point_for_it(engine, point, words):
    assert words in failures(engine, [point])[point]


def test_every_point_has_an_engine_that_breaks_it():
    marks = [
        mark
        for mark in test_the_point_made_for_it_fails_and_no_other.pytestmark
        if mark.name == "parametrize"
    ]
    covered = {f"test_{point}" for _, points, _ in marks[0].args[1] for point in points}
    covered |= {"test_contract", "test_declared", IN_FRESH_PROCESSES}
    assert covered == set(points_of(EngineConformance))
