"""The batch files of a session, read, put as the command line asks for, and fit to run together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finbot.config.expand import Batch, load_batch
from pytest_finbot.errors import BatchFileError, Problem
from pytest_finbot.session.conflicts import conflicts
from pytest_finbot.session.inspect import inspect_run
from pytest_finbot.session.limits import as_asked
from pytest_finbot.session.slicing import sliced

if TYPE_CHECKING:
    from pytest_finbot.session.slicing import Slicing


def read_batches(
    config: pytest.Config, files: Sequence[Path], registry: Path, slicing: Slicing | None
) -> list[Batch]:
    """Read and validate every batch file; raises UsageError with all their problems.

    ``registry`` is where snapshots of data are. Of a batch that is gone on with all slices are
    planned, whatever day is aimed at: the others are looked at, and not executed.
    """
    from pytest_finbot.session.collecting import import_from

    import_from([*(path.parent for path in files), config.rootpath])
    batches: list[Batch] = []
    problems: list[Problem] = []
    for path in files:
        try:
            loaded = load_batch(_as_named(path), inspect=inspect_run, snapshots=registry / "snapshots")
            batches.append(as_asked(loaded, config))
        except BatchFileError as error:
            problems.extend(error.problems)
    problems.extend(conflicts(batches))
    if problems:
        words = "\n".join(str(problem) for problem in problems)
        number = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        raise pytest.UsageError(f"finbot: {number}; nothing was run\n{words}")
    if slicing is None:
        return batches
    resumed = config.option.finbot_resume is not None or config.option.finbot_retry_failed
    return [sliced(batch, slicing, only_target=not resumed) for batch in batches]


def _as_named(path: Path) -> Path:
    """``path`` as short as messages want it: relative where it lies below the current folder."""
    folder = Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path
