"""What executing one run came to, before anything of it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.contracts import (
    CheckResult,
    EngineResult,
    ErrorCategory,
    ErrorInfo,
    MarketData,
    PhaseResult,
    RunSpec,
    RunStatus,
    Verdict,
)

if TYPE_CHECKING:
    from pytest_finbot.baselines.facts import Comparison
    from pytest_finbot.baselines.judge import Gate
    from pytest_finbot.baselines.previous import EarlierRuns
    from pytest_finbot.valuation.books import Books
    from pytest_finbot.valuation.costs import CostAnalysis
    from pytest_finbot.valuation.risk import RiskAnalysis


@dataclass(slots=True, eq=False)
class RunOutcome:
    """Filled in phase by phase; what a phase did not reach stays empty."""

    spec: RunSpec
    gate: Gate | None = None
    """What it is compared with; ``None`` where nothing is gated."""
    reruns: int = 0
    """How often the run is executed again in fresh processes, to see that it gives the same."""
    proves: bool = True
    """Whether the phase ``checks`` was asked for; without it nothing is proven or compared."""
    phases: list[PhaseResult] = field(default_factory=list)
    market: MarketData | None = None
    result: EngineResult | None = None
    books: Books | None = None
    metrics: Mapping[str, float | int | str | None] = field(default_factory=dict)
    undefined_metrics: Mapping[str, str] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    risk: RiskAnalysis | None = None
    costs: CostAnalysis | None = None
    comparison: Comparison | None = None
    ladder: Mapping[str, Any] | None = None
    """What it and its reference differ by, split, see :mod:`..ladder`."""
    previous: EarlierRuns | None = None
    """What an ungated run is counted against."""
    counters: Mapping[str, int] = field(default_factory=dict)
    """What a phase had counted when it failed."""
    mark_notes: Mapping[str, Any] = field(default_factory=dict)
    data_notes: Mapping[str, Any] = field(default_factory=dict)
    """What is to be said of its prices, see :func:`..data_notes.data_notes`."""
    fingerprint: dict[str, Any] = field(default_factory=dict)
    errors: list[ErrorInfo] = field(default_factory=list)
    """One per failed phase, in order; the first is why the run failed."""

    @property
    def status(self) -> RunStatus:
        return RunStatus.FAILED if self.errors else RunStatus.SUCCESS

    @property
    def verdict(self) -> Verdict | None:
        """``error`` for a run that failed by itself, whatever the comparison said of it.

        ``skipped`` where it was not to be compared.
        """
        if self.gate is None:
            return None
        if not self.proves and not self.errors:
            return Verdict.SKIPPED
        if self.comparison is None or any(e.category is not ErrorCategory.REGRESSION for e in self.errors):
            return Verdict.ERROR
        if any(check.name == "determinism" and check.failed for check in self.checks):
            return Verdict.MOVED  # by itself, whatever it was compared with
        return self.comparison.verdict

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each output: see ``baselines.coverage.OUTPUTS``."""
        result = self.result
        if result is None:
            return {}
        return {
            "sessions": len(result.sessions),
            "positions": int(np.count_nonzero(result.quantity)),
            "fills": len(result.fills),
            "metrics": sum(value is not None for value in self.metrics.values()),
            "analytics": sum(made is not None for made in (self.metrics or None, self.risk, self.costs)),
        }

    @property
    def error(self) -> ErrorInfo | None:
        return self.errors[0] if self.errors else None
