"""A run goes through its phases; what fails stops what needs it, and says so."""

import dataclasses
from datetime import date

import pytest

from pytest_finbot.contracts import DataSpec, ErrorCategory, RunSpec, RunStatus
from pytest_finbot.pipeline.execute import execute
from pytest_finbot.pipeline.phases import Phase, PhaseSkipped

SPEC = RunSpec(
    name="run",
    engine="portfolio",
    strategy="fixed_weights",
    params={},
    symbols=("A",),
    start_date=date(2020, 1, 1),
    end_date=date(2020, 2, 1),
    start_capital=1.0,
    data=DataSpec("prices.csv"),
)


def run(*phases):
    said = []
    outcome = execute(SPEC, lambda kind, payload, *, flush=True: said.append((kind, payload)), phases=phases)
    return outcome, said


def fine(run):
    return {"things": 2}


def broken(run):
    raise ValueError("no")


def test_a_failed_critical_phase_skips_the_rest_with_its_name():
    outcome, _ = run(Phase("one", fine, True), Phase("two", broken, True), Phase("three", fine, True))
    assert [(phase.status, phase.reason) for phase in outcome.phases] == [
        ("success", None),
        ("failed", "ValueError: no"),
        ("skipped", "phase two failed"),
    ]
    assert outcome.status is RunStatus.FAILED
    assert outcome.error.phase == "two"


def test_a_failed_phase_that_nothing_needs_fails_the_run_and_lets_it_go_on():
    outcome, _ = run(Phase("one", broken, False), Phase("two", fine, True))
    assert [phase.status for phase in outcome.phases] == ["failed", "success"]
    assert outcome.status is RunStatus.FAILED


def test_a_phase_with_nothing_to_do_says_why():
    def idle(run):
        raise PhaseSkipped("not asked for")

    outcome, _ = run(Phase("one", idle, True), Phase("two", fine, True))
    assert outcome.status is RunStatus.SUCCESS
    assert outcome.phases[0].reason == "not asked for"


def test_start_and_result_of_each_phase_are_logged_as_they_happen():
    _, said = run(Phase("one", fine, True), Phase("two", broken, True))
    assert [(kind, payload["phase"]) for kind, payload in said] == [
        ("phase_start", "one"),
        ("phase_result", "one"),
        ("phase_start", "two"),
        ("phase_result", "two"),
    ]
    assert said[1][1]["counters"] == {"things": 2}


@pytest.mark.parametrize("error", [SystemExit(0), pytest.skip.Exception("no"), GeneratorExit()])
def test_a_run_cannot_leave_by_another_door(error):
    def leave(run):
        raise error

    outcome, _ = run(Phase("one", leave, True))
    assert outcome.status is RunStatus.FAILED


def test_an_interrupt_is_no_result_of_the_run():
    def interrupted(run):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Phase("one", interrupted, True))


def test_settings_that_have_no_hash_fail_the_run_and_nothing_is_executed():
    spec = dataclasses.replace(SPEC, params={"lookback": {1: 2}})
    outcome = execute(spec, lambda kind, payload, *, flush=True: None, phases=[Phase("one", fine, True)])
    assert outcome.status is RunStatus.FAILED
    assert outcome.error.category is ErrorCategory.PARAMETER
    assert outcome.error.message.startswith("params.lookback has the key 1 of type int")
    assert [(phase.status, phase.reason) for phase in outcome.phases] == [("skipped", "phase config failed")]
