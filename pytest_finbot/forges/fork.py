"""The privileged half of a fork's report: its file, taken from a folder that a stranger has filled."""

from __future__ import annotations

import os
import stat
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_finbot.errors import ForgeError, ReportError
from pytest_finbot.forges.said import one_line

if TYPE_CHECKING:
    from pytest_finbot.reports.report import Report

REPORT: Final = "batch_report.json"


def read_artifact(folder: Path) -> Report:
    """The report in ``folder``, which holds that one file and nothing else.

    Sizes are looked at before anything is read, and nothing is followed, opened or executed but that
    file. Raises ForgeError where the folder is otherwise, or the file is no report of ours.
    """
    from pytest_finbot.reports.reading import MOST_BYTES, read_report

    _check_alone(folder)
    try:
        # Without O_NOFOLLOW and O_NONBLOCK (Windows) the check above is all there is.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(folder / REPORT, flags | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ForgeError(f"{REPORT} in the artifact is no plain file")
            if found.st_size > MOST_BYTES:
                size = f"{found.st_size:,} bytes; a report has at most {MOST_BYTES:,}"
                raise ForgeError(f"{REPORT} in the artifact has {size}")
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ForgeError(f"{REPORT} in the artifact cannot be read: {error.strerror}") from error
    try:
        return read_report(raw, f"{REPORT} in the artifact")
    except ReportError as error:
        # Its message may name a key that a stranger wrote.
        raise ForgeError(one_line(str(error))) from None


def _check_alone(folder: Path) -> None:
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise ForgeError(f"{folder} is no folder; expected that of the downloaded artifact")
        with os.scandir(folder) as entries:
            # Two are enough to know; a stranger can have made a million.
            found = list(islice(entries, 2))
        for entry in found:
            if entry.name != REPORT:
                named = one_line(entry.name)
                raise ForgeError(f"the artifact holds {named!r}; expected {REPORT} and no more")
            if not entry.is_file(follow_symlinks=False):
                raise ForgeError(f"{REPORT} in the artifact is no plain file")
        if not found:
            raise ForgeError(f"the artifact is empty; expected {REPORT}")
    except OSError as error:
        raise ForgeError(f"{folder} cannot be read: {error.strerror}") from error
