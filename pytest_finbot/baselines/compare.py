"""A result against its baseline: every check, the verdict, and where the two part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pytest_finbot.baselines.align import Pair, align
from pytest_finbot.baselines.coverage import check_coverage, counts_of
from pytest_finbot.baselines.curve import curve_of
from pytest_finbot.baselines.facts import Comparison, Difference, PositionMove, finite, why_not_comparable
from pytest_finbot.baselines.fills import compare_fills
from pytest_finbot.baselines.metrics import compare_metrics, limit_of
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.series import NOISE, SeriesOutcome, compare_series, distances
from pytest_finbot.baselines.size import course, final_difference, largest_difference, nav_difference
from pytest_finbot.contracts import SERIES_CHECKS, CheckResult, FloatArray, Limit, Verdict
from pytest_finbot.tolerances import Tolerances

MOST_POSITIONS = 10
"""Assets listed at the first session; the rest is counted."""


def compare(
    now: RunResult,
    baseline: RunResult,
    tolerances: Tolerances,
    *,
    why_fewer: Callable[[], str | None] = lambda: None,
) -> Comparison:
    """Compare ``now`` with ``baseline``: facts of the comparison, without causes or provenance.

    Identical: every value equal, also of what is not held to a limit. Within: every held
    check within its limit. Moved: one is not, for better or worse. Not comparable: one could
    not be made, or none was. ``why_fewer`` is asked for a reason where there are fewer rows.
    """
    pair = align(now, baseline)
    series = compare_series(pair, tolerances)
    fills_check, first_fill = compare_fills(pair, tolerances)
    metric_checks, metric_moves = compare_metrics(now, baseline, tolerances)
    checks = [_sessions(pair), *_coverage(now, baseline, tolerances, why_fewer)]
    checks += [outcome.check for outcome in series]
    if fills_check is not None:
        checks.append(fills_check)
    checks += metric_checks
    verdict, reason = _verdict(checks, _is_held(checks, now, baseline, tolerances))
    if verdict in (Verdict.IDENTICAL, Verdict.WITHIN):
        return Comparison(
            verdict, tolerances.spec.preset, tolerances.informational, tuple(checks), reason=reason
        )
    day, first_checks = _first_session(checks)
    row = _row(pair, day)
    noise = _first_noise(series)
    if day is None and noise is not None:
        row, day = noise, str(pair.sessions[noise])
    positions = [] if row is None else _positions(pair, row, tolerances)
    nav_limit = tolerances.of_series("nav")
    return Comparison(
        verdict,
        tolerances.spec.preset,
        tolerances.informational,
        tuple(checks),
        reason=reason,
        first_session=day,
        first_checks=first_checks,
        nav_at_first=None if row is None else nav_difference(pair, row),
        cash_at_first=None if row is None else _cash(pair, row),
        positions=tuple(positions[:MOST_POSITIONS]),
        positions_not_listed=max(len(positions) - MOST_POSITIONS, 0),
        first_fill=first_fill,
        largest=largest_difference(pair),
        final=final_difference(now, baseline),
        course=None if noise is None else course(pair, noise, NOISE if nav_limit is None else nav_limit.rtol),
        curve=curve_of(pair),
        metrics=tuple(metric_moves),
        baseline_metrics={
            name: finite(value) if isinstance(value, float) else value
            for name, value in baseline.metrics.items()
        },
        baseline=baseline,
    )


def _sessions(pair: Pair) -> CheckResult:
    if pair.same_sessions:
        return CheckResult("sessions", Verdict.IDENTICAL)
    first = min(str(days[0]) for days in (pair.missing, pair.added) if len(days))
    gone, new = len(pair.missing), len(pair.added)
    parts = [f"{gone:,} of the baseline's are gone"] if gone else []
    if new:
        parts.append(f"{new:,} are new")
    side = "is not in this result" if gone and first == str(pair.missing[0]) else "is not in the baseline"
    return CheckResult(
        "sessions", Verdict.MOVED, f"sessions: {', '.join(parts)}; {first} {side}", session=first
    )


def _coverage(
    now: RunResult, baseline: RunResult, tolerances: Tolerances, why_fewer: Callable[[], str | None]
) -> list[CheckResult]:
    """The rows of both, where there are other ones: equal numbers are no check of their own."""
    here, before = counts_of(now), counts_of(baseline)
    if here == before:
        return []
    reason = why_fewer() if any(here[name] < before[name] for name in here.keys() & before) else None
    return [check_coverage(here, before, of="the baseline", tolerances=tolerances, reason=reason)]


def _is_held(
    checks: Sequence[CheckResult], now: RunResult, baseline: RunResult, tolerances: Tolerances
) -> bool:
    """Whether anything but the sessions was compared by a limit: what is only looked at proves nothing."""
    series = (check.name for check in checks if check.name in SERIES_CHECKS)
    metrics = (name for name in baseline.metrics if name in now.metrics)
    return any(tolerances.of_series(name) is not None for name in series) or any(
        limit_of(name, tolerances) is not None for name in metrics
    )


def _verdict(checks: Sequence[CheckResult], held: bool) -> tuple[Verdict, str | None]:
    """The run's verdict, and why where nothing could be said."""
    found = {check.verdict for check in checks}
    if Verdict.MOVED in found:
        return Verdict.MOVED, None
    if Verdict.NOT_COMPARABLE in found:
        return Verdict.NOT_COMPARABLE, why_not_comparable(checks)
    if found == {Verdict.IDENTICAL}:
        return Verdict.IDENTICAL, None
    if not held:
        return Verdict.NOT_COMPARABLE, "no check holds this run to anything; give checks a limit"
    return Verdict.WITHIN, None


