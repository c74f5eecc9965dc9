"""What a batch has come to, as one document of bounded size: every format is made of it, and of no more.

Plain values throughout (numbers are finite, dates ISO, money in the currency of the run), so that a
report travels as JSON between machines, see :mod:`..reading` for one that a stranger sent. Words are in
the templates.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pytest_finbot
from pytest_finbot.baselines.facts import Acceptance, Curve, Difference, FillMove, MetricMove, PositionMove
from pytest_finbot.contracts import CheckResult
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.price_facts import OddFinding, RunPrices
from pytest_finbot.reports.warning_facts import Warned

FORMAT: Final = "finbot-report"
VERSION: Final = 1
MOST_CHANGED: Final = 200
MOST_FAILED: Final = 200
MOST_SHARDS: Final = 1_000
MOST_OTHERS: Final = 2_000
"""Runs of each kind that are listed one by one; the others are counted, and are in the batch's CSV."""

_SLICE: Final = re.compile(r"\.\d{4}-\d\d-\d\d_\d{4}-\d\d-\d\d\Z")
"""How the name of a slice ends, which no batch file has."""

Value = float | int | str | None
ReportVerdict = Literal["passed", "not_gated", "changed", "failed", "incomplete"]
WORST_FIRST: Final[tuple[ReportVerdict, ...]] = ("incomplete", "failed", "changed", "not_gated", "passed")


@dataclass(frozen=True, slots=True)
class CauseFact:
    """One difference between what the two results depended on, see ``contracts.Cause``."""

    part: str
    detail: str

    @property
    def words(self) -> str:
        """``code changed: strategies``; ``unknown: …``."""
        changed = self.part in ("config", "data", "code", "environment")
        return f"{self.part} changed: {self.detail}" if changed else f"{self.part}: {self.detail}"


@dataclass(frozen=True, slots=True)
class ComparisonFact:
    """A changed run against its baseline, see ``baselines.facts.Comparison``."""

    verdict: str
    preset: str
    informational: bool = False
    reason: str | None = None
    first_session: str | None = None
    first_checks: tuple[str, ...] = ()
    nav_at_first: Difference | None = None
    cash_at_first: Difference | None = None
    positions: tuple[PositionMove, ...] = ()
    positions_not_listed: int = 0
    first_fill: FillMove | None = None
    largest: Difference | None = None
    final: Difference | None = None
    course: str | None = None
    curve: Curve | None = None
    metrics: tuple[MetricMove, ...] = ()
    baseline_metrics: Mapping[str, Value] = field(default_factory=dict)
    causes: tuple[CauseFact, ...] = ()
    waived_by: tuple[str, ...] = ()
    source: str | None = None
    accepted: Acceptance | None = None
    accepting: bool = False


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run. ``status`` is success, failed, not_run or missing; ``line`` that of the batch file, 0 unknown.

    ``settings`` are those in which the runs of its kind differ, see :class:`Ranking`. ``near`` is the
    largest part of a limit that a check of a run within tolerance uses up, a fraction; ``None`` where
    no check comes near. ``seconds`` is what it took.
    """

    run: str
    run_id: str
    status: str
    line: int = 0
    engine: str = ""
    strategy: str = ""
    bundle: str = ""
    start_date: str = ""
    end_date: str = ""
    own_from: str = ""
    verdict: str = ""
    category: str = ""
    phase: str = ""
    error: str = ""
    traceback: str = ""
    seconds: float | None = None
    attempt: int | None = None
    worker: str = ""
    near: float | None = None
    metrics: Mapping[str, Value] = field(default_factory=dict)
    comparison: ComparisonFact | None = None
    checks: tuple[CheckResult, ...] = ()
    """Of a changed or failed run, those that were not passed."""

    @property
    def causes(self) -> tuple[str, ...]:
        """Why it moved, a line a cause."""
        return () if self.comparison is None else tuple(cause.words for cause in self.comparison.causes)

    @property
    def distance(self) -> float:
        """How far its NAV is from the baseline's, as a fraction; 0 where that is not known."""
        largest = None if self.comparison is None else self.comparison.largest
        return 0.0 if largest is None or largest.relative is None else abs(largest.relative)

    @property
    def fails(self) -> bool:
        """Whether it keeps the gate shut by itself."""
        return self.status != "success"

    @property
    def limited(self) -> CheckResult | None:
        """A check out of its limit: that of NAV, which is what is looked at first, or the first."""
        checks = [check for check in self.checks if check.limit is not None]
        return next((check for check in checks if check.name == "nav"), checks[0] if checks else None)

    @property
    def not_deterministic(self) -> bool:
        """Whether it gave another result when executed again: then it is nothing to accept."""
        return any(check.name == "determinism" and check.verdict == "moved" for check in self.checks)

    @property
    def acceptable(self) -> bool:
        """Whether ``--finbot-accept`` with its name would take its result, as the batch file has it."""
        c = self.comparison
        return (
            self.verdict in ("moved", "new", "not_comparable")
            and not (c is not None and c.accepting)
            and not self.not_deterministic
            and not _SLICE.search(self.run)
        )


