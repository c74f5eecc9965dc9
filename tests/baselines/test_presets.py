"""Every limit of every preset, on both of its sides. The numbers stand here once more on purpose."""

import dataclasses

import numpy as np
import pytest

from pytest_finbot.contracts import SERIES_CHECKS, CheckSpec, Limit, Verdict
from pytest_finbot.tolerances import DEFAULT_PRESET, METRIC_UNITS, PRESETS, tolerances_of
from pytest_finbot.valuation.metric_kinds import METRIC_KINDS

SERIES_LIMITS = {
    "exact": {key: {} for key in SERIES_CHECKS},
    "refactor": {key: {"rtol": 1e-09} for key in SERIES_CHECKS},
    "rounding": {key: {"rtol": 1e-06} for key in SERIES_CHECKS},
    "parity": {"nav": {"rtol": 0.0025, "share": 0.99, "none_beyond": 0.01}},
    "cross_engine": {},
}
METRIC_LIMITS = {
    "exact": {"*": {}},
    "refactor": {"*": {"rtol": 1e-6, "atol": 1e-6}},
    "rounding": {"*": {"rtol": 1e-4, "atol": 1e-4}},
    "parity": {
        "final_nav": {"rtol": 0.0010},
        "cagr": {"atol": 0.0015},
        "max_drawdown": {"atol": 0.0020},
        "sharpe": {"atol": 0.05},
        "trades": {"atol": 1.0},
    },
    "cross_engine": {
        "final_nav": {"rtol": 0.08},
        "cagr": {"atol": 0.012},
        "max_drawdown": {"atol": 0.03},
    },
}
DATES = {"exact": True, "refactor": False, "rounding": False, "parity": False, "cross_engine": False}
INFORMATIONAL = {name: name == "cross_engine" for name in DATES}

SHARED = [
    (preset, check, limit["rtol"])
    for preset, checks in SERIES_LIMITS.items()
    for check, limit in checks.items()
    if "share" in limit
]
PLAIN = [
    (preset, check, limit.get("rtol", 0.0))
    for preset, checks in SERIES_LIMITS.items()
    for check, limit in checks.items()
    if "share" not in limit
]
METRICS = [
    (preset, name, limit.get("rtol", 0.0), limit.get("atol", 0.0))
    for preset, metrics in METRIC_LIMITS.items()
    for name, limit in metrics.items()
]
ROW, COLUMN = 7, 1


def said(limit):
    """What of a limit is not as usual."""
    return {
        field.name: getattr(limit, field.name)
        for field in dataclasses.fields(Limit)
        if getattr(limit, field.name) != field.default
    }


def test_the_tests_below_know_every_limit_of_every_preset():
    assert {
        name: {check: said(limit) for check, limit in preset.series.items()}
        for name, preset in PRESETS.items()
    } == SERIES_LIMITS
    found = {}
    for name, preset in PRESETS.items():
        found[name] = {metric: said(limit) for metric, limit in preset.metrics.items()}
        if preset.every_metric is not None:
            found[name]["*"] = said(preset.every_metric)
    assert found == METRIC_LIMITS
    assert {name: preset.dates for name, preset in PRESETS.items()} == DATES
    assert {name: preset.informational for name, preset in PRESETS.items()} == INFORMATIONAL
    assert {field.name for field in dataclasses.fields(Limit)} == {"rtol", "atol", "share", "none_beyond"}
    assert DEFAULT_PRESET == CheckSpec().preset == "refactor"


def test_the_metrics_that_take_a_limit_are_those_that_are_computed():
    assert dict(METRIC_UNITS) == {name: kind.unit.value for name, kind in METRIC_KINDS.items()}
    assert list(METRIC_UNITS) == list(METRIC_KINDS)


def shifted(book, result, check, distance):
    """``result`` further by ``distance`` times its scale at one place of ``check``, or one unit if 0."""
    where = ROW if check in ("nav", "cash") else (ROW, COLUMN)
    scale = book.scale(result, check)[COLUMN if check == "quantity" else ROW]
    old = getattr(result, check)[where]
    return book.put(result, check, where, old + distance * scale if distance else np.nextafter(old, np.inf))


