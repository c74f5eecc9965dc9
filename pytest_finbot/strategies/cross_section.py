"""Treatment of one session's values across symbols. Rows are sessions [K], NaN is not known."""

from __future__ import annotations

import numpy as np

from pytest_finbot.contracts import FloatArray, IntArray
from pytest_finbot.strategies.windows import FLAT


def winsorized(values: FloatArray, low: float, high: float) -> FloatArray:
    """``values`` [K, N] with each row's known values held within its quantiles ``low`` and ``high``.

    Quantiles interpolate linearly between the two nearest order statistics (type 7 of
    Hyndman and Fan 1996, the default of NumPy and pandas).
    """
    ordered = np.sort(values, axis=1)  # NaN last
    known = (~np.isnan(values)).sum(axis=1)
    lowest, highest = _quantile(ordered, known, low), _quantile(ordered, known, high)
    within: FloatArray = np.clip(values, lowest, highest)
    return within


def _quantile(ordered: FloatArray, known: IntArray, q: float) -> FloatArray:
    """Quantile [K, 1] of the first ``known`` values of each row of ``ordered``."""
    last = np.maximum(known - 1, 0)[:, None]
    position = q * last
    below = np.floor(position).astype(np.int64)
    value = np.take_along_axis(ordered, below, axis=1)
    above = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=1)
    result: FloatArray = value + (position - below) * (above - value)
    return result


def standardized(values: FloatArray) -> FloatArray:
    """Each row of ``values`` [K, N] less its mean, in its sample standard deviations (ddof 1).

    Mean and deviation are those of the known values. Where they do not differ, or only one is
    known, the row says nothing about its symbols and each known value becomes 0.
    """
    unknown = np.isnan(values)
    known = values.shape[1] - unknown.sum(axis=1, keepdims=True)
    filled = np.where(unknown, 0.0, values)
    mean = filled.sum(axis=1, keepdims=True) / np.maximum(known, 1)
    away = np.where(unknown, 0.0, values - mean)
    deviation = np.sqrt((away * away).sum(axis=1, keepdims=True) / np.maximum(known - 1, 1))
    alike = deviation <= FLAT * np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
    scores = np.where(alike, 0.0, away / np.where(alike, 1.0, deviation))
    result: FloatArray = np.where(unknown, np.nan, scores)
    return result
