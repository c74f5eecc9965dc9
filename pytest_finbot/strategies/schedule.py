"""At which sessions a strategy decides."""

from __future__ import annotations

from typing import Final

import numpy as np

from pytest_finbot.contracts import IntArray, RebalanceFreq, SessionArray
from pytest_finbot.errors import ParameterError, did_you_mean

FREQUENCIES: Final = ("none", "D", "W", "M", "Q", "A")

_THURSDAY_TO_MONDAY = 3
"""1970-01-01, day 0 of datetime64, was a Thursday; ISO weeks begin on Mondays."""


def decision_rows(sessions: SessionArray, freq: RebalanceFreq) -> IntArray:
    """Rows of ``sessions`` [T] at which to decide, rising.

    ``none``: the first session only; ``D``: every session; ``W``, ``M``, ``Q``, ``A``: the
    first session, and the first session of each later ISO week, month, quarter, year. The
    first session of a period is known to be so at its close; the last one only afterwards,
    so with it the decisions would change when data are cut off. Raises ParameterError for
    any other ``freq``.
    """
    if freq not in FREQUENCIES:
        raise ParameterError(
            f"rebalance_freq {freq!r} is not known{did_you_mean(freq, FREQUENCIES)} "
            f"(known: {', '.join(FREQUENCIES)})"
        )
    if freq == "D":
        return np.arange(len(sessions), dtype=np.int64)
    if freq == "none" or not len(sessions):
        return np.arange(min(1, len(sessions)), dtype=np.int64)
    periods = _period_numbers(sessions, freq)
    later = np.flatnonzero(periods[1:] != periods[:-1]) + 1
    return np.concatenate(([0], later)).astype(np.int64)


def _period_numbers(sessions: SessionArray, freq: RebalanceFreq) -> IntArray:
    if freq == "W":
        days = sessions.astype("datetime64[D]").astype(np.int64)
        return (days + _THURSDAY_TO_MONDAY) // 7
    if freq == "A":
        return sessions.astype("datetime64[Y]").astype(np.int64)
    months = sessions.astype("datetime64[M]").astype(np.int64)
    return months // 3 if freq == "Q" else months
