"""What tests of several floors share: sessions and commands started quickly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

FORKED_AS_THEY_ARE = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
"""What of Python's own variables a fork can still be told."""

for _name in ("DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR", "PREFIX"):
    # Of a hook that runs us: what tests commit would go into the repository it is of.
    os.environ.pop(f"GIT_{_name}", None)
# Nobody signs what tests commit.
_settings = os.environ.get("GIT_CONFIG_COUNT") or "0"
os.environ |= {
    f"GIT_CONFIG_KEY_{_settings}": "commit.gpgSign",
    f"GIT_CONFIG_VALUE_{_settings}": "false",
    "GIT_CONFIG_COUNT": str(int(_settings) + 1),
}

_AT_FIRST = dict(os.environ)
AS_STARTED = {name: said for name, said in _AT_FIRST.items() if not name.startswith(("PYTEST_", "FINBOT_"))}


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As where a shell starts us in the background: so would all that we start, and be told Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

with suppress(ImportError):  # which not every engine's environment has
    from hypothesis import HealthCheck, settings

    # None of ours asserts on time: by default 0.2 s for an example are a failure, where CI is not set.
    settings.register_profile(
        "patient", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    )
    settings.load_profile("patient")


class Forked:
    """A process that the nursery started, with as much of ``subprocess.Popen`` as tests need."""

    stdin = None

    def __init__(self, answers: socket.socket, command: Sequence[str]) -> None:
        self._answers, self._command = answers, command
        self._status: int | None = None
        self.pid = int(self._answer(None))

    def _answer(self, timeout: float | None) -> str:
        self._answers.settimeout(timeout)
        try:
            said = self._answers.recv(100)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self._command, timeout or 0) from None
        assert said, "the nursery died"
        return said.decode()

    def wait(self, timeout: float | None = None) -> int:
        if self._status is None:
            self._status = int(self._answer(timeout))
        return self._status

    def kill(self) -> None:
        if self._status is None:
            os.kill(self.pid, 9)


class Nursery:
    """Starts ``python -m …`` by a fork of a process that has loaded pytest and us (``nursery.py``).

    The process is a user's but for that: the loading of what every session loads was done before it. One
    at a time. What cannot be told to a fork (another PYTHONHASHSEED, say), and machines without fork, get
    a process that is started anew.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._last: Forked | None = None

    def _start(self) -> socket.socket:
        if self._requests is None:
            self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs, tempfile.TemporaryDirectory() as folder:
                self._process = subprocess.Popen(
                    [sys.executable, str(Path(__file__).with_name("nursery.py")), str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    cwd=folder,
                    # One thread, as there is nothing to compute: a fork has only the one that forks.
                    env={"OPENBLAS_NUM_THREADS": "1", **AS_STARTED},
                    stdin=subprocess.DEVNULL,
                )
                theirs.close()  # or its end would not be seen
                assert self._requests.recv(10) == b"ready", "the nursery did not start"
        return self._requests

    def popen(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: int, stderr: int
    ) -> Forked | subprocess.Popen[bytes]:
        """Start ``command``, which begins with ``sys.executable -m``, with nothing on its stdin."""
        assert command[:2] == [sys.executable, "-m"]
        if sys.platform != "linux" or _of_python(environment) != _of_python(_AT_FIRST):
            return subprocess.Popen(
                command,
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        if self._last is not None:  # a test that failed has not waited for it, and its answer is not ours
            self._last.kill()
            self._last.wait(60)
        requests = self._start()
        job = {"command": command[1:], "folder": str(folder), "environment": dict(environment)}
        with open(os.devnull, "rb") as nothing:
            socket.send_fds(requests, [json.dumps(job).encode()], [nothing.fileno(), stdout, stderr])
        self._last = Forked(requests, command)
        return self._last

    def popen_of(self, folder: Path) -> Callable[..., Forked | subprocess.Popen[bytes]]:
        """What takes the place of ``Pytester.popen``, with ``folder`` as the one of the user's modules."""

        def start(command: Sequence[str], stdin: Any, stdout: Any, stderr: Any) -> Any:
            executable, module, *words = command
            folders = [str(folder), os.environ.get("PYTHONPATH", "")]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))}
            words = [executable, "-m", module.removeprefix("-m"), *words]
            return self.popen(words, Path.cwd(), environment, stdout.fileno(), stderr.fileno())

        return start

    def run(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run`` with its output captured as text."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given = os.environ if environment is None else environment
            process = self.popen(list(command), folder, given, out.fileno(), err.fileno())
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise
            told = []
            for file in (out, err):
                file.seek(0)
                told.append(file.read().decode())
        return subprocess.CompletedProcess(command, status, *told)

    def close(self) -> None:
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.wait(timeout=90)


def _of_python(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("PYTHON") and name not in FORKED_AS_THEY_ARE
    }


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Starts sessions and commands that are like a user's, without loading all of it each time."""
    made = Nursery()
    yield made
    made.close()
