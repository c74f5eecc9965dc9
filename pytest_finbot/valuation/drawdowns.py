"""Drawdowns: how far wealth fell below its highest point, when, and for how long.

Depth at t is ``W[t] / max(W[0..t]) - 1``, zero or negative (Magdon-Ismail & Atiya, Maximum
Drawdown, Risk 17(10), 2004). The start capital counts as a peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from pytest_finbot.contracts import FloatArray, SessionArray

NOISE = 1e-12
"""Depths (fractions) nearer to zero than this are rounding, not losses."""

NOT_RECOVERED = "not recovered by the last session"


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall from a peak and the way back; dates are ISO.

    A peak at the start capital is dated to the first session, or to the one before where the
    account was held then already. ``recovery`` is the first
    session back at the peak. Lengths are in sessions: ``to_trough`` from peak to trough,
    ``to_recover`` from trough to recovery, ``length`` from peak to recovery or to the last
    session. ``recovery`` and ``to_recover`` are ``None`` where wealth was still below the peak
    at the end (:data:`NOT_RECOVERED`).
    """

    peak: str
    trough: str
    recovery: str | None
    depth: float
    to_trough: int
    to_recover: int | None
    length: int


def depths(wealth: FloatArray) -> FloatArray:
    """Depth below the running peak [T + 1] of ``wealth`` [T + 1], fractions <= 0."""
    below: FloatArray = wealth / np.maximum.accumulate(wealth)
    below -= 1.0
    return below


def worst_drawdowns(
    wealth: FloatArray, sessions: SessionArray, count: int = 5, start_session: date | None = None
) -> tuple[Drawdown, ...]:
    """The ``count`` deepest drawdowns of ``wealth`` [T + 1], deepest first, then earliest.

    They do not overlap: each lasts from a peak until wealth is back at it. ``start_session`` is the
    session of ``wealth[0]``, where it is the value of one before ``sessions`` [T].
    """
    below = depths(wealth)
    under = below < -NOISE
    edges = np.flatnonzero(under[1:] != under[:-1]) + 1  # element 0 is a peak, so starts come first
    starts, ends = edges[0::2], edges[1::2]
    if not len(starts):
        return ()
    deepest = np.minimum.reduceat(below, starts)
    start = str(sessions[0]) if start_session is None else start_session.isoformat()
    found = []
    for number in np.argsort(deepest, kind="stable")[:count].tolist():
        peak = int(starts[number]) - 1
        recovery = int(ends[number]) if number < len(ends) else None
        end = len(below) - 1 if recovery is None else recovery
        trough = peak + int(np.argmin(below[peak : end + 1]))
        found.append(
            Drawdown(
                peak=_day(sessions, peak) if peak else start,
                trough=_day(sessions, trough),
                recovery=None if recovery is None else _day(sessions, recovery),
                depth=float(below[trough]),
                to_trough=trough - peak,
                to_recover=None if recovery is None else recovery - trough,
                length=end - peak,
            )
        )
    return tuple(found)


def _day(sessions: SessionArray, row: int) -> str:
    """ISO date of row ``row`` of wealth, 1 for the first session."""
    return str(sessions[row - 1])
