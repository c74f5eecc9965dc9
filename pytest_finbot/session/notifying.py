"""Telling those whom ``notify`` names that a batch has ended.

Each message is sent by a process of its own (:mod:`pytest_finbot.session.sender`), all at once and within
:data:`SECONDS`: a service that hangs, or a library that breaks, costs a line in the terminal. Nothing here
changes a result or the exit status, and the URL is read in that process alone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from pytest_finbot.errors import MissingDependencyError
from pytest_finbot.reports.notification import ci_link, no_report, notification, worth_telling

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.config.notify import Notifier
    from pytest_finbot.session.finished import Finished
    from pytest_finbot.session.planned import PlannedBatch

SECONDS = 20.0
"""In all, from the first message on: it takes a second or two to load Apprise."""

_INTERRUPTED: Final = (2, 3)
"""Exit statuses of a session that did not come to its end."""
_OURS: Final = (
    "sent",
    "what it holds",
    "the service",
    "Apprise failed",
)
"""How the words of the sender begin; anything else is not repeated."""


def require_apprise(batches: Iterable[Batch]) -> None:
    """Raise MissingDependencyError where something is to be sent and nothing is there to send it.

    A variable that is not set asks for nothing: so it is on the machines of those who have no secret.
    """
    named = [one.url_env for batch in batches for one in batch.notify if os.environ.get(one.url_env)]
    if named and importlib.util.find_spec("apprise") is None:
        raise MissingDependencyError(
            f"notify: {named[0]} is set, and Apprise, which sends, is not installed here: "
            "pip install 'pytest-finbot[notify]'"
        )


def tell_of(planned: Iterable[PlannedBatch], finished: Sequence[Finished], exitstatus: int) -> list[str]:
    """Tell of the batches of a session what they came to; a line for each notifier that was to be told."""
    notifiers = {one.batch.batch_name: one.batch.notify for one in planned}
    sendings = [
        _Sending(one, notifier.url_env)
        for one in finished
        for notifier in notifiers.get(one.name, ())
        if _wanted(one, notifier, exitstatus)
    ]
    end = time.monotonic() + SECONDS
    try:
        for sending in sendings:
            sending.start()
        for sending in sendings:
            sending.wait(end)
    except KeyboardInterrupt:
        pass  # all is recorded and summed up; only this is left away, and said
    finally:
        for sending in sendings:
            sending.kill()
    return [sending.line for sending in sendings]


class _Sending:
    """One message, on its way or not."""

    def __init__(self, finished: Finished, variable: str) -> None:
        self._finished = finished
        self._variable = variable
        self._outcome = "not sent: interrupted"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def line(self) -> str:
        """What the terminal says of it."""
        return f"notify: {self._variable}, of {self._finished.name}: {self._outcome}"

    def start(self) -> None:
        if not os.environ.get(self._variable):
            self._outcome = "not sent: the variable is not set"
            return
        try:
            self._process = _started(self._variable, _message(self._finished))
        except OSError as error:
            self._outcome = f"not sent: {error.strerror}"

    def wait(self, end: float) -> None:
        """Until it has said how it went, or the clock shows ``end``."""
        if self._process is None:
            return
        try:
            said, _ = self._process.communicate(timeout=max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._outcome = f"not sent: no answer within {SECONDS:g} s"
            return
        words = said.decode("utf-8", "replace").strip()
        if not words.startswith(_OURS):
            words = f"its process ended ({self._process.returncode})"
        self._outcome = words if words == "sent" else f"not sent: {words}"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()


def _wanted(finished: Finished, notifier: Notifier, exitstatus: int) -> bool:
    if finished.report is not None:
        interrupted = exitstatus in _INTERRUPTED
        return interrupted or worth_telling(finished.report, notifier.when)
    if finished.failure is None and exitstatus == 0:
        return notifier.when == "always"
    return True


def _message(finished: Finished) -> dict[str, str]:
    link = ci_link()
    report = finished.report
    title, text = no_report(finished.name, link) if report is None else notification(report, link)
    kind = "failure"
    if report is not None and report.green:
        kind = "success" if report.verdict == "passed" else "warning"
    return {"title": title, "text": text, "kind": kind}


def _started(variable: str, message: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A process that sends ``message``; it has been told all it needs."""
    process = subprocess.Popen(  # noqa: S603 - our own module, and the name of a variable
        [sys.executable, "-P", "-m", "pytest_finbot.session.sender", variable],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us
    )
    assert process.stdin is not None, "asked for"
    try:
        # Less than a pipe holds: it does not wait for the process to read it.
        with process.stdin:
            process.stdin.write(json.dumps(message).encode())
    except BrokenPipeError:
        pass  # its answer, or that there is none, says it
    finally:
        process.stdin = None
    return process
