"""Runs executed again in fresh processes: what gives two results is told."""

from __future__ import annotations

import pytest

BY_SET_ORDER = """\
import numpy as np
from pytest_finbot.contracts import TargetWeights


def picks(spec, market):
    # Which of twelve words comes when is another matter in every process.
    order = "".join(set("one two three four five six seven eight nine ten eleven twelve".split()))
    weight = sum(place * ord(letter) for place, letter in enumerate(order)) % 997 / 1000
    return TargetWeights(np.array([0]), np.array([[weight, 0.0]]))
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_strategy_that_depends_on_the_order_of_a_set_is_not_deterministic(project, workers):
    project.write("ours.py", BY_SET_ORDER)
    project.batch('- {id: ours, strategy: "ours:picks"}\n- {id: equal}')
    result = project.pytest("--finbot-rerun", "2", "-n", workers)
    assert result.ret == 1
    assert project.statuses() == {"ours": "failed", "equal": "success"}
    result.stdout.fnmatch_lines(["*not deterministic: the same run in a fresh process under hash seed *"])
    assert project.rows()["ours"]["error_category"] == "regression"


def test_with_a_baseline_the_cause_is_named_and_nothing_is_accepted(project):
    project.write("ours.py", BY_SET_ORDER)
    project.compared('- {id: ours, strategy: "ours:picks"}')
    result = project.accept("--finbot-rerun", "2")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*refused ours: it is not deterministic*"])
    assert not project.baseline("ours").exists()
    assert project.verdicts() == {"ours": "moved"}


def test_a_run_that_only_fails_in_a_fresh_process_is_told(project):
    project.write(
        "ours.py",
        """\
        import sys
        import numpy as np
        from pytest_finbot.contracts import TargetWeights

        def picks(spec, market):
            if "pytest" not in sys.modules:
                raise RuntimeError("only under pytest")
            return TargetWeights(np.array([0]), np.array([[0.5, 0.5]]))
        """,
    )
    project.batch('- {id: ours, strategy: "ours:picks"}')
    result = project.pytest("--finbot-rerun", "1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*not deterministic: it fails under hash seed 1: only under pytest*"])


def test_what_gives_the_same_again_passes(project):
    project.gated("- {id: equal}\n- {id: first, params: {weights: {AAA: 1.0}}, seed: 7}")
    result = project.pytest("--finbot-rerun", "2", "-n", "2")
    assert result.ret == 0
    checks = {check["name"]: check for check in project.summary()["runs"][0]["checks"]}
    assert checks["determinism"]["verdict"] == "identical"


@pytest.mark.parametrize("times", ["0", "-1", "twice"])
def test_less_than_one_more_execution_is_refused(project, times):
    project.batch("- {id: equal}")
    assert project.pytest("--finbot-rerun", times).ret == 4


def test_what_gives_the_same_again_and_still_moved_reads_something_that_is_not_recorded(project):
    project.write(
        "ours.py",
        """\
        from pathlib import Path
        import numpy as np
        from pytest_finbot.contracts import TargetWeights

        def picks(spec, market):
            weight = float(Path(__file__).with_name("weight.txt").read_text())
            return TargetWeights(np.array([0]), np.full((1, 2), weight))
        """,
    )
    project.write("weight.txt", "0.5")
    project.gated('- {id: ours, strategy: "ours:picks"}')
    project.write("weight.txt", "0.4")
    assert project.pytest("--finbot-rerun", "1").ret == 1
    causes = project.rows()["ours"]["causes"]
    assert causes.startswith("unknown: no recorded part differs, and 1 fresh executions agree with this one")
