"""The line that says how far a session with workers is: on a terminal, in a pipe, and not at all."""

import io
import os
import pty
import re
import sys
import threading
from types import SimpleNamespace

import pytest
from _pytest._io.terminalwriter import TerminalWriter

from pytest_finbot.session.progress import EVERY, Progress, ProgressLine


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def report(name="one", when="call", passed=True, **said):
    return SimpleNamespace(
        nodeid=f"finbot.yaml::{name}",
        when=when,
        passed=passed,
        failed=not passed,
        user_properties=list(said.items()),
    )


def line(file, clock, **environment):
    made = ProgressLine(Progress(clock), TerminalWriter(file), lambda name: name.startswith("finbot.yaml::"))
    made.expect(4)
    return made


def hear(made, one, write=lambda: None):
    """What pytest does with a report, around the line's hook."""
    hook = made.pytest_runtest_logreport(one)
    next(hook)
    write()
    with pytest.raises(StopIteration):
        hook.send(None)


def test_it_counts_runs_once_and_tells_moved_from_failed():
    clock = Clock()
    made = line(io.StringIO(), clock)
    clock.now += 2.0
    for one in (
        report(when="setup"),
        report(),
        report(when="teardown"),
        report("two", passed=False, **{"finbot.verdict": "moved"}),
        report("three", when="setup", passed=False),
    ):
        hear(made, one)
    hear(made, SimpleNamespace(nodeid="test_x.py::test", when="call", passed=True, failed=False))
    words = "finbot: 3 of 4 done, 1 failed, 1 moved, 1.5 runs/s, about 1 s left"
    assert made._progress.words() == words


def test_in_a_pipe_a_whole_line_every_half_a_minute_and_none_in_a_short_session():
    clock, file = Clock(), io.StringIO()
    made = line(file, clock)
    hear(made, report())
    clock.now += EVERY - 1
    hear(made, report(), lambda: made._writer.write("."))
    assert file.getvalue() == "."
    clock.now += 1
    hear(made, report(), lambda: made._writer.write("."))
    hear(made, report(), lambda: made._writer.write("."))
    first, said, rest = file.getvalue().split("\n")
    assert (first, rest) == ("..", ".")
    assert said == "finbot: 3 of 4 done, 0 failed, 0 moved, 0.1 runs/s, about 10 s left"


def screen(text, width):
    """The lines of a terminal of ``width`` columns after ``text``: as much as a line needs of one."""
    rows, row, column = [[]], 0, 0
    for sign in re.findall(r"\x1b\[\d*[A-Za-z]|[^\x1b]", text):
        if sign == "\n":
            row, column = row + 1, 0
            rows += [[]] * (row == len(rows))
            rows[row] = list(rows[row])
        elif sign == "\r":
            column = 0
        elif sign == "\x1b[2K":
            rows[row] = []
        elif sign == "\x1b[A":
            row -= 1
        elif sign.endswith("G"):
            column = min(int(sign[2:-1]), width) - 1
        elif sign[0] != "\x1b":
            if column == width:
                row, column = row + 1, 0
                rows += [[]] * (row == len(rows))
            cells = rows[row] + [" "] * (column - len(rows[row]))
            cells[column : column + 1] = [sign]
            rows[row], column = cells, column + 1
    return ["".join(cells).rstrip() for cells in rows]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("CI", raising=False)
    return Terminal()


def test_on_a_terminal_it_is_below_what_pytest_writes_and_gone_at_the_end(terminal):
    made = line(terminal, Clock())
    width = made._writer.fullwidth
    for number in range(3):
        hear(made, report(), lambda: made._writer.write("."))
        dots, below = screen(terminal.getvalue(), width)[:2]
        assert dots == "." * (number + 1)
        assert below.startswith(f"finbot: {number + 1} of 4 done")
    hear(made, report(), lambda: made._writer.write(" [100%]\n\n"))
    assert screen(terminal.getvalue(), width)[0] == "... [100%]"
    made._take_away()
    assert not any("finbot" in row for row in screen(terminal.getvalue(), width))


def test_below_a_line_of_v_that_is_wider_than_the_terminal(terminal):
    made = line(terminal, Clock())
    width = made._writer.fullwidth
    long = "[gw0] PASSED finbot.yaml::" + "x" * width
    hear(made, report(), lambda: made._writer.write(long))
    hear(made, report(), lambda: made._writer.write(f"\n{long}"))
    made._take_away()
    made._writer.write("!")
    rows = [row for row in screen(terminal.getvalue(), width) if row]
    assert rows == [long[:width], long[width:], long[:width], f"{long[width:]}!"]


# ---------------------------------------------------------------------------- real sessions

RUNS = "- {id: one}\n- {id: two}\n- {id: three}\n"


def on_a_terminal(project, *options, **variables):
    """Run a session on a terminal of its own; what it wrote there."""
    ours, theirs = pty.openpty()
    said = []

    def read():
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                return
            if not chunk:
                return
            said.append(chunk)

    environment = {
        **os.environ,
        "TERM": "xterm",
        "COLUMNS": "100",
        "PYTHONPATH": str(project.path),
        **variables,
    }
    reader = threading.Thread(target=read)
    reader.start()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml"]
    process = project.nursery.popen([*command, *options], project.path, environment, theirs, theirs)
    status = process.wait(90)
    os.close(theirs)
    reader.join(20)
    os.close(ours)
    return status, b"".join(said).decode().replace("\r\n", "\n")


def test_a_session_on_a_terminal_shows_it_and_one_without_workers_does_not(project):
    project.batch(RUNS)
    status, text = on_a_terminal(project, "-n", "1")
    assert status == 0
    assert "finbot: 3 of 3 done, 0 failed, 0 moved" in text
    assert "\x1b[2K" in text
    left = "\n".join(screen(re.sub(r"\x1b\[[\d;]*m", "", text), 100))
    assert "of 3 done" not in left
    assert re.search(r"^\.\.\. +\[100%\]$", left, re.MULTILINE), left
    status, text = on_a_terminal(project, "-n", "0", NO_COLOR="1")
    assert status == 0
    assert "\x1b[" not in text


@pytest.mark.parametrize("quiet", [("-qq",), ("--no-header",), ("-p", "no:terminal")], ids=" ".join)
def test_whoever_asks_for_quiet_has_it(project, quiet):
    project.batch(RUNS)
    status, text = on_a_terminal(project, "-n", "1", *quiet)
    assert status == 0
    assert "done, 0 failed" not in text
