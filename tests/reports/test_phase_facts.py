"""What phases came to over a batch, and where its time went: counted in one pass over records."""

import dataclasses
import json

import pytest

from pytest_finbot.reports import phase_facts
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.phase_facts import OTHER_REASONS, PhaseTally
from pytest_finbot.reports.summary import write_summary
from pytest_finbot.reports.words import spent

SINCE = "2026-01-01T00:00:00.000+00:00"
BEFORE = "2025-12-31T23:59:59.999+00:00"


def a_phase(name, seconds=0.0, status="success", reason=None):
    return {"name": name, "status": status, "seconds": seconds, "reason": reason}


def a_record(name, *phases, at=SINCE, worker="gw0", recording=0.0):
    return {
        "name": name,
        "started_at": at,
        "worker": worker,
        "phases": list(phases),
        "timings": {"recording": recording},
    }


def tally_of(*records, **options):
    tally = PhaseTally(**options)
    assert list(tally.passing(records)) == list(records)
    return tally


def test_each_phase_has_its_sum_its_median_and_its_slowest_run():
    tally = tally_of(
        a_record("a", a_phase("simulate", 1.0)),
        a_record("b", a_phase("simulate", 4.0)),
        a_record("c", a_phase("simulate", 2.0, "failed")),
        a_record("d", a_phase("simulate", 0.0, "skipped", "phase market_data failed")),
    )
    [simulate] = tally.phases()
    assert dataclasses.asdict(simulate) == {
        "name": "simulate",
        "runs": 3,
        "seconds_sum": 7.0,
        "seconds_median": 2.0,
        "slowest_seconds": 4.0,
        "slowest_run": "b",
        "failures": 1,
        "skips": {"phase market_data failed": 1},
    }


def test_a_phase_that_no_run_executed_has_no_median():
    [risk] = tally_of(a_record("a", a_phase("risk", 0.0, "skipped", "not asked for"))).phases()
    assert (risk.runs, risk.seconds_median, risk.slowest_seconds, risk.slowest_run) == (0, None, None, "")


def test_reasons_without_end_are_counted_together(monkeypatch):
    monkeypatch.setattr(phase_facts, "_MOST_REASONS", 2)
    reasons = ["one", "two", "three", "four", "one"]
    tally = tally_of(*(a_record(f"run{n}", a_phase("risk", 0, "skipped", r)) for n, r in enumerate(reasons)))
    assert tally.phases()[0].skips == {"one": 2, OTHER_REASONS: 2, "two": 1}


def test_time_is_told_by_what_it_went_into_and_the_rest_is_waiting():
    every = [a_phase("market_data", 1.0), a_phase("simulate", 2.0), a_phase("marks", 0.25)]
    every += [a_phase(name, 0.25) for name in ("analytics", "risk", "costs", "checks")]
    tally = tally_of(a_record("a", *every, recording=0.5), a_record("b", *every, worker="gw1"), since=SINCE)
    time = tally.time_spent(10.0)
    assert (time.loading, time.engine, time.checks, time.recording) == (2.0, 4.0, 2.5, 0.5)
    assert (time.workers, time.waiting) == (2, 2 * 10.0 - 9.0)
    assert tally.time_spent(10.0, workers=4).waiting == 4 * 10.0 - 9.0
    assert spent(time) == "loading 2.0 s, engine 4.0 s, checks 2.5 s, recording 0.5 s, waiting 11.0 s"


def test_what_an_earlier_session_of_the_batch_took_is_no_time_of_this_one():
    old = a_record("a", a_phase("simulate", 100.0), at=BEFORE, worker="gw7", recording=9.0)
    tally = tally_of(old, a_record("b", a_phase("simulate", 1.0)), since=SINCE)
    assert tally.phases()[0].runs == 2
    assert dataclasses.astuple(tally.time_spent(3.0)) == (0.0, 1.0, 0.0, 0.0, 2.0, 1, 0.0)


def test_only_runs_whose_checks_were_left_out_are_unproven():
    left_out = "not asked for (--finbot-phase marks)"
    tally = tally_of(
        a_record("a", a_phase("risk", 0.0, "skipped", left_out), a_phase("checks", 1.0)),
        a_record("b", a_phase("checks", 0.0, "skipped", "phase marks failed")),
        a_record("c", a_phase("checks", 0.0, "skipped", left_out)),
    )
    assert tally.unproven == 1
    assert list(tally.problems()) == [
        "phases were left out (--finbot-phase marks): nothing was proven or compared of 1 run"
    ]
    assert not list(tally_of(a_record("a", a_phase("checks", 1.0))).problems())


@pytest.mark.parametrize("record", [{"name": "a"}, {"name": "a", "phases": None, "timings": None}])
def test_a_record_of_a_script_has_no_phases_and_does_no_harm(record):
    tally = tally_of(record, since=SINCE)
    assert tally.phases() == ()
    assert tally.time_spent(1.0).workers == 1


FACTS = BatchFacts(
    batch_id="batch-20260101T000000Z-aaaaaa",
    batch_name="small",
    description="",
    source="finbot.yaml",
    status="completed",
    started_at=SINCE,
    finished_at=SINCE,
    seconds=2.0,
    expected=2,
    recorded=2,
    success=2,
    failed=0,
    not_run=0,
    deselected=0,
    error_categories={},
    problems=(),
    notes=(),
    provenance={},
)


def test_the_summary_lists_them(tmp_path):
    tally = tally_of(
        a_record("a", a_phase("simulate", 1.0)), a_record("b", a_phase("simulate", 0, "skipped", "no | such"))
    )
    facts = dataclasses.replace(FACTS, phases=tally.phases(), time_spent=tally.time_spent(2.0))
    paths = write_summary(tmp_path, facts, [])[1]
    words = paths["md"].read_text()
    assert r"| `simulate` | 1 | 1.000 s | 1.000 s | 1.000 s, `a` | 0 | 1: no \| such |" in words
    assert "Time of 1 worker: loading 0.0 s, engine 1.0 s, " in words
    summary = json.loads(paths["json"].read_text())
    assert summary["phases"][0]["skips"] == {"no | such": 1}
    assert summary["time_spent"]["waiting"] == 1.0
