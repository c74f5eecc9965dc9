"""What a run's engine was to trade, as far as anybody can say."""

from __future__ import annotations

from pytest_finbot.contracts import Decisions, EngineResult, MarketData, RunSpec
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.resolve import uses_strategies
from pytest_finbot.errors import FinbotError
from pytest_finbot.strategies.resolve import BUILT_IN


def decided(result: EngineResult, spec: RunSpec, market: MarketData) -> Decisions | None:
    """The engine's word on its decisions; else, of a user's own engine, those of the strategy of this
    package that the run names. ``None`` where there are neither: a user's strategy is not run twice.
    """
    if result.decisions is not None:
        return result.decisions
    if uses_strategies(spec.engine) or spec.strategy not in BUILT_IN:
        return None
    try:
        return decide(spec, market)
    except FinbotError:  # its params are the engine's own matter
        return None
