"""A run executed and remembered: in the process that ran it, at once, before pytest hears of it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.contracts import EngineResult, FloatArray, RunRecord, RunSpec, SessionArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.pipeline.execute import execute
from pytest_finbot.pipeline.failure import Categorize
from pytest_finbot.registry.ids import run_id
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.registry.small_tables import keep_table
from pytest_finbot.registry.tables import fills_columns, marks_columns, series_columns
from pytest_finbot.reports.run_files import write_run_files
from pytest_finbot.session.exit_guard import ExitGuard

if TYPE_CHECKING:
    from pytest_finbot.baselines.judge import Gate
    from pytest_finbot.pipeline.outcome import RunOutcome
    from pytest_finbot.registry.protocol import BatchWriter, Registry


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A begun batch as the processes that record into it know it."""

    path: Path
    batch_id: str
    output: Path
    gate: Gate | None = None

    def run_folder(self, name: str) -> Path:
        return self.output / "runs" / name


class RunRecorder:
    """Executes runs and records them under one writer's name (``main``, ``gw0`` …)."""

    def __init__(
        self,
        registry: Registry,
        batches: Mapping[Path, OpenBatch],
        worker: str,
        categorize: Categorize | None = None,
        guard: ExitGuard | None = None,
        reruns: int = 0,
    ) -> None:
        self._registry = registry
        self._batches = batches
        self._worker = worker
        self._categorize = categorize
        self._guard = guard
        self._reruns = reruns
        self._writers: dict[str, BatchWriter] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._kept_marks: tuple[FloatArray, SessionArray, tuple[str, ...], str] | None = None

    def run(self, path: Path, spec: RunSpec) -> RunRecord:
        """Execute ``spec`` of the batch file ``path`` and return its durable record.

        Raises RegistryError where the record could not be written: the run then counts as
        not run, whatever came of it.
        """
        batch = self._batches[path]
        writer = self.writer(batch)
        attempt = self._attempts[batch.batch_id, spec.name] = (
            self._attempts.get((batch.batch_id, spec.name), 0) + 1
        )
        started_at, began = _now(), time.perf_counter()
        writer.append("start", {"name": spec.name, "attempt": attempt, "at": started_at}, sync=False)
        with self._guard.run() if self._guard is not None else nullcontext():
            run = execute(spec, writer.log, categorize=self._categorize, gate=batch.gate, reruns=self._reruns)
        try:
            record = self._record(batch, run, attempt, started_at, began)
            writer.append("run", record_to_json(record))
        except (OSError, RegistryError) as error:
            raise RegistryError(
                f"run {spec.name} ended with status {run.status} but could not be recorded: {error}"
            ) from error
        return record

    def writer(self, batch: OpenBatch) -> BatchWriter:
        """This process's writer for ``batch``, opened at first use."""
        if batch.batch_id not in self._writers:
            self._writers[batch.batch_id] = self._registry.open_writer(batch.batch_id, self._worker)
        return self._writers[batch.batch_id]

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _marks(self, result: EngineResult) -> str:
        """The object of the result's marks: one for every run on the same prices.

        Runs of one window share one read-only array of prices; it is hashed once for all.
        """
        kept = self._kept_marks
        if (
            kept is not None
            and kept[0] is result.mark
            and kept[1] is result.sessions
            and kept[2] == result.assets
        ):
            return kept[3]
        name = self._registry.objects.put_table(marks_columns(result))
        if not result.mark.flags.writeable and not result.sessions.flags.writeable:
            self._kept_marks = (result.mark, result.sessions, result.assets, name)
        return name

    def _record(
        self, batch: OpenBatch, run: RunOutcome, attempt: int, started_at: str, began: float
    ) -> RunRecord:
        spec, result = run.spec, run.result
        objects = self._registry.objects
        fingerprint = dict(run.fingerprint)
        named: dict[str, str] = {}
        counts: dict[str, int] = {}
        small: dict[str, dict[str, list[Any]]] = {}
        if run.market is not None and run.market.digest is not None:
            digest = run.market.digest
            objects.put_json(digest.hash, {symbol: dict(years) for symbol, years in digest.parts.items()})
        if "code" in fingerprint:
            # A table of module hashes is the same for thousands of runs; the record names it.
            modules = fingerprint["code"]["modules"]
            objects.put_json(fingerprint["code"]["hash"], modules)
            fingerprint["code"] = {
                key: value for key, value in fingerprint["code"].items() if key != "modules"
            }
        if result is not None:
            named["series"] = keep_table(objects, "series", series_columns(result), small)
            named["marks"] = self._marks(result)
            if len(result.fills):
                named["fills"] = keep_table(objects, "fills", fills_columns(result), small)
            counts = {
                "sessions": len(result.sessions),
                "positions": int(np.count_nonzero(result.quantity)),
                "fills": len(result.fills),
            }
        artifacts = write_run_files(
            batch.run_folder(spec.name),
            spec,
            result=result,
            market_values=None if run.books is None else run.books.market_values,
            metrics=run.metrics,
            undefined=run.undefined_metrics,
            risk=run.risk,
            costs=run.costs,
        )
        return RunRecord(
            run_id=run_id(batch.batch_id, spec.name),
            batch_id=batch.batch_id,
            name=spec.name,
            status=run.status,
            attempt=attempt,
            started_at=started_at,
            finished_at=_now(),
            seconds=round(time.perf_counter() - began, 6),
            worker=self._worker,
            fingerprint=fingerprint,
            error=run.error,
            phases=tuple(run.phases),
            metrics=run.metrics,
            undefined_metrics=run.undefined_metrics,
            checks=tuple(run.checks),
            warnings=tuple(run.warnings),
            rejected_orders=0 if result is None else len(result.rejected_orders),
            counts=counts,
            series=named.get("series"),
            fills=named.get("fills"),
            marks=named.get("marks"),
            tables=small,
            artifacts=tuple(artifacts),
            seed=spec.seed,
            peak_rss=_peak_rss(),
            verdict=run.verdict,
            comparison=None if run.comparison is None else run.comparison.to_json(),
            **described(spec),
        )


def described(spec: RunSpec) -> dict[str, Any]:
    """What a record says of its spec, so that it can be read without the batch file."""
    return {
        "engine": spec.engine,
        "strategy": spec.strategy,
        "bundle": Path(spec.bundle_path).name if spec.bundle_path else "",
        "start_date": spec.start_date.isoformat(),
        "end_date": spec.end_date.isoformat(),
        "tags": spec.tags,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _peak_rss() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
