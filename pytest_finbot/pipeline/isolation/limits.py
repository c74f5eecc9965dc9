"""A bound on what a process may allocate, so that a run without end fails by itself."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext

_STATUS = "/proc/self/status"
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 20
"""Bytes from which on a block is large. Smaller ones are cheaper to keep than to ask for again."""


def memory_limit_available() -> str | None:
    """``None`` where :func:`memory_bound` bounds; else why it cannot."""
    if sys.platform != "linux":
        return f"a memory limit needs Linux, and this is {sys.platform}"
    release = os.uname().release
    version = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    if version < (4, 7):  # before, the limit did not count memory that was mapped: all larger blocks
        return f"a memory limit needs Linux 4.7 or later, and this is {release}"
    try:
        current_data()
    except OSError as error:
        return f"a memory limit needs {_STATUS}, which cannot be read: {error}"
    return None


def current_data() -> int:
    """Bytes of private memory that this process holds, used or not (``VmData``). Linux only.

    Raises OSError where the system does not say.
    """
    with open(_STATUS, "rb") as file:
        for line in file:
            if line.startswith(b"VmData:"):
                return int(line.split()[1]) * 1024
    raise OSError("no VmData in it")


def memory_bound(limit: int | None) -> AbstractContextManager[None]:
    """Within, this process may allocate ``limit`` bytes more than it holds now.

    An allocation beyond it is a MemoryError. Afterwards the former limit stands again, so that
    what happened can be told. Meant for a child process: the limit holds for all its threads.
    Without effect where ``limit`` is ``None`` or :func:`memory_limit_available` has a reason.
    """
    return nullcontext() if limit is None or memory_limit_available() is not None else _Bound(limit)


class _Bound(AbstractContextManager[None]):
    """Leaving it allocates nothing: there may be nothing left to allocate, and it must be left."""

    def __init__(self, limit: int) -> None:
        import resource

        _give_large_blocks_back()
        self._limit = limit
        self._set = resource.setrlimit
        self._kind = resource.RLIMIT_DATA
        self._before = resource.getrlimit(resource.RLIMIT_DATA)
        self._unbounded = resource.RLIM_INFINITY

    def __enter__(self) -> None:
        others = [bound for bound in self._before if bound != self._unbounded]
        self._set(self._kind, (min([current_data() + self._limit, *others]), self._before[1]))

    def __exit__(self, *raised: object) -> None:
        self._set(self._kind, self._before)


def _give_large_blocks_back() -> None:
    """Make the C library return every larger block to the system when it is freed.

    It would keep them in its heap, where Python's small objects could go on to live one by one, each
    after a failed attempt at more memory: a process at its bound would crawl for minutes before it
    fails. glibc only; others have no such setting.
    """
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)
