"""A bound on what a process may allocate, so that a run without end fails by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STATUS = "/proc/self/status"


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


@contextmanager
def memory_bound(limit: int | None) -> Iterator[None]:
    """Within, this process may allocate ``limit`` bytes more than it holds now.

    An allocation beyond it is a MemoryError. Afterwards the former limit stands again, so that
    what happened can be told. Meant for a child process: the limit holds for all its threads.
    Without effect where ``limit`` is ``None`` or :func:`memory_limit_available` has a reason.
    """
    if limit is None or memory_limit_available() is not None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [current_data() + limit, *(bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
