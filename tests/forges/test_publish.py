"""finbot ci publish: what a fork left behind is told by one who may comment, and does nothing else."""

import json
import os

import pytest

from pytest_finbot.reports.reading import MOST_BYTES
from tests.forges.conftest import SHA, green, red
from tests.forges.fakes import BOT, answer

MARK = "<!-- pytest-finbot: fork/backtests -->"
FORK = "mallory/fund"


def run_event(**more):
    run = {
        "event": "pull_request",
        "repository": {"full_name": "us/fund"},
        "head_repository": {"full_name": FORK},
        "head_branch": "patch/ä &x=1",
        "head_sha": SHA,
        "html_url": "https://github.example/us/fund/actions/runs/98",
        "pull_requests": [],
        **more,
    }
    return {"action": "completed", "workflow_run": run}


def pull(number, sha=SHA, head=FORK, ref="patch/ä &x=1", base="us/fund", state="open"):
    return {
        "number": number,
        "state": state,
        "head": {"sha": sha, "ref": ref, "repo": head and {"full_name": head}},
        "base": {"repo": {"full_name": base}},
    }


@pytest.fixture
def folder(job):
    """The downloaded artifact, with a report in it."""
    artifact = job.path / "artifact"
    artifact.mkdir()
    job.report = artifact / "batch_report.json"
    job.tells(red())
    return artifact


@pytest.fixture
def publish(github, job, folder):
    job.event(run_event())
    github.pulls = [pull(6, head=None), pull(8, head="mallory/other"), pull(7)]
    return lambda *words: job.ci("publish", folder, *words)


def refused(done, github, why):
    """Nothing of it is told, and nothing is made."""
    assert done.exit_code == 4
    assert why in done.stderr
    assert not any(line.startswith("::") for line in (done.stdout + done.stderr).splitlines())
    assert github.comments == []
    assert github.count("(POST|PATCH) .*comments.*") == 0


def test_a_forks_report_is_told_once_and_kept_up_to_date(github, job, publish):
    github.comment("<!-- pytest-finbot: backtests -->\n\nof a run of our own", author=BOT)
    for _ in range(2):
        done = publish()
        assert done.exit_code == 0, done.stderr
    own, theirs = github.bodies
    assert own.endswith("of a run of our own")
    assert theirs.startswith(f"{MARK}\n\n> [!WARNING]\n> These numbers come from an unprivileged run")
    assert f"of the fork `{FORK}` at commit `{SHA}`" in theirs
    assert "https://github.example/us/fund/actions/runs/98" in theirs
    assert "far" in theirs
    asked = [what for what, _, _ in github.asked if "pulls" in what]
    assert asked == ["GET /repos/us/fund/pulls"] * 2


def test_the_fork_names_neither_the_comment_nor_the_pull_request(github, job, publish):
    document = json.loads(job.report.read_text())
    document["batch"]["batch_name"] = "<!-- pytest-finbot: backtests -->"
    document["batch"]["provenance"] = {"pull request": 1, "commit": "f" * 40}
    document["changed"][0]["run"] = "x\n<!-- pytest-finbot: backtests -->\n</details>@team"
    job.report.write_text(json.dumps(document))
    ours = github.comment("<!-- pytest-finbot: backtests -->\n\nof a run of our own", author=BOT)
    for _ in range(2):
        assert publish().exit_code == 0
    assert len(github.comments) == 2
    assert ours["body"].endswith("of a run of our own")
    assert github.bodies[1].startswith(f"{MARK}\n\n> [!WARNING]\n")


@pytest.mark.parametrize(
    ("pulls", "why"),
    [
        ([], "there is no open pull request to us/fund from mallory/fund"),
        ([pull(7, head="mallory/other")], "there is no open pull request"),
        ([pull(7, base="mallory/fund")], "there is no open pull request"),
        ([pull(7, state="closed")], "there is no open pull request"),
        ([pull(7, ref="main")], "there is no open pull request"),
        ([pull(7, sha="f" * 40)], "is no longer at 0123456789ab but at ffffffffffff"),
        ([pull(7), pull(9)], "is the head of 2 open pull requests (#7, #9)"),
    ],
)
def test_nothing_is_told_where_the_commit_is_no_pull_requests_head(github, publish, pulls, why):
    github.pulls = pulls
    done = publish()
    # Of what has moved on, another run tells: nothing is wrong.
    assert done.exit_code == (0 if "no longer" in why else 1)
    assert why in done.stdout
    assert github.comments == []
    assert github.count("(POST|PATCH) .*") == 0


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"event": "pull_request_target"}, "only pull_request is published"),
        ({"event": "push\n::error::x"}, "only pull_request is published"),
        ({"repository": {"full_name": "them/fund"}}, "of another repository than us/fund"),
        ({"head_repository": None}, "workflow_run.head_repository is no repository"),
        ({"head_repository": {"full_name": "a/b/../../c"}}, "is no repository"),
        ({"head_sha": "main"}, "names no commit"),
        ({"head_branch": None}, "names no branch"),
    ],
)
def test_another_event_is_refused(github, job, publish, more, why):
    job.event(run_event(**more))
    refused(publish(), github, why)


