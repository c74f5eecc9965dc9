"""What runs warned of, the same words of many runs once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MOST_WARNINGS: Final = 20
_MOST_KEPT: Final = 10_000
"""Warnings that are told apart while rows stream by; what comes after them is counted together."""
_TOLD: Final = "data.missing: "
"""How warnings begin that the section on prices tells of its own."""


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning; ``runs`` counts those that have it, ``run`` is the first."""

    message: str
    runs: int
    run: str


@dataclass(slots=True)
class WarningTally:
    """Counts warnings of records one by one; memory is bounded."""

    not_told_apart: int = 0
    _seen: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count what a record warns of, but for what is told as odd or missing prices."""
        warnings = record.get("warnings") or ()
        if not warnings:
            return
        odd = {each["message"] for each in (record.get("data_notes") or {}).get("odd") or ()}
        for message in dict.fromkeys(warnings):
            if message in odd or message.startswith(_TOLD):
                continue
            count, run = self._seen.get(message, (0, record["name"]))
            if count or len(self._seen) < _MOST_KEPT:
                self._seen[message] = (count + 1, run)
            else:
                self.not_told_apart += 1

    @property
    def listed(self) -> tuple[Warned, ...]:
        """Those of most runs, at most :data:`MOST_WARNINGS`; of as many, in order of their first run."""
        order = sorted(self._seen.items(), key=lambda entry: -entry[1][0])
        return tuple(Warned(message, count, run) for message, (count, run) in order[:MOST_WARNINGS])

    @property
    def not_listed(self) -> int:
        """Warnings that :attr:`listed` leaves out."""
        return max(len(self._seen) - MOST_WARNINGS, 0) + self.not_told_apart
