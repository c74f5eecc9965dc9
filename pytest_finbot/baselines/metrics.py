"""Metrics by their limits, and whether a move is for the better."""

from __future__ import annotations

import math

from pytest_finbot.baselines.facts import Judgement, MetricMove
from pytest_finbot.baselines.results import MetricValue, RunResult
from pytest_finbot.contracts import CheckResult, Limit, Verdict
from pytest_finbot.tolerances import Tolerances, allowed
from pytest_finbot.valuation.metric_kinds import METRIC_KINDS, Direction, Unit

PREFIX = "metrics."
"""Of the names of these checks."""


def compare_metrics(
    now: RunResult, baseline: RunResult, tolerances: Tolerances
) -> tuple[list[CheckResult], list[MetricMove]]:
    """A check ``metrics.<name>`` for each that is not identical, and the moves among them.

    One check ``metrics`` stands for all those that are. A metric that only one side has: gone
    is moved; new is skipped, for a baseline cannot hold what was not measured yet, unless the
    batch file asks for that metric by name, which makes it not comparable. So is one that it
    asks for and neither side has.
    """
    checks: list[CheckResult] = []
    moves: list[MetricMove] = []
    identical = 0
    asked = [
        check.removeprefix(PREFIX)
        for check, limit in tolerances.spec.limits.items()
        if check.startswith(PREFIX) and limit is not None
    ]
    for name in dict.fromkeys((*baseline.metrics, *now.metrics, *asked)):
        check, move = _compare(name, now, baseline, tolerances)
        if check.verdict is Verdict.IDENTICAL:
            identical += 1
        else:
            checks.append(check)
        if move is not None:
            moves.append(move)
    if identical:
        checks.insert(0, CheckResult("metrics", Verdict.IDENTICAL, f"{identical} metrics"))
    return checks, moves


def limit_of(name: str, tolerances: Tolerances) -> Limit | None:
    """Limit of the metric ``name``; ``None`` where it is not held to its baseline."""
    kind = METRIC_KINDS.get(name)
    return tolerances.of_metric(name, is_date=kind is not None and kind.unit is Unit.DATE)


def _compare(
    name: str, now: RunResult, baseline: RunResult, tolerances: Tolerances
) -> tuple[CheckResult, MetricMove | None]:
    key = f"{PREFIX}{name}"
    limit = limit_of(name, tolerances)
    if name not in baseline.metrics:
        if key in tolerances.spec.limits and limit is not None:
            return CheckResult(key, Verdict.NOT_COMPARABLE, "the baseline has no such metric"), None
        return CheckResult(key, Verdict.SKIPPED, "the baseline has no such metric"), None
    old, new = baseline.metrics[name], now.metrics.get(name)
    if name in now.metrics and _same(old, new):
        return CheckResult(key, Verdict.IDENTICAL), None
    if limit is None:
        return CheckResult(key, Verdict.SKIPPED, f"differs; {tolerances.why_not_held(key)}"), None
    distance = _distance(old, new)
    # Infinity allows nothing: any number would be within a fraction of it.
    bound = allowed(limit, old) if isinstance(old, int | float) and math.isfinite(old) else 0.0
    if distance <= bound:
        return CheckResult(key, Verdict.WITHIN, value=distance, limit=bound), None
    move = MetricMove(name, _finite(old), _finite(new), _judge(name, old, new))
    why = _spelled(name, new, now) if name in now.metrics else "gone"
    check = CheckResult(
        key,
        Verdict.MOVED,
        f"{_spelled(name, old, baseline)} → {why} ({move.judgement})",
        value=distance if math.isfinite(distance) else None,
        limit=bound,
    )
    return check, move


def _same(old: MetricValue, new: MetricValue) -> bool:
    if isinstance(old, float) and isinstance(new, float) and math.isnan(old) and math.isnan(new):
        return True
    return old == new


def _distance(old: MetricValue, new: MetricValue) -> float:
    """``|new - old|``; infinite where either is no number."""
    if isinstance(old, int | float) and isinstance(new, int | float):
        distance = abs(new - old)
        return distance if math.isfinite(distance) else math.inf
    return math.inf


def _judge(name: str, old: MetricValue, new: MetricValue) -> Judgement:
    kind = METRIC_KINDS.get(name)
    if kind is None or kind.direction is Direction.NONE:
        return "changed"
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return "changed"
    return "better" if (new > old) == (kind.direction is Direction.HIGHER) else "worse"


def _spelled(name: str, value: MetricValue, result: RunResult) -> str:
    if value is None:
        return f"undefined ({result.undefined.get(name, 'no reason given')})"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _finite(value: MetricValue) -> MetricValue:
    return None if isinstance(value, float) and not math.isfinite(value) else value
