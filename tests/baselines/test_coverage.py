"""Less than before is told, and fails unless somebody wrote down why."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.baselines.coverage import check_coverage, counts_of
from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.judge import Gate
from pytest_finbot.baselines.slices import Slice, own_sessions
from pytest_finbot.baselines.store import Baseline
from pytest_finbot.contracts import CheckSpec, Verdict, Waiver
from pytest_finbot.tolerances import tolerances_of


class OneBaseline:
    """A source that holds one result, which depended on ``settings``."""

    shown = "baselines"

    def __init__(self, result, settings):
        self.result, self.settings = result, settings

    def names(self):
        return ("run",)

    def find(self, run):
        if run != "run":
            return None
        acceptance = Acceptance(at="2026-01-01T00:00:00Z", by="Ada", reason="first", commit="")
        return Baseline(
            "b", run, self.result, dependencies(self.settings), acceptance, "baselines/run.json", ""
        )


def dependencies(settings):
    return {
        "config": {"hash": str(settings), "settings": settings},
        "data": {"hash": "d", "parts": {}},
        "code": {"hash": "c", "modules": {}},
        "environment": {},
    }


def judged(now, baseline, *, before=None, settings=None, checks=None, **gate):
    source = OneBaseline(baseline, before or {"end_date": "2020-12-31"})
    return Gate(source, **gate).judge(
        "run", checks or CheckSpec(), now, dependencies(settings or {"end_date": "2020-12-31"})
    )


def coverage(comparison):
    return next((check for check in comparison.checks if check.name == "coverage"), None)


def test_the_rows_of_every_output_are_counted(book):
    result = book()
    assert counts_of(result) == {
        "sessions": len(result.nav),
        "positions": int((result.quantity != 0).sum()),
        "fills": len(result.fills),
        "metrics": sum(value is not None for value in result.metrics.values()),
    }


def test_a_metric_that_came_to_nothing_fails_where_no_limit_would_have_looked(book):
    baseline = dataclasses.replace(book(), metrics={"final_nav": 1.0, "sortino": 0.5})
    now = dataclasses.replace(
        baseline, metrics={"final_nav": 1.0, "sortino": None}, undefined={"sortino": "?"}
    )
    compared = judged(now, baseline, checks=CheckSpec(preset="parity"))
    assert compared.verdict is Verdict.MOVED
    assert [check.name for check in compared.moved_checks] == ["coverage"]
    assert coverage(compared).message == "fewer than in the baseline: 2 → 1 metrics"


def test_fewer_sessions_have_a_reason_where_the_configuration_says_so(book):
    baseline = book()
    now = book.sessions(baseline, slice(0, -3))
    compared = judged(now, baseline, settings={"end_date": "2020-12-28"})
    assert coverage(compared).verdict is Verdict.WITHIN
    assert "because the configuration changed: end_date 2020-12-31 → 2020-12-28" in coverage(compared).message
    assert compared.verdict is Verdict.MOVED  # the sessions themselves are held to the baseline


def test_fewer_sessions_without_a_reason_fail(book):
    baseline = book()
    compared = judged(book.sessions(baseline, slice(0, -3)), baseline)
    assert coverage(compared).verdict is Verdict.MOVED
    assert coverage(compared).value == 3


def test_somebody_can_answer_for_less(book):
    baseline = dataclasses.replace(book(), metrics={"final_nav": 1.0, "sortino": 0.5})
    now = dataclasses.replace(baseline, metrics={"final_nav": 1.0, "sortino": None})
    waiver = Waiver("run", "coverage", "never fell", "Ada", date(2099, 1, 1))
    compared = judged(
        now, baseline, checks=CheckSpec(preset="parity"), waivers=(waiver,), today=date(2026, 1, 1)
    )
    assert compared.verdict is Verdict.WAIVED


def test_it_can_be_switched_off_and_says_so():
    tolerances = tolerances_of(CheckSpec(limits={"coverage": None}))
    check = check_coverage({"fills": 1}, {"fills": 2}, of="the baseline", tolerances=tolerances)
    assert (check.verdict, check.message) == (Verdict.SKIPPED, "switched off (checks.coverage)")


@pytest.mark.parametrize("output", ["positions", "fills"])
def test_a_preset_that_leaves_the_trades_alone_leaves_their_number_alone(output):
    check = check_coverage(
        {output: 1}, {output: 2}, of="the baseline", tolerances=tolerances_of(CheckSpec(preset="parity"))
    )
    assert check.verdict is Verdict.WITHIN
    assert check.message == f"fewer than in the baseline: 2 → 1 {output}; the preset holds nothing to that"


def test_more_than_before_is_no_loss():
    assert check_coverage({"fills": 3}, {"fills": 2}, of="x").verdict is Verdict.WITHIN
    assert check_coverage({"fills": 2}, {"fills": 2}, of="x").verdict is Verdict.IDENTICAL


def test_what_nobody_counted_is_no_pass():
    assert check_coverage({"fills": 2}, {}, of="batch x").verdict is Verdict.SKIPPED


# ------------------------------------------------------------------------------- slices


def slice_(result, first, last):
    return Slice("run", result.sessions[first].item(), result.sessions[last].item())


def test_a_slice_is_held_to_its_part_of_the_whole_run(book):
    baseline = book()
    now = dataclasses.replace(book.sessions(baseline, slice(0, 9)), metrics={"final_nav": 5.0})
    now = dataclasses.replace(now, fills=baseline.fills[baseline.fills.session <= now.sessions[-1]])
    source = OneBaseline(baseline, {"end_date": "2020-12-31"})
    compared = Gate(source).judge(
        "run.part", CheckSpec(), now, dependencies({"end_date": "x"}), sliced=slice_(baseline, 4, 8)
    )
    assert compared.verdict is Verdict.IDENTICAL


def test_a_slice_that_moved_says_when_and_does_not_blame_its_own_dates(book):
    baseline = book()
    moved = book.sessions(baseline, slice(0, 9))
    nav = moved.nav.copy()
    nav[6] += 100.0
    now = dataclasses.replace(
        moved, nav=nav, fills=baseline.fills[baseline.fills.session <= moved.sessions[-1]]
    )
    compared = Gate(OneBaseline(baseline, {"end_date": "2020-12-31"})).judge(
        "run.part", CheckSpec(), now, dependencies({"end_date": "x"}), sliced=slice_(baseline, 4, 8)
    )
    assert compared.verdict is Verdict.MOVED
    assert compared.first_session == str(baseline.sessions[6])
    assert {cause.part for cause in compared.causes} == {"unknown"}


def test_a_move_before_the_slice_is_another_slice_s_matter(book):
    baseline = book()
    moved = book.sessions(baseline, slice(0, 9))
    nav = moved.nav.copy()
    nav[2] += 100.0
    own = own_sessions(dataclasses.replace(moved, nav=nav), slice_(baseline, 4, 8))
    assert np.array_equal(own.nav, baseline.nav[4:9])
    assert own.sessions[0] == baseline.sessions[4]


def test_a_slice_may_be_held_to_the_same_slice_of_a_batch_that_was_cut_too(book):
    whole = book()
    earlier = book.sessions(whole, slice(0, 9))
    earlier = dataclasses.replace(earlier, fills=whole.fills[whole.fills.session <= earlier.sessions[-1]])
    source = OneBaseline(earlier, {"end_date": "2020-12-31"})
    compared = Gate(source).judge(
        "run",
        CheckSpec(),
        earlier,
        dependencies({"end_date": "2020-12-31"}),
        sliced=dataclasses.replace(slice_(whole, 4, 8), of="another"),
    )
    assert compared.verdict is Verdict.IDENTICAL
