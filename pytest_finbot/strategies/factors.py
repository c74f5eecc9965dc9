"""Factors computed from prices, and which of a bundle's factors are not.

A factor is evaluated at the decision rows only, from closes up to and including each row;
where history is too short its value is NaN. With c the close, t the row:

========================  ==========================================================
``momentum_12m_excl_1m``  c[t-21] / c[t-252] - 1: twelve months without the last one
``momentum_<n>d``         c[t] / c[t-n] - 1
``reversal_<n>d``         -(c[t] / c[t-n] - 1)
``trend_strength_<n>``    (c[t] - mean) / sample standard deviation, of the n closes up to t
``rv_<n>``                realised volatility, a year: sqrt(252 * mean of the squares of the
                          last n simple returns)
========================  ==========================================================

Realised variance sums squared returns without taking a mean off (Andersen, Bollerslev,
Diebold, Labys 2003, "Modeling and Forecasting Realized Volatility").
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import numpy as np

from pytest_finbot.contracts import PERIODS_PER_YEAR, FloatArray, IntArray, RunSpec
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.windows import FLAT, mean_and_deviation, return_mean_square

MONTH = 21
"""Sessions in a month, as the field counts them."""


def momentum_12m_excl_1m(closes: FloatArray, rows: IntArray, year: int) -> FloatArray:
    """close[t-21] / close[t-252] - 1 (Jegadeesh and Titman 1993, skipping the last month)."""
    value: FloatArray = closes[rows - MONTH] / closes[rows - year] - 1.0
    return value


def momentum(closes: FloatArray, rows: IntArray, n: int) -> FloatArray:
    """close[t] / close[t-n] - 1."""
    value: FloatArray = closes[rows] / closes[rows - n] - 1.0
    return value


def reversal(closes: FloatArray, rows: IntArray, n: int) -> FloatArray:
    """-(close[t] / close[t-n] - 1): what fell scores high."""
    return -momentum(closes, rows, n)


def trend_strength(closes: FloatArray, rows: IntArray, n: int) -> FloatArray:
    """Distance of the close from the mean of the last n closes, in their sample deviations.

    0 where the price stood still: no trend.
    """
    mean, deviation = mean_and_deviation(closes, rows, n)
    still = deviation <= FLAT * mean
    value: FloatArray = np.where(still, 0.0, (closes[rows] - mean) / np.where(still, 1.0, deviation))
    return value


def realised_volatility(closes: FloatArray, rows: IntArray, n: int) -> FloatArray:
    """sqrt(252 * mean of the squares of the last n simple returns), a fraction a year."""
    return np.sqrt(PERIODS_PER_YEAR * return_mean_square(closes, rows, n))


_Definition = tuple[re.Pattern[str], Callable[[FloatArray, IntArray, int], FloatArray], int]

# Pattern with its n, the function, and how far short of n the history before the row may fall.
_DEFINITIONS: dict[str, _Definition] = {
    "momentum_12m_excl_1m": (re.compile("momentum_12m_excl_1m"), momentum_12m_excl_1m, 0),
    "momentum_<n>d": (re.compile("momentum_([1-9][0-9]{0,4})d"), momentum, 0),
    "reversal_<n>d": (re.compile("reversal_([1-9][0-9]{0,4})d"), reversal, 0),
    "rv_<n>": (re.compile("rv_([1-9][0-9]{0,4})"), realised_volatility, 0),
    "trend_strength_<n>": (re.compile("trend_strength_([2-9]|[1-9][0-9]{1,4})"), trend_strength, 1),
}


@functools.cache
def _parsed(name: str) -> tuple[Callable[[FloatArray, IntArray, int], FloatArray], int, int] | None:
    """Function, its n and the sessions needed before the row; ``None`` for any other name."""
    for pattern, function, short in _DEFINITIONS.values():
        match = pattern.fullmatch(name)
        if match is not None:
            n = int(match[1]) if match.groups() else PERIODS_PER_YEAR
            return function, n, n - short
    return None


def is_price_factor(name: str) -> bool:
    """Whether ``name`` is computed here."""
    return _parsed(name) is not None


def known_price_factors() -> tuple[str, ...]:
    """Patterns of the names computed here, ``<n>`` standing for a number of sessions."""
    return tuple(_DEFINITIONS)


def price_factor(name: str, closes: FloatArray, rows: IntArray) -> FloatArray:
    """Values [K, N] of factor ``name`` at ``rows`` [K] of ``closes`` [T, N]; NaN: history too short.

    Raises ParameterError where ``name`` is not a price factor.
    """
    parsed = _parsed(name)
    if parsed is None:
        raise ParameterError(f"{name!r} is not a price factor (known: {', '.join(known_price_factors())})")
    function, n, needed = parsed
    values = np.full((len(rows), closes.shape[1]), np.nan)
    enough = rows >= needed
    values[enough] = function(closes, rows[enough], n)
    return values


def panel_factors(spec: RunSpec) -> tuple[str, ...]:
    """Names in the run's bundle that are not price factors, in its order: a panel must bring them."""
    if spec.bundle is None:
        return ()
    return tuple(
        dict.fromkeys(factor.name for factor in spec.bundle.factors if not is_price_factor(factor.name))
    )
