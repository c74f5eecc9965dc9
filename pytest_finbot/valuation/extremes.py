"""Mean, largest and smallest value of a daily series, with the days of the extremes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.valuation.undefined import NOT_FINITE, Undefined

EQUAL = 1e-12
"""Values that differ by less, or by a smaller fraction of them, are the same."""


@dataclass(frozen=True, slots=True)
class Extremes:
    """Over the sessions on which a series has a value; the day is the first of those that are as
    extreme but for rounding (:data:`EQUAL`)."""

    mean: float
    max: float
    max_on: str
    min: float
    min_on: str


def extremes(series: FloatArray, sessions: SessionArray, nothing: str) -> Extremes | Undefined:
    """Extremes of ``series`` [T], NaN where it is undefined; ``nothing``: the reason where it always is."""
    rows = np.flatnonzero(~np.isnan(series))
    if not len(rows):
        return Undefined(nothing)
    values = series[rows]
    mean = float(values.mean())
    if not np.isfinite(mean):
        return NOT_FINITE
    most, least = float(values.max()), float(values.min())
    return Extremes(
        mean=mean,
        max=most,
        max_on=str(sessions[rows[_first_at(values, most)]]),
        min=least,
        min_on=str(sessions[rows[_first_at(values, least)]]),
    )


def _first_at(values: FloatArray, extreme: float) -> int:
    return int(np.argmax(np.abs(values - extreme) <= EQUAL * max(1.0, abs(extreme))))
