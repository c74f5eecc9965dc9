"""The same weights at every rebalance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec, TargetWeights
from pytest_finbot.strategies.params import (
    ParamProblem,
    Params,
    is_number,
    optional_mapping,
    read_params,
    shown,
    symbol_problem,
)
from pytest_finbot.strategies.schedule import decision_rows


@dataclass(frozen=True, slots=True)
class FixedWeightsParams(Params):
    """``weights``: {symbol: fraction of NAV}; a symbol not named has none. Without it: 1/N each."""

    weights: Mapping[str, Any] | None = optional_mapping()

    def problems(self, spec: RunSpec) -> Iterator[ParamProblem]:
        if self.weights is None:
            return
        if not self.weights:
            yield ("params", "weights"), "names no symbol; leave it out for equal weights"
        for symbol, weight in self.weights.items():
            path = ("params", "weights", str(symbol))
            stranger = symbol_problem(symbol, spec)
            if stranger is not None:
                yield path, stranger
            if not is_number(weight):
                yield path, f"must be a finite number (a fraction of NAV), not {shown(weight)}"


def fixed_weights(spec: RunSpec, market: MarketData) -> TargetWeights:
    """``weights`` at every decision row of ``spec.rebalance_freq``; ``none`` is buy and hold."""
    params = read_params(FixedWeightsParams, spec)
    count = len(market.symbols)
    if params.weights is None:
        wanted = np.full(count, 1.0 / count)
    else:
        wanted = np.array([float(params.weights.get(symbol, 0.0)) for symbol in market.symbols])
    rows = decision_rows(market.sessions, spec.rebalance_freq)
    return TargetWeights(rows, np.tile(wanted, (len(rows), 1)))
