"""Sums of what the reports of shards say of phases, time, prices, warnings and waivers."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from pytest_finbot.reports.facts import WaiverFacts
from pytest_finbot.reports.phase_facts import PhaseFacts, TimeSpent
from pytest_finbot.reports.price_facts import MOST_FINDINGS, MOST_NAMED, MOST_RUNS, OddFinding
from pytest_finbot.reports.report import PriceFacts, Report
from pytest_finbot.reports.warning_facts import MOST_WARNINGS, Warned

_STATES = ("unused", "active", "expired")
"""Of a waiver; the last one that any shard says is that of the batch."""


def phases(each: Sequence[Sequence[PhaseFacts]]) -> tuple[PhaseFacts, ...]:
    """Each phase over all shards. A median is that of the one shard that executed it, or unknown."""
    found: dict[str, list[PhaseFacts]] = {}
    for some in each:
        for phase in some:
            found.setdefault(phase.name, []).append(phase)
    return tuple(_phase(name, some) for name, some in found.items())


def _phase(name: str, each: Sequence[PhaseFacts]) -> PhaseFacts:
    executed = [phase for phase in each if phase.runs]
    slowest = max(executed, key=lambda phase: phase.slowest_seconds or 0.0, default=None)
    skips: Counter[str] = Counter()
    for phase in each:
        skips.update(phase.skips)
    return PhaseFacts(
        name=name,
        runs=sum(phase.runs for phase in each),
        seconds_sum=round(sum(phase.seconds_sum for phase in each), 6),
        seconds_median=executed[0].seconds_median if len(executed) == 1 else None,
        slowest_seconds=None if slowest is None else slowest.slowest_seconds,
        slowest_run="" if slowest is None else slowest.slowest_run,
        failures=sum(phase.failures for phase in each),
        skips=dict(sorted(skips.items())),
    )


def time_spent(each: Sequence[TimeSpent]) -> TimeSpent | None:
    """Added up, workers as well."""
    if not each:
        return None
    names = [one.name for one in dataclasses.fields(TimeSpent)]
    return TimeSpent(**{name: round(sum(getattr(one, name) for one in each), 3) for name in names})


def waivers(each: Sequence[Sequence[WaiverFacts]]) -> tuple[WaiverFacts, ...]:
    """Each waiver once: in use where any shard uses it, expired where it is for any."""
    found: dict[WaiverFacts, str] = {}
    for some in each:
        for waiver in some:
            same = dataclasses.replace(waiver, state="")
            found[same] = max(found.get(same, "unused"), waiver.state, key=_weight)
    return tuple(dataclasses.replace(waiver, state=state) for waiver, state in found.items())


def _weight(state: str) -> int:
    return _STATES.index(state) if state in _STATES else len(_STATES)


def prices(each: Sequence[PriceFacts]) -> PriceFacts:
    """What runs had to do without, added up; the same odd finding of several shards once."""
    runs = [run for one in each for run in one.runs]
    odd: dict[tuple[str, str], OddFinding] = {}
    for one in each:
        for finding in one.odd:
            key = (finding.kind, finding.message)
            known = odd.get(key)
            more = 0 if known is None else known.runs
            odd[key] = dataclasses.replace(known or finding, runs=finding.runs + more)
    ordered = sorted(odd.values(), key=lambda finding: (-finding.runs, finding.message))
    return PriceFacts(
        runs=tuple(runs[:MOST_RUNS]),
        not_listed=sum(one.not_listed for one in each) + max(len(runs) - MOST_RUNS, 0),
        look_ahead_runs=sum(one.look_ahead_runs for one in each),
        look_ahead_named=tuple(name for one in each for name in one.look_ahead_named)[:MOST_NAMED],
        odd_runs=sum(one.odd_runs for one in each),
        odd=tuple(ordered[:MOST_FINDINGS]),
        odd_not_listed=sum(one.odd_not_listed for one in each) + max(len(ordered) - MOST_FINDINGS, 0),
        odd_not_told_apart=sum(one.odd_not_told_apart for one in each),
    )


def warnings(each: Sequence[Report]) -> tuple[tuple[Warned, ...], int]:
    """Those of most runs, and how many others are not listed."""
    found: dict[str, Warned] = {}
    for report in each:
        for warned in report.warnings:
            known = found.get(warned.message)
            more = 0 if known is None else known.runs
            found[warned.message] = dataclasses.replace(known or warned, runs=warned.runs + more)
    ordered = sorted(found.values(), key=lambda warned: -warned.runs)
    left = sum(report.warnings_not_listed for report in each) + max(len(ordered) - MOST_WARNINGS, 0)
    return tuple(ordered[:MOST_WARNINGS]), left
