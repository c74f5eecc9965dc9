"""Reports of shards put together: what is added, what is refused, what is never green."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.main import main
from pytest_finbot.errors import ReportError
from pytest_finbot.reports import combining
from pytest_finbot.reports.combining import GivenReport, combine
from pytest_finbot.reports.facts import WaiverFacts
from pytest_finbot.reports.phase_facts import PhaseFacts, TimeSpent
from pytest_finbot.reports.reading import read_report
from pytest_finbot.reports.report import Report, ShardFacts
from pytest_finbot.reports.warning_facts import Warned
from tests.action.runner import CommandReader
from tests.reports.test_report import FINE, GATE, moved, report_of
from tests.reports.test_summary import a_record

PLAN = ShardFacts(3, "p" * 64, (1,), (3, 3, 2))


def shard(number: int, *records: dict[str, Any], **facts: Any) -> GivenReport:
    """The report of a share that is as it should be but for ``facts`` of its batch."""
    size = PLAN.runs[number - 1]
    good = facts.get("success", size)
    fine = dataclasses.replace(
        FINE,
        batch_id=f"batch-20260101T00000{number}Z-aaaaaa",
        expected=size,
        recorded=size,
        success=size,
        gate=dataclasses.replace(GATE, verdicts={"identical": good}),
    )
    records = records or tuple(a_record(f"r{number}{place}") for place in range(good))
    report = report_of(*records, facts=dataclasses.replace(fine, **facts))
    return GivenReport(
        f"{number}.json", dataclasses.replace(report, shards=dataclasses.replace(PLAN, present=(number,)))
    )


def changed(given: GivenReport, **more: Any) -> GivenReport:
    return dataclasses.replace(given, report=dataclasses.replace(given.report, **more))


def again(report: Report) -> Report:
    """As it comes out of its JSON."""
    return read_report(json.dumps(report.to_json(), allow_nan=False).encode())


def test_all_of_them_are_the_batch_as_one_machine_would_have_run_it():
    whole = combine([shard(3), shard(1), shard(2)])
    assert whole.green
    assert whole.verdict == "passed"
    batch = whole.batch
    assert (batch.expected, batch.recorded, batch.success, batch.not_run) == (8, 8, 8, 0)
    assert (batch.status, batch.seconds) == ("completed", 3 * FINE.seconds)
    assert batch.gate is not None
    assert batch.gate.verdicts == {"identical": 8}
    assert batch.provenance == {**FINE.provenance, "shards": "3 of 3"}
    assert len(whole.others) == 8
    assert whole.shards == dataclasses.replace(PLAN, present=(1, 2, 3))
    assert again(whole) == whole


@pytest.mark.parametrize("there", [(1,), (1, 2), (2, 3)])
def test_each_absent_shard_is_named_and_its_runs_were_not_run(there):
    whole = combine([shard(number) for number in there])
    assert not whole.green
    assert whole.verdict == "incomplete"
    gone = {1, 2, 3} - set(there)
    assert whole.batch.not_run == sum(PLAN.runs[number - 1] for number in gone)
    assert whole.batch.expected == 8
    assert [problem.split(" is absent")[0] for problem in whole.batch.problems] == [
        f"shard {number}/3" for number in sorted(gone)
    ]


def test_an_absent_shard_is_excused_by_nothing():
    for fail_on in ("never", "all-failed", "error", "regression"):
        assert not combine([shard(1, fail_on=fail_on), shard(2, fail_on=fail_on)]).green


def test_what_changed_is_sorted_anew_and_fails_the_whole():
    gate = dataclasses.replace(GATE, verdicts={"identical": 2, "moved": 1})
    failed = {"success": 2, "failed": 1, "error_categories": {"regression": 1}, "status": "partial"}
    failed |= {"gate": gate}
    whole = combine(
        [
            shard(1, moved("near", 10.0), a_record("a"), a_record("b"), **failed),
            shard(2, moved("far", -300.0), a_record("c"), a_record("d"), **failed),
            shard(3),
        ]
    )
    assert [run.run for run in whole.changed] == ["far", "near"]
    assert whole.worst is not None
    assert whole.worst.run == "far"
    assert whole.verdict == "changed"
    assert whole.batch.error_categories == {"regression": 2}
    assert not whole.green


def test_lists_stay_bounded_and_say_what_they_leave_out(monkeypatch):
    monkeypatch.setattr(combining, "MOST_OTHERS", 5)
    whole = combine([changed(shard(1), others_not_listed=4), shard(2), shard(3)])
    assert (len(whole.others), whole.others_not_listed) == (5, 4 + 3)


def test_a_missing_baseline_is_told_by_all_and_counts_once():
    each = []
    for number, size in enumerate(PLAN.runs, 1):
        gate = dataclasses.replace(GATE, verdicts={"identical": size}, missing=("gone",))
        given = shard(number, gate=gate)
        row = dataclasses.replace(given.report.others[0], run="gone", status="missing", verdict="missing")
        each.append(changed(given, failed=(row,)))
    whole = combine(each)
    assert [run.run for run in whole.failed] == ["gone"]
    assert whole.missing == 1
    assert whole.batch.problems == ()
    assert not whole.green


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_name": "other"}, "another batch: 'other' and 'small'"),
        ({"provenance": {"git commit": "def"}}, "another commit: 'def' and 'abc'"),
        ({"gate": None}, "another baseline: none and 'baselines'"),
        ({"gate": dataclasses.replace(GATE, source="git:main (1234)")}, "another baseline"),
        ({"fail_on": "never"}, "another --finbot-fail-on: 'never' and 'any'"),
    ],
)
def test_what_belongs_to_another_batch_is_refused(change, words):
    with pytest.raises(ReportError, match=r"2\.json and 1\.json are no shards of one batch") as told:
        combine([shard(1), shard(2, **change), shard(3)])
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("shards", "words"),
    [
        (dataclasses.replace(PLAN, plan="q" * 64, present=(2,)), "another plan"),
        (dataclasses.replace(PLAN, runs=(3, 4, 1), present=(2,)), "another plan"),
        (dataclasses.replace(PLAN, count=4, runs=(3, 3, 1, 1), present=(2,)), "another number of shards"),
        (dataclasses.replace(PLAN, present=(1,)), "shard 1/3 is there twice"),
        (dataclasses.replace(PLAN, present=(4,)), "cannot be"),
        (dataclasses.replace(PLAN, present=(2,), runs=()), "cannot be"),
        (dataclasses.replace(PLAN, present=(1, 2)), "already"),
        (None, "report of a whole batch"),
    ],
)
def test_what_is_no_shard_of_the_same_plan_is_refused(shards, words):
    with pytest.raises(ReportError, match=words):
        combine([shard(1), changed(shard(2), shards=shards), shard(3)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"problems": ("disk full",)}, "shard 2/3: disk full"),
        ({"status": "running"}, "shard 2/3 has not ended"),
        ({"expected": 2, "recorded": 2, "success": 2}, "has 3 runs to run, and its batch expects 2"),
        ({"success": 4}, "its counts contradict each other"),
        ({"recorded": -1, "not_run": 4, "success": -1}, "its counts contradict each other"),
        ({"error_categories": {"regression": -1, "other": 1}}, "its counts contradict each other"),
        ({"gate": dataclasses.replace(GATE, verdicts={"identical": 4})}, "its counts contradict each other"),
        (
            {"success": 2, "failed": 1, "error_categories": {"engine_error": 1}},  # and it says "completed"
            "its counts contradict each other",
        ),
        ({"empty_share": True}, "has 3 runs to run"),
        ({"provenance": {"git commit": "abc", "git dirty": "yes"}}, "changes that are not committed"),
        ({"provenance": {"git commit": "abc", "git dirty": ["yes"]}}, "changes that are not committed"),
    ],
)
def test_a_shard_that_is_not_as_it_should_be_keeps_the_whole_from_being_green(change, words):
    whole = combine([shard(1), shard(2, **change), shard(3)])
    assert not whole.green
    assert any(words in problem for problem in whole.batch.problems), whole.batch.problems


def test_a_shard_that_lists_what_it_does_not_count_is_never_green():
    others = (a_record("a"), a_record("b"))
    for run in (moved("far", -300.0), a_record("bad", "failed", error={"category": "engine_error"})):
        given = [shard(1), shard(2, run, *others), shard(3)]
        whole = combine(given)
        assert not whole.green
        assert whole.batch.problems == ("shard 2/3 lists more runs that failed or changed than it counts",)
        with pytest.raises(ReportError, match="contradicts itself"):
            again(given[1].report)


def test_no_word_of_a_shard_commands_the_runner_of_the_job_that_puts_them_together(tmp_path):
    forged = "::error::forged\n::add-mask::1\n##[error]forged"
    for name, categories in ((forged, {}), ("small", {forged: 1})):
        failed = {"success": 3 - len(categories), "failed": len(categories), "error_categories": categories}
        failed["status"] = "partial" if categories else "completed"
        paths = []
        for given in (shard(1, batch_name=name, **failed), shard(2, batch_name=forged, problems=(forged,))):
            paths.append(tmp_path / given.source)
            paths[-1].write_text(json.dumps(given.report.to_json()))
        for files in (paths, paths[:1]):
            done = CliRunner().invoke(main, ["ci", "combine", *map(str, files)])
            assert "forged" in done.output
            reader = CommandReader()
            for line in done.output.splitlines():
                reader.read(line)
            assert reader.done == []


@pytest.mark.parametrize(
    ("provenance", "why"),
    [
        ({"git commit": "abc", "git dirty": "yes"}, "with changes that are not committed"),
        ({}, "of no commit that is known"),
    ],
)
def test_shards_whose_code_is_not_known_to_be_the_same_say_so(provenance, why):
    whole = combine([shard(number, provenance=provenance) for number in (1, 2, 3)])
    note = f"all shards ran {why}: nobody knows whether they ran the same code"
    assert (note in whole.batch.notes, whole.green) == (True, True)
    assert combine([shard(1), shard(2), shard(3)]).batch.notes == ()


def test_what_is_no_plain_file_is_not_replaced_by_the_whole(tmp_path):
    (tmp_path / "1.json").write_text(json.dumps(shard(1).report.to_json()))
    (tmp_path / "null").symlink_to(os.devnull)
    os.mkfifo(tmp_path / "pipe")
    for option in ("--output", "--markdown"):
        for name in ("null", "pipe"):
            command = ["ci", "combine", str(tmp_path / "1.json"), option, str(tmp_path / name)]
            done = CliRunner().invoke(main, command)
            assert (done.exit_code, "is no plain file" in done.output) == (4, True), done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "null", "pipe"]


def test_a_run_of_two_shards_is_a_problem():
    records = [a_record(name) for name in ("r10", "x", "y")]
    whole = combine([shard(1), shard(2, *records), shard(3)])
    assert whole.batch.problems == ("runs of more than one shard: r10",)


def test_what_cannot_be_read_or_is_expected_elsewise_is_never_green():
    three = [shard(1), shard(2), shard(3)]
    assert "x.json cannot be read" in combine(three, unreadable=["x.json cannot be read"]).batch.problems
    assert not combine(three, unreadable=["x.json cannot be read"]).green
    assert not combine(three, expect=4).green
    with pytest.raises(ReportError, match="no report to combine: x"):
        combine([], unreadable=["x"])


def test_runs_left_out_on_purpose_are_told_and_a_batch_of_none_is_not_green():
    some = [
        shard(n, deselected=1, expected=s - 1, recorded=s - 1, success=s - 1)
        for n, s in ((1, 3), (2, 3), (3, 2))
    ]
    assert (combine(some).green, combine(some).batch.deselected) == (True, 3)
    empty = dataclasses.replace(PLAN, runs=(0, 0, 0))
    nothing = {"expected": 0, "recorded": 0, "success": 0, "status": "partial", "empty_share": True}
    none = [changed(shard(n, **nothing), shards=dataclasses.replace(empty, present=(n,))) for n in (1, 2, 3)]
    assert combine(none).batch.problems == ()
    assert not combine(none).green


def test_waivers_warnings_phases_and_times_are_added_up():
    waiver = WaiverFacts("a*", "nav", "why", "Ada", "2026-12-31", "", "unused", "finbot.yaml:3")
    used = dataclasses.replace(waiver, state="active")
    phase = PhaseFacts("simulate", 3, 3.0, 1.0, 2.0, "a", 0, {"no marks": 1})
    other = PhaseFacts("simulate", 2, 5.0, 2.5, 4.0, "b", 1, {"no marks": 2})
    spent = TimeSpent(1.0, 2.0, 3.0, 4.0, 5.0, 2)
    each = [
        shard(
            1,
            gate=dataclasses.replace(GATE, waivers=(waiver,)),
            phases=(phase,),
            time_spent=spent,
            notes=("a", "b"),
        ),
        shard(
            2,
            gate=dataclasses.replace(GATE, waivers=(used,)),
            phases=(other,),
            time_spent=spent,
            notes=("a",),
        ),
        shard(3, gate=dataclasses.replace(GATE, waivers=(waiver,)), notes=("a",)),
    ]
    each[0] = changed(each[0], warnings=(Warned("odd", 2, "a"),))
    each[1] = changed(each[1], warnings=(Warned("odd", 1, "b"),))
    whole = combine(each)
    assert whole.batch.gate is not None
    assert whole.batch.gate.waivers == (used,)
    assert whole.batch.phases == (PhaseFacts("simulate", 5, 8.0, None, 4.0, "b", 1, {"no marks": 3}),)
    assert whole.batch.time_spent == TimeSpent(2.0, 4.0, 6.0, 8.0, 10.0, 4)
    assert whole.batch.notes == ("a", "shard 1/3: b")
    assert whole.warnings == (Warned("odd", 3, "a"),)
    assert again(whole) == whole
