"""The batch's output folder: held by one session at a time, cleared of the batch before."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import filelock

from pytest_finbot.errors import ParameterError, RegistryError
from pytest_finbot.registry.durable import telling, write_file
from pytest_finbot.session.discovery import OUTPUT_MARKER

SUMMARIES = (
    "batch_summary.csv",
    "batch_summary.json",
    "batch_summary.md",
    "batch_summary.html",
    "batch_report.json",
)
OURS = ("runs", "logs", "stitched", *SUMMARIES)


class OutputFolder:
    """``output_root/batch_name`` while a session writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: filelock.BaseFileLock | None = None

    def acquire(self) -> None:
        """Take the folder for this session, and leave what is in it: the session may yet be refused.

        Raises ParameterError where another session holds it, or where it has contents that
        :meth:`begin` would remove and that were not written here; RegistryError where it cannot be
        written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / ".finbot.lock")
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise ParameterError(
                f"{self.path} is being written by another session{self._holder()}; wait for it to end, "
                "or give this batch another output_root or batch_name"
            ) from None
        except OSError as error:
            raise RegistryError(f"cannot write the output folder {self.path}: {error}") from error
        self._lock = lock
        left = self._left(OURS)
        if left and not (self.path / OUTPUT_MARKER).exists():
            self.release()
            raise ParameterError(
                f"{self.path} holds {', '.join(left)} without {OUTPUT_MARKER}, by which pytest-finbot marks "
                "what it wrote, and would replace them; move them away, or give this batch another "
                "output_root or batch_name"
            )

    def begin(self, batch_id: str, file: str, content: bytes) -> None:
        """Clear what any other batch left here, and put a copy of the batch file in its place.

        Raises RegistryError where it cannot be written.
        """
        # A batch that is gone on with keeps its runs' files; what was summed up is no longer so.
        left = self._left(SUMMARIES if written_by(self.path) == batch_id else OURS)
        # Drafts of a session that was killed while it summed up.
        for name in (*left, *(draft.name for draft in self.path.glob(".batch_*.tmp"))):
            target = self.path / name
            with telling("clear", target):
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
        marker = json.dumps({"batch_id": batch_id, "pid": os.getpid()}) + "\n"
        for name, text in ((OUTPUT_MARKER, marker.encode()), (file, content)):
            with telling("write", self.path / name):
                write_file(self.path / name, text, durable=False)

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _holder(self) -> str:
        try:
            held = json.loads((self.path / OUTPUT_MARKER).read_text(encoding="utf-8"))
            return f" (process {held['pid']}, {held['batch_id']})"
        except (OSError, ValueError, KeyError):
            return ""  # it has the lock and has not written its name yet

    def _left(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if (self.path / name).exists()]


def written_by(folder: Path) -> str | None:
    """The batch whose files are in an output folder; ``None`` where that is not told."""
    try:
        return str(json.loads((folder / OUTPUT_MARKER).read_text(encoding="utf-8"))["batch_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def replaced(folder: Path, batch_id: str) -> Iterator[str]:
    """Whether somebody removed or replaced the output folder while the session of a batch wrote it."""
    if written_by(folder) != batch_id:
        yield f"{folder} was removed or replaced during the session: files of its runs may be missing"
