"""What the batch summary knows. Facts only; the templates hold the words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_finbot.reports.rows import SummaryRow

MAX_LISTED = 200
"""Runs listed in Markdown; the rest is in the CSV and JSON beside it, and is said to be."""

NOT_GATED = (
    "Nothing is gated: this batch compares with no baseline. A run that moved is recorded, not caught."
)


@dataclass(frozen=True, slots=True)
class BatchFacts:
    """A batch as a whole, as folded from the registry."""

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
    provenance: Mapping[str, Any]
    gate: str = NOT_GATED

    @property
    def runs_per_second(self) -> float | None:
        return self.recorded / self.seconds if self.seconds > 0 else None


@dataclass(slots=True)
class Listing:
    """The runs a person reads about first, gathered while the rows stream by."""

    failed: list[SummaryRow] = field(default_factory=list)
    succeeded: list[SummaryRow] = field(default_factory=list)
    not_listed_failed: int = 0
    not_listed_succeeded: int = 0

    def add(self, row: SummaryRow) -> None:
        """Keep ``row`` if there is room; count it otherwise."""
        if row.status == "success":
            if len(self.succeeded) < MAX_LISTED:
                self.succeeded.append(row)
            else:
                self.not_listed_succeeded += 1
        elif len(self.failed) < MAX_LISTED:
            self.failed.append(row)
        else:
            self.not_listed_failed += 1
