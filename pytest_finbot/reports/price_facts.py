"""What runs had to do without: prices that were missing, marks that are old, findings that are odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MOST_RUNS: Final = 50
"""Runs that are listed; the others are counted."""
MOST_FINDINGS: Final = 20
_MOST_KEPT: Final = 10_000
"""Findings that are told apart while rows stream by; what comes after them is counted together."""
MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class RunPrices:
    """What became of one run's missing prices and marks. Counts; sessions are ISO dates.

    ``filled`` counts prices that ``policy`` put in (``error`` puts in none), of the symbols
    ``symbols`` (the first five) and ``more_symbols`` others; ``dropped`` sessions that it left out;
    ``first`` is the first session that it touched. ``look_ahead``: what was put in was known only
    later. ``fallbacks`` counts positions valued at the price of an earlier session,
    ``look_ahead_marks`` those at a price known only later, ``unmarked`` those with no valid mark;
    ``first_fallback`` and ``first_unmarked`` are the first of each as the record has it.
    """

    run: str
    policy: str
    filled: int
    symbols: tuple[str, ...]
    more_symbols: int
    dropped: int
    first: str
    look_ahead: bool
    fallbacks: int
    look_ahead_marks: int
    unmarked: int
    first_fallback: Mapping[str, Any] | None
    first_unmarked: Mapping[str, Any] | None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> RunPrices | None:
        """The facts of a record; ``None`` where nothing was missing."""
        missing = (record.get("data_notes") or {}).get("missing") or {}
        marks = record.get("mark_notes") or {}
        filled = missing.get("filled") or {}
        symbols = tuple(filled)
        facts = cls(
            run=record["name"],
            policy=missing.get("policy") or "error",
            filled=sum(filled.values()),
            symbols=symbols[:MOST_NAMED],
            more_symbols=max(len(symbols) - MOST_NAMED, 0),
            dropped=missing.get("dropped_count") or 0,
            first=missing.get("first") or "",
            look_ahead=bool(missing.get("look_ahead")) and bool(filled),
            fallbacks=marks.get("fallback_count") or 0,
            look_ahead_marks=marks.get("look_ahead_count") or 0,
            unmarked=marks.get("unmarked_count") or 0,
            first_fallback=next(iter(marks.get("fallbacks") or ()), None),
            first_unmarked=next(iter(marks.get("unmarked") or ()), None),
        )
        told = (facts.filled, facts.dropped, facts.fallbacks, facts.look_ahead_marks, facts.unmarked)
        return facts if any(told) else None


@dataclass(frozen=True, slots=True)
class OddFinding:
    """One odd finding, ``runs`` of which have it; ``run`` is the first."""

    kind: str
    message: str
    runs: int
    run: str


@dataclass(slots=True)
class _Seen:
    kind: str
    run: str
    runs: int = 0


@dataclass(slots=True)
class PriceTally:
    """Counts missing prices, marks and odd findings of records one by one; memory is bounded."""

    runs: list[RunPrices] = field(default_factory=list)
    """The first :data:`MOST_RUNS` of which something was missing."""
    not_listed: int = 0
    look_ahead_runs: int = 0
    look_ahead_named: list[str] = field(default_factory=list)
    odd_runs: int = 0
    """Runs whose prices have an odd finding."""
    odd_not_told_apart: int = 0
    """Findings of runs beyond those that a record names, or that could be told apart."""
    _odd: dict[str, _Seen] = field(default_factory=dict)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record."""
        facts = RunPrices.of_record(record)
        if facts is not None:
            if facts.look_ahead or facts.look_ahead_marks:
                self.look_ahead_runs += 1
                if len(self.look_ahead_named) < MOST_NAMED:
                    self.look_ahead_named.append(facts.run)
            if len(self.runs) < MOST_RUNS:
                self.runs.append(facts)
            else:
                self.not_listed += 1
        notes = record.get("data_notes") or {}
        odd = notes.get("odd") or ()
        if not odd:
            return
        self.odd_runs += 1
        self.odd_not_told_apart += max((notes.get("odd_count") or 0) - len(odd), 0)
        for message, kind in {each["message"]: each["kind"] for each in odd}.items():
            seen = self._odd.get(message)
            if seen is None:
                if len(self._odd) >= _MOST_KEPT:
                    self.odd_not_told_apart += 1
                    continue
                seen = self._odd[message] = _Seen(kind, record["name"])
            seen.runs += 1

    @property
    def anything(self) -> bool:
        return bool(self.runs or self.odd_runs)

    @property
    def odd(self) -> tuple[OddFinding, ...]:
        """The findings of most runs, at most :data:`MOST_FINDINGS`."""
        order = sorted(self._odd.items(), key=lambda entry: (-entry[1].runs, entry[0]))
        return tuple(
            OddFinding(seen.kind, message, seen.runs, seen.run) for message, seen in order[:MOST_FINDINGS]
        )

    @property
    def odd_not_listed(self) -> int:
        """Different findings that :attr:`odd` leaves out."""
        return max(len(self._odd) - MOST_FINDINGS, 0)

    def to_json(self) -> dict[str, Any]:
        """Counts for programs; what each run had to do without is in its own record."""
        return {
            "runs_with_missing_prices": len(self.runs) + self.not_listed,
            "look_ahead_runs": self.look_ahead_runs,
            "odd_runs": self.odd_runs,
            "odd_not_listed": self.odd_not_listed,
            "odd_not_told_apart": self.odd_not_told_apart,
        }
