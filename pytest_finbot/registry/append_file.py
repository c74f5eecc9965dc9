"""A file that one process appends whole lines to, and nobody ever rewrites."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import sync_folder, telling

_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class AppendFile:
    """Created at the first line. Threads may share it, processes may not.

    ``exclusive``: the file must not exist yet. ``durable``: its name is synced as well.
    """

    def __init__(self, path: Path, *, exclusive: bool, durable: bool) -> None:
        self.path = path
        self._flags = os.O_CREAT | os.O_APPEND | os.O_RDWR | getattr(os, "O_CLOEXEC", 0)
        self._flags |= getattr(os, "O_BINARY", 0)
        if exclusive:
            self._flags |= os.O_EXCL
        self._durable = durable
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._closed = False
        self._torn = False
        self._name_synced = False
        self._unsynced = False
        self._synced_at = -float("inf")
        self._timer: threading.Timer | None = None
        self._failure: OSError | None = None

    @property
    def foreign(self) -> bool:
        """Whether this process is not the one that made this object, but forked from it."""
        return os.getpid() != self._pid

    def append(self, lines: bytes, *, sync_every: float | None) -> None:
        """Append ``lines``, each of which ends in its newline, in one write.

        They are synced at once if the last sync is ``sync_every`` seconds ago (0: always), else by
        then (None: never). Raises RegistryError naming the file where that fails; what was given then
        counts as not written, and what is next starts on a line of its own.
        """
        if self.foreign:
            raise RegistryError(
                f"{self.path} belongs to process {self._pid}, this is process {os.getpid()}; "
                "open a writer in the process that records"
            )
        with self._lock:
            if self._closed:
                raise RegistryError(f"{self.path} is closed; open a new writer to record more")
            with telling("append to", self.path):
                if self._descriptor is None:
                    self._descriptor = self._open()
                if self._durable and not self._name_synced:
                    sync_folder(self.path.parent)
                    self._name_synced = True
                self._write(self._descriptor, b"\n" + lines if self._torn else lines)
                if os.fstat(self._descriptor).st_nlink == 0:
                    # It would go on for ever, into a file that nobody can open any more.
                    raise FileNotFoundError(errno.ENOENT, "the file was removed meanwhile")
                self._unsynced = True
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure
                if sync_every is not None:
                    due = self._synced_at + sync_every - time.monotonic()
                    if due <= 0:
                        self._sync(self._descriptor)
                    else:
                        self._sync_within(due)

    def close(self, *, sync: bool) -> None:
        """Close the file, synced before if asked; a second time does nothing.

        In a forked process it only lets go of the file, which is its parent's.
        """
        if self.foreign:
            self._closed = True
            return
        with self._lock:
            self._closed = True
            descriptor, self._descriptor = self._descriptor, None
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if descriptor is None:
                return
            with telling("close", self.path):
                try:
                    if self._failure is not None:
                        raise self._failure
                    if sync and self._unsynced:
                        self._sync(descriptor)
                finally:
                    os.close(descriptor)

    def _open(self) -> int:
        descriptor = os.open(self.path, self._flags, 0o666)
        if os.fstat(descriptor).st_size > 0:
            os.lseek(descriptor, -1, os.SEEK_END)
            self._torn = os.read(descriptor, 1) != b"\n"
        return descriptor

    def _write(self, descriptor: int, data: bytes) -> None:
        # Until all of it is written the tail may be torn, whatever interrupts us: a full
        # disk, a signal. A newline too many does no harm, readers pass over empty lines.
        self._torn = True
        written = 0
        while written < len(data):
            count = os.write(descriptor, data[written:] if written else data)
            if count == 0:
                raise OSError(errno.EIO, "nothing was written")
            written += count
        self._torn = False

    def _sync_within(self, seconds: float) -> None:
        """Sync by then, whether or not more is appended."""
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._sync_due)
            self._timer.daemon = True
            self._timer.start()

    def _sync_due(self) -> None:
        with self._lock:
            self._timer = None
            if self._descriptor is not None and self._unsynced:
                try:
                    self._sync(self._descriptor)
                except OSError as error:
                    self._failure = error  # told to whoever appends next, or closes

    def _sync(self, descriptor: int) -> None:
        _sync_data(descriptor)
        self._unsynced = False
        self._synced_at = time.monotonic()
