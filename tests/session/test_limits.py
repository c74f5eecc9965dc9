"""Time, memory and isolation: a run that does not end, or takes everything, costs itself alone."""

import os
from pathlib import Path

import pytest

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])
HEAD = """\
import subprocess
import sys
import time

import numpy as np


def weights(market):
    return np.full(market.close.shape, 1 / market.close.shape[1])


def quiet(spec, market):
    print("said by", spec.name)
    print("and complained", file=sys.stderr)
    return weights(market)


"""


def rows_of(project):
    return {name: (row["status"], row["error_category"]) for name, row in project.rows().items()}


@WORKERS
def test_what_does_not_end_is_ended_as_timeout(project, workers):
    project.write(
        "ours.py",
        HEAD
        + """\
def looping(spec, market):
    while True:
        pass


def sleeping(spec, market):
    time.sleep(60)


def counting(spec, market):
    values = np.random.default_rng(1).random((4000, 4000))
    for _ in range(10_000):
        values = np.sort(values, axis=None).reshape(4000, 4000)[::-1]


def waiting(spec, market):
    subprocess.run(["sleep", "61.25"])


def stubborn(spec, market):
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
""",
    )
    bad = ("looping", "sleeping", "counting", "waiting", "stubborn")
    runs = "".join(f"- {{id: {name}, strategy: 'ours:{name}', timeout: 1}}\n" for name in bad)
    project.batch("- {id: before}\n" + runs + "- {id: after, strategy: 'ours:quiet'}\n")
    result = project.pytest("-n", workers)
    result.assert_outcomes(passed=2, failed=5)
    assert rows_of(project) == {
        "before": ("success", ""),
        **dict.fromkeys(bad, ("failed", "timeout")),
        "after": ("success", ""),
    }
    result.stdout.fnmatch_lines(
        ["timeout in simulate: it took longer than its timeout of 1 s and was ended in phase simulate"]
    )
    result.stdout.fnmatch_lines(['*File "*ours.py", line * in looping'])
    assert "61.25" not in commands(project.path)


def commands(folder):
    """What runs in ``folder``, as far as it can be seen: other tests start the same at the same time."""
    said = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                said.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(said)


@WORKERS
def test_a_run_that_allocates_without_end_is_a_memory_error(project, workers):
    project.write(
        "ours.py",
        HEAD
        + """\
def greedy(spec, market):
    kept = []
    while True:
        kept.append(np.ones(1_000_000))


def hoarding(spec, market):
    kept = []
    while True:
        kept.append([0] * 100_000)
""",
    )
    project.batch(
        "- {id: before}\n"
        "- {id: greedy, strategy: 'ours:greedy', memory_limit: 200 MiB}\n"
        "- {id: hoarding, strategy: 'ours:hoarding', memory_limit: 200 MiB}\n"
        "- {id: after, strategy: 'ours:quiet', memory_limit: 200 MiB}\n"
    )
    result = project.pytest("-n", workers)
    result.assert_outcomes(passed=2, failed=2)
    assert rows_of(project) == {
        "before": ("success", ""),
        "greedy": ("failed", "memory_error"),
        "hoarding": ("failed", "memory_error"),
        "after": ("success", ""),
    }
    result.stdout.fnmatch_lines(
        ["memory_error in simulate: it passed its memory_limit of 200 MiB in hoarding (*ours.py:*)*"]
    )


def test_the_command_line_limits_every_run(project):
    project.write("ours.py", HEAD + "def sleeping(spec, market):\n    time.sleep(60)\n")
    project.batch("- {id: a}\n- {id: bad, strategy: 'ours:sleeping', timeout: 50}\n")
    project.pytest("--finbot-timeout", "3")
    assert rows_of(project) == {"a": ("success", ""), "bad": ("failed", "timeout")}


def test_inline_nothing_can_be_ended_so_a_limit_is_refused(project):
    project.batch("- {id: a}\n")
    result = project.pytest("--finbot-timeout", "1", "--finbot-isolation", "inline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*run a has a timeout, and inline nothing can end it*"])


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_is_a_positive_number_of_seconds(project, given):
    project.batch("- {id: a}\n")
    result = project.pytest(f"--finbot-timeout={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


@WORKERS
@pytest.mark.parametrize("isolation", ["process", "inline"])
def test_what_a_run_writes_is_kept_with_it(project, workers, isolation):
    project.write("ours.py", HEAD)
    project.batch("- {id: loud, strategy: 'ours:quiet'}\n")
    project.pytest("-n", workers, "--finbot-isolation", isolation).assert_outcomes(passed=1)
    lines = [
        line
        for path in (project.output / "logs").iterdir()
        for line in project.lines(path)
        if line["kind"] == "output"
    ]
    assert [(line["run"], line["attempt"], line["stdout"], line["stderr"]) for line in lines] == [
        ("loud", 1, "said by loud\n", "and complained\n")
    ]


def test_what_a_failed_run_wrote_is_shown_with_its_failure(project):
    project.write("ours.py", HEAD + "def bad(spec, market):\n    quiet(spec, market)\n    raise ValueError\n")
    project.batch("- {id: bad, strategy: 'ours:bad'}\n")
    project.pytest().stdout.fnmatch_lines(["*Captured stdout call*", "said by bad"])


def test_processes_that_a_run_leaves_behind_are_ended_and_told(project):
    project.write(
        "ours.py",
        HEAD
        + """\
def leaving(spec, market):
    subprocess.Popen(["sleep", "62.75"])
    return weights(market)
""",
    )
    project.batch("- {id: leaving, strategy: 'ours:leaving'}\n- {id: after, strategy: 'ours:quiet'}\n")
    project.pytest().assert_outcomes(passed=2)
    assert "62.75" not in commands(project.path)
    warnings = {run["name"]: run["warnings"] for run in project.summary()["runs"]}
    assert warnings["leaving"] == ["it left 1 child process behind, which were ended with it"]
    assert warnings["after"] == []


def test_a_result_is_the_same_in_a_child_and_inline(project):
    project.write("ours.py", HEAD)
    project.batch("- {id: own, strategy: 'ours:quiet', seed: 7}\n- {id: built_in}\n")
    seen = []
    for isolation in ("process", "inline"):
        project.pytest("--finbot-isolation", isolation).assert_outcomes(passed=2)
        seen.append([(run["series"], run["metrics"], run["fills"]) for run in project.summary()["runs"]])
    assert seen[0] == seen[1]
