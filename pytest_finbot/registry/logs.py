"""A writer's log: phases as they start and end, warnings. For people, never counted."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_finbot.registry.append_file import AppendFile
from pytest_finbot.registry.durable import make_folder, telling
from pytest_finbot.registry.records import envelope
from pytest_finbot.registry.strict_json import encode

_MOST_PENDING = 65_536
"""Bytes that may wait to be written."""


class LogWriter:
    """Appends JSON lines ``{"v", "kind", "at", …}`` without syncing them. Threads may share it.

    The file and its folder are made at the first line; lines of an earlier session stay.
    """

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path, exclusive=False, durable=False)
        self._folder_made = False
        self._pending = bytearray()
        self._lock = threading.Lock()

    @property
    def path(self) -> Path:
        return self._file.path

    def append(self, kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
        """Append one line; ``at`` (UTC) is added unless the payload has it.

        Without ``flush`` the line waits for the next one that is flushed, or for
        :meth:`close`: a process that dies before takes it along. Raises RegistryError where
        the payload is not strict JSON or the file not writable.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = encode(envelope(kind, {"at": at, **payload}), f"log line {kind}") + b"\n"
        with self._lock:
            self._pending += line
            if flush or len(self._pending) > _MOST_PENDING:
                self._flush()

    def _flush(self) -> None:
        lines, self._pending = bytes(self._pending), bytearray()
        if not lines:
            return
        if not self._folder_made:
            with telling("make the folder of", self.path):
                make_folder(self.path.parent, durable=False)
            self._folder_made = True
        self._file.append(lines, sync_every=None)

    def close(self) -> None:
        """Write what waits and close the log. A second time does nothing.

        In a forked process what waits is left to the parent, whose lines they are.
        """
        try:
            if not self._file.foreign:
                with self._lock:
                    self._flush()
        finally:
            self._file.close(sync=False)
