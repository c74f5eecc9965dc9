"""Executed trades in order: the first that differs, on either side."""

from __future__ import annotations

import numpy as np

from pytest_finbot.baselines.align import Pair
from pytest_finbot.baselines.facts import FillFact, FillMove, finite
from pytest_finbot.baselines.results import FillTable
from pytest_finbot.baselines.series import NOISE, distances
from pytest_finbot.contracts import CheckResult, FloatArray, Limit, SessionArray, Verdict
from pytest_finbot.tolerances import SCALE_FLOOR, Tolerances

_NUMBERS = ("quantity", "price", "fee")
_COLUMNS = ("session", "asset", *_NUMBERS)


def compare_fills(pair: Pair, tolerances: Tolerances) -> tuple[CheckResult | None, FillMove | None]:
    """The check ``fills`` and the first that differs.

    No check where neither side can tell of fills and the batch file does not ask for them.
    """
    now, baseline, limit = pair.now.fills, pair.baseline.fills, tolerances.of_series("fills")
    if now is None and baseline is None and tolerances.spec.limits.get("fills") is None:
        return None, None
    if now is None or baseline is None:
        which = "this result" if now is None else "the baseline"
        if limit is None:
            return CheckResult("fills", Verdict.SKIPPED, tolerances.why_not_held("fills")), None
        return CheckResult("fills", Verdict.NOT_COMPARABLE, f"{which} has no fills to compare"), None
    if all(
        np.array_equal(getattr(now, name), getattr(baseline, name), equal_nan=name in _NUMBERS)
        for name in _COLUMNS
    ):
        return CheckResult("fills", Verdict.IDENTICAL), None
    number = _first_difference(now, baseline, pair, limit or Limit(rtol=NOISE))
    move = None
    if number is not None:
        move = FillMove(number + 1, _fact(baseline, number, pair), _fact(now, number, pair))
    if limit is None:
        return CheckResult("fills", Verdict.SKIPPED, f"differ; {tolerances.why_not_held('fills')}"), move
    if move is None:
        return CheckResult("fills", Verdict.WITHIN), None
    if len(now) != len(baseline):
        message = (
            f"{len(baseline):,} fills, now {len(now):,}; the first that differs is number {move.number:,}"
        )
    else:
        message = f"fill {move.number:,} of {len(now):,} is the first that differs"
    there = move.now if move.baseline is None else move.baseline
    if move.now is not None and there is not None and move.now.session < there.session:
        there = move.now
    assert there is not None, "a fill differs on at least one side"
    return (
        CheckResult("fills", Verdict.MOVED, message, session=there.session, asset=there.asset),
        move,
    )


def _first_difference(now: FillTable, baseline: FillTable, pair: Pair, limit: Limit) -> int | None:
    """Number (from 0) of the first fill beyond ``limit``; the first that only one side has counts."""
    common = min(len(now), len(baseline))
    ours, theirs = now[slice(common)], baseline[slice(common)]
    differs = (ours.session != theirs.session) | (ours.asset != theirs.asset)
    held = pair.quantity_scale[theirs.asset]
    scales = {
        "quantity": np.maximum(held, _size(theirs.quantity)),
        "price": _size(theirs.price),
        "fee": _nav_scale(theirs.session, pair),
    }
    for name, scale in scales.items():
        distance = distances(getattr(ours, name), getattr(theirs, name))
        if distance is not None:
            differs |= distance > limit.atol + limit.rtol * scale
    if differs.any():
        return int(differs.argmax())
    return None if len(now) == len(baseline) else common


def _size(values: FloatArray) -> FloatArray:
    """Absolute values; 0 for what is no number, from which any number is too far."""
    return np.where(np.isfinite(values), np.abs(values), 0.0)


def _nav_scale(sessions: SessionArray, pair: Pair) -> FloatArray:
    """Scale of NAV at each fill's session; the floor where that session is not common to both."""
    floor = np.full(len(sessions), SCALE_FLOOR * pair.start_nav)
    if not len(pair.sessions):
        return floor
    rows = np.minimum(np.searchsorted(pair.sessions, sessions), len(pair.sessions) - 1)
    return np.where(pair.sessions[rows] == sessions, pair.scale[rows], floor)


def _fact(fills: FillTable, number: int, pair: Pair) -> FillFact | None:
    if number >= len(fills):
        return None
    return FillFact(
        session=str(fills.session[number]),
        asset=pair.assets[int(fills.asset[number])],
        quantity=finite(fills.quantity[number]),
        price=finite(fills.price[number]),
        fee=finite(fills.fee[number]),
    )
