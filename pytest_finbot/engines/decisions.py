"""From a run's strategy to the target weights that its engine is to follow."""

from __future__ import annotations

import numpy as np

from pytest_finbot.contracts import Decisions, FloatArray, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.sizing import NOISE
from pytest_finbot.engines.split_adjusted import split_adjusted
from pytest_finbot.strategies.resolve import target_weights

__all__ = ["Decisions", "decide", "fillable"]


def decide(spec: RunSpec, market: MarketData) -> Decisions:
    """The decisions of the strategy that ``spec`` names, as ``fillable`` has them."""
    return fillable(spec, market, target_weights(spec, split_adjusted(market)))


def fillable(spec: RunSpec, market: MarketData, targets: TargetWeights) -> Decisions:
    """``targets`` within the run's gross exposure, less its cash buffer, as far as sessions are left to
    fill them.
    """
    warnings: list[str] = []
    weights, scaled = _within_gross_exposure(targets.weights, spec.max_gross_exposure)
    if scaled:
        warnings.append(
            f"{scaled} of {len(weights)} decisions were scaled down to the gross exposure limit "
            f"{spec.max_gross_exposure:g}"
        )
    if spec.cash_buffer:
        weights = weights * (1.0 - spec.cash_buffer)
    fill_rows = targets.rows if spec.fill == "close" else targets.rows + 1
    count = int(np.searchsorted(fill_rows, len(market.sessions)))
    if count < len(fill_rows) and not _goes_on(spec):
        last = market.sessions[targets.rows[-1]]
        warnings.append(f"the decision of {last} was not executed: no session is left to fill it")
    return Decisions(
        targets.rows[:count], weights[:count], fill_rows[:count], len(targets.rows), scaled, tuple(warnings)
    )


def _goes_on(spec: RunSpec) -> bool:
    """Whether another run executes what this one decides on its last session: the next slice, or the
    out-of-sample part that begins with the same days."""
    return spec.part is not None and spec.part.kind in ("slice", "in_sample")


def _within_gross_exposure(weights: FloatArray, limit: float | None) -> tuple[FloatArray, int]:
    """Weights [K, N] scaled so that their absolute sum stays within ``limit``; how many were."""
    if limit is None or not len(weights):
        return weights, 0
    gross = np.abs(weights).sum(axis=1)
    over = gross > limit * (1 + NOISE)
    if not over.any():
        return weights, 0
    factor = np.where(over, limit / np.where(over, gross, 1.0), 1.0)
    return weights * factor[:, None], int(over.sum())
