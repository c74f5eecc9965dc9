"""Moves somebody answers for until a day."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import date
from fnmatch import fnmatchcase

from pytest_finbot.baselines.facts import Comparison, why_not_comparable
from pytest_finbot.contracts import CheckResult, Verdict, Waiver


def expired(waivers: Iterable[Waiver], today: date) -> tuple[Waiver, ...]:
    """Those whose last day is over."""
    return tuple(waiver for waiver in waivers if waiver.expires < today)


def waive(comparison: Comparison, run: str, waivers: Sequence[Waiver], today: date) -> Comparison:
    """``comparison`` with the moves of ``run`` that a waiver in force excuses.

    The run is waived if that leaves no moved check, and not comparable if it leaves one that
    could not be made; its facts stay as they are. An expired waiver excuses nothing.
    """
    if comparison.verdict is not Verdict.MOVED:
        return comparison
    used: dict[int, Waiver] = {}
    checks: list[CheckResult] = []
    for check in comparison.checks:
        numbers = _waivers_of(run, check, waivers, today)
        if numbers:
            # Of several that excuse the same, none is of no use.
            used.update((number, waivers[number]) for number in numbers)
            check = dataclasses.replace(check, verdict=Verdict.WAIVED)
        checks.append(check)
    if not used:
        return comparison
    left = {check.verdict for check in checks}
    verdict = next((v for v in (Verdict.MOVED, Verdict.NOT_COMPARABLE) if v in left), Verdict.WAIVED)
    return dataclasses.replace(
        comparison,
        verdict=verdict,
        reason=why_not_comparable(checks) if verdict is Verdict.NOT_COMPARABLE else comparison.reason,
        checks=tuple(checks),
        waived_by=tuple(describe(used[number]) for number in sorted(used)),
        waivers=tuple(sorted(used)),
    )


def describe(waiver: Waiver) -> str:
    """Who excuses what, why, and until when, in words."""
    link = f", {waiver.link}" if waiver.link else ""
    return f"{waiver.reason} ({waiver.reviewer}{link}; until {waiver.expires})"


def _waivers_of(run: str, check: CheckResult, waivers: Sequence[Waiver], today: date) -> list[int]:
    if check.verdict is not Verdict.MOVED:
        return []
    return [
        number
        for number, waiver in enumerate(waivers)
        if waiver.expires >= today and fnmatchcase(run, waiver.run) and fnmatchcase(check.name, waiver.check)
    ]
