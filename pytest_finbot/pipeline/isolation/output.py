"""What a job printed: the beginning and the end of it, however much it was."""

from __future__ import annotations

import os
from dataclasses import dataclass

KEPT_START = 32 * 1024
"""Bytes kept of the beginning of each stream."""
KEPT_END = 32 * 1024
"""Bytes kept of the end of each stream."""

_READ = 1 << 16
_MOST_WAITING = 1 << 20
"""A pipe holds no more than this, unless root made it."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a job wrote to stdout and stderr, as text.

    ``cut``: bytes left out of the middle of both, which the text says as well.
    """

    stdout: str = ""
    stderr: str = ""
    cut: int = 0


class Collected:
    """One stream, read from a non-blocking pipe."""

    def __init__(self) -> None:
        self._start = bytearray()
        self._end = bytearray()
        self.cut = 0

    def read(self, pipe: int) -> bool:
        """Take one portion; False when the pipe was closed by its last writer."""
        try:
            data = os.read(pipe, _READ)
        except BlockingIOError:
            return True
        self._add(data)
        return bool(data)

    def drain(self, pipe: int) -> bool:
        """Take what was written until now, not what is still being written; False as in :meth:`read`."""
        taken = 0
        while taken < _MOST_WAITING:
            try:
                data = os.read(pipe, _READ)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._add(data)
            taken += len(data)
        return True

    def _add(self, data: bytes) -> None:
        room = KEPT_START - len(self._start)
        if room:
            self._start += data[:room]
            data = data[room:]
        self._end += data
        if len(self._end) > KEPT_END:
            self.cut += len(self._end) - KEPT_END
            del self._end[:-KEPT_END]

    def text(self) -> str:
        if not self.cut:
            return (self._start + self._end).decode("utf-8", "replace")
        start, end = (part.decode("utf-8", "replace") for part in (self._start, self._end))
        return f"{start}\n… cut: {self.cut:,} bytes of output …\n{end}"
