"""Hold more of what moves less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec, TargetWeights
from pytest_finbot.strategies.params import Params, read_params, whole
from pytest_finbot.strategies.schedule import decision_rows
from pytest_finbot.strategies.windows import FLAT, return_deviation


@dataclass(frozen=True, slots=True)
class RiskParityParams(Params):
    """``lookback``: daily returns that a volatility is estimated from."""

    lookback: int = whole(63, least=2)


def risk_parity(spec: RunSpec, market: MarketData) -> TargetWeights:
    """Weights in proportion to 1 / volatility, adding up to 1 (naive risk parity).

    Volatility is the sample standard deviation (ddof 1) of the last ``lookback`` simple
    returns. A symbol whose returns did not differ (deviation at most 1e-12 a day: halted, or
    not trading yet) has no volatility to weigh it by: its weight is 0 and the others share
    all of NAV. Where no symbol has one, nothing is decided and what is held stays. Decides at
    the rows of ``spec.rebalance_freq`` with ``lookback`` sessions before them; until then
    all is cash.
    """
    params = read_params(RiskParityParams, spec)
    rows = decision_rows(market.sessions, spec.rebalance_freq)
    rows = rows[rows >= params.lookback]
    volatility = return_deviation(market.close, rows, params.lookback)
    moves = volatility > FLAT
    inverse = np.where(moves, 1.0 / np.where(moves, volatility, 1.0), 0.0)
    decided = moves.any(axis=1)
    inverse = inverse[decided]
    return TargetWeights(rows[decided], inverse / inverse.sum(axis=1, keepdims=True))
