"""Daily series point by point: identical, within the limit, or out of it since which session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.baselines.align import Pair
from pytest_finbot.contracts import CheckResult, FloatArray, Limit, Verdict
from pytest_finbot.tolerances import BP, Tolerances

NOISE = 1e-9
"""A difference up to this fraction of its scale is no divergence to look for."""

_SERIES = ("nav", "cash", "market_values", "quantity")
_WORDS = {"nav": "NAV", "cash": "cash", "market_values": "market values", "quantity": "quantities"}


@dataclass(frozen=True, slots=True, eq=False)
class SeriesOutcome:
    """One series compared. ``first`` and ``noise`` are rows: out of the limit, and beyond noise."""

    check: CheckResult
    first: int | None = None
    noise: int | None = None


def compare_series(pair: Pair, tolerances: Tolerances) -> list[SeriesOutcome]:
    """NAV, cash, market values and quantities, in this order.

    What neither side has is passed over, unless the batch file gives it a limit of its own.
    """
    outcomes = []
    for name in _SERIES:
        now, baseline = getattr(pair.now, name), getattr(pair.baseline, name)
        if now is None and baseline is None and tolerances.spec.limits.get(name) is None:
            continue
        if now is None or baseline is None:
            which = "this result" if now is None else "the baseline"
            outcomes.append(_incomparable(name, f"{which} has no {_WORDS[name]}", tolerances))
        elif not len(pair.sessions):
            outcomes.append(_incomparable(name, "no session is in both results", tolerances))
        else:
            outcomes.append(_compare(name, now, baseline, pair, tolerances))
    return outcomes


def _incomparable(name: str, why: str, tolerances: Tolerances) -> SeriesOutcome:
    if tolerances.of_series(name) is None:
        return SeriesOutcome(CheckResult(name, Verdict.SKIPPED, tolerances.why_not_held(name)))
    return SeriesOutcome(CheckResult(name, Verdict.NOT_COMPARABLE, why))


def _compare(
    name: str, now: FloatArray, baseline: FloatArray, pair: Pair, tolerances: Tolerances
) -> SeriesOutcome:
    distance = distances(now, baseline)
    if distance is None:
        return SeriesOutcome(CheckResult(name, Verdict.IDENTICAL))
    if name == "quantity":
        scale = pair.quantity_scale  # broadcasts over [T, N]
    else:
        scale = pair.scale if distance.ndim == 1 else pair.scale[:, np.newaxis]
    noise = _first_row(distance > NOISE * scale)
    limit = tolerances.of_series(name)
    if limit is None:
        return SeriesOutcome(
            CheckResult(name, Verdict.SKIPPED, f"differs; {tolerances.why_not_held(name)}"), noise=noise
        )
    # Where nothing may be beyond less than rtol, that is what counts.
    rtol = limit.rtol if limit.none_beyond is None else min(limit.rtol, limit.none_beyond)
    beyond = distance > limit.atol + rtol * scale
    rows = np.asarray(beyond if beyond.ndim == 1 else beyond.any(axis=1))
    reason = _why_moved(rows, distance, scale, limit)
    if reason is None:
        value, bound = _nearest(distance, limit.atol + rtol * scale)
        return SeriesOutcome(CheckResult(name, Verdict.WITHIN, value=value, limit=bound), noise=noise)
    first = int(rows.argmax())
    if distance.ndim == 1:
        asset, far = None, float(distance[first])
        bound = float(limit.atol + rtol * scale[first])
    else:
        over = np.where(beyond[first], distance[first], -1.0)
        column = int(over.argmax())
        asset, far = pair.assets[column], float(distance[first, column])
        by = scale[column] if name == "quantity" else scale[first, 0]
        bound = float(limit.atol + rtol * by)
    check = CheckResult(
        name,
        Verdict.MOVED,
        f"{_WORDS[name]}: {reason}",
        value=far if np.isfinite(far) else None,
        limit=bound,
        session=str(pair.sessions[first]),
        asset=asset,
    )
    return SeriesOutcome(check, first, noise)


def distances(now: FloatArray, baseline: FloatArray) -> FloatArray | None:
    """``|now - baseline|`` by element; ``None`` where all are equal.

    NaN equals NaN, an infinity itself; NaN against a number is infinitely far.
    """
    if now is baseline or np.array_equal(now, baseline):
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        distance: FloatArray = np.abs(np.subtract(now, baseline))
        ordinary = np.isfinite(distance.sum())
    if not ordinary:
        strange = ~np.isfinite(distance)
        alike = (now[strange] == baseline[strange]) | (np.isnan(now[strange]) & np.isnan(baseline[strange]))
        distance[strange] = np.where(alike, 0.0, np.inf)
        if not distance.any():
            return None
    return distance


def _nearest(distance: FloatArray, bound: FloatArray) -> tuple[float, float]:
    """The distance that uses up most of what it is allowed, and how much that is."""
    bound = np.broadcast_to(bound, distance.shape)
    used = np.divide(distance, bound, out=np.zeros(distance.shape), where=bound > 0)
    most = int(used.argmax())
    return float(distance.flat[most]), float(bound.flat[most])


def _why_moved(
    rows: npt.NDArray[np.bool_], distance: FloatArray, scale: FloatArray, limit: Limit
) -> str | None:
    """In what the limit is broken; ``None`` where it holds."""
    count, total = int(rows.sum()), len(rows)
    if np.isinf(distance).any():
        return "a number on one side, none on the other"
    if limit.none_beyond is not None:
        far = distance > limit.atol + limit.none_beyond * scale
        if far.any():
            return f"beyond {limit.none_beyond / BP:g} bp, which no session may be"
    if count > (1.0 - limit.share) * total + 1e-9:
        most = "" if limit.share == 1.0 else f", at most {(1.0 - limit.share) * 100:g} % may be"
        return f"{count:,} of {total:,} sessions out of tolerance{most}"
    return None


def _first_row(beyond: npt.NDArray[Any]) -> int | None:
    rows = beyond if beyond.ndim == 1 else beyond.any(axis=1)
    return int(rows.argmax()) if rows.any() else None
