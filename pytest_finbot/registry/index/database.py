"""The file an index is in: opened, guarded, thrown away where it is broken.

Where it cannot be had, a database in memory takes its place: slower, and as right.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BUSY_SECONDS = 30.0
_TURNING_SECONDS = 10.0
_MEMORY = ":memory:"


class LockTimeoutError(Exception):
    """Another process refreshes the index, and is not done in time."""


class Database:
    """A connection that one thread at a time uses. ``path`` None: in memory from the start."""

    def __init__(self, path: Path | None, why_memory: str = "") -> None:
        self._path = path
        self._why = why_memory
        self._identity: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                self.use_memory(f"cannot make {path.parent}: {error.strerror}")

    @property
    def in_memory(self) -> bool:
        return self._path is None

    @property
    def where(self) -> str:
        """The file, or that there is none and why."""
        return f"in memory: {self._why}" if self._path is None else str(self._path)

    @property
    def connection(self) -> sqlite3.Connection:
        """Raises sqlite3.Error where the file cannot be opened."""
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def follow(self) -> None:
        """Open the file anew if it is no longer the one that was opened."""
        if self._connection is not None and not self.is_current():
            self.close()

    def is_current(self) -> bool:
        """Whether what is open is still what is there."""
        return self._path is None or self._identity == _identity(self._path)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def use_memory(self, why: str) -> None:
        """Go on without a file."""
        self.close()
        self._path, self._why = None, why

    def let_read_while_writing(self) -> None:
        """Turn the write-ahead log on, under :meth:`lock`; it stays on for all who open the file.

        SQLite does not wait here for others who read this moment, so we do.
        """
        connection = self.connection
        until = time.monotonic() + _TURNING_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode or 0) & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(0.01)

    def discard(self) -> None:
        """Throw the file away, under :meth:`lock`. Raises OSError where the system does not let us."""
        assert self._path is not None, "there is no file to discard"
        self.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def lock(self, seconds: float) -> Iterator[None]:
        """Be the only process that refreshes; the lock of a process that died is free.

        Raises LockTimeoutError where another holds it for so long, OSError or
        NotImplementedError where there can be no lock.
        """
        if self._path is None:
            yield
            return
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self._path}.lock", timeout=seconds)
        try:
            lock.acquire(poll_interval=0.02)
        except Timeout as error:
            raise LockTimeoutError(f"{self._path} is being refreshed by another process") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        """All of the block or nothing; ``DEFERRED`` to read one state, ``IMMEDIATE`` to write."""
        connection = self.connection
        connection.execute(f"BEGIN {kind}")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        target = _MEMORY if self._path is None else str(self._path)
        connection = sqlite3.connect(
            target, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            # Derived: what a power cut takes is read from the records again.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -16000")
            if self._path is not None:
                self._identity = _identity(self._path)
        except BaseException:
            connection.close()
            raise
        return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
