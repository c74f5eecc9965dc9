"""What is to be said of row counts that fail nothing: less with a reason, and what was not counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_finbot.baselines.coverage import NAME
from pytest_finbot.baselines.previous import NO_EARLIER
from pytest_finbot.contracts import Verdict


@dataclass(slots=True)
class CoverageTally:
    """Counts coverage checks of records as they pass by."""

    fewer: int = 0
    first_fewer: str = ""
    uncounted: dict[str, int] = field(default_factory=dict)
    """Runs by why they were not counted."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Count the coverage check of one record."""
        for check in record.get("checks") or ():
            if check.get("name") != NAME:
                continue
            message = check.get("message") or ""
            if check.get("verdict") == Verdict.SKIPPED and _worth_saying(message):
                self.uncounted[message] = self.uncounted.get(message, 0) + 1
            elif check.get("verdict") == Verdict.WITHIN and message:
                self.fewer += 1
                self.first_fewer = self.first_fewer or f"{record['name']}: {message}"

    def notes(self) -> Iterator[str]:
        """A line each."""
        if self.fewer:
            yield f"coverage: {_runs(self.fewer)} fewer rows than before; the first is {self.first_fewer}"
        for why, count in list(self.uncounted.items())[:5]:
            yield f"coverage: {_runs(count)} not been counted against anything: {why}"
        if len(self.uncounted) > 5:
            yield f"coverage: and {len(self.uncounted) - 5} more reasons not to count, in the records"


def _worth_saying(message: str) -> bool:
    """A first result has nothing before it, and who switches a check off knows that."""
    return message != NO_EARLIER and not message.startswith("switched off")


def _runs(count: int) -> str:
    return "1 run has" if count == 1 else f"{count:,} runs have"
