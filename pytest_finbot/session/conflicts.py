"""What keeps two batch files from being run in one session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pytest_finbot.config.expand import Batch
from pytest_finbot.errors import Problem
from pytest_finbot.session.inspect import modules_beside


def conflicts(batches: Sequence[Batch]) -> Iterator[Problem]:
    """Folders that two of them write, and modules of one name in two places."""
    yield from _shared_folders(batches)
    yield from _shared_modules(batches)


def _shared_folders(batches: Sequence[Batch]) -> Iterator[Problem]:
    """Two batch files of one session must not write one folder, nor call each other's runs missing."""
    yield from _shared(
        ((batch, batch.output_root / batch.batch_name) for batch in batches),
        "batch_name",
        "writes the same folder",
        "another batch_name or output_root",
    )
    yield from _shared(
        ((batch, batch.baseline / batch.batch_name) for batch in batches if batch.baseline is not None),
        "baseline",
        "has its baselines in the same folder",
        "another batch_name or baseline",
    )


def _shared(folders: Iterable[tuple[Batch, Path]], key: str, does: str, expected: str) -> Iterator[Problem]:
    first: dict[Path, Batch] = {}
    for batch, folder in folders:
        other = first.setdefault(folder, batch)
        if other is not batch:
            words = f"{batch.batch_name!r} {does} {folder} as {other.path}; expected {expected}"
            yield Problem(str(batch.path), 0, key, words)


def _shared_modules(batches: Sequence[Batch]) -> list[Problem]:
    """Two modules of one name: a process imports one of them, for both files' runs."""
    first: dict[str, Path] = {}
    problems = []
    for batch in batches:
        for name, place in modules_beside(batch).items():
            other = first.setdefault(name, place)
            if other != place:
                problems.append(
                    Problem(
                        str(batch.path),
                        0,
                        "",
                        f"its runs name the module {name!r}, which is both {place} and {other}; one session "
                        "imports only one of them: rename one, or run the files in sessions of their own",
                    )
                )
    return problems
