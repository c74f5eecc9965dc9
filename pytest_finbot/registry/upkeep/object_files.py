"""The files below ``series/``: objects by name, drafts, and what is neither."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pytest_finbot.registry.durable import telling

_OBJECT = re.compile(r"([0-9a-f]{64})\.(?:parquet|json)", re.ASCII)


class ObjectFile(NamedTuple):
    """A file below ``series/``; ``digest`` is ``None`` for what is no object, or not in its place."""

    path: Path
    digest: str | None


def object_files(root: Path, *, follow: bool = True) -> Iterator[ObjectFile]:
    """Every file below ``root`` (the folder ``series/``), by name. Raises RegistryError.

    Without ``follow`` a symlink is no object, and nothing below it is looked for.
    """
    for path in entries(root):
        if not path.is_dir() or (path.is_symlink() and not follow):
            yield ObjectFile(path, None)
            continue
        for inner in entries(path):
            match = _OBJECT.fullmatch(inner.name)
            digest = match[1] if match is not None and match[1][:2] == path.name else None
            if inner.is_symlink() and not follow:
                digest = None
            yield ObjectFile(inner, digest)


def is_draft(path: Path) -> bool:
    """Whether ``path`` is a file being written, or what a killed process left of one."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def entries(folder: Path) -> list[Path]:
    """What is in ``folder``, by name; nothing where it is no folder. Raises RegistryError."""
    with telling("read", folder):
        return sorted(folder.iterdir()) if folder.is_dir() else []
