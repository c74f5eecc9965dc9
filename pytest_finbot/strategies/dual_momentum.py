"""Hold the best risky symbol while it beats the safe one, else the safe one, else cash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec, TargetWeights
from pytest_finbot.strategies.factors import momentum
from pytest_finbot.strategies.params import (
    ParamProblem,
    Params,
    read_params,
    symbol,
    whole,
)
from pytest_finbot.strategies.schedule import decision_rows


@dataclass(frozen=True, slots=True)
class DualMomentumParams(Params):
    """``safe``: a symbol of the run, the others are risky; ``lookback`` in sessions."""

    safe: str = symbol()
    lookback: int = whole(252, least=1)

    @classmethod
    def run_problems(cls, spec: RunSpec) -> Iterator[ParamProblem]:
        if len(spec.symbols) < 2:
            yield ("symbols",), f"strategy {spec.strategy} needs a risky symbol besides the safe one"


def dual_momentum(spec: RunSpec, market: MarketData) -> TargetWeights:
    """All of NAV in one symbol or in cash, by returns over ``lookback`` sessions.

    The best risky symbol (of equals, the earlier) if its return is above 0 and not below the
    safe one's; else the safe one if its return is above 0; else cash (Antonacci 2014, "Dual
    Momentum Investing"). Decides at the rows of ``spec.rebalance_freq`` that have
    ``lookback`` sessions before them; until then all is cash.
    """
    params = read_params(DualMomentumParams, spec)
    rows = decision_rows(market.sessions, spec.rebalance_freq)
    rows = rows[rows >= params.lookback]
    returns = momentum(market.close, rows, params.lookback)
    safe = market.symbols.index(params.safe)
    safe_return = returns[:, safe]
    risky = returns.copy()
    risky[:, safe] = -np.inf
    best = risky.argmax(axis=1)
    each = np.arange(len(rows))
    best_return = risky[each, best]
    hold_best = (best_return > 0.0) & (best_return >= safe_return)
    hold_safe = ~hold_best & (safe_return > 0.0)
    weights = np.zeros_like(returns)
    weights[each, best] = hold_best
    weights[hold_safe, safe] = 1.0
    return TargetWeights(rows, weights)
