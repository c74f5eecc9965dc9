"""Starts `python -m …` on request by a fork of a process that has loaded what a session loads.

Most of what a short session costs is loading libraries and us, which is the same every time. Requests come
on the socket whose number is the only argument: one JSON object, with the new process' stdin, stdout and
stderr beside it. Answered are its number, and when it has ended its status (as `subprocess` gives it).
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import socket
import sys
import threading
from typing import Any

LOADED = (
    "pytest_finbot.session.controller",
    "pytest_finbot.session.hooks",
    "pytest_finbot.config.yaml_source",
)
"""Ours: what every session with a batch file loads, with the libraries that this needs."""


def added() -> list[str]:
    """The folders of PYTHONPATH."""
    return [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def load() -> None:
    """Load pytest with its plugins as pytest does, and what sessions load later."""
    from _pytest.config import _prepareconfig

    # Within a configuration: pytest warns of plugins that were not loaded by its import hook.
    config = _prepareconfig(["-p", "no:hypothesispytest", "-p", "no:cacheprovider"])
    try:
        for name in LOADED:
            importlib.import_module(name)
    finally:
        config._ensure_unconfigure()
    if threading.active_count() > 1 or "pandas" in sys.modules:
        raise RuntimeError(f"loading was more than loading: {threading.enumerate()}")


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
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def serve(requests: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Fork for each request; returns in the fork what it asked for, and None when there are no more."""
    while True:
        said, files, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not said:
            return None
        pid = os.fork()
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
    answers = socket.socket(fileno=int(sys.argv[1]))
    answers.send(b"ready")
    asked = serve(answers)
    if asked is not None:
        become(*asked)
