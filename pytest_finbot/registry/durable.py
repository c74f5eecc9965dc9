"""Files and folders that are still there after a power cut, whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_finbot.errors import RegistryError


@contextmanager
def telling(action: str, path: Path) -> Iterator[None]:
    """Raise an OSError of the block as RegistryError: ``cannot <action> <path>: <why>``."""
    try:
        yield
    except OSError as error:
        where = "" if error.filename in (None, str(path), path) else f" ({error.filename})"
        why = error.strerror or str(error)
        raise RegistryError(f"cannot {action} {path}: {why}{where}") from error


def sync_folder(folder: Path) -> None:
    """Make names created in ``folder`` survive a power cut."""
    if os.name == "nt":  # folders cannot be opened there, and need not be
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, durable: bool) -> None:
    """Create ``folder`` and what is missing above it; fine if somebody else was quicker."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent, durable=durable)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder)) from None
    if durable:
        sync_folder(folder.parent)


def write_file(path: Path, data: bytes | memoryview, *, durable: bool) -> None:
    """Write ``path`` through a draft beside it: readers see all of it or none. Raises OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)
