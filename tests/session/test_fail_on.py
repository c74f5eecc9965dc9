"""What makes the exit status of a session, and what no option can excuse."""

from __future__ import annotations

import pytest

OURS = """\
import numpy as np
from pytest_finbot.contracts import TargetWeights


def fine(spec, market):
    return TargetWeights(np.array([0]), np.full((1, 2), {size}))


def broken(spec, market):
    {broken}
"""
RUNS = """\
- {id: equal}
- {id: ours, strategy: "ours:fine"}
- {id: broken, strategy: "ours:broken"}
"""
SOUND = "return fine(spec, market)"
MOVES, ERRS, BOTH, NEITHER = (True, False), (False, True), (True, True), (False, False)


@pytest.fixture
def accepted(project):
    project.write("ours.py", OURS.format(size=0.5, broken=SOUND))
    project.gated(RUNS)
    return project


def change(project, moves: bool, errs: bool) -> None:
    broken = (
        "raise ZeroDivisionError" if errs else "return TargetWeights(np.array([0]), np.full((1, 2), 0.5))"
    )
    project.write("ours.py", OURS.format(size=0.4 if moves else 0.5, broken=broken))


@pytest.mark.parametrize(
    ("fail_on", "what", "status"),
    [
        ("any", MOVES, 1),
        ("any", ERRS, 1),
        ("any", NEITHER, 0),
        ("regression", MOVES, 1),
        ("regression", ERRS, 0),
        ("regression", BOTH, 1),
        ("error", MOVES, 0),
        ("error", ERRS, 1),
        ("error", BOTH, 1),
        ("all-failed", BOTH, 0),
        ("never", BOTH, 0),
    ],
)
def test_the_exit_status_follows_what_was_asked_for(accepted, fail_on, what, status):
    change(accepted, *what)
    result = accepted.pytest("--finbot-fail-on", fail_on, "-n", "0")
    assert result.ret == status
    excused = f"not green, and excused by --finbot-fail-on {fail_on}" in result.stdout.str()
    assert excused is (status == 0 and what != NEITHER)


@pytest.mark.parametrize("fail_on", ["regression", "all-failed"])
def test_with_workers_it_is_the_same(accepted, fail_on):
    change(accepted, *ERRS)
    result = accepted.pytest("--finbot-fail-on", fail_on, "-n", "2")
    assert result.ret == 0
    result.assert_outcomes(passed=2, failed=1)  # the run is shown as what it is


def test_all_failed_fails_when_not_one_run_succeeds(project):
    project.write("ours.py", OURS.format(size=0.5, broken="raise ZeroDivisionError"))
    project.batch('- {id: broken, strategy: "ours:broken"}')
    assert project.pytest("--finbot-fail-on", "all-failed").ret == 1


@pytest.mark.parametrize("fail_on", ["all-failed", "never"])
def test_other_tests_that_fail_are_not_the_gates_to_excuse(accepted, fail_on):
    change(accepted, *ERRS)
    accepted.write("test_other.py", "def test_other():\n    assert False\n")
    assert accepted.pytest("--finbot-fail-on", fail_on, "test_other.py").ret == 1


def test_other_tests_that_do_not_load_are_not_the_gates_to_excuse(accepted):
    accepted.write("test_other.py", "import nothing_of_this_name\n")
    assert accepted.pytest("--finbot-fail-on", "never", "test_other.py").ret == 2


@pytest.mark.parametrize(("fail_on", "workers"), [("any", "0"), ("never", "0"), ("never", "1")])
def test_a_hook_that_fails_beside_a_sound_run_is_not_the_gates_to_excuse(accepted, fail_on, workers):
    accepted.write("conftest.py", "def pytest_runtest_teardown(item):\n    raise RuntimeError\n")
    assert accepted.pytest("--finbot-fail-on", fail_on, "-n", workers).ret == 1


def test_never_still_fails_on_a_batch_file_that_cannot_be_read(project):
    project.write("finbot.yaml", "batch_name: [")
    assert project.pytest("--finbot-fail-on", "never").ret == 4


def test_never_still_fails_where_nothing_was_selected(accepted):
    assert accepted.pytest("--finbot-fail-on", "never", "-k", "nothing_of_this_name").ret == 5


def test_never_still_fails_where_the_registry_is_gone(project):
    project.write(
        "ours.py",
        """\
        import shutil, numpy as np
        from pytest_finbot.contracts import TargetWeights

        def deletes(spec, market):
            shutil.rmtree(".finbot")
            return TargetWeights(np.array([0]), np.full((1, 2), 0.5))
        """,
    )
    project.batch('- {id: deletes, strategy: "ours:deletes"}\n- {id: equal}')
    assert project.pytest("--finbot-fail-on", "never").ret == 1


@pytest.mark.parametrize(
    ("fail_on", "workers"),
    [("regression", "0"), ("error", "0"), ("all-failed", "0"), ("never", "0"), ("never", "2")],
)
def test_nothing_excuses_a_run_that_was_not_run(accepted, fail_on, workers):
    accepted.write(
        "conftest.py",
        """\
        import pytest

        def pytest_runtest_setup(item):
            if item.name == "ours":
                pytest.skip()
        """,
    )
    result = accepted.pytest("--finbot-fail-on", fail_on, "-n", workers)
    assert result.ret == 1
    assert accepted.statuses()["ours"] == "not_run"


def test_a_crashed_run_is_an_error(accepted):
    accepted.write("ours.py", OURS.format(size=0.5, broken="import os; os._exit(3)"))
    assert accepted.pytest("--finbot-fail-on", "error", "-n", "1").ret == 1
    assert accepted.pytest("--finbot-fail-on", "regression", "-n", "1").ret == 0


def test_a_batch_without_a_baseline_is_refused_where_one_is_required(project):
    project.batch("- {id: equal}")
    result = project.pytest("--finbot-require-baseline")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*batch small has no baseline*add the key baseline: baselines*"])


def test_an_unknown_word_is_refused(project):
    project.batch("- {id: equal}")
    assert project.pytest("--finbot-fail-on", "sometimes").ret == 4
