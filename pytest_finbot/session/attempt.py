"""One attempt at one run, executed and put into a record, in whatever process executes it."""

from __future__ import annotations

import dataclasses
import resource
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.baselines.kept import keep_comparison
from pytest_finbot.contracts import EngineResult, FloatArray, PartSpec, RunRecord, RunSpec, SessionArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.pipeline.execute import Bounds, Log, execute
from pytest_finbot.pipeline.failure import Categorize
from pytest_finbot.pipeline.native_notes import native_notes
from pytest_finbot.registry.ids import run_id
from pytest_finbot.registry.small_tables import keep_table
from pytest_finbot.registry.tables import fills_columns, marks_columns, series_columns
from pytest_finbot.reports.run_files import write_run_files
from pytest_finbot.session.exit_guard import ExitGuard

if TYPE_CHECKING:
    from pytest_finbot.baselines.judge import Gate
    from pytest_finbot.baselines.previous import EarlierRuns
    from pytest_finbot.pipeline.outcome import RunOutcome
    from pytest_finbot.pipeline.profiling import ProfilerName, RunProfile
    from pytest_finbot.pipeline.selection import Selection
    from pytest_finbot.registry.protocol import Registry


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A begun batch as the processes that record into it know it."""

    path: Path
    batch_id: str
    output: Path
    gate: Gate | None = None
    resumed: bool = False
    """An earlier session recorded some of it."""
    only: frozenset[str] | None = None
    """Runs that may be executed, where not all of them may (``--finbot-retry-failed``)."""
    previous: EarlierRuns | None = None
    """What its runs are counted against where nothing is gated."""

    def run_folder(self, name: str) -> Path:
        return self.output / "runs" / name


class UnrecordedError(RegistryError):
    """A run has ended, and what came of it could not be recorded."""

    @classmethod
    def of(cls, name: str, outcome: str, why: Exception | str) -> UnrecordedError:
        return cls(f"run {name} {outcome}, but could not be recorded: {why}")


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which attempt at which run, since when (UTC), and by whom (``main``, ``gw0`` …)."""

    batch: OpenBatch
    spec: RunSpec
    number: int
    started_at: str
    worker: str


class Executor:
    """Executes attempts in this process."""

    def __init__(
        self,
        registry: Registry,
        categorize: Categorize | None = None,
        guard: ExitGuard | None = None,
        reruns: int = 0,
        selection: Selection | None = None,
        profiler: ProfilerName | None = None,
    ) -> None:
        self._registry = registry
        self._categorize = categorize
        self._guard = guard
        self.reruns = reruns
        self._selection = selection
        self._profiler = profiler
        self._kept_marks: tuple[FloatArray, SessionArray, tuple[str, ...], str] | None = None

    def execute(
        self, attempt: Attempt, log: Log, bounds: Bounds = nullcontext, *, contained: bool = False
    ) -> RunRecord:
        """Execute the run and return its record, whose series and files are kept by then.

        ``contained``: no Ctrl-C reaches this process, so a KeyboardInterrupt is the run's own.

        Raises UnrecordedError where those could not be written.
        """
        began = time.perf_counter()
        spec = attempt.spec
        profile = self._profile()
        with self._guard.run() if self._guard is not None else nullcontext(), profile or nullcontext():
            run = execute(
                spec,
                log,
                categorize=self._categorize,
                selection=self._selection,
                gate=attempt.batch.gate,
                previous=attempt.batch.previous,
                reruns=self.reruns,
                bounds=bounds,
                contained=contained,
            )
        try:
            return self._record(attempt, run, began, profile)
        except (OSError, RegistryError) as error:
            raise UnrecordedError.of(spec.name, _outcome(run), error) from error

    def _profile(self) -> RunProfile | None:
        """What watches one attempt, where that is asked for."""
        if self._profiler is None:
            return None
        from pytest_finbot.pipeline.profiling import RunProfile

        return RunProfile(self._profiler)

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
        self, attempt: Attempt, run: RunOutcome, began: float, profile: RunProfile | None
    ) -> RunRecord:
        recording = time.perf_counter()
        batch, spec, result = attempt.batch, run.spec, run.result
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
            counts = run.counts
        comparison = keep_comparison(objects, run.comparison)
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
        timings = {"recording": round(time.perf_counter() - recording, 6)}
        if profile is not None:
            profiling = time.perf_counter()
            artifacts += profile.write(batch.run_folder(spec.name), run, timings)
            timings["profiling"] = round(time.perf_counter() - profiling, 6)
            run.warnings.extend([profile.why_not] if profile.why_not is not None else [])
        return RunRecord(
            run_id=run_id(batch.batch_id, spec.name),
            batch_id=batch.batch_id,
            name=spec.name,
            status=run.status,
            attempt=attempt.number,
            started_at=attempt.started_at,
            finished_at=now(),
            seconds=round(time.perf_counter() - began, 6),
            worker=attempt.worker,
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
            comparison=comparison,
            data_notes=run.data_notes,
            mark_notes=run.mark_notes,
            counted_against=_counted_against(batch, run),
            books={} if result is None else _books(result),
            native={} if result is None else native_notes(result.native),
            ladder=run.ladder,
            timings=timings,
            **described(spec),
        )


def _counted_against(batch: OpenBatch, run: RunOutcome) -> str | None:
    """For a later session to go on from, where this result is none to count against."""
    if batch.previous is None or (run.error is None and run.proves):
        return None
    return batch.previous.reference(run.spec.name)


def described(spec: RunSpec) -> dict[str, Any]:
    """What a record says of its spec, so that it can be read without the batch file."""
    return {
        "engine": spec.engine,
        "strategy": spec.strategy,
        "bundle": Path(spec.bundle_path).name if spec.bundle_path else "",
        "start_date": spec.start_date.isoformat(),
        "end_date": spec.end_date.isoformat(),
        "tags": spec.tags,
        "part": None if spec.part is None else _part(spec.part),
    }


def _part(part: PartSpec) -> dict[str, Any]:
    own_from = None if part.own_from is None else part.own_from.isoformat()
    return {**dataclasses.asdict(part), "own_from": own_from}


def _books(result: EngineResult) -> dict[str, float]:
    """What the identities of a result need beside its series."""
    return {"start_cash": float(result.start_cash), "cent": float(result.cent)}


def outcome_of(status: str, error: str | None, final_nav: Any) -> str:
    """How a run ended, in words: for where its record cannot tell."""
    if error is not None:
        return f"ended with status {status} ({error})"
    nav = f" (final NAV {final_nav:,.2f})" if isinstance(final_nav, float | int) else ""
    return f"ended with status {status}{nav}"


def _outcome(run: RunOutcome) -> str:
    error = None if run.error is None else f"{run.error.category}: {run.error.message}"
    return outcome_of(str(run.status), error, run.metrics.get("final_nav"))


def record_outcome(record: RunRecord) -> str:
    """:func:`outcome_of` a record that could not be kept."""
    error = None if record.error is None else f"{record.error.category}: {record.error.message}"
    return outcome_of(str(record.status), error, record.metrics.get("final_nav"))


def now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _peak_rss() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
