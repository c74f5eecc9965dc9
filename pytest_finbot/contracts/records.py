"""What is found out about a run, and remembered of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_finbot.contracts.status import ErrorCategory, RunStatus, Verdict


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's outcome; ``session`` (ISO date) and ``asset`` where it first failed."""

    name: str
    verdict: Verdict
    message: str = ""
    value: float | None = None
    limit: float | None = None
    session: str | None = None
    asset: str | None = None

    @property
    def failed(self) -> bool:
        return self.verdict in (Verdict.ERROR, Verdict.MOVED, Verdict.MISSING)


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One phase of one run; ``reason`` says why it failed or was skipped."""

    name: str
    status: Literal["success", "failed", "skipped"]
    seconds: float
    counters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a run failed. ``expected`` marks an error of the user's input, told without traceback."""

    category: ErrorCategory
    phase: str
    type: str
    message: str
    traceback: str | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is remembered of one attempt at one run; JSON-ready by :func:`record_to_json`.

    ``metrics`` maps a name to a number, or to ``None`` with its reason in
    ``undefined_metrics``. ``series``, ``fills`` and ``marks`` are hashes of tables, kept
    in ``tables`` or as objects of the registry; ``data`` and ``code`` of the fingerprint name
    the objects that say more.
    """

    run_id: str
    batch_id: str
    name: str
    status: RunStatus
    attempt: int
    started_at: str
    finished_at: str
    seconds: float
    worker: str
    fingerprint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: ErrorInfo | None = None
    phases: tuple[PhaseResult, ...] = ()
    metrics: Mapping[str, float | int | str | None] = dataclasses.field(default_factory=dict)
    undefined_metrics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    warnings: tuple[str, ...] = ()
    rejected_orders: int = 0
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Rows of each output: sessions, positions, fills."""
    series: str | None = None
    fills: str | None = None
    marks: str | None = None
    tables: Mapping[str, Mapping[str, list[Any]]] = dataclasses.field(default_factory=dict)
    """Columns of ``series`` and ``fills`` that are small enough to travel in the record."""
    artifacts: tuple[str, ...] = ()
    """Files under the run's folder, relative to it."""
    seed: int | None = None
    peak_rss: int | None = None
    """Bytes; of the worker process so far, so an upper bound for the run."""
    engine: str = ""
    strategy: str = ""
    bundle: str = ""
    """Name of the bundle's file, where the run has one."""
    start_date: str = ""
    end_date: str = ""
    tags: tuple[str, ...] = ()
    verdict: Verdict | None = None
    """What the comparison with the baseline came to; ``None`` where nothing is gated."""
    comparison: Mapping[str, Any] | None = None
    """The facts of the comparison, see ``baselines.facts.Comparison``."""
    data_notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """``missing``: policy, counts by symbol, look-ahead; ``odd``: findings; ``snapshot``: its id."""
    mark_notes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """``fallbacks`` and ``unmarked``: positions valued at an earlier session's price, or at none."""
    books: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """``start_cash`` and ``cent`` of the engine's result: what its identities need beside the series."""
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Seconds by what they went into, beside the phases: ``recording`` its series and files."""
    counted_against: str | None = None
    """Of a failed run that is gated by nothing: the batch of its newest good result, empty for none."""
    part: Mapping[str, Any] | None = None
    """What the run is a part of, see :class:`~pytest_finbot.contracts.PartSpec`."""
    native: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What the engine says of itself, see ``EngineResult.native``: ``conventions``, ``derived`` …"""
    ladder: Mapping[str, Any] | None = None
    """Of a run with ``compare_with``: the built-in engine with the reference's conventions, then with one
    after the other of the run's own, see ``engines.ladder``; or ``why_not``."""
    compared_at: str = ""
    """When a recorded result was compared again without being executed; empty: when it ran."""
