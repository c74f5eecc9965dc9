"""Workflow commands, outputs, and the output of a program: nothing in them is a command of its own."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.ci import quiet
from pytest_finbot.cli.ci.annotate import MOST, Annotation, shown
from pytest_finbot.cli.ci.commands import assignment, command
from pytest_finbot.cli.ci.commands import shown as harmless
from pytest_finbot.cli.ci.comment import comment
from pytest_finbot.cli.ci.comments import comments
from pytest_finbot.cli.ci.comments import told as told_in_comments
from pytest_finbot.cli.ci.inputs import RunInputs
from pytest_finbot.cli.ci.left import REPORT, Asked, Left, LeftBatch
from pytest_finbot.cli.ci.outputs import values_of
from pytest_finbot.cli.ci.run import _file_of, _problems, _refusal, run_session
from pytest_finbot.cli.ci.session import Session, Told
from pytest_finbot.cli.ci.summary import LIMIT, pages
from pytest_finbot.errors import ParameterError, Problem
from pytest_finbot.reports.facts import WaiverFacts
from tests.action.runner import CommandReader, assignments
from tests.reports.test_report import FINE, GATE, report_of
from tests.reports.test_summary import a_record

HOSTILE = [
    "::error file=x::forged",
    "  ::stop-commands::forged",
    "a\n::error::forged",
    "a\r\n##[add-mask]forged",
    "x::notice::y",
    "a,line=7",
    "a:b=c,d",
    "100%25 and %0A, 5 %",
    "ghadelimiter_x<<EOF\nEOF\nverdict=passed",
    "‮ right to left",
    "",
]


def read(line: str):
    reader = CommandReader()
    for one in line.splitlines():
        reader.read(one)
    return reader.done


@pytest.mark.parametrize("text", HOSTILE)
def test_a_runner_reads_a_message_and_a_property_as_they_were_meant(text):
    line = command("error", text, {"file": text, "line": 3, "title": None})
    [said] = read(line)
    assert (said.name, said.message) == ("error", text)
    assert said.properties == ({"file": text, "line": "3"} if text else {"line": "3"})


@pytest.mark.parametrize("text", HOSTILE)
def test_an_output_is_what_was_written_and_gives_no_other(text, tmp_path):
    file = tmp_path / "output"
    file.write_text(assignment("one", text) + assignment("two", "2"))
    assert assignments(file) == {"one": text.replace("\r\n", "\n"), "two": "2"}


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_told_in_passing_is_no_command(text):
    assert read(harmless(text)) == []


def quietly(code: str, log: io.BytesIO) -> quiet.Ended:
    return quiet.run_quietly([sys.executable, "-c", code], {}, log)


@pytest.mark.parametrize(
    ("end", "status"),
    [("", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137), ("os.kill(os.getpid(), 15)", 143)],
)
def test_commands_are_read_again_after_an_output_that_ends_in_the_midst_of_a_line(end, status):
    code = (
        f"import os, sys; print('::error::forged'); sys.stderr.write('::error::x'); sys.stdout.flush(); {end}"
    )
    log = io.BytesIO()
    ended = quietly(code, log)
    assert (ended.status, ended.cancelled) == (status, False)
    said = log.getvalue().decode()
    assert "::error::forged" in said
    assert [said.name for said in read(said + "::notice::ours\n")] == ["remove-matcher", "notice"]


def test_what_a_process_left_behind_prints_later_is_not_in_the_log(monkeypatch, tmp_path):
    monkeypatch.setattr(quiet, "_AFTERWARDS", 0.2)
    written = tmp_path / "written"
    late = (
        "import os, time; time.sleep(1)\n"
        "try: os.write(1, b'\\n::error::late\\n')\n"
        f"finally: open({str(written)!r}, 'w').close()"
    )
    log = io.BytesIO()
    quietly(
        f"import subprocess, sys; print('early'); subprocess.Popen([sys.executable, '-c', {late!r}])", log
    )
    while not written.exists():
        time.sleep(0.05)
    time.sleep(0.1)
    assert b"early" in log.getvalue()
    assert b"late" not in log.getvalue()


def test_a_cancelled_program_is_told_and_is_not_green():
    """The signal comes while it runs, and it ends with status 0 all the same."""

    class Cancels(io.BytesIO):
        def write(self, data):
            if b"ready" in data:
                signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
            return super().write(data)

    log = Cancels()
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    ended = quietly(code, log)
    assert (ended.status, ended.cancelled) == (0, True)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def inputs(**given: str) -> RunInputs:
    return RunInputs.of({f"FINBOT_{name.upper()}": value for name, value in given.items()})


def test_a_session_that_is_green_without_each_of_its_batches_is_red(monkeypatch, tmp_path):
    batch = {
        "batch_name": "core",
        "batch_id": "b",
        "status": "completed",
        "source": "one.yaml",
        "file": "one.yaml",
    }
    reports = tmp_path / "output"
    reports.mkdir()
    (reports / REPORT).write_text("{}")
    asked = inputs(batch="one.yaml\ntwo.yaml")

    def left(*batches: dict[str, object]) -> Left:
        folder = tmp_path / f"left-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        session = {"exitstatus": 0, "batches": list(batches)}
        (folder / "session.json").write_text(json.dumps(session))
        return run_session(asked, folder)

    monkeypatch.setattr("pytest_finbot.cli.ci.run.run_quietly", lambda *_: quiet.Ended(0, False, ""))
    whole = {**batch, "reports": {"json": str(reports / "batch_summary.json")}}
    assert (left(whole, whole).status, left(whole, whole).why) == (0, "")
    for batches in ((whole,), (whole, {**batch, "reports": {}}), ()):
        done = left(*batches)
        assert done.status == 1
        assert done.why.startswith("pytest ended with status 0, and of 2 batch files ")


def test_inputs_become_options_and_an_empty_one_none():
    assert inputs(batch="a b.yaml", workers="", shard=" ", extra_args="").options() == [
        "--finbot-batch=a b.yaml"
    ]
    asked = inputs(
        batch="-a.yaml\n\nb.yaml",
        workers="4",
        baseline="git:origin/main",
        fail_on="regression",
        shard="2/8",
        extra_args="-k 'sma and not $(touch x)' --finbot-accept='*'",
    )
    assert asked.options() == [
        "--finbot-batch=-a.yaml",
        "--finbot-batch=b.yaml",
        "--finbot-baseline=git:origin/main",
        "--finbot-fail-on=regression",
        "--finbot-shard=2/8",
        "-n4",
        "-k",
        "sma and not $(touch x)",
        "--finbot-accept=*",
    ]
    assert asked.artifact() == "finbot-report-shard-2-of-8"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"batch": " \n"}, "input batch is empty"),
        ({"workers": "-1"}, "input workers: expected a number or 'auto', not '-1'"),
        (
            {"fail_on": "regresion"},
            "input fail-on: 'regresion' is none of any, .*; did you mean 'regression'?",
        ),
        ({"comment": "on-changes"}, "input comment: 'on-changes' is none of .*; did you mean 'on-change'?"),
        ({"shard": "9/8"}, "input shard: expected NUMBER/OF as in 2/8"),
        ({"shard": "0/8"}, "input shard: expected NUMBER/OF"),
        ({"extra_args": "-k 'x"}, "input extra-args cannot be split into words: No closing quotation"),
    ],
)
def test_an_input_that_cannot_be_meant_is_told_by_its_name(given, told):
    with pytest.raises(ParameterError, match=told):
        inputs(**{"batch": "finbot.yaml", **given})


def refused(problems: int) -> Session:
    wrong = tuple(Problem("finbot.yaml", line, "", f"wrong {line}") for line in range(1, problems + 1))
    return Session(Left(4, "nothing was run", (), wrong), "nothing was run")


def test_why_nothing_was_run_is_told_also_where_no_line_is_to_blame(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    begin = "text: not ours\nERROR: finbot: 2 problems; nothing was run\n"
    lost, wrong = (
        "finbat.yaml: file not found; did you mean 'finbot.yaml'?",
        "a/b.yaml:3: runs[0].id: missing",
    )
    said = "a word: of another kind"
    told = list(_problems(f"{begin}{lost}\n{wrong}\n{said}\n", ["finbat.yaml", "a/b.yaml"]))
    assert [str(problem) for problem in told] == [lost, wrong]
    assert _refusal(f"{begin}x") == "2 problems"
    assert _refusal("ERROR: usage: pytest\npytest: error: unrecognized arguments: --x\n").endswith(": --x")
    assert _refusal("ImportError while loading conftest") == "pytest refused to begin, and its log says why"


def test_of_two_batch_files_with_one_content_each_has_its_own_report(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    files = ("a/finbot.yaml", "b/finbot.yaml", "output/finbot.yaml")
    for file in files:
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text("runs: []\n")
    copy = tmp_path / files[2]
    assert [_file_of(copy, file, files[:2]) for file in files[:2]] == list(files[:2])
    assert _file_of(copy, "from another root/finbot.yaml", files[1:2]) == files[1]
    copy.write_text("runs: []  # of a file that extra-args name\n")
    assert _file_of(copy, "c/finbot.yaml", files[:2]) == ""


def test_a_waiver_is_annotated_in_the_file_in_which_it_stands():
    waiver = WaiverFacts("a", "nav", "why", "Ada", "2020-01-01", "", "expired", "sub/waivers.yaml:5")
    for where, place in (
        (waiver.where, ("sub/waivers.yaml", 5)),
        ("finbot.yaml:12", ("sub/finbot.yaml", 12)),
        (r"C:\work\sub\waivers.yaml:7", ("sub/waivers.yaml", 7)),
        ("", ("sub/finbot.yaml", 1)),
    ):
        gate = dataclasses.replace(GATE, waivers=(dataclasses.replace(waiver, where=where),))
        report = report_of(facts=dataclasses.replace(FINE, gate=gate))
        told = Told(LeftBatch("one", "completed", file="sub/finbot.yaml"), Path(), report)
        [said] = shown(Session(Left(0), "", (told,)))
        assert (said.file, said.line) == place


def test_of_more_annotations_than_github_shows_the_last_says_how_many():
    assert len(shown(refused(MOST))) == MOST
    many = shown(refused(MOST + 1))
    assert len(many) == MOST
    assert many[0] == Annotation("error", "finbot: nothing was run", "wrong 1", "finbot.yaml", 1)
    assert many[-1].message.startswith("and 2 more")


def test_runs_that_a_report_does_not_list_are_in_the_number_of_the_rest():
    report = report_of(*(a_record(f"r{number}", "failed") for number in range(12)))
    for changes, said in (
        ({"failed_not_listed": 5_800}, "and 5,804 more: see"),
        ({"failed_not_listed": 1, "changed_not_listed": 9}, "and at least 5 more: see"),
    ):
        told = Told(LeftBatch("one", "failed"), Path(), dataclasses.replace(report, **changes))
        errors = [one for one in shown(Session(Left(1), "", (told,))) if one.level == "error"]
        assert len(errors) == MOST
        assert errors[-1].message.startswith(said)


def test_a_summary_never_has_more_bytes_than_github_takes(tmp_path):
    text = "".join(pages(refused(100_000), LIMIT))
    assert len(text.encode()) < LIMIT
    assert "wrong 1" in text

    def told(name: str, size: int) -> Told:
        (tmp_path / name).mkdir()
        text = f"# {name}\n\n**changed**\n\n## Runs\n\n" + "- ü\n" * (size // 5)
        (tmp_path / name / "batch_summary.md").write_text(text)
        return Told(LeftBatch(name, "partial", folder=name), tmp_path / name, report_of())

    names = {"first": 700_000, "second": 600_000, "third": 500_000, "fourth": 10_000}
    batches = tuple(told(name, size) for name, size in names.items())
    text = "".join(pages(Session(Left(1), "", batches), LIMIT))
    assert len(text.encode()) <= LIMIT
    # The worst are there with as much as fits, and none is left out in silence.
    assert "# first\n" in text
    assert all(name in text for name in names)


def test_each_batch_file_has_a_comment_also_where_nothing_was_run():
    """Its name is known then as well: a comment that says "green" does not stay above what is broken."""
    here = Path("artifact")
    one = Told(LeftBatch("one", "completed", folder="one", file="a/one.yaml"), here / "one", report_of())
    session = Session(Left(0), "", (one,), Path(), Asked("", ("a/one.yaml",)))
    assert list(told_in_comments(session)) == [("a/one.yaml", here / "one" / REPORT)]

    named = dataclasses.replace(session, asked=Asked("nightly", ("a/one.yaml",)))
    assert [name for name, _ in told_in_comments(named)] == ["nightly"]
    both = dataclasses.replace(session, asked=Asked("nightly", ("a/one.yaml", "two.yaml")))
    assert list(told_in_comments(both)) == [
        ("nightly two.yaml", Path("none") / REPORT),
        ("nightly a/one.yaml", here / "one" / REPORT),
    ]
    shard = dataclasses.replace(session, asked=Asked("", ("a/one.yaml",), "2/4"))
    assert [name for name, _ in told_in_comments(shard)] == ["a/one.yaml, shard 2/4"]
    nothing = Session(None, "it was cut", (), Path(), Asked("", ("two.yaml",)))
    assert list(told_in_comments(nothing)) == [("two.yaml", Path("none") / REPORT)]


def test_a_job_that_is_red_for_another_reason_says_so_above_what_is_green(monkeypatch, tmp_path):
    one = Told(LeftBatch("one", "completed", file="one.yaml"), tmp_path, report_of())
    session = Session(Left(1), "", (one,), tmp_path, Asked("", ("one.yaml",)))
    assert session.reports[0].green
    assert "pytest ended with status 1, for a reason that is not in these backtests" in session.beside
    assert "".join(pages(session, LIMIT)).startswith(f"**Not green:** {session.beside}\n\n")
    assert dataclasses.replace(session, left=Left(0)).beside == ""
    lost = Told(LeftBatch("two", "completed"), tmp_path, None, "it cannot be read")
    assert dataclasses.replace(session, batches=(one, lost)).beside == ""  # that is told by itself

    told = []
    monkeypatch.setattr(Session, "read", lambda environment: session)
    monkeypatch.setattr(comment, "main", lambda options, **_: told.extend(options))
    assert CliRunner().invoke(comments, []).exit_code == 0
    assert f"--beside={session.beside}" in told


def test_what_is_known_of_some_batches_is_no_number_of_all():
    one = Told(LeftBatch("one", "completed"), Path("artifact"), report_of())
    lost = Told(LeftBatch("two", "completed"), Path("artifact"), None, "it cannot be read")
    known = values_of(Session(Left(0), "", (one,), None, Asked("", ("one.yaml",))))
    assert (known["verdict"], known["moved"], known["failed"]) == ("passed", "0", "0")
    asked = Asked("", ("one.yaml", "two.yaml"))
    for session in (Session(Left(0), "", (one, lost)), Session(Left(1), "one is gone", (one,), None, asked)):
        values = values_of(session)
        assert values["verdict"] == "incomplete"
        assert [values[name] for name in ("moved", "failed", "new", "missing")] == [""] * 4
