"""What the phases of a batch's runs came to, and where its time went, counted while records stream by."""

from __future__ import annotations

import statistics
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_finbot.registry.left_out import left_out

_PROOF: Final = "checks"
_BUCKETS: Final = {"market_data": "loading", "simulate": "engine"}
"""Phases by what their time is told as; all others check what these made."""
_MOST_REASONS: Final = 20
"""Reasons for skipping a phase that are told apart; the rest is counted together."""
OTHER_REASONS: Final = "other reasons"


@dataclass(frozen=True, slots=True)
class PhaseFacts:
    """One phase over all recorded runs. ``runs`` executed it; seconds are those of these runs.

    Median, slowest and its run are ``None`` and empty where no run executed it. ``failures`` are
    among ``runs``; ``skips`` counts all others by reason.
    """

    name: str
    runs: int
    seconds_sum: float
    seconds_median: float | None
    slowest_seconds: float | None
    slowest_run: str
    failures: int
    skips: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TimeSpent:
    """Where the time of a session's workers went, in seconds of all of them together.

    ``loading``: phase market_data. ``engine``: simulate. ``checks``: all later phases.
    ``recording``: writing series and files. ``profiling``: writing profiles, where runs were
    profiled. ``waiting``: ``workers`` times the seconds from the batch's begin to its end, less all
    of these: what pytest does, other batches of the session, attempts before the last one, workers
    with nothing left to do.
    """

    loading: float
    engine: float
    checks: float
    recording: float
    waiting: float
    workers: int
    profiling: float = 0.0


@dataclass(slots=True)
class _Phase:
    seconds: array[float] = field(default_factory=lambda: array("d"))
    slowest: float = -1.0
    slowest_run: str = ""
    failures: int = 0
    skips: dict[str, int] = field(default_factory=dict)

    def skipped(self, reason: str) -> None:
        if reason not in self.skips and len(self.skips) >= _MOST_REASONS:
            reason = OTHER_REASONS
        self.skips[reason] = self.skips.get(reason, 0) + 1


class PhaseTally:
    """Counts phases of records one by one; eight bytes a run and phase are kept, for the median.

    ``since``: the time (ISO, as records have it) from which on a run's time is this session's.
    """

    def __init__(self, since: str = "") -> None:
        self._since = since
        self._phases: dict[str, _Phase] = {}
        self._spent = {"loading": 0.0, "engine": 0.0, "checks": 0.0, "recording": 0.0, "profiling": 0.0}
        self._workers: set[str] = set()
        self.unproven = 0
        """Runs whose ``checks`` were left out."""
        self._left_out: dict[str, None] = {}

    def passing(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """``records`` as they are, each counted."""
        for record in records:
            self.add(record)
            yield record

    def add(self, record: Mapping[str, Any]) -> None:
        """Count the phases of one record."""
        ours = (record.get("started_at") or "") >= self._since
        for phase in record.get("phases") or ():
            name, seconds = phase["name"], phase["seconds"]
            known = self._phases.get(name)
            if known is None:
                known = self._phases[name] = _Phase()
            if ours:
                self._spent[_BUCKETS.get(name, "checks")] += seconds
            if phase["status"] == "skipped":
                known.skipped(phase.get("reason") or "no reason recorded")
                continue
            known.failures += phase["status"] == "failed"
            known.seconds.append(seconds)
            if seconds > known.slowest:
                known.slowest, known.slowest_run = seconds, record["name"]
        if ours:
            timings = record.get("timings") or {}
            self._spent["recording"] += timings.get("recording", 0.0)
            self._spent["profiling"] += timings.get("profiling", 0.0)
            self._workers.add(record.get("worker") or "")
        if _PROOF in left_out(record):
            self.unproven += 1
            reason = next(phase["reason"] for phase in record["phases"] if phase["name"] == _PROOF)
            self._left_out[reason.removeprefix("not asked for ")] = None

    def problems(self) -> Iterator[str]:
        """What keeps the batch from being green: runs that were executed, and not checked."""
        if self.unproven:
            runs = "1 run" if self.unproven == 1 else f"{self.unproven:,} runs"
            asked = " ".join(self._left_out)
            yield f"phases were left out {asked}: nothing was proven or compared of {runs}"

    def phases(self) -> tuple[PhaseFacts, ...]:
        """The facts of each phase, in the order in which runs have them."""
        return tuple(
            PhaseFacts(
                name=name,
                runs=len(phase.seconds),
                seconds_sum=round(sum(phase.seconds), 6),
                seconds_median=round(statistics.median(phase.seconds), 6) if phase.seconds else None,
                slowest_seconds=phase.slowest if phase.seconds else None,
                slowest_run=phase.slowest_run,
                failures=phase.failures,
                skips=dict(sorted(phase.skips.items())),
            )
            for name, phase in self._phases.items()
        )

    def time_spent(self, seconds: float, workers: int | None = None) -> TimeSpent:
        """Where the time went of ``workers`` (default: those of the records) in ``seconds``."""
        count = max(workers or len(self._workers), 1)
        spent = {name: round(value, 3) for name, value in self._spent.items()}
        # Clocks are read at other moments here and there: a few microseconds less than nothing.
        waiting = max(count * seconds - sum(self._spent.values()), 0.0)
        return TimeSpent(**spent, waiting=round(waiting, 3), workers=count)