SERIES = [case for case in PLAIN if case[1] != "fills"]
FILLS = [
    (preset, rtol, column)
    for preset, check, rtol in PLAIN
    if check == "fills"
    for column in ("quantity", "price", "fee")
]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("preset", "check", "rtol"), [case for case in SERIES if case[2]])
def test_a_series_just_within_its_limit_passes(book, preset, check, rtol, sign):
    baseline = book()
    compared = book.compare(shifted(book, baseline, check, 0.99 * sign * rtol), baseline, preset)
    assert compared.verdict is Verdict.WITHIN
    assert not compared.fails
    assert book.check(compared, check).verdict is Verdict.WITHIN
    assert not compared.moved_checks


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("preset", "check", "rtol"), SERIES)
def test_a_series_just_beyond_its_limit_has_moved_there(book, preset, check, rtol, sign):
    baseline = book()
    compared = book.compare(shifted(book, baseline, check, 1.01 * sign * rtol), baseline, preset)
    day = str(baseline.sessions[ROW])
    asset = "A1" if check in ("market_values", "quantity") else None
    assert compared.verdict is Verdict.MOVED
    assert compared.fails
    [moved] = compared.moved_checks
    assert (moved.name, moved.session, moved.asset) == (check, day, asset)
    assert (compared.first_session, compared.first_checks) == (day, (check,))
    assert [position.asset for position in compared.positions] == ([asset] if asset else [])
    scale = book.scale(baseline, check)[COLUMN if check == "quantity" else ROW]
    assert moved.limit == pytest.approx(rtol * scale)
    if rtol:
        assert moved.value == pytest.approx(1.01 * rtol * scale, rel=1e-3)


@pytest.mark.parametrize(("preset", "rtol", "column"), [case for case in FILLS if case[1]])
def test_a_fill_just_within_its_limit_passes(book, preset, rtol, column):
    baseline = book()
    now = moved_fill(book, baseline, column, 0.99 * rtol)
    compared = book.compare(now, baseline, preset)
    assert compared.verdict is Verdict.WITHIN
    assert book.check(compared, "fills").verdict is Verdict.WITHIN
    assert compared.first_fill is None


@pytest.mark.parametrize(("preset", "rtol", "column"), FILLS)
def test_a_fill_just_beyond_its_limit_has_moved(book, preset, rtol, column):
    baseline = book()
    compared = book.compare(moved_fill(book, baseline, column, 1.01 * rtol), baseline, preset)
    assert compared.verdict is Verdict.MOVED
    [moved] = compared.moved_checks
    day = str(baseline.fills.session[4])
    assert (moved.name, moved.session, moved.asset) == ("fills", day, "A1")
    assert (compared.first_session, compared.first_checks) == (day, ("fills",))
    assert compared.first_fill.number == 5
    old, new = compared.first_fill.baseline, compared.first_fill.now
    assert (old.session, old.asset, new.session, new.asset) == (day, "A1", day, "A1")
    assert getattr(old, column) == getattr(baseline.fills, column)[4]
    assert getattr(new, column) > getattr(old, column)


def moved_fill(book, result, column, distance, number=4):
    """``result`` with one fill further by ``distance`` of its scale."""
    fills = result.fills
    row = int(np.flatnonzero(result.sessions == fills.session[number])[0])
    scale = {
        "quantity": max(book.scale(result, "quantity")[fills.asset[number]], abs(fills.quantity[number])),
        "price": abs(fills.price[number]),
        "fee": book.scale(result, "nav")[row],
    }[column]
    old = getattr(fills, column)[number]
    return book.fill(
        result, column, number, old + distance * scale if distance else np.nextafter(old, np.inf)
    )


# ------------------------------------------------------------------ share and none_beyond


@pytest.mark.parametrize(("preset", "check", "rtol"), SHARED)
def test_of_a_share_limit_so_many_sessions_may_be_beyond_and_no_more(book, preset, check, rtol):
    limit = SERIES_LIMITS[preset][check]
    baseline = book(sessions=300)
    few = round((1.0 - limit["share"]) * 300)
    rows = np.arange(40, 40 + 5 * (few + 1), 5)
    values, scale = getattr(baseline, check), book.scale(baseline, check)
    everywhere = book.put(baseline, check, slice(None), values + 0.99 * rtol * scale)
    assert book.compare(everywhere, baseline, preset).verdict is Verdict.WITHIN
    as_many = book.put(baseline, check, rows[1:], values[rows[1:]] + 1.01 * rtol * scale[rows[1:]])
    assert book.compare(as_many, baseline, preset).verdict is Verdict.WITHIN
    too_many = book.put(baseline, check, rows, values[rows] + 1.01 * rtol * scale[rows])
    compared = book.compare(too_many, baseline, preset)
    assert compared.verdict is Verdict.MOVED
    assert compared.first_session == str(baseline.sessions[40])
    assert "4 of 300 sessions out of tolerance, at most 1 % may be" in book.check(compared, check).message


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("preset", "check", "rtol"), SHARED)
def test_of_a_share_limit_no_session_may_be_further_than_the_outer_one(book, preset, check, rtol, sign):
    outer = SERIES_LIMITS[preset][check]["none_beyond"]
    baseline = book(sessions=300)
    old, scale = getattr(baseline, check)[ROW], book.scale(baseline, check)[ROW]
    near = book.put(baseline, check, ROW, old + sign * 0.99 * outer * scale)
    assert book.compare(near, baseline, preset).verdict is Verdict.WITHIN
    compared = book.compare(
        book.put(baseline, check, ROW, old + sign * 1.01 * outer * scale), baseline, preset
    )
    assert compared.verdict is Verdict.MOVED
    assert compared.first_session == str(baseline.sessions[ROW])
    assert "beyond 100 bp" in book.check(compared, check).message


