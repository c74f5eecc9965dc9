"""What a run's engine was to trade, as far as anybody can say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import Decisions, EngineResult, MarketData, RunSpec
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.resolve import uses_strategies
from pytest_finbot.errors import FinbotError
from pytest_finbot.strategies.resolve import BUILT_IN

_SAME = 1e-9
"""Weights that differ by less are the same."""


def decided(result: EngineResult, spec: RunSpec, market: MarketData) -> Decisions | None:
    """The engine's word on its decisions; else, of a user's own engine, those of the strategy of this
    package that the run names. ``None`` where there are neither: a user's strategy is not run twice.
    """
    if result.decisions is not None:
        return result.decisions
    return _of_strategy(spec, market)


def decision_notes(result: EngineResult, spec: RunSpec, market: MarketData) -> Iterator[str]:
    """What is told of an engine whose word on its decisions is all that its orders were held to.

    That it decided otherwise than the strategy that its run names; that it traded in sessions for which
    nothing was decided, as one does that knows tomorrow; that it never traded at all.
    """
    engine, told = f"engine {spec.engine!r}", result.decisions
    if not len(result.fills) and not result.quantity.any() and not (spec.part and spec.part.kind == "slice"):
        yield f"{engine} traded nothing: NAV is what was paid in, and nothing of a strategy was proven"
    if told is None or uses_strategies(spec.engine):
        return
    named = _of_strategy(spec, market)
    if named is not None and (day := _first_apart(told, named, market)) is not None:
        yield (
            f"{engine} says that it decided otherwise than the strategy {spec.strategy} of its run: first on "
            f"{day}; its orders are held to its own word"
        )
    first = len(market.sessions) - len(result.sessions)
    early = np.flatnonzero(~np.isin(result.fills.session + first, told.fill_rows))
    if spec.actions.booking == "reinvest" and market.dividends is not None:
        early = early[~market.dividends[result.fills.session[early] + first].any(axis=1)]
    if len(early):
        at = int(early[0])
        yield (
            f"{engine} has {len(early):,} of {len(result.fills):,} fills in sessions in which nothing that "
            f"it decided was to be filled: first {result.assets[int(result.fills.asset[at])]} on "
            f"{result.sessions[result.fills.session[at]]}"
        )


def _first_apart(told: Decisions, named: Decisions, market: MarketData) -> str | None:
    """The first session for which the two did not decide the same; ``None`` where they did throughout."""
    rows = np.union1d(told.rows, named.rows)
    weights = np.full((2, len(rows), len(market.symbols)), np.nan)
    for table, one in zip(weights, (told, named), strict=True):
        table[np.searchsorted(rows, one.rows)] = one.weights
    apart = ~np.isclose(weights[0], weights[1], rtol=_SAME, atol=_SAME).all(axis=1)
    for one, other in ((told, named), (named, told)):
        apart[np.searchsorted(rows, one.rows)] |= ~np.isin(one.fill_rows, other.fill_rows)
    return str(market.sessions[rows[int(apart.argmax())]]) if apart.any() else None


def _of_strategy(spec: RunSpec, market: MarketData) -> Decisions | None:
    if uses_strategies(spec.engine) or spec.strategy not in BUILT_IN:
        return None
    try:
        return decide(spec, market)
    except FinbotError:  # its params are the engine's own matter
        return None