def test_an_event_without_a_run_is_refused(github, job, publish):
    job.event({"pull_request": {"number": 7}})
    refused(publish(), github, "no workflow_run event")
    job.set(GITHUB_EVENT_PATH=job.path / "none.json")
    refused(publish(), github, "cannot be read")


# ------------------------------------------------------------------------------- the artifact


def test_a_report_that_is_too_large_is_not_read(github, job, publish):
    with job.report.open("r+b") as file:
        file.truncate(2 * MOST_BYTES)
    refused(publish(), github, "33,554,432 bytes; a report has at most 16,777,216")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "finbot-report", "version": 2}',
        '{"format": "finbot-report", "version": 1, "a\\n::add-mask::b": 1}',
        '{"format": "finbot-report", "version": 1, "batch": NaN}',
        "[" * 100_000,
        "9" * 10_000,
    ],
)
def test_what_is_no_report_is_refused(github, job, publish, text):
    job.report.write_text(text)
    refused(publish(), github, "batch_report.json in the artifact")


def test_no_link_is_followed(github, job, folder, publish):
    job.report.rename(job.path / "elsewhere.json")
    job.report.symlink_to(job.path / "elsewhere.json")
    refused(publish(), github, "no plain file")
    job.report.unlink()
    os.link(job.path / "event.json", job.report)
    refused(publish(), github, "is no report")


def test_nor_a_link_for_the_folder(github, job, folder, publish):
    (job.path / "link").symlink_to(folder)
    refused(job.ci("publish", job.path / "link"), github, "is no folder")


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_plain_file_is_not_opened(github, job, publish, kind):
    job.report.unlink()
    os.mkfifo(job.report) if kind == "fifo" else job.report.mkdir()
    refused(publish(), github, "no plain file")


@pytest.mark.parametrize("name", ["other.json", ".bashrc", "a\n::error::b", "batch_report.json.sh"])
def test_another_file_beside_it_is_refused(github, job, folder, publish, name):
    (folder / name).write_text("x")
    refused(publish(), github, "expected batch_report.json and no more")
    job.report.unlink()
    refused(publish(), github, "expected batch_report.json and no more")


def test_what_was_told_of_an_earlier_commit_does_not_stay(github, job, publish):
    assert publish().exit_code == 0
    job.report.write_text("{}")
    done = publish()
    assert done.exit_code == 4
    (body,) = github.bodies
    assert body.startswith(f"{MARK}\n\nCommit `{SHA}` of `{FORK}`.\n\n**No result.**")


def test_nor_does_it_where_the_report_cannot_be_rendered(github, publish, unrendered):
    github.comment(f"{MARK}\n\n**All is well.**", author=BOT)
    done = publish()
    assert done.exit_code == 4
    assert "the report cannot be rendered: batch.md.j2:1: nothing to count" in done.stderr
    assert "**No result.**" in github.bodies[0]


def test_a_branch_of_our_own_is_no_fork(github, job, publish):
    job.event(run_event(head_repository={"full_name": "us/fund"}))
    github.pulls = [pull(7, head="us/fund")]
    assert publish().exit_code == 0
    assert (
        f"an unprivileged run ([its log](https://github.example/us/fund/actions/runs/98)) at commit `{SHA}`"
        in (github.bodies[0])
    )


def test_an_empty_artifact_and_none(github, job, folder, publish):
    job.report.unlink()
    refused(publish(), github, "the artifact is empty")
    folder.rmdir()
    refused(publish(), github, "cannot be read")


# ------------------------------------------------------------------------------- the rest


def test_a_mode_holds_here_too(github, job, publish):
    job.tells(green())
    assert publish("--mode", "on-failure").exit_code == 0
    assert github.comments == []


def test_a_token_that_may_not_comment_is_an_error_here(github, publish):
    github.fail("POST .*comments", answer({"message": "Resource not accessible by integration"}, 403))
    done = publish()
    assert done.exit_code == 4
    assert "permissions: pull-requests: write" in done.stderr