# ------------------------------------------------------------------------------ metrics


def metrics_of(book, preset, name):
    """Metrics that the limit ``name`` holds for, with their values: all numbers, for ``*``."""
    found = {key: value for key, value in book().metrics.items() if not isinstance(value, str)}
    if name == "*":
        return {key: value for key, value in found.items() if key not in METRIC_LIMITS[preset]}
    return {name: found[name]}


def moved_by(value, distance):
    return value + distance if distance else float(np.nextafter(value, np.inf))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("preset", "name", "rtol", "atol"), [case for case in METRICS if case[2] or case[3]])
def test_a_metric_just_within_its_limit_passes(book, preset, name, rtol, atol, sign):
    baseline = book()
    for metric, value in metrics_of(book, preset, name).items():
        now = book.metric(baseline, **{metric: value + sign * 0.99 * (atol + rtol * abs(value))})
        compared = book.compare(now, baseline, preset)
        assert compared.verdict is Verdict.WITHIN, metric
        assert book.check(compared, f"metrics.{metric}").verdict is Verdict.WITHIN


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("preset", "name", "rtol", "atol"), METRICS)
def test_a_metric_just_beyond_its_limit_has_moved(book, preset, name, rtol, atol, sign):
    baseline = book()
    for metric, value in metrics_of(book, preset, name).items():
        now = book.metric(baseline, **{metric: moved_by(value, sign * 1.01 * (atol + rtol * abs(value)))})
        compared = book.compare(now, baseline, preset)
        assert compared.verdict is Verdict.MOVED, metric
        assert [check.name for check in compared.moved_checks] == [f"metrics.{metric}"]
        assert [move.name for move in compared.metrics] == [metric]
        assert (compared.first_session, compared.first_checks) == (None, ())
        assert compared.fails is not INFORMATIONAL[preset]


def test_one_trade_more_is_parity_and_two_are_not(book):
    baseline = book()
    trades = baseline.metrics["trades"]
    for more, verdict in [(1, Verdict.WITHIN), (-1, Verdict.WITHIN), (2, Verdict.MOVED), (-2, Verdict.MOVED)]:
        assert (
            book.compare(book.metric(baseline, trades=trades + more), baseline, "parity").verdict is verdict
        )


@pytest.mark.parametrize("preset", DATES)
def test_dates_among_the_metrics_are_held_by_exact_alone(book, preset):
    baseline = book()
    compared = book.compare(book.metric(baseline, max_drawdown_trough="2015-03-04"), baseline, preset)
    verdict = book.check(compared, "metrics.max_drawdown_trough").verdict
    assert verdict is (Verdict.MOVED if DATES[preset] else Verdict.SKIPPED)
    assert compared.verdict is (Verdict.MOVED if DATES[preset] else Verdict.WITHIN)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_does_not_hold_is_said_to_be_skipped(book, preset):
    baseline = book()
    for check in set(SERIES_CHECKS) - set(SERIES_LIMITS[preset]) - {"fills"}:
        compared = book.compare(shifted(book, baseline, check, 0.5), baseline, preset)
        assert compared.verdict is Verdict.WITHIN
        skipped = book.check(compared, check)
        assert skipped.verdict is Verdict.SKIPPED
        assert skipped.message == f"differs; preset {preset} sets no limit for it"
    if "fills" not in SERIES_LIMITS[preset]:
        compared = book.compare(book.pick(baseline, [0, 1]), baseline, preset)
        assert compared.verdict is Verdict.WITHIN
        assert book.check(compared, "fills").verdict is Verdict.SKIPPED


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("asked", [None, True, False])
def test_informational_is_the_presets_matter_unless_the_file_says(book, preset, asked):
    expected = INFORMATIONAL[preset] if asked is None else asked
    assert tolerances_of(CheckSpec(preset, informational=asked)).informational is expected


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_lets_sessions_differ(book, preset):
    baseline = book()
    compared = book.compare(book.sessions(baseline, slice(None, -1)), baseline, preset)
    assert compared.verdict is Verdict.MOVED
    assert compared.first_session == str(baseline.sessions[-1])


def test_a_limit_of_the_batch_file_takes_the_place_of_the_presets(book):
    baseline = book()
    far = shifted(book, baseline, "nav", 0.01)
    assert book.compare(far, baseline, nav=Limit(rtol=0.02)).verdict is Verdict.WITHIN
    assert book.compare(far, baseline, "parity", nav=Limit(rtol=0.001)).verdict is Verdict.MOVED
    off = book.compare(far, baseline, nav=None)
    assert off.verdict is Verdict.WITHIN
    assert book.check(off, "nav").message == "differs; switched off (checks.nav)"
    assert book.compare(far, baseline, nav=Limit(atol=2000.0)).verdict is Verdict.WITHIN
