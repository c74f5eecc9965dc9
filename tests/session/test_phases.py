"""--finbot-phase: what is named and what it needs is executed; nothing of it passes for a proof."""

from __future__ import annotations

import pytest

LEFT_OUT = "not asked for (--finbot-phase analytics)"
USAGE = pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_is_named_and_what_it_needs_is_executed_everywhere_and_the_session_is_not_green(
    project, workers
):
    project.gated("- {id: held}\n- {id: alone, isolation: process}")
    result = project.pytest("--finbot-phase", "analytics", "--finbot-fail-on", "never", "-n", workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*small: 2 of 2 runs succeeded: completed*",
            "*problem: phases were left out (--finbot-phase analytics): "
            "nothing was proven or compared of 2 runs*",
        ]
    )
    for run in project.summary()["runs"]:
        assert {phase["name"]: phase.get("reason") for phase in run["phases"]} == {
            "market_data": None,
            "simulate": None,
            "marks": None,
            "analytics": None,
            "risk": LEFT_OUT,
            "costs": LEFT_OUT,
            "checks": LEFT_OUT,
            "ladder": LEFT_OUT,
        }
        assert (run["status"], run["verdict"], run["comparison"]) == ("success", "skipped", None)
        assert run["metrics"]["final_nav"] > 0
    assert project.summary()["unproven"] == 2
    words = (project.output / "batch_summary.md").read_text()
    assert "**Of 2 of 2 backtests nothing was proven or compared: their checks were left out.**" in words


def test_a_record_with_phases_left_out_is_not_taken_as_done(project):
    project.gated("- {id: held}")
    assert project.pytest("--finbot-phase", "marks").ret == 1
    result = project.pytest("--finbot-resume", "last", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*0 done before, 1 executed now (1 phases were left out before)*"])
    assert project.verdicts() == {"held": "identical"}


def test_with_the_checks_asked_for_the_run_is_proven(project):
    project.gated("- {id: held, reports: [risk]}")
    result = project.pytest("--finbot-phase", "checks")
    assert result.ret == 0
    [run] = project.summary()["runs"]
    assert run["verdict"] == "identical"
    [risk] = [phase for phase in project.summary()["phases"] if phase["name"] == "risk"]
    assert risk["skips"] == {"not asked for (--finbot-phase checks)": 1}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--finbot-phase", "mark"), "*no such phase; did you mean 'marks'[?]*expected one of market_data,*"),
        (
            ("--finbot-phase", "risk", "--finbot-accept", "--finbot-reason", "why"),
            "*--finbot-phase risk leaves out the phase checks, and there is --finbot-accept*",
        ),
        (
            ("--finbot-phase", "marks", "--finbot-rerun", "1"),
            "*leaves out the phase checks, and there is --finbot-rerun*",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_runs(project, options, words):
    project.compared("- {id: held}")
    result = project.pytest(*options)
    assert result.ret == USAGE
    result.stderr.fnmatch_lines([words])
    assert not (project.path / ".finbot").exists()
