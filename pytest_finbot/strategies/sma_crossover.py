"""Hold what trades above its long average."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import FloatArray, MarketData, RunSpec, TargetWeights
from pytest_finbot.strategies.params import ParamProblem, Params, read_params, whole

_ABOVE = 1.0 + 1e-12
"""How far above counts: on a flat price the two averages differ by rounding alone."""


@dataclass(frozen=True, slots=True)
class SmaCrossoverParams(Params):
    """Sessions in the ``fast`` and in the ``slow`` simple moving average of the close."""

    fast: int = whole(50, least=1)
    slow: int = whole(200, least=2)

    def problems(self, spec: RunSpec) -> Iterator[ParamProblem]:
        if self.fast >= self.slow:
            given = "fast" if "fast" in spec.params else "slow"
            yield ("params", given), f"fast must be below slow, got fast {self.fast} and slow {self.slow}"


def sma_crossover(spec: RunSpec, market: MarketData) -> TargetWeights:
    """Each symbol holds 1/N of NAV while its fast average is above its slow one, else nothing.

    Averages see the window's own sessions only, so the first decision can come at row
    ``slow - 1``. A decision is made where the signal of any symbol changes, and sets the
    weights of all of them. ``rebalance_freq`` plays no part.
    """
    params = read_params(SmaCrossoverParams, spec)
    first = params.slow - 1
    if len(market.sessions) <= first:
        return TargetWeights(np.empty(0, np.int64), np.empty((0, len(market.symbols))))
    # Sums of what the price moved from its start: on a price that never moves they are exact.
    start = market.close[:1]
    moved = np.zeros((len(market.close) + 1, len(market.symbols)))
    np.cumsum(market.close - start, axis=0, out=moved[1:])
    above = (
        _average(moved, params.fast, first) + start > (_average(moved, params.slow, first) + start) * _ABOVE
    )
    before = np.zeros_like(above)
    before[1:] = above[:-1]
    changed = np.flatnonzero((above != before).any(axis=1))
    return TargetWeights((changed + first).astype(np.int64), above[changed] / len(market.symbols))


def _average(sums: FloatArray, length: int, first: int) -> FloatArray:
    """Mean of the ``length`` values up to each row from ``first`` on; ``sums[i]``: of the first i."""
    mean: FloatArray = (sums[first + 1 :] - sums[first + 1 - length : len(sums) - length]) / length
    return mean
