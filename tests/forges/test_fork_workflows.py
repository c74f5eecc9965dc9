"""The two workflows of the fork pattern belong together, and each has the rights of its half."""

import re
from pathlib import Path

import pytest
import yaml

import pytest_finbot
from pytest_finbot.forges.fork import REPORT

EXAMPLES = Path(__file__).parents[2] / "examples"


def workflow(name):
    text = (EXAMPLES / "workflows" / name).read_text("utf-8")
    # YAML 1.1 reads the key "on" as true.
    return text, {("on" if key is True else key): value for key, value in yaml.safe_load(text).items()}


def step(job, action):
    (found,) = [step for step in job["steps"] if step.get("uses", "").startswith(action)]
    return found["with"]


@pytest.fixture(scope="module")
def halves():
    return workflow("fork-report.yml"), workflow("fork-publish.yml")


def test_one_takes_what_the_other_leaves(halves):
    (_, report), (_, publish) = halves
    assert publish["on"]["workflow_run"]["workflows"] == [report["name"]]
    assert list(report["on"]) == ["pull_request"]
    (left,) = [step(job, "actions/upload-artifact") for job in report["jobs"].values()]
    (taken,) = [step(job, "actions/download-artifact") for job in publish["jobs"].values()]
    assert left["name"] == taken["name"]
    assert Path(left["path"]).name == REPORT
    assert taken["path"].startswith("${{ runner.temp }}/")
    # Also what was cancelled or took too long has something to tell: that there is no result.
    assert [job["if"] for job in publish["jobs"].values()] == [
        "github.event.workflow_run.event == 'pull_request' && "
        "github.event.workflow_run.conclusion != 'skipped'"
    ]


def test_only_the_half_that_runs_nothing_may_comment(halves):
    (_, report), (text, publish) = halves
    assert report["permissions"] == publish["permissions"] == {}
    (running,), (commenting,) = report["jobs"].values(), publish["jobs"].values()
    assert running["permissions"] == {"contents": "read"}
    assert commenting["permissions"] == {"actions": "read", "pull-requests": "write"}
    assert "actions/checkout" not in text
    assert [step["run"] for step in commenting["steps"] if "run" in step] == [
        f"python -m pip install pytest-finbot=={pytest_finbot.__version__}",
        'finbot ci publish "$RUNNER_TEMP/finbot-fork-report"',
    ]


def test_nothing_of_an_event_is_part_of_a_command(halves):
    for text, document in halves:
        for job in document["jobs"].values():
            for one in job["steps"]:
                assert "${{" not in one.get("run", "")
        for action in re.findall(r"uses: (.*)", text):
            assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_the_gitlab_job_tells_after_the_gate():
    document = yaml.safe_load((EXAMPLES / "gitlab-ci.yml").read_text("utf-8"))
    (job,) = document.values()
    assert job["after_script"][0].startswith("finbot ci gitlab ")
    assert job["artifacts"]["when"] == "always"
