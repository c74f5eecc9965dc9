"""The session in one JSON document for other programs: its exit status, its batches, every run.

``{"format": "finbot-session-summary", "version": 1, "pytest_finbot", "exitstatus", "batches":
[…]}``. A batch is its ``batch_summary.json``, runs included, and ``reports``, the paths of its
summary files. A batch that has no summary (none of its runs was selected, its records cannot be
read) has ``batch_name``, ``status`` null, ``reason`` and no runs.

Written when a session ends, green or not. A session that was refused before anything ran (exit
status 4) leaves no document, and none of an earlier one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import pytest

import pytest_finbot
from pytest_finbot.registry.strict_json import encode

if TYPE_CHECKING:
    import argparse

    from pytest_finbot.session.finished import Finished

STDOUT: Final = "-"
_FORMAT: Final = "finbot-session-summary"
_END: Final = b"]}"
"""The last line of a batch's summary, after that of its last run."""


def check_summary(config: pytest.Config) -> None:
    """Remove the document of an earlier session; raises UsageError where there can be none of this one."""
    asked: str = config.option.finbot_summary_json
    log: str | None = config.option.finbot_log_json
    folder = config.invocation_params.dir
    why_not = forget_summary(config.option, folder)
    two_files = log is not None and STDOUT not in (asked, log)
    if two_files and os.path.realpath(folder / str(log)) == os.path.realpath(folder / asked):
        why_not = "that is the file of --finbot-log-json too, and would replace it; name another one"
    if why_not is not None:
        raise pytest.UsageError(f"finbot: --finbot-summary-json {asked}: {why_not}\nnothing was run")


def forget_summary(option: argparse.Namespace, folder: Path) -> str | None:
    """Remove the document of an earlier session: from now on it is no longer so.

    ``folder`` is where pytest was called. Returns why the document could not be written, or would
    replace something else.
    """
    asked: str = option.finbot_summary_json
    if asked == STDOUT or option.collectonly:
        return None
    path = folder / asked
    try:
        why_not = _why_not_replaced(path)
        if why_not is None:
            path.unlink(missing_ok=True)
        return why_not
    except OSError as error:
        return f"it cannot be replaced: {error.strerror or error}"


def _why_not_replaced(path: Path) -> str | None:
    """Why the document must not take the place of ``path``; raises OSError."""
    if path.is_dir():
        return "that is a folder, and a file is expected"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if path.exists():
        if not path.is_file():
            return "that is no ordinary file; name one, or - for stdout"
        start = encode({"format": _FORMAT}, "its format")[:-1]
        with path.open("rb") as file:
            found = file.read(len(start))
        if found and found != start:
            return "that file holds something else than a session's summary, and would be replaced"
    return None


class SessionSummary:
    """The document of one session, as ``--finbot-summary-json`` asks for it."""

    def __init__(self, config: pytest.Config) -> None:
        asked: str = config.option.finbot_summary_json
        self._path = None if asked == STDOUT else Path(config.invocation_params.dir, asked)
        self._ready: IO[bytes] | None = None

    @classmethod
    def asked(cls, config: pytest.Config) -> SessionSummary | None:
        return None if config.option.finbot_summary_json is None else cls(config)

    def write(self, exitstatus: int, batches: Sequence[Finished]) -> str | None:
        """Write the document, or get it ready for stdout; why not, where that fails.

        Runs are copied from the batches' summaries one by one. The file appears whole or not at all.
        """
        if self._path is None:
            self._ready = tempfile.TemporaryFile()  # noqa: SIM115 - told at the very end
            return self._written(self._ready, exitstatus, batches, newline=b"")
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        try:
            with draft.open("wb") as file:
                why_not = self._written(file, exitstatus, batches, newline=b"\n")
            if why_not is None:
                os.replace(draft, self._path)
                return None
        except OSError as error:
            why_not = f"cannot write {self._path}: {error.strerror or error}"
        draft.unlink(missing_ok=True)
        return why_not

    def tell(self) -> str | None:
        """Send what is ready to stdout, as one line of its own; why not, where that fails."""
        ready, self._ready = self._ready, None
        if ready is None:
            return None
        try:
            with ready:
                ready.seek(0)
                sys.stdout.flush()
                if hasattr(sys.stdout, "buffer"):
                    shutil.copyfileobj(ready, sys.stdout.buffer)
                else:  # a notebook's takes text alone
                    sys.stdout.write(ready.read().decode())
                sys.stdout.flush()
        except OSError as error:
            return f"cannot write to stdout: {error.strerror or error}"
        return None

    def _written(
        self, file: IO[bytes], exitstatus: int, batches: Sequence[Finished], *, newline: bytes
    ) -> str | None:
        head = {
            "format": _FORMAT,
            "version": 1,
            "pytest_finbot": pytest_finbot.__version__,
            "exitstatus": exitstatus,
        }
        try:
            file.write(encode(head, "the head of the summary")[:-1] + b',"batches":[')
            for number, batch in enumerate(batches):
                file.write(b"," if number else b"")
                for line in _lines(batch):
                    file.write(newline + line)
            file.write(newline + _END + b"\n")
            file.flush()
        except (OSError, ValueError) as error:
            return f"the summary of the session could not be put together: {error}"
        return None


def _lines(batch: Finished) -> Iterator[bytes]:
    """The document's part for a batch, a run a line. Raises OSError, ValueError."""
    path = batch.reports.get("json")
    if path is None:
        reason = batch.failure or batch.nothing
        missing: dict[str, Any] = {
            "batch_name": batch.name,
            "status": None,
            "reason": reason,
            "runs": [],
            "reports": {},
        }
        yield encode(missing, f"the summary of {batch.name}")
        return
    last = b""
    with path.open("rb") as file:
        for line in file:
            if last:
                yield last
            last = line.rstrip(b"\n")
    if last != _END:
        raise ValueError(f"{path} does not end as it was written")
    reports = json.dumps({name: str(path) for name, path in batch.reports.items()})
    yield b'],"reports":' + reports.encode() + b"}"
