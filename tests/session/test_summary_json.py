"""--finbot-summary-json: the session as one strict JSON document for other programs."""

from __future__ import annotations

import json
import os

import pytest

FLAT = """\
import numpy as np
from pytest_finbot.contracts import TargetWeights


def flat(spec, market):
    return TargetWeights(np.array([0]), np.array([[0.5, 0.5]]))


def broken(spec, market):
    raise ValueError("no")
"""


def strict(text):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def document(project, name="session.json"):
    return strict((project.path / name).read_text(encoding="utf-8"))


def test_it_holds_what_the_batch_summaries_hold_and_where_they_are(project):
    project.batch("- {id: one}\n- {id: two}")
    other = "batch_name: other\n" + (project.path / "finbot.yaml").read_text().partition("\n")[2]
    project.write("finbot_other.yaml", other)
    # Chance gives both batches one id at first.
    project.write(
        "conftest.py",
        """
        from types import SimpleNamespace

        from pytest_finbot.registry import ids

        chances = iter([b"22", b"22", b"11"])
        ids.os = SimpleNamespace(urandom=lambda count: next(chances))
        """,
    )
    options = ("--finbot-batch", "finbot_other.yaml", "--finbot-summary-json", "session.json")
    assert project.pytest(*options, "-n", "2").ret == 0
    whole = document(project)
    assert (whole["format"], whole["version"], whole["exitstatus"]) == ("finbot-session-summary", 1, 0)
    small, other = whole["batches"]
    reports = small.pop("reports")
    assert small == project.summary()
    assert other["batch_name"] == "other"
    assert [run["name"] for run in other["runs"]] == ["one", "two"]
    assert all(os.path.isfile(path) for path in reports.values())
    assert small["batch_id"] < other["batch_id"]
    assert small["time_spent"]["workers"] == 2
    assert not list(project.path.glob(".*.tmp"))


def test_on_stdout_it_is_the_last_line_also_of_a_session_that_failed(project):
    project.write("ours.py", FLAT)
    project.batch("- {id: one, description: 'élan'}\n- {id: broken, strategy: 'ours:broken'}")
    result = project.pytest("--finbot-summary-json", "-")
    assert result.ret == 1
    whole = strict(result.outlines[-1])
    assert whole["exitstatus"] == 1
    assert [run["status"] for run in whole["batches"][0]["runs"]] == ["success", "failed"]
    assert not any(line.startswith("{") for line in result.outlines[:-1])


def test_a_batch_of_which_nothing_was_selected_is_in_it_with_the_reason(project):
    project.batch("- {id: one}")
    result = project.pytest("--finbot-summary-json=session.json", "-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    [batch] = document(project)["batches"]
    assert (batch["batch_name"], batch["status"], batch["runs"]) == ("small", None, [])
    assert batch["reason"] == "no run was selected"
    assert document(project)["exitstatus"] == result.ret


def test_without_its_document_a_session_is_not_green(project):
    project.write(
        "conftest.py",
        """\
        import pathlib

        def pytest_runtest_logfinish(nodeid):
            pathlib.Path("where").rmdir()
        """,
    )
    project.batch("- {id: one}")
    (project.path / "where").mkdir()
    result = project.pytest("--finbot-summary-json=where/session.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["--finbot-summary-json: not green: cannot write */where/session.json: No such*"]
    )


@pytest.mark.parametrize(
    ("target", "workers", "words"),
    [
        ("finbot.yaml", "auto", "*holds something else than a session's summary, and would be replaced*"),
        ("nowhere/session.json", "0", "*there is no folder */nowhere*"),
        ("output", "0", "*that is a folder, and a file is expected*"),
        ("/dev/null", "0", "*that is no ordinary file; name one, or - for stdout*"),
    ],
)
def test_what_it_must_not_replace_is_refused_before_anything_runs(project, target, words, workers):
    project.batch("- {id: one}")
    (project.path / "output").mkdir()
    before = (project.path / "finbot.yaml").read_bytes()
    result = project.pytest(f"--finbot-summary-json={target}", "-n", workers)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])
    assert (project.path / "finbot.yaml").read_bytes() == before
    assert not (project.path / ".finbot").exists()


def test_a_session_that_is_refused_leaves_no_document_not_even_an_earlier_one(project):
    project.batch("- {id: one}")
    assert project.pytest("--finbot-summary-json=session.json").ret == 0
    assert project.pytest("--finbot-summary-json=session.json", "--collect-only").ret == 0
    assert document(project)["exitstatus"] == 0
    project.batch("- {idd: one}")
    result = project.pytest("--finbot-summary-json=session.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.path / "session.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--finbot-phase", "bogus"),
        ("--finbot-accept",),
        ("--finbot-from", "2020-01-05", "--finbot-to", "2020-01-03"),
        ("--finbot-from", "2029-01-01"),
        ("--finbot-retry-failed",),
        ("--finbot-no-such-option",),
        ("--finbot-log-json=session.json",),
    ],
)
def test_whatever_refuses_a_session_no_earlier_document_survives_it(project, options):
    project.batch("- {id: one}")
    project.write("session.json", '{"format":"finbot-session-summary","version":1,"exitstatus":0}')
    project.refused("--finbot-summary-json=session.json", *options)
    assert not (project.path / "session.json").exists()


def test_the_file_of_the_log_is_not_that_of_the_document(project):
    project.batch("- {id: one}")
    result = project.refused("--finbot-summary-json", "a.json", "--finbot-log-json=./a.json")
    result.stderr.fnmatch_lines(["*--finbot-summary-json a.json: that is the file of --finbot-log-json too*"])
    assert not (project.path / ".finbot").exists()
