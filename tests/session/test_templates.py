"""--finbot-templates: words of the repository's own, in every process; what fails in them is never green."""

from __future__ import annotations

import json

import pytest

from tests.session.conftest import BATCH

OWN = "own/batch_verdict.md.j2"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_page_and_what_a_failed_run_says_are_in_the_words_that_were_asked_for(project, workers):
    project.gated("- {id: held}")
    project.write(OWN, "Dear colleagues: {{ report.moved }} moved.\n")
    project.write("own/moved_run.txt.j2", "oh dear, {{ name }}\n")
    project.write("own/risk_report.md.j2", "no risk\n")
    project.compared("- {id: held, reports: [risk], params: {weights: {AAA: 0.5}}}")
    result = project.pytest("--finbot-templates", "own", "-n", workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*oh dear, held*"])
    assert "\nDear colleagues: 1 moved.\n" in (project.output / "batch_summary.md").read_text()
    assert (project.output / "runs/held/risk_report.md").read_text() == "no risk\n"


def test_a_template_that_cannot_be_used_is_refused_before_anything_runs(project):
    project.gated("- {id: held}")
    project.write(OWN, "{{ repot.moved }}")
    result = project.pytest("--finbot-templates", "own")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--finbot-templates: *did you mean 'report'?*", "nothing was run"])


def test_a_template_that_fails_at_the_end_is_told_and_not_green(project):
    project.gated("- {id: held}")
    project.write(OWN, "{{ 1 / 0 }}")
    result = project.pytest("--finbot-templates", "own")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*problem: batch_summary.md could not be made: *batch_verdict.md.j2:1: ZeroDivisionError*"]
    )
    # It costs the page, and not what the others say.
    assert project.verdicts() == {"held": "identical"}
    [problem] = project.summary()["problems"]
    assert "ZeroDivisionError" in problem
    assert [run["name"] for run in project.summary()["runs"]] == ["held"]
    assert json.loads((project.output / "batch_report.json").read_text())["batch"]["problems"] == [problem]
    assert "Not green" in (project.output / "batch_summary.md").read_text()
    assert not list(project.output.glob(".batch*"))


BROKEN = """
from pytest_finbot.reports.html import page


def breaks(*given):
    raise {error}


{where} = breaks
"""


@pytest.mark.parametrize("error", ["KeyError('x|y')", "MemoryError()"])
def test_a_mistake_in_the_page_with_charts_costs_that_page_alone(project, error):
    project.gated("- {id: held}")
    project.write("conftest.py", BROKEN.format(error=error, where="page.row_of"))
    result = project.pytest("--finbot-report", "html")
    assert result.ret == 1
    said = error.partition("(")[0]
    result.stdout.fnmatch_lines([f"*problem: batch_summary.html could not be made: {said}: *(conftest.py:*)"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    assert not (project.output / "batch_summary.html").exists()
    page = (project.output / "batch_summary.md").read_text()
    assert "## Problems of the record" in page
    assert said in page
    assert said in project.summary()["problems"][0]


def test_a_mistake_at_the_end_of_a_batch_costs_no_other(project):
    project.gated("- {id: held}")
    project.batch("- {id: other}", "second.yaml", BATCH.replace("small", "second"))
    project.write(
        "conftest.py",
        """
        from pytest_finbot.session import finish

        done = []

        def breaks_once(share):
            done.append(share)
            return {}["x"] if len(done) == 1 else None

        finish.shard_facts = breaks_once
        """,
    )
    result = project.pytest("--finbot-batch", "second.yaml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "small: the batch could not be summed up, so it is not green: KeyError: 'x' (conftest.py:*)",
            "second: 1 of 1 runs succeeded: completed",
        ]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
