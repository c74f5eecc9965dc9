"""A batch cancelled from elsewhere: a line in a file of its own, which all its processes look for.

Nobody needs to reach anybody: ``finbot batches cancel`` works from another terminal and another
machine, as far as both see the registry.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.protocol import Registry
from pytest_finbot.registry.segments import read_segment
from pytest_finbot.session.attempt import now

WRITER = "cancel"
_EVERY = 0.2
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class CancelRequest:
    """Somebody asked to cancel. ``at_once``: runs under way are ended, where they can be."""

    reason: str
    at_once: bool


def request_cancel(registry: Registry, batch_id: str, reason: str, *, at_once: bool) -> None:
    """Ask whoever runs the batch to stop. From now on it counts as cancelled."""
    writer = registry.open_writer(batch_id, WRITER)
    writer.append("cancel", {"at": now(), "reason": reason, "at_once": at_once})
    writer.close()


def requests(folder: Path) -> list[str]:
    """The requests to cancel the batch in ``folder``, those of earlier sessions too. Raises OSError."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.name.startswith(f"{WRITER}-"))


class CancelWatch:
    """Looks whether a batch was cancelled since this session began.

    ``before`` are the requests that were there by then, see :func:`requests`: they were meant
    for an earlier session. Told by name, not by time: clocks of two machines differ.
    """

    def __init__(self, folder: Path, before: Iterable[str]) -> None:
        self._folder = folder
        self._looked = -float("inf")
        self._read = set(before)
        self._found: CancelRequest | None = None

    def asked(self) -> CancelRequest | None:
        """The request, once there is one; looks at most every fifth of a second."""
        if time.monotonic() - self._looked >= _EVERY and not (self._found and self._found.at_once):
            self._look()
            self._looked = time.monotonic()
        return self._found

    def _look(self) -> None:
        try:
            names = requests(self._folder)
        except OSError:
            return  # gone: whoever records next is told
        for name in sorted(set(names) - self._read):
            try:
                lines = list(read_segment(self._folder / name, []))
            except RegistryError:
                continue  # the fold tells
            for line in lines:
                self._read.add(name)
                if line.value["kind"] == "cancel":
                    at_once = bool(line.value.get("at_once")) or bool(self._found and self._found.at_once)
                    self._found = CancelRequest(str(line.value.get("reason")), at_once)
