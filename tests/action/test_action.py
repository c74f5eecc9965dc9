"""The action as a runner runs it: on the examples, green and red, and with an engine that means harm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from pytest_finbot.forges.comment import marker
from tests.action.runner import ROOT, Job
from tests.forges.fakes import BOT, GITHUB_TOKEN, FakeGitHub

EMPTY: Mapping[str, Any] = {}
HALF = "1.0 / half"
PRICES = "Date,AAA,BBB\n2020-01-02,10,20\n2020-01-03,11,19\n2020-01-06,12,21\n2020-01-07,11,22\n"
HOSTILE = '''
import os
import sys

LINES = """
::error file=x.py,line=1::forged
::warning::forged
::add-mask::1
::set-output name=verdict::passed
::set-env name=PATH::/tmp
::stop-commands::mine
::mine::
  ::notice::forged, with space before it
##[error]forged, as it was written in the past
text and then ##[add-mask]forged
::remove-matcher owner=x::
"""


def hostile(prices, decision):
    for stream in (sys.__stdout__, sys.__stderr__):
        print(LINES, file=stream, flush=True)
        for name, value in os.environ.items():
            if name.startswith(("GITHUB_", "FINBOT_")) and os.path.isfile(value):
                with open(value, "a") as file:
                    file.write("verdict=passed\\nstatus=0\\n")
        stream.write("::error::at the end of all, without a newline")
        stream.flush()
    return {"AAA": 1.0}
'''


def examples(folder: Path) -> Path:
    """A checkout of the examples, whose folder has a space in its name."""
    workspace = folder / "a checkout"
    ignored = shutil.ignore_patterns("output", "__pycache__", "engines", "golden", "older_form")
    shutil.copytree(ROOT / "examples", workspace / "examples", ignore=ignored)
    return workspace


def job(
    folder: Path,
    workspace: Path,
    github: Mapping[str, Any] = EMPTY,
    /,
    env: Mapping[str, str] = EMPTY,
    **inputs: str,
) -> Job:
    temp = folder / "runner temp"
    temp.mkdir()
    said = {name.replace("_", "-"): value for name, value in inputs.items()}
    return Job(workspace=workspace, temp=temp, inputs=said, github=github, environment=env).run()


@pytest.fixture(scope="module")
def forge():
    """GitHub's API on loopback."""
    with HTTPServer(host="127.0.0.1") as server:
        yield FakeGitHub(server)


@pytest.fixture(scope="module")
def green(tmp_path_factory):
    folder = tmp_path_factory.mktemp("green")
    return job(folder, examples(folder), batch="examples/finbot.yaml", workers="2")


@pytest.fixture(scope="module")
def red(tmp_path_factory, forge):
    """A pull request that changes one line of a strategy."""
    folder = tmp_path_factory.mktemp("red")
    workspace = examples(folder)
    strategies = workspace / "examples" / "strategies.py"
    text = strategies.read_text()
    assert text.count(HALF) == 1
    strategies.write_text(text.replace(HALF, "0.5 / half"))
    github, env = pull_request(folder, forge)
    inputs = {"batch": "finbot.yaml", "working_directory": "examples", "report_name": "nightly: US"}
    return job(folder, workspace, github, env=env, workers="2", **inputs)


def pull_request(folder: Path, forge: FakeGitHub) -> tuple[dict[str, Any], dict[str, str]]:
    """The context and the environment of a job of pull request 7."""
    event = {
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"repo": {"full_name": "us/fund"}, "sha": "0" * 40},
            "base": {"repo": {"full_name": "us/fund"}},
        },
    }
    (folder / "event.json").write_text(json.dumps(event))
    env = {
        "GITHUB_API_URL": forge.url,
        "GITHUB_GRAPHQL_URL": f"{forge.url}/graphql",
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_REPOSITORY": "us/fund",
    }
    return {"event": event, "token": GITHUB_TOKEN}, env


@pytest.fixture(scope="module")
def harmed(tmp_path_factory):
    """Two batch files, one of them with a name that would end a property, one that is not gated."""
    folder = tmp_path_factory.mktemp("harmed")
    workspace = folder / "work"
    (workspace / "odd, 100%25").mkdir(parents=True)
    (workspace / "odd, 100%25" / "ours.py").write_text(HOSTILE)
    for path, run, strategy in (
        ("odd, 100%25/bat ch.yaml", "'loud'", "ours:hostile"),
        ("finbot.yaml", "quiet", "fixed_weights"),
    ):
        name = path.partition(".")[0].replace(" ", "_").replace("odd,_100%25/", "")
        file = workspace / path
        (file.parent / "prices.csv").write_text(PRICES)
        file.write_text(
            f"batch_name: {name}\nbaseline: baselines\n"
            "defaults: {data: {path: prices.csv}, symbols: [AAA, BBB], "
            "start_date: 2020-01-02, end_date: 2020-01-07}\n"
            f"runs:\n- {{id: {run}, strategy: '{strategy}'}}\n"
        )
    return job(
        folder,
        workspace,
        batch="odd, 100%25/bat ch.yaml\n  finbot.yaml  \n",
        workers="",
        extra_args="-s -p 'no:cacheprovider'",
        artifact_name='a/b: "c"',
    )


