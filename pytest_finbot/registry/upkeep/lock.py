"""One upkeep of a registry at a time. Recording and reading take no lock, and wait for none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import telling

LOCK = ".finbot-prune.lock"


@contextmanager
def upkeep_lock(root: Path) -> Iterator[None]:
    """Hold the registry's upkeep lock. Raises RegistryError at once where another process has it.

    The system lets go of it when the process dies, however it dies.
    """
    import filelock

    lock = filelock.FileLock(root / LOCK)
    with telling("lock", root / LOCK):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:  # an OSError, too
            raise RegistryError(
                f"another finbot registry prune or merge is at work on {root}; wait for it to end"
            ) from error
    try:
        yield
    finally:
        lock.release()
