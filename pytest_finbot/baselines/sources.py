"""Where baselines come from: a folder, a recorded batch. Anything that finds one by its run's name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pytest_finbot.baselines.dependencies import dependencies_of_record
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.store import Baseline, baseline_names, read_baseline
from pytest_finbot.config.manifest import runs_from_json
from pytest_finbot.contracts import ErrorCategory, RunSpec, RunStatus, Verdict
from pytest_finbot.errors import BaselineError, NotComparableError, RegistryError
from pytest_finbot.registry.fold import BatchFold
from pytest_finbot.registry.left_out import left_out
from pytest_finbot.registry.protocol import Registry


class BaselineSource(Protocol):
    """Finds what was accepted for a run."""

    @property
    def shown(self) -> str:
        """What it is called in messages."""
        ...

    def names(self) -> tuple[str, ...]:
        """Runs it has something of, sorted."""
        ...

    def find(self, run: str) -> Baseline | None:
        """The baseline of ``run``; ``None`` where there is none.

        Raises BaselineError for one that cannot be read, NotComparableError for one that
        holds no result.
        """
        ...


class FolderSource:
    """Accepted results in a folder: ``<run>.json`` beside ``<run>.parquet``.

    ``shown`` is what messages call the folder, where it is not where they come from (a copy
    of another revision).
    """

    def __init__(self, folder: Path, shown: str) -> None:
        self._folder = folder
        self.shown = shown

    def names(self) -> tuple[str, ...]:
        return baseline_names(self._folder)

    def find(self, run: str) -> Baseline | None:
        return read_baseline(self._folder, run, f"{self.shown}/{run}.json")


def acceptable(record: Mapping[str, Any]) -> str | None:
    """Why the result of ``record`` cannot be accepted; ``None`` where it can.

    A run that only moved has failed the gate, not by itself. One that failed in any other
    way, or gave two results, is not something to hold others to.
    """
    error = record.get("error") or {}
    if any(
        check.get("name") == "determinism" and check.get("verdict") == Verdict.MOVED
        for check in record.get("checks") or ()
    ):
        return "it is not deterministic: two executions gave two results"
    if "checks" in left_out(record):
        return "its checks were left out (--finbot-phase): nothing of it was proven"
    if record.get("status") == RunStatus.SUCCESS or error.get("category") == ErrorCategory.REGRESSION:
        return None
    return f"it failed ({error.get('category', 'unknown')}: {first_line(error.get('message'))})"


def first_line(message: str | None) -> str:
    """What an error says first."""
    return (message or "").partition("\n")[0] or "no message"


class BatchSource:
    """The results of a recorded batch, whatever was accepted since."""

    def __init__(self, registry: Registry, batch_id: str) -> None:
        self._registry = registry
        self._batch_id = batch_id
        self.shown = f"batch:{batch_id}"
        self._specs: dict[int, dict[str, RunSpec]] = {}

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return self._registry.manifest(self._batch_id)

    @cached_property
    def _plans(self) -> tuple[tuple[str, str], ...]:
        return self._registry.plans(self._batch_id)

    def spec_of(self, record: Mapping[str, Any]) -> RunSpec | None:
        """What ``record`` is the result of: a batch that was resumed may have planned it anew since."""
        at = str(record.get("started_at", ""))
        known = sum(plan[0] <= at for plan in self._plans)
        if known not in self._specs:
            manifest = self._registry.manifest(self._batch_id, at) if self._plans else self._manifest
            self._specs[known] = {spec.name: spec for spec in runs_from_json(manifest)}
        return self._specs[known].get(record["name"])

    @cached_property
    def _fold(self) -> BatchFold:
        return self._registry.fold(self._batch_id)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._fold.expected))

    def find(self, run: str) -> Baseline | None:
        record = next(self._fold.records([run]), None)
        if record is None:
            if run in self._fold.expected:
                raise NotComparableError(f"{self.shown}: run {run} was expected there and left no record")
            return None
        why_not = acceptable(record)
        if why_not is not None and record.get("series") is not None:
            raise NotComparableError(f"{self.shown}: run {run} is nothing to compare with: {why_not}")
        return self.baseline_of(record)

    def baseline_of(self, record: Mapping[str, Any]) -> Baseline:
        """What ``record`` of this batch holds, as a baseline that nobody accepted.

        Raises NotComparableError where it holds no result, BaselineError where that is damaged.
        """
        run: str = record["name"]
        if record.get("series") is None:
            said = first_line((record.get("error") or {}).get("message") or "it recorded no series")
            raise NotComparableError(f"{self.shown}: run {run} gave no result there: {said}")
        spec = self.spec_of(record)
        if spec is None:
            raise BaselineError(f"{self.shown}: run {run} is recorded, and not in the batch's manifest")
        try:
            result = RunResult.of_record(self._registry.objects, record)
        except RegistryError as error:
            raise BaselineError(f"{self.shown}: the result of run {run} cannot be read: {error}") from error
        return Baseline(
            batch=self._manifest["batch_name"],
            run=run,
            result=result,
            fingerprint=dependencies_of_record(self._registry.objects, record, spec),
            acceptance=None,
            shown=self.shown,
            values="",
        )
