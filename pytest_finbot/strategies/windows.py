"""Statistics over the sessions up to and including a row, at the rows asked for only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import FloatArray, IntArray

FLAT = 1e-12
"""A deviation below this part of the values themselves is rounding, not movement."""

_MOST_AT_ONCE = 1 << 14
"""Numbers gathered at a time: 128 KB stay in the cache, whatever the decisions and symbols."""


def windows(values: FloatArray, rows: IntArray, length: int) -> Iterator[tuple[slice, FloatArray]]:
    """``length`` sessions of ``values`` [T, N] ending at each row, as [k, length, N], in parts.

    Each part comes with its place among ``rows`` [K]. Every row must be >= ``length - 1``.
    """
    offsets = np.arange(1 - length, 1)
    at_once = max(1, _MOST_AT_ONCE // (length * values.shape[1]))
    for begin in range(0, len(rows), at_once):
        part = slice(begin, begin + at_once)
        yield part, values[rows[part, None] + offsets]


def mean_and_deviation(values: FloatArray, rows: IntArray, length: int) -> tuple[FloatArray, FloatArray]:
    """Mean and sample standard deviation (ddof 1) of the last ``length`` values, each [K, N]."""
    mean = np.empty((len(rows), values.shape[1]))
    deviation = np.empty_like(mean)
    for part, window in windows(values, rows, length):
        mean[part], deviation[part] = _mean_and_deviation(window)
    return mean, deviation


def return_deviation(closes: FloatArray, rows: IntArray, length: int) -> FloatArray:
    """Sample standard deviation (ddof 1) of the last ``length`` simple returns, a day, [K, N].

    Every row must be >= ``length``.
    """
    deviation = np.empty((len(rows), closes.shape[1]))
    for part, window in windows(closes, rows, length + 1):
        deviation[part] = _mean_and_deviation(_returns(window))[1]
    return deviation


def return_mean_square(closes: FloatArray, rows: IntArray, length: int) -> FloatArray:
    """Mean of the squares of the last ``length`` simple returns, a day, [K, N]. Rows >= ``length``."""
    mean_square = np.empty((len(rows), closes.shape[1]))
    for part, window in windows(closes, rows, length + 1):
        returns = _returns(window)
        mean_square[part] = (returns * returns).sum(axis=1) / length
    return mean_square


def _returns(window: FloatArray) -> FloatArray:
    returns: FloatArray = window[:, 1:] / window[:, :-1] - 1.0
    return returns


def _mean_and_deviation(window: FloatArray) -> tuple[FloatArray, FloatArray]:
    length = window.shape[1]
    mean: FloatArray = window.sum(axis=1) / length
    away = window - mean[:, None]
    np.multiply(away, away, out=away)
    return mean, np.sqrt(away.sum(axis=1) / (length - 1))
