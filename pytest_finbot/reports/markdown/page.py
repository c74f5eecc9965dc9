"""What the template of the batch's page knows beside the report itself: facts put together, no words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_finbot.baselines.facts import Curve
from pytest_finbot.baselines.metrics import PREFIX
from pytest_finbot.contracts import CheckResult
from pytest_finbot.reports.report import ComparisonFact, Report, RunFacts, Value
from pytest_finbot.reports.sparkline import GAP, sparkline

MOST_CHANGED: Final = 100
"""Runs in the table of those that changed; most of the rest are in ``batch_report.json``."""
MOST_DETAILED: Final = 25
MOST_RUNS: Final = 200
MOST_CAUSES: Final = 20
MOST_NAMED: Final = 10
MOST_CHARTS: Final = 3
MOST_POINTS: Final = 200
_SPARKS: Final = 40
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_METRICS: Final = ("sharpe", "max_drawdown", "trades")


KNOWN: Final = frozenset(
    (
        *(
            "report",
            "batch",
            "gate",
            "verdicts",
            "worst",
            "worst_run",
            "worst_drawn",
            "changed",
            "changed_left",
        ),
        *("then_and_now", "details", "details_left", "causes", "causes_left", "others"),
        *("others_left", "accept", "baseline_commits", "say"),
    )
)
"""Names that the page's templates know; ``say`` are the macros of ``batch_words.md.j2``."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """The difference in NAV as a line of blocks, and in words: its days, its least and greatest (bp)."""

    blocks: str
    first: str
    last: str
    least: float
    greatest: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A line in basis points for a diagram; ``span`` are its first and last day, empty where unknown."""

    span: str
    bp: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SharedCause:
    """A cause and the runs that moved with it; ``named`` are the first."""

    words: str
    runs: int
    named: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """A changed run in all that is known of it.

    ``limits`` are those of its metrics that moved, ``checks`` all other checks.
    """

    run: RunFacts
    comparison: ComparisonFact
    checks: tuple[CheckResult, ...]
    limits: Mapping[str, float | None]
    drawn: Drawn | None
    chart: Chart | None


def page_facts(report: Report) -> dict[str, Any]:
    """Names for the template, beside ``report`` and its ``batch``."""
    compared = [run for run in report.changed if run.comparison is not None]
    details = [_detail(run, number) for number, run in enumerate(compared[:MOST_DETAILED])]
    causes = _causes(compared)
    worst = report.worst
    return {
        "report": report,
        "batch": report.batch,
        "gate": report.batch.gate,
        "verdicts": {} if report.batch.gate is None else report.batch.gate.verdicts,
        "worst": None if worst is None else worst.comparison,
        "worst_run": None if worst is None else worst.run,
        "worst_drawn": None if worst is None or worst.comparison is None else drawn(worst.comparison.curve),
        "changed": report.changed[:MOST_CHANGED],
        "changed_left": max(len(report.changed) - MOST_CHANGED, 0) + report.changed_not_listed,
        "then_and_now": _then_and_now,
        "details": details,
        "details_left": max(len(compared) - MOST_DETAILED, 0),
        "causes": causes[:MOST_CAUSES],
        "causes_left": causes[MOST_CAUSES:],
        "others": report.others[:MOST_RUNS],
        "others_left": max(len(report.others) - MOST_RUNS, 0) + report.others_not_listed,
        "accept": _accept(report, compared),
        "baseline_commits": _commits(compared),
    }


def drawn(curve: Curve | None, width: int = _SPARKS) -> Drawn | None:
    """A curve as at most ``width`` blocks, each the furthest of its days; ``None`` without any number."""
    if curve is None:
        return None
    count = min(len(curve.bp), len(curve.sessions))
    known = [value for value in curve.bp[:count] if value is not None]
    if not known:
        return None
    parts = min(width, count)
    taken = [
        _furthest(curve.bp[number * count // parts : (number + 1) * count // parts])
        for number in range(parts)
    ]
    # Spaces would fall together, and those at the ends away.
    blocks = sparkline(taken).replace(GAP, "·")
    return Drawn(blocks, curve.sessions[0], curve.sessions[count - 1], min(known), max(known))


def _furthest(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known, key=abs) if known else None


def _chart(curve: Curve | None) -> Chart | None:
    if curve is None:
        return None
    known = [(day, value) for day, value in zip(curve.sessions, curve.bp, strict=False) if value is not None]
    if len(known) < 2:
        return None
    step = -(-len(known) // MOST_POINTS)
    ends = (known[0][0], known[-1][0])
    span = " to ".join(ends) if all(_DAY.fullmatch(day) for day in ends) else ""
    return Chart(span, tuple(value for _, value in known[::step]))


def _detail(run: RunFacts, number: int) -> Detail:
    assert run.comparison is not None, "only runs that were compared"
    curve = run.comparison.curve
    moved = {f"{PREFIX}{metric.name}" for metric in run.comparison.metrics}
    return Detail(
        run,
        run.comparison,
        tuple(check for check in run.checks if check.name not in moved),
        {check.name.removeprefix(PREFIX): check.limit for check in run.checks if check.name in moved},
        drawn(curve),
        _chart(curve) if number < MOST_CHARTS else None,
    )


def _then_and_now(run: RunFacts) -> list[tuple[str, Value, Value]]:
    """Sharpe ratio, drawdown and number of trades: of the baseline, where it is known, and now."""
    before: Mapping[str, Value] = {} if run.comparison is None else run.comparison.baseline_metrics
    return [(name, before.get(name), run.metrics.get(name)) for name in _METRICS]


def _causes(runs: Sequence[RunFacts]) -> list[SharedCause]:
    """The causes of most runs first; of as many, in the order of the runs."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for words in dict.fromkeys(run.causes):
            found.setdefault(words, []).append(run.run)
    return [
        SharedCause(words, len(names), tuple(names[:MOST_NAMED]))
        for words, names in sorted(found.items(), key=lambda one: -len(one[1]))
    ]


def _accept(report: Report, runs: Sequence[RunFacts]) -> str | None:
    """The command that accepts what moved or is new; ``None`` where nothing can be accepted."""
    gate = report.batch.gate
    if gate is None or gate.source.startswith("batch:"):
        return None
    there = {run.run for run in runs if run.acceptable}
    if not there:
        return None
    only = next(iter(there)) if len(there) == 1 and not report.changed_not_listed else "*"
    # What is no plain name is not put into a command that people copy.
    what = only if re.fullmatch(r"[A-Za-z0-9_.-]+", only) else "*"
    file = report.batch.file or report.batch.source
    known = re.fullmatch(r"[A-Za-z0-9_./-]+", file) and not file.startswith("-")
    return (
        f"pytest --finbot-batch {shlex.quote(file) if known else 'FILE'} --finbot-accept='{what}' "
        '--finbot-reason "…"'
    )


def _commits(runs: Sequence[RunFacts]) -> list[str]:
    """Commits at which the baselines of changed runs were accepted."""
    accepted = (run.comparison.accepted for run in runs if run.comparison is not None)
    return list(dict.fromkeys(one.commit for one in accepted if one is not None and one.commit))