def test_a_green_batch_is_green_and_says_so(green):
    assert green.conclusion == "success"
    # No command to install anything, and no pull request.
    skipped = [name for name, step in green.steps.items() if step.conclusion == "skipped"]
    assert skipped == ["Install", "Comment"]
    assert green.outputs["verdict"] == "passed"
    assert [green.outputs[name] for name in ("moved", "failed", "new", "missing")] == ["0"] * 4
    assert green.annotations == []
    assert "# example" in green.summary
    session = json.loads(Path(green.outputs["summary-json"]).read_text())
    assert [batch["batch_id"] for batch in session["batches"]] == [green.outputs["batch-id"]]
    assert Path(green.outputs["report-path"]).read_text() in green.summary + "\n"


def test_one_changed_line_makes_the_job_red_with_its_run_at_its_line(red):
    assert red.conclusion == "failure"
    # Every step but the last has done its work.
    assert [name for name, step in red.steps.items() if step.conclusion == "failure"] == ["Gate"]
    assert red.steps["Gate"].status == 1
    assert (red.outputs["verdict"], red.outputs["moved"], red.outputs["failed"]) == ("changed", "1", "0")
    [error] = [said for said in red.annotations if said.name == "error"]
    lines = (ROOT / "examples" / "finbot.yaml").read_text().splitlines()
    assert error.properties["file"] == "examples/finbot.yaml"
    assert "calm_half" in lines[int(error.properties["line"]) - 1]
    assert error.properties["title"] == "calm_half: moved"
    assert "final NAV -243,027.15 (-51.86 %)" in error.message
    assert "code changed: strategies" in error.message
    assert "calm_half" in red.summary


def test_the_pull_request_is_told_by_a_step_that_alone_has_the_token(red, forge):
    [comment] = forge.comments
    assert red.outputs["comment-url"] == comment["html_url"]
    assert "calm_half" in comment["body"]
    assert "https://github.example/artifacts/1" in comment["body"]
    assert GITHUB_TOKEN not in "".join(step.output for step in red.steps.values())


def test_reports_are_uploaded_under_a_name_that_tells_them_apart(green, red):
    assert list(green.artifacts) == ["finbot-report"]
    [(name, folder)] = red.artifacts.items()
    assert name == "finbot-report-nightly- US"
    files = {path.name for path in (folder / "example").iterdir()}
    assert {f"batch_summary.{kind}" for kind in ("csv", "html", "json", "md")} <= files
    assert {"batch_report.json", "logs"} <= files


def test_an_engine_cannot_command_the_runner(harmed):
    run = harmed.steps["Run"]
    # It was there, on both streams, and the runner carried out nothing of it.
    assert run.output.count("##[error]forged, as it was written in the past") >= 2
    assert [said.name for said in run.commands] == ["remove-matcher"]
    assert harmed.kept == {}
    assert not any("forged" in said.message for said in harmed.commands)
    assert "at the end of all" not in str(harmed.commands)
    # Nor the files by which steps speak to it.
    assert harmed.outputs["verdict"] != "passed"
    assert harmed.conclusion == "failure"


def test_batches_are_summed_up_and_odd_paths_are_told_as_they_are(harmed):
    assert [harmed.outputs[name] for name in ("verdict", "moved", "failed", "new")] == [
        "failed",
        "0",
        "1",
        "1",
    ]
    assert harmed.outputs["batch-id"].count("\n") == 1
    loud = {
        "file": "odd, 100%25/bat ch.yaml",
        "line": "5",
        "title": "loud: failed (engine_error in simulate)",
    }
    quiet = {"file": "finbot.yaml", "line": "5", "title": "quiet: new"}
    # The worst first.
    assert [said.properties for said in harmed.annotations] == [loud, quiet]
    assert list(harmed.artifacts) == ["a-b- -c-"]
    assert harmed.summary.count("\n# ") + harmed.summary.startswith("# ") == 2


