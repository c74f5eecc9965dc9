"""--finbot-templates: words of the repository's own, in every process; what fails in them is never green."""

from __future__ import annotations

import pytest

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
    result.stdout.fnmatch_lines(["*could not be summed up, so it is not green: *:1: ZeroDivisionError*"])
