"""How finely numbers are written, and so how far a rounded one may be from what it was."""

from __future__ import annotations

import numpy as np

from pytest_finbot.contracts import FloatArray

MOST_DECIMALS = 8
NOISE = 1e-15
"""Relative: a few units of the last place of float64. What parsers and sums differ by is no change."""


def decimals_of(values: FloatArray) -> int | None:
    """The least number of decimals that writes every one of ``values``; ``None`` where 8 will not do."""
    finite = values[np.isfinite(values)]
    for decimals in range(MOST_DECIMALS + 1):
        scale = 10.0**decimals
        # A number of so many decimals is the float64 nearest to a whole number over 10**decimals.
        if np.array_equal(np.rint(finite * scale) / scale, finite):
            return decimals
    return None


def half_units(values: FloatArray) -> FloatArray:
    """Half a unit of the last digit of each of ``values`` [T], as written: what rounding may have cost.

    By decimals where 8 or fewer write all of them; else by the 24 bits of float32 where all fit
    into it; else by those of float64.
    """
    decimals = decimals_of(values)
    if decimals is not None:
        return np.full(len(values), 0.5 * 10.0**-decimals)
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        narrow = finite.astype(np.float32).astype(np.float64)
    relative = 2.0**-24 if np.array_equal(narrow, finite) else NOISE
    return np.abs(values) * relative
