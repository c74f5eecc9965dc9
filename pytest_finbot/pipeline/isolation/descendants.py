"""Ending a process with everything that it started."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

_PATIENCE = 2.0
"""Seconds in which killed processes must be gone; one that the kernel holds longer is left to it."""
_GONE = "ZX"
_STOPPED = "TtZX"


@dataclass(frozen=True, slots=True)
class _Row:
    state: str
    parent: int
    group: int


def end_tree(root: int) -> int:
    """Kill process ``root``, its group and all its descendants; how many others than itself there were.

    ``root`` must be a child of this process that was not waited for yet, leads a group of its
    own and, on Linux, adopts its orphaned descendants: so those in sessions of their own are found
    too. It is left to the caller to wait for. Without ``/proc`` only the group is ended, and 0 returned.
    """
    ended: set[int] = set()
    if sys.platform == "linux":
        # Stopped, it starts nothing new, and keeps adopting what its descendants leave behind.
        _signal(root, signal.SIGSTOP)
        until = time.monotonic() + _PATIENCE
        beyond: set[int] = set()
        while time.monotonic() < until:
            table = _processes()
            living = _below(root, table) - beyond
            if not living and (root not in table or table[root].state in _STOPPED):
                break
            beyond |= {pid for pid in living if not _signal(pid, signal.SIGKILL)}
            ended |= living
            time.sleep(0.001)
    with suppress(ProcessLookupError, PermissionError):  # macOS: not permitted where all are dead
        os.killpg(root, signal.SIGKILL)
    _signal(root, signal.SIGKILL)
    return len(ended)


def _signal(pid: int, number: signal.Signals) -> bool:
    """False where the process belongs to another user now."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return True


def _below(root: int, table: dict[int, _Row]) -> set[int]:
    """The living descendants of ``root``, and of the members of its group."""
    roots = {root} | {pid for pid, row in table.items() if row.group == root}
    found = set(roots)
    while True:
        more = {pid for pid, row in table.items() if row.parent in found} - found
        if not more:
            break
        found |= more
    found.discard(root)
    return {pid for pid in found if table[pid].state not in _GONE}


def _processes() -> dict[int, _Row]:
    table = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return {}
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                line = file.read()
        except OSError:
            continue  # it ended meanwhile
        # The name in brackets may hold anything, brackets and spaces included.
        state, parent, group = line[line.rindex(b")") + 2 :].split(maxsplit=3)[:3]
        table[int(name)] = _Row(state.decode(), int(parent), int(group))
    return table
