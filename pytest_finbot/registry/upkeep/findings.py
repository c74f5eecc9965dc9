"""What looking at a registry finds: faults and notes, and files that are none of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pytest_finbot.registry.ids import is_batch_id
from pytest_finbot.registry.upkeep.object_files import is_draft
from pytest_finbot.registry.upkeep.prune import SWEPT

_DRAFT_SECONDS = 3600.0
"""A draft that is older was left by a process that was killed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be (``fault``), or normal and worth knowing (``note``).

    ``file`` is relative to the registry; ``line`` is 1-based, ``None`` where the file as a whole
    is meant.
    """

    level: Literal["fault", "note"]
    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{self.level}: {where}: {self.message}"


def stray(root: Path, path: Path, now: float, *, remover: str = "finbot registry prune") -> Iterator[Finding]:
    """A note on a file below ``root`` that is no part of a registry, unless it is being written now.

    ``now`` is in seconds since 1970; ``remover`` is the command that removes drafts of its kind.
    """
    if path.is_symlink():
        what = "a symlink named like a batch" if is_batch_id(path.name) else "a symlink"
        message = f"{what}, to {os.readlink(path)}; what it leads to is not looked at"
    elif is_draft(path):
        try:
            age = now - path.stat().st_mtime
        except FileNotFoundError:
            return
        if age <= _DRAFT_SECONDS:
            return
        message = f"a draft that a killed process left; {remover} removes it"
    elif path.name.startswith(".") and path.name.endswith(SWEPT):
        message = "put aside by a prune that was killed; the next one decides"
    else:
        message = "it is none of the registry's files"
    yield Finding("note", path.relative_to(root).as_posix(), None, message)