def _first_session(checks: Sequence[CheckResult]) -> tuple[str | None, tuple[str, ...]]:
    """The first session out of tolerance, and the checks that leave theirs there."""
    dated = [
        (check.session, check.name) for check in checks if check.session and check.verdict is Verdict.MOVED
    ]
    if not dated:
        return None, ()
    day = min(session for session, _ in dated)
    return day, tuple(name for session, name in dated if session == day)


def _first_noise(series: Sequence[SeriesOutcome]) -> int | None:
    rows = [outcome.noise for outcome in series if outcome.noise is not None]
    return min(rows) if rows else None


def _row(pair: Pair, day: str | None) -> int | None:
    if day is None or not len(pair.sessions):
        return None
    row = int(np.searchsorted(pair.sessions, np.datetime64(day, "D")))
    found = row < len(pair.sessions) and str(pair.sessions[row]) == day
    return row if found else None


def _cash(pair: Pair, row: int) -> Difference | None:
    now, baseline = pair.now.cash, pair.baseline.cash
    if now is None or baseline is None:
        return None
    return Difference.of(
        str(pair.sessions[row]), float(baseline[row]), float(now[row]), float(pair.scale[row])
    )


def _positions(pair: Pair, row: int, tolerances: Tolerances) -> list[PositionMove]:
    """Assets whose market value or quantity differs at ``row``, the largest difference first."""
    unknown = np.full(len(pair.assets), np.nan)
    differs = np.zeros(len(pair.assets), dtype=bool)
    size = np.zeros(len(pair.assets))
    known: dict[str, tuple[FloatArray, FloatArray]] = {}
    for name, scale in (("quantity", pair.quantity_scale), ("market_values", pair.scale[row])):
        now, baseline = getattr(pair.now, name), getattr(pair.baseline, name)
        if now is None or baseline is None:
            known[name] = (unknown, unknown)
            continue
        known[name] = (baseline[row], now[row])
        distance = distances(now[row], baseline[row])
        if distance is not None:
            limit = tolerances.of_series(name) or Limit(rtol=NOISE)
            differs |= distance > limit.atol + limit.rtol * scale
            size = distance  # of market values, where they are known
    order = sorted(np.flatnonzero(differs).tolist(), key=lambda n: (-size[n], pair.assets[n]))
    values, quantities = known["market_values"], known["quantity"]
    return [
        PositionMove(
            pair.assets[n],
            finite(values[0][n]),
            finite(values[1][n]),
            finite(quantities[0][n]),
            finite(quantities[1][n]),
        )
        for n in order
    ]
