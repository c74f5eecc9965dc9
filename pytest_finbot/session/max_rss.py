"""``--finbot-max-rss``: a process that executes runs does not grow without end.

Memory here is what is resident: what the process has of the machine's memory now, whoever else shares
it (a child shares most of it with the process that it was forked from).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass

SAID = "finbot_memory"
"""User property of a test: (processes replaced after it, attempts moved to a process of their own)."""
_PATIENCE = 5.0


def resident(pid: int) -> int | None:
    """Bytes of memory that process ``pid`` has now; ``None`` where the system does not say."""
    if sys.platform == "linux":
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return None
    try:
        said = subprocess.run(  # noqa: S603 - a number, no shell
            ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607 - the system's own
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        ).stdout
        return int(said) * 1024
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def in_words(size: int) -> str:
    """A size as somebody would have written it: 2 GiB, 300 MiB, 1.5 GB as 1,430.5 MiB."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if size % unit == 0:
            return f"{size // unit:,} {name}"
    return f"{size / 2**20:,.1f} MiB"


@dataclass(slots=True)
class MemoryWatch:
    """In a process that executes runs: what it did about memory since it was last asked."""

    limit: int | None
    replaced: int = 0
    moved: int = 0

    def passed(self, pid: int | None) -> int | None:
        """Bytes that process ``pid`` has, where they are beyond the limit; else ``None``."""
        if self.limit is None or pid is None:
            return None
        size = resident(pid)
        return size if size is not None and size > self.limit else None

    def take(self) -> tuple[int, int]:
        """How many processes were replaced, and attempts moved, since the last call."""
        told = self.replaced, self.moved
        self.replaced = self.moved = 0
        return told


class MemoryNotes:
    """In the process that owns the session: what those that execute runs said, by batch."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def hear(self, node_id: str, said: tuple[int, int] | list[int]) -> None:
        counts = self._counts["".join(node_id.partition("::")[:2])]
        counts[0] += said[0]
        counts[1] += said[1]

    def of(self, prefix: str) -> tuple[str, ...]:
        """Notes on the batch whose node ids begin with ``prefix``."""
        if self._limit is None:
            return ()
        size = in_words(self._limit)
        if resident(os.getpid()) is None:
            return (f"--finbot-max-rss {size} had no effect: the memory of a process cannot be told here",)
        replaced, moved = self._counts[prefix]
        notes = []
        if replaced:
            one = replaced == 1
            were = "1 process was" if one else f"{replaced:,} processes were"
            notes.append(f"{were} replaced because {'its' if one else 'their'} memory passed {size}")
        if moved:
            were, its = ("1 attempt was", "its") if moved == 1 else (f"{moved:,} attempts were", "their")
            notes.append(
                f"{were} executed in a process of {its} own because the memory of "
                f"the one that executes runs had passed {size}"
            )
        return tuple(notes)
