"""A strategy of one's own, as named in finbot.yaml: ``strategies:calm_half``."""

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec, TargetWeights
from pytest_finbot.strategies.schedule import decision_rows


def calm_half(spec: RunSpec, market: MarketData) -> TargetWeights:
    """The calmer half of the symbols, in equal parts, by how far they moved in the last sessions.

    Parameter ``lookback`` (sessions, default 63). At each decision session the mean absolute
    daily return over the lookback is ranked; before there is enough history nothing is decided.
    """
    lookback = int(spec.params.get("lookback", 63))
    rows = decision_rows(market.sessions, spec.rebalance_freq)
    rows = rows[rows >= lookback]
    half = max(1, len(market.symbols) // 2)
    weights = np.zeros((len(rows), len(market.symbols)))
    for k, row in enumerate(rows):
        closes = market.close[row - lookback : row + 1]
        restlessness = np.abs(closes[1:] / closes[:-1] - 1.0).mean(axis=0)
        weights[k, np.argsort(restlessness, kind="stable")[:half]] = 1.0 / half
    return TargetWeights(rows, weights)
