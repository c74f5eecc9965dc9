"""From the name in a batch file to an engine. The one place that lists the built-in ones."""

from __future__ import annotations

import importlib
from typing import Any

from pytest_finbot.contracts import EngineResult, MarketData, RunSpec
from pytest_finbot.engines.protocol import Engine
from pytest_finbot.errors import ParameterError, did_you_mean
from pytest_finbot.strategies.resolve import (
    import_callable,
    is_callable_path,
    strategy_module,
    strategy_problem,
)

BUILT_IN = {"portfolio": "pytest_finbot.engines.portfolio:PortfolioEngine"}


class CallableEngine:
    """A user's function ``(spec, market) -> EngineResult`` as an engine."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        self._function = function

    def version(self) -> str:
        return "unversioned"

    def modules(self, spec: RunSpec) -> tuple[str, ...]:
        own = self.name.partition(":")[0]
        # Whether it reads the strategy is its own matter; where that names a module, it may.
        return (own,) if strategy_problem(spec.strategy) else (own, strategy_module(spec.strategy))

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        result: EngineResult = self._function(spec, market)
        return result


def engine_problem(name: str) -> str | None:
    """What is wrong with an engine's name as such, or ``None``; imports nothing."""
    if name in BUILT_IN or is_callable_path(name):
        return None
    return (
        f"unknown engine {name!r}{did_you_mean(name, BUILT_IN)} (known: {', '.join(sorted(BUILT_IN))}, "
        "or your own as pkg.module:callable)"
    )


def uses_strategies(name: str) -> bool:
    """Whether the engine called ``name`` reads ``strategy`` and ``params`` as the built-in ones do."""
    return name in BUILT_IN


def resolve_engine(name: str) -> Engine:
    """The engine called ``name``: a built-in one, or a user's ``pkg.module:callable``.

    Raises ParameterError for an unknown name or a module that cannot be imported.
    """
    problem = engine_problem(name)
    if problem is not None:
        raise ParameterError(problem)
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        engine: Engine = getattr(importlib.import_module(module), attribute)()
        return engine
    return CallableEngine(name, import_callable("engine", name))
