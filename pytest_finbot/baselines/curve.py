"""How far NAV is from its baseline over time, in few enough points to travel in a record."""

from __future__ import annotations

import itertools

import numpy as np

from pytest_finbot.baselines.align import Pair
from pytest_finbot.baselines.facts import Curve
from pytest_finbot.baselines.size import relative

MOST_POINTS = 60
"""Sessions that a curve has at the most."""
_BP = 1e4


def curve_of(pair: Pair) -> Curve | None:
    """The curve of two results on common sessions; ``None`` where NAV differs nowhere."""
    with np.errstate(over="ignore"):
        apart = relative(pair) * _BP
    if not len(apart) or not apart.any():
        return None
    edges = np.linspace(0, len(apart), min(len(apart), MOST_POINTS) + 1).astype(int)
    rows = [int(first + np.abs(apart[first:last]).argmax()) for first, last in itertools.pairwise(edges)]
    return Curve(
        tuple(str(pair.sessions[row]) for row in rows),
        tuple(_rounded(float(apart[row])) if np.isfinite(apart[row]) else None for row in rows),
    )


def _rounded(bp: float) -> float:
    """Six digits, and all before the point with one after it: reports tell the largest to a tenth."""
    return float(f"{bp:.6g}" if abs(bp) < 1e5 else f"{bp:.1f}")
