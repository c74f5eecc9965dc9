"""Batch files as collectors, runs as items."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_finbot.contracts import ErrorCategory, ErrorInfo, RunRecord, RunSpec
from pytest_finbot.errors import RegistryError
from pytest_finbot.reports.terminal import harmless_text
from pytest_finbot.session.max_rss import SAID
from pytest_finbot.session.recording import CancelledError, NotToBeExecutedError, RunRecorder
from pytest_finbot.session.resumed import STALE, WHY
from pytest_finbot.session.told import told

RECORDER = pytest.StashKey[RunRecorder]()
RECORDED = "finbot.status"
"""User property of a test whose run has a durable record."""


class RunFailedError(Exception):
    """A run's recorded failure, on its way to the terminal."""

    def __init__(self, error: ErrorInfo, record: RunRecord) -> None:
        super().__init__(error.message)
        self.error = error
        self.record = record


def node_id(path: Path, rootpath: Path) -> str:
    """Node id of a batch file: its path from the root folder, also where it lies outside."""
    return Path(os.path.relpath(path, rootpath)).as_posix()


class BatchFile(pytest.File):
    """A batch file; its runs are those of the batch as it was read when the session began."""

    specs: Sequence[RunSpec]

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, specs: Sequence[RunSpec]) -> BatchFile:
        file: BatchFile = cls.from_parent(parent, path=path, nodeid=node_id(path, parent.config.rootpath))
        file.specs = specs
        return file

    def collect(self) -> Iterator[RunItem]:
        for spec in self.specs:
            yield RunItem.of(self, spec)


class RunItem(pytest.Item):
    """One backtest."""

    spec: RunSpec

    @classmethod
    def of(cls, parent: BatchFile, spec: RunSpec) -> RunItem:
        item: RunItem = cls.from_parent(parent, name=spec.name)
        item.spec = spec
        for tag in spec.tags:
            item.add_marker(tag)
        item.extra_keyword_matches.update(word for word in (spec.strategy, spec.engine) if word)
        return item

    def runtest(self) -> None:
        recorder = self.config.stash[RECORDER]
        try:
            recorded = recorder.run(self.path, self.spec)
        except CancelledError as cancelled:
            pytest.skip(str(cancelled))
        except NotToBeExecutedError as stale:
            self.user_properties.append((STALE, self.name))
            pytest.skip(str(stale))
        if recorder.memory is not None and any(said := recorder.memory.take()):
            self.user_properties.append((SAID, list(said)))
        record = recorded.record
        self.user_properties.append((RECORDED, str(record.status)))
        if recorded.why is not None:
            self.user_properties.append((WHY, recorded.why))
        self.user_properties += told(record)
        if record.error is not None:
            raise RunFailedError(record.error, record)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, max(self.spec.line - 1, 0), f"run {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        if isinstance(excinfo.value, RunFailedError):
            verbose = self.config.get_verbosity() > 0
            return failure_text(self.nodeid.partition("::")[0], self.spec, excinfo.value, verbose=verbose)
        if isinstance(excinfo.value, RegistryError):
            return harmless_text(str(excinfo.value))
        return super().repr_failure(excinfo, *args, **kwargs)


def failure_text(file: str, spec: RunSpec, failure: RunFailedError, *, verbose: bool) -> str:
    """One screen about a failed run: where it stands, what was wrong, what raised it.

    Of one that moved: how much, since when, in what, why, and what to do next.
    """
    error, record = failure.error, failure.record
    where = f"{file}:{spec.line}" if spec.line else file
    if error.category is ErrorCategory.REGRESSION and record.comparison is not None:
        from pytest_finbot.reports.moved_run import moved_run_text

        return harmless_text(moved_run_text(record, where=where, batch_file=file, verbose=verbose))
    first, *rest = error.message.splitlines() or [""]
    said = first if error.expected else f"{error.type}: {first}"
    lines = [f"{error.category} in {error.phase}: {said}", *(f"  {line}" for line in rest)]
    tries = spec.retries.attempts
    lines += ["", f"{where}: run {spec.name}" + (f", attempt {record.attempt}" if tries > 1 else "")]
    if error.traceback is not None:
        lines += ["", error.traceback.rstrip()]
    lines += ["", f"recorded as {record.run_id}"]
    return harmless_text("\n".join(lines))