def test_whatever_becomes_of_the_run_a_job_whose_end_is_not_known_is_red(tmp_path):
    """The steps before the gate leave nothing, or something that nobody wrote so."""
    from click.testing import CliRunner

    from pytest_finbot.cli.main import main

    fine = {"name": "x", "status": "completed", "batch_id": "b", "reason": "", "folder": "x", "file": ""}
    whole = {"format": "finbot-ci-run", "version": 1, "why": "", "batches": [fine], "problems": []}

    def status(left: str | None, folder: Path | None = tmp_path) -> int:
        (tmp_path / "run.json").unlink(missing_ok=True)
        if left is not None:
            (tmp_path / "run.json").write_text(left)
        done = CliRunner().invoke(
            main, ["ci", "gate"], env={"FINBOT_CI_FOLDER": "" if folder is None else str(folder)}
        )
        return done.exit_code

    assert status(json.dumps({**whole, "status": 0})) == 0
    assert status(json.dumps({**whole, "status": 5})) == 5
    red = [None, "", "0", "{}", "[]", json.dumps({**whole, "status": 0})[:-1]]
    red += [json.dumps({**whole, "status": bad}) for bad in ("0", False, 0.0, None, -1, 256)]
    red += [json.dumps({**whole, "status": 0, **more}) for more in ({"batches": []}, {"version": 2})]
    red += [json.dumps({**whole, "status": 0, "batches": [{**fine, "status": None}]})]
    assert [status(left) for left in red] == [1] * len(red)
    assert status(None, None) == 1


def test_a_batch_file_that_is_refused_is_annotated_where_it_is_wrong(tmp_path):
    workspace = tmp_path / "work"
    workspace.mkdir()
    (workspace / "finbot.yaml").write_text("batch_name: x\ndefaults: {}\nruns:\n- {id: a, stratgy: b}\n")
    done = job(tmp_path, workspace, workers="", comment="never")
    assert done.steps["Gate"].status == 4
    assert (done.outputs["verdict"], done.outputs["moved"]) == ("incomplete", "")
    assert done.steps["Comment"].conclusion == "skipped"
    [said] = [said for said in done.annotations if "stratgy" in said.message]
    assert (said.properties["file"], said.properties["line"]) == ("finbot.yaml", "4")
    assert "stratgy" in done.summary


def test_an_input_that_cannot_be_meant_is_told_by_its_name_and_nothing_runs(tmp_path):
    done = job(tmp_path, tmp_path, workers="many", fail_on="regresion")
    assert [name for name, step in done.steps.items() if step.conclusion == "failure"] == ["Run", "Gate"]
    assert done.steps["Gate"].status == 4
    assert "input workers: expected a number or 'auto', not 'many'" in done.annotations[0].message


def test_options_that_run_nothing_are_not_green(tmp_path):
    workspace = tmp_path / "work"
    workspace.mkdir()
    done = job(tmp_path, workspace, workers="", extra_args="--version")
    assert done.steps["Gate"].status == 1
    assert "left no summary of a session" in done.summary


def test_what_ends_the_process_after_the_verdict_does_not_make_it_green(tmp_path):
    workspace = tmp_path / "work"
    workspace.mkdir()
    (workspace / "prices.csv").write_text(PRICES)
    (workspace / "conftest.py").write_text("import atexit, os\natexit.register(os._exit, 0)\n")
    (workspace / "finbot.yaml").write_text(
        "batch_name: core\nbaseline: baselines\nruns:\n- {id: a, strategy: fixed_weights, "
        "data: {path: prices.csv}, symbols: [AAA], start_date: 2020-01-02, end_date: 2020-01-07}\n"
    )
    done = job(tmp_path, workspace, workers="")
    assert done.steps["Gate"].status == 1
    assert "pytest ended with status 0, and had told of its session that it is 1" in done.summary
    assert done.outputs["new"] == "1"


def test_an_installation_that_fails_leaves_a_red_job(tmp_path):
    done = job(tmp_path, tmp_path, install="echo first\nfalse\necho never")
    assert done.steps["Install"].output == "first\n"
    assert done.steps["Run"].conclusion == done.steps["Report"].conclusion == "skipped"
    assert done.steps["Gate"].conclusion == "failure"
    assert done.outputs["verdict"] == "incomplete"


def test_after_an_installation_that_fails_no_older_comment_stays_green(tmp_path, forge):
    mark = marker("examples/finbot.yaml, shard 2/3")
    older = forge.comment(f"{mark}\n\n**All is well.**", author=BOT)
    (tmp_path / "work" / "examples").mkdir(parents=True)
    github, env = pull_request(tmp_path, forge)
    inputs = {"batch": "finbot.yaml", "working_directory": "examples", "shard": "2/3", "install": "false"}
    done = job(tmp_path, tmp_path / "work", github, env=env, **inputs)
    assert done.steps["Run"].conclusion == "skipped"
    assert older["body"].startswith(f"{mark}\n\n**No result.**")
    assert done.steps["Gate"].conclusion == "failure"


def test_a_job_that_is_cancelled_before_anything_ran_is_red_at_its_gate(tmp_path):
    done = Job(workspace=tmp_path, temp=tmp_path, inputs={}, cancelled=True).run()
    assert {name for name, step in done.steps.items() if step.conclusion != "skipped"} == {"Gate"}
    assert done.steps["Gate"].status == 1
    assert "it did not begin, or was cut" in done.annotations[0].message
