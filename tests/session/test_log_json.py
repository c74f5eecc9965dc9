"""--finbot-log-json: the log's lines elsewhere as well, whole, from every process, past any capture."""

from __future__ import annotations

import json
import os

import pytest

from pytest_finbot.errors import RegistryError
from pytest_finbot.session.log_stream import STDERR, LogStream
from tests.reports.hostile import NAMES, SURROGATE

RUNS = "- {id: one}\n- {id: two}\n- {id: apart, isolation: process}\n- {id: loud, strategy: 'ours:loud'}"
LOUD = """\
import sys
import numpy as np
from pytest_finbot.contracts import TargetWeights


def loud(spec, market):
    print("not a line of the log", file=sys.stderr)
    return TargetWeights(np.array([0]), np.array([[0.5, 0.5]]))
"""
PHASES = ["market_data", "simulate", "marks", "analytics", "risk", "costs", "checks", "ladder"]


def told(lines):
    """By run, its phases in the order of their results."""
    runs: dict[str, list[str]] = {}
    for line in lines:
        if line["kind"] == "phase_result":
            runs.setdefault(line["run"], []).append(line["phase"])
    return runs


@pytest.mark.parametrize("workers", ["0", "2"])
def test_stderr_gets_every_line_whole_and_nothing_that_is_captured(project, workers):
    project.write("ours.py", LOUD)
    project.batch(RUNS)
    # The option in front: a file after it would be taken for its value.
    result = project.pytest("--finbot-log-json", "-n", workers)
    assert result.ret == 0
    lines = [json.loads(line) for line in result.errlines if line.startswith("{")]
    assert told(lines) == dict.fromkeys(["one", "two", "apart", "loud"], PHASES)
    assert {line["batch_id"] for line in lines} == {project.summary()["batch_id"]}
    assert {line["worker"] for line in lines} <= {"main", "gw0", "gw1"}
    assert all(line["at"] for line in lines)
    assert "not a line of the log" in next(line for line in lines if line["kind"] == "output")["stderr"]
    assert "not a line of the log" not in [line for line in result.errlines if not line.startswith("{")]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_file_is_appended_to_by_every_process_and_by_the_next_session(project, workers):
    project.write("ours.py", LOUD)
    project.batch(RUNS)
    batches = []
    for _ in range(2):
        assert project.pytest("--finbot-log-json=log.jsonl", "-n", workers).ret == 0
        batches.append(project.summary()["batch_id"])
    lines = project.lines(project.path / "log.jsonl")
    for batch_id in batches:
        ours = [line for line in lines if line["batch_id"] == batch_id]
        assert told(ours) == dict.fromkeys(["one", "two", "apart", "loud"], PHASES)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere/log.jsonl", "*cannot write *nowhere/log.jsonl: No such file or directory*"),
        ("finbot.yaml", "*finbot.yaml: that file holds something else than lines of a log*"),
        ("bundle.json", "*bundle.json: that file holds something else than lines of a log*"),
        ("output", "*output: that is a folder*"),
    ],
)
def test_what_cannot_be_appended_to_is_refused_before_anything_runs(project, target, words):
    project.batch("- {id: one}")
    project.write("bundle.json", '{"factors": []}\n')
    (project.path / "output").mkdir()
    before = (project.path / "finbot.yaml").read_bytes()
    result = project.pytest(f"--finbot-log-json={target}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([words])
    assert (project.path / "finbot.yaml").read_bytes() == before
    assert not (project.path / ".finbot").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device here")
def test_lines_that_are_lost_are_told_with_the_run(project):
    project.batch("- {id: one}")
    assert project.pytest("--finbot-log-json=/dev/full").ret == 0
    [warning] = project.summary()["runs"][0]["warnings"]
    count = 2 * len(PHASES)
    assert warning == (
        f"{count} lines of its log could not be written: cannot write to /dev/full: No space left on device"
    )


def test_a_line_is_one_write_and_ends_with_a_newline(tmp_path, pytestconfig):
    stream = LogStream.opened(str(tmp_path / "log.jsonl"), "gw3", pytestconfig)
    stream.write("batch-1", "output", {"run": "é", "stdout": "x" * 200_000})
    with pytest.raises(RegistryError, match="cannot be recorded"):
        stream.write("batch-1", "output", {"run": float("nan")})
    stream.close()
    [line] = (tmp_path / "log.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    assert line.endswith("\n")
    assert json.loads(line)["worker"] == "gw3"


@pytest.mark.parametrize("text", [*NAMES, SURROGATE])
def test_on_stderr_a_line_does_nothing_and_is_the_same_json(text):
    read, write = os.pipe()
    stream = LogStream(STDERR, write, "main")
    stream.write("batch-1", "output", {"name": text, text: 1})
    stream.close()
    with os.fdopen(read, encoding="utf-8") as file:
        said = file.read()
    line, end = said[:-1], said[-1]
    assert end == "\n"
    assert line.isprintable()
    assert "##[" not in line
    assert json.loads(line)["name"] == text
    assert json.loads(line)[text] == 1
