"""Batch files as collectors, runs as items."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_finbot.contracts import ErrorInfo, RunSpec
from pytest_finbot.errors import RegistryError
from pytest_finbot.session.recording import RunRecorder

RECORDER = pytest.StashKey[RunRecorder]()


class RunFailedError(Exception):
    """A run's recorded failure, on its way to the terminal."""

    def __init__(self, error: ErrorInfo, run_id: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.run_id = run_id


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
        record = recorder.run(self.path, self.spec)
        self.user_properties += [("finbot_run_id", record.run_id), ("finbot_status", str(record.status))]
        final_nav = record.metrics.get("final_nav")
        if final_nav is not None:
            self.user_properties.append(("finbot_final_nav", str(final_nav)))
        if record.error is not None:
            raise RunFailedError(record.error, record.run_id)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        return self.path, max(self.spec.line - 1, 0), f"run {self.name}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        if isinstance(excinfo.value, RunFailedError):
            return failure_text(self.nodeid.partition("::")[0], self.spec, excinfo.value)
        if isinstance(excinfo.value, RegistryError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **kwargs)


def failure_text(file: str, spec: RunSpec, failure: RunFailedError) -> str:
    """One screen about a failed run: where it stands, what was wrong, what raised it."""
    error = failure.error
    where = f"{file}:{spec.line}" if spec.line else file
    first, *rest = error.message.splitlines() or [""]
    said = first if error.expected else f"{error.type}: {first}"
    lines = [f"{error.category} in {error.phase}: {said}", *(f"  {line}" for line in rest)]
    lines += ["", f"{where}: run {spec.name}"]
    if error.traceback is not None:
        lines += ["", error.traceback.rstrip()]
    lines += ["", f"recorded as {failure.run_id}"]
    return "\n".join(lines)
