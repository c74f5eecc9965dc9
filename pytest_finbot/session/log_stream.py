"""The log's lines sent elsewhere as well, as they happen: to a file, or to stderr before any capture.

Every process that executes runs writes for itself: one whole line an ``os.write``, to a file in
append mode, so that lines of several processes do not mix. (A pipe gives that promise for 4,096
bytes; longer lines of a run's own output may be cut by another's there, in a file they are not.)
"""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.records import envelope
from pytest_finbot.registry.strict_json import encode

STDERR = "-"
"""What ``--finbot-log-json`` is without a value."""
_LOOKED_AT = 65_536
"""Bytes of an existing file that are looked at."""


class LogStream:
    """Where one process sends its lines. Threads may share it."""

    def __init__(self, target: str, descriptor: int, worker: str) -> None:
        self.target = target
        """An absolute path, or ``-`` for stderr: what another process opens the same by."""
        self._descriptor = descriptor
        self._worker = worker
        self._lock = threading.Lock()

    @classmethod
    def asked(cls, config: pytest.Config) -> LogStream | None:
        """The stream of the session's own process, as asked for. Raises UsageError where there can be none.

        Called before anything is captured, or while nothing is.
        """
        target: str | None = config.option.finbot_log_json
        if target is None:
            return None
        if target != STDERR:
            path = Path(config.invocation_params.dir, target)
            why_not = _why_not_appended(path)
            if why_not is not None:
                raise pytest.UsageError(
                    f"finbot: --finbot-log-json {target}: {why_not}; expected a file to append lines to, as "
                    "--finbot-log-json=FILE, or none for stderr\nnothing was run"
                )
            target = str(path)
        return cls.opened(target, "main", config)

    @classmethod
    def opened(cls, target: str, worker: str, config: pytest.Config) -> LogStream:
        """A stream to ``target`` for ``worker``. Raises UsageError where it cannot be opened."""
        try:
            if target == STDERR:
                return cls(target, _stderr(config), worker)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            return cls(target, os.open(target, flags, 0o666), worker)
        except OSError as error:
            why = error.strerror or str(error)
            raise pytest.UsageError(
                f"finbot: --finbot-log-json cannot write {target}: {why}\nnothing was run"
            ) from error

    def write(self, batch_id: str, kind: str, payload: Mapping[str, Any]) -> None:
        """Send one line: the log's own, with the batch and who writes.

        Raises RegistryError where it cannot be written.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        whole = {"at": at, "batch_id": batch_id, "worker": self._worker, **payload}
        line = encode(envelope(kind, whole), f"log line {kind}")
        line = (_seen(line) if self.target == STDERR else line) + b"\n"
        try:
            with self._lock:
                while line:
                    line = line[os.write(self._descriptor, line) :]
        except OSError as error:
            raise RegistryError(f"cannot write to {self._shown}: {error.strerror or error}") from error

    def close(self) -> None:
        os.close(self._descriptor)

    @property
    def _shown(self) -> str:
        return "stderr" if self.target == STDERR else self.target


def _seen(line: bytes) -> bytes:
    """``line`` as the same JSON, for a terminal or a CI service's log: what moves a cursor, hides, or is an
    order to the service is spelled as JSON can."""
    text = line.decode("utf-8")
    if text.isprintable() and "##[" not in text:
        return line
    spelled = (char if char.isprintable() else json.dumps(char)[1:-1] for char in text)
    return "".join(spelled).replace("##[", "#\\u0023[").encode()


def _stderr(config: pytest.Config) -> int:
    """stderr as it was when pytest was started; a worker has its parent's."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return os.dup(2)
    with capture.global_and_fixture_disabled():
        return os.dup(2)


def _why_not_appended(path: Path) -> str | None:
    """Why a log must not be appended to ``path``: it may be a file that was meant to be run."""
    try:
        status = path.stat()
    except OSError:
        return None  # it is made, or the attempt says why not
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return "that is a folder" if stat.S_ISDIR(status.st_mode) else None
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(_LOOKED_AT))
        if isinstance(first, dict) and "kind" in first:
            return None
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except ValueError:
        pass  # not a line of a log
    return "that file holds something else than lines of a log"
