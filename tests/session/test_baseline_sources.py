"""What a run is compared with, where it is not the batch's own folder of baselines."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

RUNS = "- {id: equal}\n- {id: first, params: {weights: {AAA: 1.0}}}\n"
CHANGED = RUNS.replace("AAA: 1.0", "AAA: 0.5")


def rewrite(project, runs: str) -> None:
    text = (project.path / "finbot.yaml").read_text()
    head = text[: text.index("runs:") + len("runs:\n")]
    project.batch(runs, head=head)


def batch_id(result: pytest.RunResult) -> str:
    found = re.search(r"batch (batch-\S+?),", result.stdout.str())
    assert found is not None
    return found[1]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_another_folder(project, workers):
    project.gated(RUNS)
    shutil.move(project.path / "baselines", project.path / "elsewhere")
    assert project.pytest("-n", workers).ret == 1
    result = project.pytest("-n", workers, "--finbot-baseline", "elsewhere")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*Compared with elsewhere/small: 2 identical.*"])


def test_a_folder_that_is_not_there_is_refused(project):
    project.gated(RUNS)
    result = project.pytest("--finbot-baseline", "elswhere")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*--finbot-baseline elswhere: there is no such folder*batch:ID or git:REVISION*"]
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_recorded_batch(project, workers):
    project.batch(RUNS)
    recorded = batch_id(project.pytest())
    assert project.pytest("-n", workers, "--finbot-baseline", f"batch:{recorded}").ret == 0
    assert set(project.verdicts().values()) == {"identical"}
    rewrite(project, CHANGED)
    result = project.pytest("-n", workers, "--finbot-baseline", f"batch:{recorded}")
    assert result.ret == 1
    assert project.verdicts() == {"equal": "identical", "first": "moved"}
    assert project.rows()["first"]["causes"] == "config changed: params.weights.AAA 1.0 → 0.5"
    result.stdout.fnmatch_lines([f"compared with batch:{recorded}"])


def test_a_run_that_failed_in_the_recorded_batch_is_not_comparable(project):
    project.write("ours.py", "def broken(spec, market):\n    raise ZeroDivisionError\n")
    project.batch('- {id: ours, strategy: "ours:broken"}\n- {id: equal}')
    recorded = batch_id(project.pytest())
    rewrite(project, "- {id: ours}\n- {id: equal}")
    result = project.pytest("--finbot-baseline", f"batch:{recorded}")
    assert result.ret == 1
    assert project.verdicts() == {"ours": "not_comparable", "equal": "identical"}
    result.stdout.fnmatch_lines(["not comparable: batch:*: run ours *"])


def test_a_batch_that_is_not_there_is_refused(project):
    project.batch(RUNS)
    result = project.pytest("--finbot-baseline", "batch:batch-20200101T000000Z-abcdef")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*there is no batch batch-20200101T000000Z-abcdef*"])


def test_a_recorded_batch_cannot_be_accepted_into(project):
    project.batch(RUNS)
    recorded = batch_id(project.pytest())
    assert project.accept("--finbot-baseline", f"batch:{recorded}").ret == 4


def git(project, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words],
        cwd=project.path,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_revision_without_touching_the_work_tree(project, workers):
    project.gated(RUNS)
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "baselines", "finbot.yaml", "prices.csv")
    git(project, "commit", "-q", "-m", "accepted")
    rewrite(project, CHANGED)
    assert project.accept(reason="half").ret == 0
    before = git(project, "status", "--porcelain")
    assert project.pytest("-n", workers).ret == 0
    result = project.pytest("-n", workers, "--finbot-baseline", "git:HEAD")
    assert result.ret == 1
    assert project.verdicts() == {"equal": "identical", "first": "moved"}
    commit = git(project, "rev-parse", "HEAD")[:12]
    result.stdout.fnmatch_lines([f"*Compared with git:HEAD ({commit}): 1 identical, 1 moved.*"])
    assert git(project, "status", "--porcelain") == before


def test_a_revision_that_is_not_there_is_refused(project):
    project.gated(RUNS)
    git(project, "init", "-q")
    result = project.pytest("--finbot-baseline", "git:nowhere")
    assert result.ret == 4
    assert "nothing was run" in result.stderr.str()
