"""How large a move of NAV is, and what becomes of it."""

from __future__ import annotations

import numpy as np

from pytest_finbot.baselines.align import Pair
from pytest_finbot.baselines.facts import Course, Difference
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.tolerances import SCALE_FLOOR

GROWTH = 1.5
"""Mean distance of the last third over that of the first third from which a move grows."""

RETURNED = 0.1
"""Last distance, as a fraction of the largest, below which a move has returned."""


def largest_difference(pair: Pair) -> Difference | None:
    """NAV where it is furthest from the baseline's, as a fraction of it; ``None`` if nowhere apart."""
    apart = relative(pair)
    if not len(apart) or not (apart != 0).any():
        return None
    finite = np.abs(np.where(np.isfinite(apart), apart, 0.0))
    row = int(finite.argmax()) if finite.any() else int((~np.isfinite(apart)).argmax())
    return nav_difference(pair, row)


def nav_difference(pair: Pair, row: int) -> Difference:
    """Both NAVs at a common session."""
    old, new = float(pair.baseline.nav[row]), float(pair.now.nav[row])
    return Difference.of(str(pair.sessions[row]), old, new, float(pair.scale[row]))


def final_difference(now: RunResult, baseline: RunResult) -> Difference | None:
    """NAV at the last session of each, dated by this result's."""
    if not len(now.nav) or not len(baseline.nav):
        return None
    old, new = float(baseline.nav[-1]), float(now.nav[-1])
    scale = max(abs(old) if np.isfinite(old) else 0.0, SCALE_FLOOR * baseline.start_nav)
    return Difference.of(str(now.sessions[-1]), old, new, scale)


def course(pair: Pair, first: int, tolerance: float) -> Course | None:
    """What the difference in NAV does from row ``first`` on, as a fraction of the baseline's NAV.

    It *returns* where its last distance is within ``tolerance`` (a fraction) or below a tenth
    of its largest; it *grows* where its mean over the last third of the sessions is at least
    1.5 times its mean over the first third; else it *stays*. ``None`` with fewer than three
    sessions to judge by, or where NAV does not differ at all.
    """
    apart = np.abs(relative(pair)[first:])
    apart = apart[np.isfinite(apart)]
    if len(apart) < 3 or not apart.any():
        return None
    if apart[-1] <= max(tolerance, RETURNED * float(apart.max())):
        return "returns"
    third = len(apart) // 3
    return "grows" if apart[-third:].mean() >= GROWTH * apart[:third].mean() else "stays"


def relative(pair: Pair) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Difference in NAV as a fraction of the baseline's [T]; NaN against a number is infinite."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.asarray((pair.now.nav - pair.baseline.nav) / np.where(pair.scale > 0, pair.scale, 1.0))
    now, baseline = pair.now.nav, pair.baseline.nav
    alike = (now == baseline) | (np.isnan(now) & np.isnan(baseline))
    return np.where(alike, 0.0, np.where(np.isnan(apart), np.inf, apart))