@dataclass(frozen=True, slots=True)
class RankedRun:
    """A configuration among others, and one metric of it.

    ``settings`` are those in which it differs from most of them.
    """

    run: str
    value: float
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Runs on the same symbols, window and capital with other settings: the best and the worst.

    ``metric`` is ``sharpe``, ``total_return`` or ``max_drawdown`` (fractions, drawdowns negative).
    ``best`` begins with the best, ``worst`` with the worst; no run is in both. ``runs`` are all of
    them, ``undefined`` those without the metric.
    """

    metric: str
    runs: int
    undefined: int
    best: tuple[RankedRun, ...]
    worst: tuple[RankedRun, ...]


@dataclass(frozen=True, slots=True)
class RankedGroup:
    """Configurations that can be compared with each other, with a ranking by each metric."""

    symbols: int
    start_date: str
    end_date: str
    rankings: tuple[Ranking, ...]


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """Which share of a batch file this is. ``present`` are the shards that are in it, from 1 on.

    ``plan`` is the hash of what all shards together run, ``runs`` how many runs each of them has.
    """

    count: int
    plan: str
    present: tuple[int, ...]
    runs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError for more shards than there can be: a stranger's count is gone through."""
        if not 1 <= self.count <= MOST_SHARDS:
            raise ValueError(f"there are {self.count:,} shards; expected 1 to {MOST_SHARDS:,}")

    @property
    def missing(self) -> tuple[int, ...]:
        present = frozenset(self.present)
        return tuple(number for number in range(1, self.count + 1) if number not in present)

    @property
    def words(self) -> str:
        """``shard 2/8``, of several ``shards 7 of 8``."""
        if len(self.present) == 1 and self.count > 1:
            return f"shard {self.present[0]}/{self.count}"
        return f"shards {len(self.present)} of {self.count}"


@dataclass(frozen=True, slots=True)
class PriceFacts:
    """What the runs had to do without, see :mod:`..price_facts`."""

    runs: tuple[RunPrices, ...] = ()
    not_listed: int = 0
    look_ahead_runs: int = 0
    look_ahead_named: tuple[str, ...] = ()
    odd_runs: int = 0
    odd: tuple[OddFinding, ...] = ()
    odd_not_listed: int = 0
    odd_not_told_apart: int = 0

    @property
    def anything(self) -> bool:
        return bool(self.runs or self.odd_runs)


@dataclass(frozen=True, slots=True)
class Report:
    """A batch, its runs in three lists, and what is counted of them.

    ``changed``: those whose comparison has something to tell, the furthest NAV first. ``failed``:
    those that failed by themselves, have no record, or have only a baseline. ``others``: the rest, in
    the order of the batch file.
    """

    batch: BatchFacts
    changed: tuple[RunFacts, ...] = ()
    changed_not_listed: int = 0
    failed: tuple[RunFacts, ...] = ()
    failed_not_listed: int = 0
    others: tuple[RunFacts, ...] = ()
    others_not_listed: int = 0
    near: int = 0
    """Runs within tolerance that use more than four fifths of a limit."""
    rankings: tuple[RankedGroup, ...] = ()
    rankings_not_listed: int = 0
    prices: PriceFacts = field(default_factory=PriceFacts)
    warnings: tuple[Warned, ...] = ()
    warnings_not_listed: int = 0
    shards: ShardFacts | None = None
    format: str = FORMAT
    version: int = VERSION
    made_by: str = f"pytest-finbot {pytest_finbot.__version__}"

    @property
    def verdict(self) -> ReportVerdict:
        """The batch in a word. ``incomplete``: runs, shards or its end are missing, or it has problems."""
        batch = self.batch
        if batch.problems or not batch.expected or batch.not_run or (self.shards and self.shards.missing):
            return "incomplete"
        if batch.status not in ("completed", "partial", "failed"):
            return "incomplete"
        if batch.errors:
            return "failed"
        if batch.regressions:
            return "changed"
        return "not_gated" if batch.gate is None or batch.unproven else "passed"

    @property
    def green(self) -> bool:
        """Whether the gate is open, as ``--finbot-fail-on`` would have it."""
        return self.batch.passes() and not (self.shards and self.shards.missing)

    @property
    def worst(self) -> RunFacts | None:
        """The changed run whose NAV is furthest from its baseline."""
        first = self.changed[0] if self.changed else None
        return first if first is not None and first.distance > 0 else None

    @property
    def moved(self) -> int:
        """Runs that moved and whose move fails or was accepted; waived ones are not counted."""
        return self._verdicts("moved")

    @property
    def new(self) -> int:
        return self._verdicts("new")

    @property
    def missing(self) -> int:
        """Baselines whose run is gone."""
        return 0 if self.batch.gate is None else len(self.batch.gate.missing)

    def _verdicts(self, name: str) -> int:
        return 0 if self.batch.gate is None else self.batch.gate.verdicts.get(name, 0)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; what is empty in a run is left out."""
        said = {one.name: getattr(self, one.name) for one in dataclasses.fields(self)}
        return {
            "format": said.pop("format"),
            "version": said.pop("version"),
            "made_by": said.pop("made_by"),
            **{name: _plain(value) for name, value in said.items()},
        }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for one in dataclasses.fields(value):
            child = getattr(value, one.name)
            if child == one.default or (one.default_factory is dict and not child):
                continue
            plain[one.name] = _plain(child)
        return plain
    if isinstance(value, Mapping):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return value
