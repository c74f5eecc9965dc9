"""A batch ended before its end: what was recorded stays, what was not run is listed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_finbot.registry import open_registry
from pytest_finbot.session.cancelling import request_cancel

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])
WAITING = """\
import time
from pathlib import Path

import numpy as np


def waiting(spec, market):
    Path("started").touch()
    until = time.monotonic() + 90
    while not Path("go").exists() and time.monotonic() < until:
        time.sleep(0.05)
    return np.full(market.close.shape, 0.5)


def napping(spec, market):
    time.sleep(0.4)
    return np.full(market.close.shape, 0.5)
"""
RUNS = "- {id: before}\n- {id: slow, strategy: 'ours:waiting'}\n" + "".join(
    f"- {{id: later_{number}, strategy: 'ours:napping'}}\n" for number in range(8)
)


class Session:
    """A pytest of a user's that is still running; started by the nursery, which then serves no other."""

    def __init__(self, project, *options):
        self.project = project
        project.write("ours.py", WAITING)
        project.batch(RUNS)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml"]
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - read and closed in output()
        self.process = project.nursery.popen(
            [*command, *options], project.path, os.environ, self.said.fileno(), self.said.fileno()
        )
        self.wait_for(lambda: (project.path / "started").exists())

    def wait_for(self, happened):
        until = time.monotonic() + 90
        while not happened():
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
                pytest.fail(self.output())
            assert time.monotonic() < until

    def cancel(self, *, at_once):
        registry = open_registry(self.project.path / ".finbot")
        [batch_id] = registry.batch_ids()
        request_cancel(registry, batch_id, "no longer needed", at_once=at_once)

    def output(self):
        """What it wrote; it has ended."""
        with self.said:
            self.said.seek(0)
            return self.said.read().decode()

    def end(self):
        """Exit status and output."""
        status = self.process.wait(timeout=90)
        return status, self.output()


def holders(path):
    """The processes that have a file open."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it has ended, or closed it
            if os.readlink(entry) == str(path):
                found.add(int(entry.parts[2]))
    return found


def check_cancelled(project, reason, *, slow):
    summary = project.summary()
    assert (summary["status"], summary["problems"]) == ("cancelled", [])
    statuses = project.statuses()
    assert (statuses["before"], statuses["slow"]) == ("success", slow)
    assert "not_run" in statuses.values()
    [folder] = (project.path / ".finbot").glob("batches/*/*/*")
    fold = open_registry(project.path / ".finbot").fold(folder.name)
    assert reason in fold.cancel_reason


@WORKERS
def test_from_elsewhere_a_run_under_way_is_left_to_end(project, workers):
    session = Session(project, "-n", workers)
    session.cancel(at_once=False)
    (project.path / "go").touch()
    status, output = session.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    check_cancelled(project, "no longer needed", slow="success")


@WORKERS
def test_from_elsewhere_a_run_under_way_is_ended_where_that_is_asked(project, workers):
    session = Session(project, "-n", workers)
    session.cancel(at_once=True)
    status, output = session.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    check_cancelled(project, "no longer needed", slow="not_run")
    assert project.pytest("--finbot-resume", "last", "-k", "not slow").ret == pytest.ExitCode.TESTS_FAILED
    (project.path / "go").touch()
    assert project.pytest("--finbot-resume", "last").ret == 0
    assert set(project.statuses().values()) == {"success"}


@WORKERS
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGINT, "interrupted (Ctrl-C)"),
        (signal.SIGTERM, "terminated (SIGTERM)"),
    ],
)
def test_a_signal_ends_the_session_with_what_is_recorded(project, workers, number, reason):
    session = Session(project, "-n", workers)
    os.kill(session.process.pid, number)
    status, output = session.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    check_cancelled(project, reason, slow="not_run")


def test_a_closed_terminal_ends_the_session_likewise(project):
    session = Session(project)
    os.kill(session.process.pid, signal.SIGHUP)
    status, output = session.end()
    assert status == pytest.ExitCode.INTERRUPTED, output
    check_cancelled(project, "terminated (SIGHUP)", slow="not_run")


def test_a_batch_that_is_run_cannot_be_gone_on_with_by_another_session(project):
    session = Session(project)
    [folder] = (project.path / ".finbot").glob("batches/*/*/*")
    second = project.pytest_anew("--finbot-resume", folder.name)
    assert second.ret == pytest.ExitCode.USAGE_ERROR
    second.stderr.fnmatch_lines([f"*batch {folder.name} is being run by another session*"])
    registry = open_registry(project.path / ".finbot")
    assert registry.fold(folder.name).status == "running"
    if sys.platform == "linux":
        # Not the child that executes the run: it would outlive the session by a moment, and the lock with it.
        assert holders(folder / ".alive") == {session.process.pid}
    session.process.kill()
    session.end()
    assert registry.fold(folder.name).status == "partial"
    (project.path / "go").touch()
    assert project.pytest("--finbot-resume", folder.name).ret == 0


def test_a_session_that_ends_before_its_first_run_says_so(project):
    project.write(
        "conftest.py",
        """
        import os
        import signal

        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_xdist_node_collection_finished(node, ids):
            os.kill(os.getpid(), signal.SIGINT)
        """,
    )
    project.batch("- {id: one}\n- {id: two}\n")
    result = project.pytest("-n", "1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["small: *before the first run; none of its 2 runs was run"])
