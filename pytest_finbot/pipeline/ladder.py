"""The phase that splits what a run and its reference differ by, where that can be done.

It executes the strategy once more and the built-in engine a few times. Whatever goes wrong here is
told in the place of the split, and fails nothing.
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np

from pytest_finbot.contracts import (
    CompareSpec,
    Conventions,
    Decisions,
    EngineResult,
    MarketData,
    RunSpec,
    TargetWeights,
)
from pytest_finbot.engines.decisions import fillable
from pytest_finbot.engines.ladder import Manner, conventions_told, ladder
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.engines.split_adjusted import split_adjusted
from pytest_finbot.errors import FinbotError
from pytest_finbot.pipeline.failure import describe
from pytest_finbot.pipeline.given_params import handed_out
from pytest_finbot.strategies.resolve import (
    import_callable,
    is_callable_path,
    strategy_problem,
    target_weights,
)

_MOST_WORDS = 300
_SAME = 1e-12
"""Weights that differ by less are the same: an engine may have scaled them in another order."""


class CannotSplitError(Exception):
    """Why the built-in engine cannot show what two engines differ by, in words."""


def difference_split(
    spec: RunSpec, market: MarketData, result: EngineResult, compare: CompareSpec
) -> dict[str, Any]:
    """``RunRecord.ladder``: ``reference``, and the ladder's fields or ``why_not``. Raises no Exception."""
    try:
        found = _ladder(spec, market, result, compare)
    except CannotSplitError as error:
        return {"reference": compare.run, "why_not": str(error)}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a strategy may raise anything when it is executed again
        info = describe(error, "ladder")
        said = (info.message.splitlines() or [""])[0][:_MOST_WORDS]
        why = said if isinstance(error, FinbotError) else f"executed again, it raised {info.type}: {said}"
        return {"reference": compare.run, "why_not": why}
    return {"reference": compare.run, **found}


def _ladder(spec: RunSpec, market: MarketData, result: EngineResult, compare: CompareSpec) -> dict[str, Any]:
    _require_weights(spec)
    reference = _conventions(_as_reference(spec, compare), None)
    own = _conventions(spec, result)
    theirs, prices = handed_out(spec, market)
    targets = target_weights(theirs, split_adjusted(prices))
    _require_the_same(spec, market, targets, result.decisions)
    return ladder(
        spec,
        market,
        targets,
        Manner.of(reference, compare.costs, compare.min_trade),
        Manner.of(own, spec.costs, spec.min_trade),
        result,
    ).to_json()


def _require_weights(spec: RunSpec) -> None:
    """The strategy has to be one that says what it wants to hold, whatever the engine."""
    problem = strategy_problem(spec.strategy)
    if problem is not None:
        raise CannotSplitError(f"it has no strategy that gives target weights: {problem}")
    if is_callable_path(spec.strategy) and inspect.isclass(import_callable("strategy", spec.strategy)):
        raise CannotSplitError(
            f"strategy {spec.strategy!r} is a class that only its own engine can run; "
            "there are no target weights to follow otherwise"
        )


def _require_the_same(
    spec: RunSpec, market: MarketData, targets: TargetWeights, told: Decisions | None
) -> None:
    """What the strategy gives now is what the run followed; parts would be those of another run else."""
    if told is None:
        return
    again = fillable(spec, market, targets)
    same = np.array_equal(again.rows, told.rows) and again.weights.shape == told.weights.shape
    if not same or not np.allclose(again.weights, told.weights, rtol=_SAME, atol=_SAME):
        raise CannotSplitError(
            "what it decided is not what its strategy gives when it is executed again: the strategy has a "
            "state or depends on chance, or the engine decides otherwise"
        )


def _as_reference(spec: RunSpec, compare: CompareSpec) -> RunSpec:
    """The reference's own run, as far as its conventions hang on it."""
    return dataclasses.replace(
        spec,
        name=compare.run,
        engine=compare.engine,
        fill=compare.fill,
        units=compare.units,
        costs=compare.costs,
        cash_buffer=compare.cash_buffer,
        min_trade=compare.min_trade,
    )


def _conventions(spec: RunSpec, result: EngineResult | None) -> Conventions:
    """How ``spec`` is executed: as its ``result`` says, where there is one that does, else its engine."""
    found = None if result is None else conventions_told(result.native)
    if found is None:
        found = resolve_engine(spec.engine).conventions(spec)
    if found is None:
        raise CannotSplitError(f"engine {spec.engine!r} does not say how it executes orders")
    return found
