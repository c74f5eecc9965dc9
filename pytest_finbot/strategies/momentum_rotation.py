"""Hold the few symbols that rose most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import MarketData, RunSpec, TargetWeights
from pytest_finbot.strategies.factors import momentum
from pytest_finbot.strategies.params import Params, flag, read_params, whole
from pytest_finbot.strategies.schedule import decision_rows


def _more_than_there_are(top: int, spec: RunSpec) -> str | None:
    if top <= len(spec.symbols):
        return None
    origin = "" if "top" in spec.params else " (the default)"
    count = f"{len(spec.symbols)} symbol{'' if len(spec.symbols) == 1 else 's'}"
    return f"top is {top}{origin}, but the run has only {count}"


@dataclass(frozen=True, slots=True)
class MomentumRotationParams(Params):
    """``top`` symbols by return over ``lookback`` sessions; ``absolute``: only those that rose."""

    top: int = whole(3, least=1, unfit=_more_than_there_are)
    lookback: int = whole(126, least=1)
    absolute: bool = flag(False)


def momentum_rotation(spec: RunSpec, market: MarketData) -> TargetWeights:
    """1/top each in the ``top`` symbols by close / close ``lookback`` sessions ago - 1.

    Decides at the rows of ``spec.rebalance_freq`` that have ``lookback`` sessions before
    them; until then all is cash. Of equals, the one earlier in ``symbols`` is taken. The sign
    does not matter unless ``absolute``: then a symbol that did not rise leaves its part cash.
    """
    params = read_params(MomentumRotationParams, spec)
    rows = decision_rows(market.sessions, spec.rebalance_freq)
    rows = rows[rows >= params.lookback]
    returns = momentum(market.close, rows, params.lookback)
    best = np.argsort(-returns, axis=1, kind="stable")[:, : params.top]
    weights = np.zeros_like(returns)
    np.put_along_axis(weights, best, 1.0 / params.top, axis=1)
    if params.absolute:
        weights[returns <= 0.0] = 0.0
    return TargetWeights(rows, weights)
