"""A program's output in the log of a step, where it must not command the runner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import IO, Any, Final, Protocol, Self

from pytest_finbot.cli.ci.commands import command, end_token

_AFTERWARDS: Final = 2.0
"""Seconds for what a program that ended has left in the pipe; others may hold its other end for ever."""
_KEPT: Final = 65_536


class Sink(Protocol):
    """As much of a binary file as a log needs."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. ``status`` is 128 + its number for a signal; ``cancelled``: it was told to end."""

    status: int
    cancelled: bool
    tail: str
    """The last of what it printed."""


def run_quietly(arguments: Sequence[str], environment: Mapping[str, str], log: Sink) -> Ended:
    """Run a program to its end.

    All that it and its children print goes to ``log`` in one stream, between ``::stop-commands::`` and a
    token that they do not know; nothing of it comes after. SIGINT and SIGTERM are handed on. Raises
    OSError where it cannot be started.
    """
    token = end_token()
    # Without this, tracebacks in the output become annotations, at files of whatever library.
    _tell(log, command("remove-matcher", "", {"owner": "python"}))
    _tell(log, command("stop-commands", token))
    try:
        with _Cancelling() as cancelling:
            process = subprocess.Popen(  # noqa: S603 - the caller's own words, no shell
                list(arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # In one stream: a line on another could be read by the runner after the token.
                stderr=subprocess.STDOUT,
                env=dict(environment),
                bufsize=0,
            )
            assert process.stdout is not None
            copy = _Copy(process.stdout, log)
            try:
                cancelling.handed_to(process)
                status = process.wait()
            finally:
                copy.finish()
    finally:
        # On a line of its own, whatever the last one was: a token behind other text is none.
        log.write(b"\n")
        _tell(log, f"::{token}::")
    tail = copy.tail.decode("utf-8", "replace")
    return Ended(status if status >= 0 else 128 - status, cancelling.came is not None, tail)


def _tell(log: Sink, line: str) -> None:
    log.write(f"{line}\n".encode())
    log.flush()


class _Copy:
    """A thread that copies a pipe until its end, or until nothing more is wanted."""

    def __init__(self, source: IO[bytes], log: Sink) -> None:
        self._source, self._log = source, log
        self._lock = threading.Lock()
        self._over = False
        self.tail = b""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._source:
            while chunk := os.read(self._source.fileno(), 65536):
                with self._lock:
                    if self._over:
                        return
                    self.tail = (self.tail + chunk)[-_KEPT:]
                    self._log.write(chunk)
                    self._log.flush()

    def finish(self) -> None:
        """What is there is copied; what comes later, from processes left behind, is not."""
        self._thread.join(_AFTERWARDS)
        with self._lock:
            self._over = True


class _Cancelling:
    """Signals by which a runner cancels a job go to a process, those as well that come before it is there."""

    def __init__(self) -> None:
        self.came: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[int, Any] = {}

    def handed_to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if self.came is not None:
            process.send_signal(self.came)

    def _hand_on(self, number: int, frame: FrameType | None) -> None:
        self.came = number
        if self._process is not None:
            self._process.send_signal(number)

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hand_on)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def stdout() -> Sink:
    """This process' own output, as bytes."""
    sys.stdout.flush()
    return sys.stdout.buffer
