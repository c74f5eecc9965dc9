"""What the batch summary knows. Facts only; the templates hold the words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.reports.compared import ComparedFacts
from pytest_finbot.reports.phase_facts import PhaseFacts, TimeSpent
from pytest_finbot.reports.stitched import StitchedFacts

NOT_GATED = (
    "Nothing is gated: this batch compares with no baseline. A run that moved is recorded, not caught."
)


@dataclass(frozen=True, slots=True)
class WaiverFacts:
    """A waiver as reports show it: ``active``, ``expired``, or ``unused`` by any run compared."""

    run: str
    check: str
    reason: str
    reviewer: str
    expires: str
    link: str
    state: str
    where: str


@dataclass(frozen=True, slots=True)
class GateFacts:
    """What the batch was compared with, and what came of it."""

    source: str
    fail_on: str
    verdicts: Mapping[str, int]
    missing: tuple[str, ...] = ()
    """Runs with a baseline that are no longer in the batch file."""
    waivers: tuple[WaiverFacts, ...] = ()
    accepted: tuple[str, ...] = ()
    """What accepting changed, a line each."""
    refused: tuple[str, ...] = ()
    unchanged: int = 0

    @property
    def expired(self) -> tuple[WaiverFacts, ...]:
        return tuple(waiver for waiver in self.waivers if waiver.state == "expired")

    @property
    def unused(self) -> tuple[WaiverFacts, ...]:
        return tuple(waiver for waiver in self.waivers if waiver.state == "unused")


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch as a whole, as folded from the registry. ``gate`` is ``None`` where nothing is gated."""

    batch_id: str
    batch_name: str
    description: str
    source: str
    status: str
    started_at: str
    finished_at: str
    seconds: float
    expected: int
    recorded: int
    success: int
    failed: int
    not_run: int
    deselected: int
    error_categories: Mapping[str, int]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    """What is not as usual, and costs nothing that was recorded."""
    provenance: Mapping[str, Any]
    gate: GateFacts | None = None
    unproven: int = 0
    """Runs whose checks were left out (``--finbot-phase``): executed, and nothing else."""
    phases: tuple[PhaseFacts, ...] = ()
    time_spent: TimeSpent | None = None
    """Of the runs that this session executed."""
    stitched: tuple[StitchedFacts, ...] = ()
    """Parts of runs that were put together again, and those that could not be."""
    compared: tuple[ComparedFacts, ...] = ()
    """Runs that were held against another run of the batch, and those that could not be."""
    fail_on: str = "any"
    """What closes the gate, see ``--finbot-fail-on``."""
    file: str = ""
    """The batch file as messages name it: relative to pytest's root folder, with forward slashes."""
    empty_share: bool = False
    """One of more shards than runs (``--finbot-shard``): that nothing is expected is as it should be."""
    summing_up: float | None = None
    """Seconds from the end of the last run until all rows of the summary had passed."""

    @property
    def runs_per_second(self) -> float | None:
        return self.recorded / self.seconds if self.seconds > 0 else None

    @property
    def regressions(self) -> int:
        """What the gate closed on: runs that moved, are new, not comparable, missing; waivers that expired;
        comparisons with another run that are to be within their limits, and are not."""
        failed = self.error_categories.get("regression", 0) + self.too_far_apart
        return failed if self.gate is None else failed + len(self.gate.missing) + len(self.gate.expired)

    @property
    def too_far_apart(self) -> int:
        """Runs out of tolerance against another run, or not comparable with it, where that is gated."""
        return sum(one.fails for one in self.compared)

    @property
    def errors(self) -> int:
        """Runs that failed by themselves, or whose baseline cannot be read."""
        own = self.failed - self.error_categories.get("regression", 0)
        return own if self.gate is None else max(own, self.gate.verdicts.get("error", 0))

    def passes(self, fail_on: str | None = None) -> bool:
        """Whether the gate is open under ``fail_on``, the batch's own by default.

        What cannot be read or written, and what was not run, closes it, whatever was asked for.
        """
        if self.problems or self.not_run or (self.expected == 0 and not self.empty_share):
            return False  # what was not run was neither proven nor compared, whatever is excused
        match fail_on or self.fail_on:
            case "never":
                return True
            case "all-failed":
                return self.success > 0 or self.empty_share
            case "error":
                return self.errors == 0
            case "regression":
                return self.regressions == 0
            case _:
                whole = self.status == BatchStatus.COMPLETED or self.empty_share
                return whole and self.regressions == 0

    @property
    def gate_words(self) -> str:
        """One sentence on what was compared."""
        if self.gate is None:
            return NOT_GATED
        counts = [f"{number:,} {name.replace('_', ' ')}" for name, number in self.gate.verdicts.items()]
        if self.gate.missing:
            counts.append(f"{len(self.gate.missing):,} missing")
        return f"Compared with {self.gate.source}: {', '.join(counts) or 'no run'}."
