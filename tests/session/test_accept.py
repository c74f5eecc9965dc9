"""Accepting: on purpose, with a reason, only what is new or moved, and told."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

RUNS = """\
- {id: equal}
- {id: first, params: {weights: {AAA: 1.0}}}
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_new_results_are_written_with_who_when_and_why(project, workers):
    project.compared(RUNS)
    result = project.accept("-n", workers, reason="first results")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*accepted equal: new, final NAV 1,275.00", "*accepted first: new, final NAV 1,400.00"]
    )
    document = json.loads(project.baseline("equal").read_text())
    assert document["accepted"]["reason"] == "first results"
    assert document["accepted"]["at"].endswith("Z")
    assert document["accepted"]["by"]
    assert document["metrics"]["final_nav"] == 1275.0
    assert document["month_end_nav"] == {"2020-01": 1275.0}
    assert project.verdicts() == {"equal": "new", "first": "new"}  # what it was; the next run compares
    assert project.pytest().ret == 0
    assert project.verdicts() == {"equal": "identical", "first": "identical"}


def test_only_what_moved_is_written_again(project):
    project.gated(RUNS)
    before = {path.name: path.read_bytes() for path in project.baseline("equal").parent.iterdir()}
    project.compared(RUNS.replace("AAA: 1.0", "AAA: 0.5"))
    result = project.accept(reason="half of it")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*accepted first: moved: final NAV 1,400.00 → 1,200.00 (-200.00, *",
            "*unchanged: 1 baselines stay as they are",
        ]
    )
    after = {path.name: path.read_bytes() for path in project.baseline("equal").parent.iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"first.json", "first.parquet"}
    assert json.loads(after["first.json"])["accepted"]["reason"] == "half of it"


def test_a_pattern_accepts_those_runs_and_the_others_still_fail(project):
    project.compared(RUNS)
    result = project.pytest("--finbot-accept", "eq*", "--finbot-reason", "only this one")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    assert project.baseline("equal").exists()
    assert not project.baseline("first").exists()


def test_a_run_that_failed_is_never_accepted(project):
    project.write("ours.py", "def broken(spec, market):\n    raise ZeroDivisionError\n")
    project.compared('- {id: equal}\n- {id: broken, strategy: "ours:broken"}')
    result = project.accept()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*accepted equal: new*", "*refused broken: it failed (engine_error*"])
    assert not project.baseline("broken").exists()


def test_a_corrupt_baseline_is_not_written_over(project):
    project.gated(RUNS)
    path = project.baseline("equal")
    path.write_text("{")
    assert project.accept().ret == 1
    assert path.read_text() == "{"


@pytest.mark.parametrize("reason", [[], *(["--finbot-reason", said] for said in ("", "  ", "…"))])
def test_without_a_reason_nothing_is_run(project, reason):
    project.compared(RUNS)
    result = project.pytest("--finbot-accept", *reason)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*accepting needs a reason, and it is empty or only dots*"])
    assert not (project.path / ".finbot").exists()


def test_on_a_terminal_the_reason_is_asked_for(project):
    project.compared(RUNS)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--finbot-batch",
            "finbot.yaml",
            "--finbot-accept",
        ],
        cwd=project.path,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
    ) as process:
        os.write(ours, b"because I said so\n")
        said, _ = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert b"Why may these results change?" in said
    assert process.returncode == 0, said.decode()
    assert json.loads(project.baseline("equal").read_text())["accepted"]["reason"] == "because I said so"


def test_a_file_in_the_place_of_the_pattern_is_told(project):
    project.compared(RUNS)
    result = project.pytest("--finbot-reason", "why", "--finbot-accept", "finbot.yaml", batch=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--finbot-accept finbot.yaml: that is a file, and a pattern*"])


def test_in_ci_accepting_is_refused_unless_allowed(project, monkeypatch):
    project.compared(RUNS)
    monkeypatch.setenv("CI", "true")
    result = project.accept()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*results are accepted by people, in review, and this is CI*"])
    assert not project.baseline("equal").exists()
    assert project.accept("--finbot-accept-in-ci").ret == 0
    assert project.baseline("equal").exists()


def test_a_batch_without_a_folder_for_baselines_has_nothing_to_accept_into(project):
    project.batch(RUNS)
    result = project.accept()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*has no baseline to accept into; add the key baseline: baselines*"])


def test_a_reason_without_accepting_is_a_mistake_that_is_told(project):
    project.compared(RUNS)
    result = project.pytest("--finbot-reason", "why not")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--finbot-reason says why, but there is no --finbot-accept*"])


def test_a_file_in_the_place_of_the_folder_is_refused(project):
    project.compared(RUNS)
    project.write("baselines/small", "not a folder")
    result = project.accept()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*baselines/small is a file; expected a folder of baselines*"])


def test_a_folder_that_cannot_be_written_is_never_green(project):
    project.write(
        "ours.py",
        """\
        from pathlib import Path
        import numpy as np
        from pytest_finbot.contracts import TargetWeights

        def meddles(spec, market):
            Path("baselines").mkdir()
            Path("baselines/small").write_text("not a folder")
            return TargetWeights(np.array([0]), np.full((1, 2), 0.5))
        """,
    )
    project.compared('- {id: ours, strategy: "ours:meddles"}')
    result = project.accept()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ours was to be accepted and was not: *"])


def test_identical_results_give_identical_files(project):
    project.compared(RUNS)
    project.accept("-n", "0")
    first = project.baseline("equal").with_suffix(".parquet").read_bytes()
    for path in project.baseline("equal").parent.iterdir():
        path.unlink()
    project.accept("-n", "2")
    assert project.baseline("equal").with_suffix(".parquet").read_bytes() == first
