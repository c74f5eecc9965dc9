"""Starts `python -m …` on request by a fork of a process that has loaded what a session loads.

Most of what a short session costs is loading libraries and us, which is the same every time. Requests come
on the socket whose number is the only argument: one JSON object, with the new process' stdin, stdout and
stderr beside it. Answered are its number, and when it has ended its status (as `subprocess` gives it).

A session with `-n 2` finds its workers forked as well: before it starts, as long as nothing has happened,
and each waits for execnet's first line as `python -c` does that execnet would have started.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import socket
import sys
import threading
import warnings
from typing import Any, NoReturn

from execnet import gateway_base, gateway_io

OURS = (
    "pytest_finbot.session.controller",
    "pytest_finbot.session.hooks",
    "pytest_finbot.config.yaml_source",
)
"""What every session with a batch file loads, with the libraries that this needs."""
FOR_RUNS = ("pyarrow.compute", "pyarrow.csv", "pyarrow.parquet", "pandas", "pyarrow.pandas_compat")
"""What a session loads before it executes runs; the last two for strategies of a user's."""
FOR_WORKERS = ("xdist.dsession", "xdist.remote", "xdist.workermanage")
"""What a session with `-n` loads."""
FOR_REPORTS = ("jinja2",)
"""What a session loads at its end."""


def added() -> list[str]:
    """The folders of PYTHONPATH."""
    return [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def load() -> None:
    """Load pytest with its plugins as pytest does, and what sessions load later."""
    from _pytest.config import _prepareconfig

    # Within a configuration: pytest warns of plugins that were not loaded by its import hook.
    config = _prepareconfig(["-p", "no:hypothesispytest", "-p", "no:cacheprovider"])
    try:
        for name in (*OURS, *FOR_RUNS, *FOR_WORKERS, *FOR_REPORTS):
            importlib.import_module(name)
    finally:
        config._ensure_unconfigure()
    if threading.active_count() > 1:
        raise RuntimeError(f"a fork would lose threads: {threading.enumerate()}")


def fork() -> int:
    """As ``os.fork``; of the thread that pyarrow keeps for itself Python warns since 3.12."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Worker:
    """A process for execnet, forked before it is asked for; as much of ``subprocess.Popen`` as that uses."""

    def __init__(self, older: list[Worker]) -> None:
        theirs_in, ours_in = os.pipe()
        ours_out, theirs_out = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            for worker in older:  # or it would never see the end of its input
                worker.close()
            os.close(ours_in)
            os.close(ours_out)
            os.dup2(theirs_in, 0)
            os.dup2(theirs_out, 1)
        os.close(theirs_in)
        os.close(theirs_out)
        if self.pid == 0:
            work()
        self.stdin, self.stdout = os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb")
        self._status: int | None = None

    def close(self) -> None:
        self.stdin.close()
        self.stdout.close()

    def start(self) -> None:
        """What is known only now; execnet goes on from here."""
        self.stdin.write(json.dumps(dict(os.environ)).encode() + b"\n")
        self.stdin.flush()

    def wait(self) -> int:
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._status

    def kill(self) -> None:
        if self._status is None:
            os.kill(self.pid, 9)


def work() -> NoReturn:
    """In the fork for execnet: what ``python -u -c`` does with ``popen_bootstrapline``."""
    told = sys.stdin.readline()
    if told:
        os.environ.clear()
        os.environ.update(json.loads(told))
        sys.argv[:] = ["-c"]
        sys.path[0] = ""
        exec(gateway_io.popen_bootstrapline, {"__name__": "__main__"})
    sys.exit()


def fork_workers(arguments: list[str]) -> None:
    """As many as ``-n`` says, for execnet to take."""
    words = iter(arguments)
    said = "".join(next(words, "") if word == "-n" else word[2:] for word in words if word.startswith("-n"))
    waiting: list[Worker] = []
    for _ in range(int(said) if said in {"1", "2", "3", "4"} else 0):
        waiting.append(Worker(waiting))

    class Master(gateway_io.Popen2IOMaster):
        def __init__(self, args: list[str], execmodel: Any) -> None:
            if not waiting or args != [sys.executable, "-u", "-c", gateway_io.popen_bootstrapline]:
                super().__init__(args, execmodel)
                return
            self.popen = waiting.pop(0)
            self.popen.start()
            gateway_base.Popen2IO.__init__(self, self.popen.stdin, self.popen.stdout, execmodel=execmodel)

    gateway_io.Popen2IOMaster = Master  # type: ignore[misc]


def become(job: dict[str, Any], files: list[int]) -> None:
    """In the fork: as if the interpreter had been started for this."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    _, module, *arguments = job["command"]
    # The folder of this script was the first, where -m has the working folder.
    sys.path[:] = [os.getcwd(), *added(), *INSTALLED]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    sys.argv[:] = ["-m", *arguments]
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    if module == "pytest":
        fork_workers(arguments)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def serve(requests: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each request; returns in the fork what it asked for, and None when there are no more."""
    while True:
        said, files, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not said:
            return None
        pid = fork()
        if pid == 0:
            requests.close()
            return json.loads(said), files
        for file in files:
            os.close(file)
        requests.send(str(pid).encode())
        requests.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


if __name__ == "__main__":
    INSTALLED = [path for path in sys.path[1:] if path not in added()]
    sys.path.pop(0)
    load()
    # What is loaded stays: pytest's collections of garbage need not walk through it in each fork.
    gc.collect()
    gc.freeze()
    answers = socket.socket(fileno=int(sys.argv[1]))
    answers.send(b"ready")
    asked = serve(answers)
    if asked is not None:
        become(*asked)
