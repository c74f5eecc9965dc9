"""finbot ci gitlab: one note a report on a merge request."""

import pytest

from pytest_finbot.forges.gitlab import without_quick_actions
from tests.forges.conftest import green, red
from tests.forges.fakes import GITLAB_TOKEN, answer

NOTES = "/api/v4/projects/11/merge_requests/5/notes"
MARK = "<!-- pytest-finbot: core -->"


def test_the_first_note_is_made_and_the_next_run_updates_it(gitlab, job):
    gitlab.note(f"{MARK}\n\nforged", author=7)
    gitlab.note(f"{MARK}\n\nby the system", system=True)
    for number in range(120):
        gitlab.note(f"words {number}", author=7)
    job.tells(red())
    words = ("gitlab", job.report, "--report-name", "core")
    done = job.ci(*words)
    assert done.exit_code == 0, done.stderr
    assert "note of merge request !5: created https://gitlab.example/us/fund/-/merge_requests/5#note_622" in (
        done.stdout
    )
    assert gitlab.bodies[-1].startswith(f"{MARK}\n\n")
    assert "far" in gitlab.bodies[-1]
    assert gitlab.asked[0][1]["Private-Token"] == GITLAB_TOKEN

    job.tells(green())
    assert "updated" in job.ci(*words).stdout
    assert len(gitlab.comments) == 123
    assert "far" not in gitlab.bodies[-1]
    assert gitlab.bodies[0].endswith("forged")
    assert gitlab.count(f"GET {NOTES}") == 4


def test_a_fork_writes_where_it_wants_to_be_merged(gitlab, job):
    job.set(CI_PROJECT_ID=77, CI_MERGE_REQUEST_PROJECT_ID=11, CI_MERGE_REQUEST_SOURCE_PROJECT_ID=77)
    job.tells(red())
    assert job.ci("gitlab", job.report).exit_code == 0
    assert len(gitlab.comments) == 1
    job.monkeypatch.delenv("FINBOT_GITLAB_TOKEN")
    done = job.ci("gitlab", job.report)
    assert done.exit_code == 0
    assert "has no token" in done.stdout


def test_without_a_token_it_is_said_which(gitlab, job):
    job.monkeypatch.delenv("FINBOT_GITLAB_TOKEN")
    job.tells(red())
    done = job.ci("gitlab", job.report)
    assert done.exit_code == 4
    assert "FINBOT_GITLAB_TOKEN and GITLAB_TOKEN are not set" in done.stderr
    job.set(GITLAB_TOKEN=GITLAB_TOKEN)
    assert job.ci("gitlab", job.report).exit_code == 0


def test_a_pipeline_of_no_merge_request(gitlab, job):
    job.monkeypatch.delenv("CI_MERGE_REQUEST_IID")
    job.tells(red())
    done = job.ci("gitlab", job.report)
    assert (done.exit_code, gitlab.asked) == (0, [])
    assert "of no merge request" in done.stdout


def test_without_a_report_the_note_does_not_stay_green(gitlab, job):
    job.tells(green())
    assert job.ci("gitlab", job.report, "--report-name", "core").exit_code == 0
    job.report.unlink()
    done = job.ci("gitlab", job.report, "--report-name", "core")
    assert done.exit_code == 4
    assert "**No result.**" in gitlab.bodies[0]


def test_nor_where_the_report_cannot_be_rendered(gitlab, job, unrendered):
    job.tells(green())
    assert job.ci("gitlab", job.report, "--report-name", "core").exit_code == 4
    assert "**No result.**" in gitlab.bodies[0]


@pytest.mark.parametrize("number", ["x", "5/../6", "-1", "٣", "9" * 30])
def test_a_number_that_is_none_is_not_asked_for(gitlab, job, number):
    job.set(CI_MERGE_REQUEST_IID=number)
    job.tells(red())
    done = job.ci("gitlab", job.report)
    assert done.exit_code == 4
    assert "CI_MERGE_REQUEST_IID is no number" in done.stderr
    assert gitlab.asked == []


def test_a_refusal_is_told_in_gitlabs_words(gitlab, job):
    gitlab.fail(f"POST {NOTES}", answer({"message": {"note": ["is too long"]}}, 400))
    job.tells(red())
    done = job.ci("gitlab", job.report)
    assert done.exit_code == 4
    assert f"GitLab answered 400 to POST {NOTES.removeprefix('/api/v4')}" in done.stderr
    assert "is too long" in done.stderr


def test_no_line_is_a_quick_action():
    text = "/merge\n  /close\n> /approve\na /b\n```\n/x\n```\n\u00a0/label ~y"
    lines = without_quick_actions(text).split("\n")
    assert lines == [
        "\\/merge",
        "  \\/close",
        "> \\/approve",
        "a /b",
        "```",
        "\\/x",
        "```",
        "\u00a0\\/label ~y",
    ]


def test_no_note_has_one(gitlab, job, monkeypatch):
    monkeypatch.setattr("pytest_finbot.reports.markdown.markdown_report", lambda report, limit: "x\n/merge\n")
    job.tells(red())
    assert job.ci("gitlab", job.report).exit_code == 0
    assert "\n/merge" not in gitlab.bodies[0]
    assert "/merge" in gitlab.bodies[0]
