"""The batch files of a session, read, put as the command line asks for, and fit to run together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finbot.config.expand import Batch, load_batch
from pytest_finbot.errors import BatchFileError, Problem
from pytest_finbot.session.conflicts import conflicts
from pytest_finbot.session.inspect import inspect_run
from pytest_finbot.session.limits import as_asked
from pytest_finbot.session.sharding import shared_out
from pytest_finbot.session.slicing import NoSessionsError, sliced

if TYPE_CHECKING:
    from pytest_finbot.session.slicing import Slicing


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A batch without a session where slices are asked for, and why not in words."""

    name: str
    path: Path
    why: str


def read_batches(
    config: pytest.Config, files: Sequence[Path], registry: Path, slicing: Slicing | None
) -> tuple[list[Batch], list[LeftOut]]:
    """Read and validate every batch file; raises UsageError with all their problems.

    ``registry`` is where snapshots of data are. Of a batch that is gone on with all slices are
    planned, whatever day is aimed at: the others are looked at, and not executed. A batch without
    a slice is left out, as a run without one is; where that leaves none, UsageError is raised. With
    ``--finbot-shard`` each has its share of the runs, after the whole file was found to be sound.
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
    shard = config.option.finbot_shard
    only_target = config.option.finbot_resume is None and not config.option.finbot_retry_failed
    cut: list[Batch] = []
    left_out: list[LeftOut] = []
    for batch in batches:
        try:
            ours = batch if slicing is None else sliced(batch, slicing, only_target=only_target)
        except NoSessionsError as error:
            left_out.append(LeftOut(batch.batch_name, batch.path, str(error)))
            continue
        cut.append(
            ours if shard is None else shared_out(batch, ours, shard, slicing, only_target=only_target)
        )
    if not cut:
        raise pytest.UsageError("\n".join(f"finbot: {batch.why}" for batch in left_out))
    return cut, left_out


def _as_named(path: Path) -> Path:
    """``path`` as short as messages want it: relative where it lies below the current folder."""
    folder = Path.cwd()
    return path.relative_to(folder) if path.is_relative_to(folder) else path
