"""Whether somebody is at work on a batch: a lock that its controller holds while it lives.

The system lets go of it when the process dies, however it dies, so nothing is left to clean up
and nobody waits for the dead. It guards nothing that is recorded: writers need no lock.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import telling

try:
    import fcntl
except ImportError:  # Windows: nobody can tell
    fcntl = None  # type: ignore[assignment]

LOCK = ".alive"
_PATIENCE = 2.0
"""Seconds: who only looks holds the lock for a moment, shared."""


HELD: Final[set[int]] = set()
"""Descriptors of the locks that this process holds. Forked processes must not keep them, so they close
these: a batch whose controller was killed would be at work for as long as its run needs to die."""


class Hold:
    """A batch's lock, held until :meth:`release` or the end of this process."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._pid = os.getpid()
        if descriptor is not None:
            HELD.add(descriptor)

    def release(self) -> None:
        """Let go; in a forked process, only of its own copy. A second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        HELD.discard(descriptor)
        if fcntl is not None and os.getpid() == self._pid:
            with suppress(OSError):  # a forked process that still has the file open must not keep the lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def hold(folder: Path) -> Hold:
    """Take the lock of the batch in ``folder``. Raises RegistryError where another process has it."""
    if fcntl is None:
        return Hold(None)
    path = folder / LOCK
    with telling("lock", path):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            _take(descriptor, folder)
        except BaseException:
            os.close(descriptor)
            raise
    return Hold(descriptor)


def _take(descriptor: int, folder: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > until:
                raise RegistryError(
                    f"batch {folder.name} is being run by another session; wait for it to end, or end it: "
                    f"finbot batches cancel {folder.name}"
                ) from error
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            return  # a file system without locks: nobody can tell
        time.sleep(0.02)


def is_alive(folder: Path) -> bool | None:
    """Whether the controller of the batch in ``folder`` lives; ``None`` where nobody can tell.

    Nobody can tell where no lock was ever taken (batches made by a script), or where the
    system has none. Looking never takes anything from the controller.
    """
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False
