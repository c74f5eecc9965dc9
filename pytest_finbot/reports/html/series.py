"""Where a page gets daily series from: one run at a time, and a reason in words where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytest_finbot.baselines.kept import kept_baseline
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.contracts import FloatArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.reports.report import RunFacts

if TYPE_CHECKING:
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Objects


@dataclass(frozen=True, eq=False)
class Sides:
    """A changed run's result and its baseline's; where one is ``None``, ``why_not_…`` says why."""

    now: RunResult | None
    baseline: RunResult | None
    why_not_now: str = ""
    why_not_baseline: str = ""


class SeriesSource(Protocol):
    """Daily series of a report's runs. Whoever asks keeps one run at a time in memory."""

    def sides(self, run: RunFacts) -> Sides:
        """Both results of a changed run. Raises RegistryError where nothing of it can be read."""
        ...

    def nav(self, run: RunFacts) -> FloatArray:
        """NAV [T] of a run. Raises RegistryError where it has none, or it cannot be read."""
        ...


class NoSeries:
    """For a report of another machine, whose registry is not here; ``why`` is a clause: ``its … is …``."""

    def __init__(self, why: str) -> None:
        self._why = why

    def sides(self, run: RunFacts) -> Sides:
        return Sides(None, None, self._why, self._why)

    def nav(self, run: RunFacts) -> FloatArray:
        raise RegistryError(self._why)


class RegistrySeries:
    """Series as a registry keeps them for the runs of one batch."""

    def __init__(self, objects: Objects, fold: BatchFold) -> None:
        self._objects = objects
        self._fold = fold

    def sides(self, run: RunFacts) -> Sides:
        record = self._record(run)
        now = baseline = None
        why_not_now = why_not_baseline = ""
        try:
            now = RunResult.of_record(self._objects, record)
        except RegistryError as error:
            why_not_now = str(error)
        try:
            baseline = kept_baseline(self._objects, record.get("comparison") or {})
        except RegistryError as error:
            why_not_baseline = str(error)
        if baseline is None and not why_not_baseline:
            why_not_baseline = _nothing_kept(run)
        return Sides(now, baseline, why_not_now, why_not_baseline)

    def nav(self, run: RunFacts) -> FloatArray:
        """Of the file, the one column is read that is drawn: what it holds is not held to its hash."""
        record = self._record(run)
        small = (record.get("tables") or {}).get("series")
        if record.get("series") is None:
            raise RegistryError(f"run {run.run_id} recorded no series")
        columns: Mapping[str, Any]
        columns = self._objects.get_table(record["series"], columns=("nav",)) if small is None else small
        if "nav" not in columns:
            raise RegistryError(f"the series of run {run.run_id} have no column nav")
        return np.asarray(columns["nav"], np.float64)

    def _record(self, run: RunFacts) -> dict[str, Any]:
        for record in self._fold.records((run.run,)):
            return record
        raise RegistryError(f"run {run.run_id} left no record")


def _nothing_kept(run: RunFacts) -> str:
    comparison = run.comparison
    if run.verdict == "new":
        return "it has no baseline yet"
    if comparison is not None and comparison.reason:
        return f"there is no result to compare with: {comparison.reason}"
    return "what it was compared with was not kept beside its record"
