"""From the name in a batch file to an engine. The one place that lists the built-in ones."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.contracts import Conventions, EngineResult, MarketData, RunSpec
from pytest_finbot.engines.detached import detached
from pytest_finbot.engines.protocol import Engine
from pytest_finbot.errors import ParameterError, did_you_mean
from pytest_finbot.strategies.resolve import (
    import_callable,
    is_callable_path,
    strategy_module,
    strategy_problem,
)

if TYPE_CHECKING:
    from pytest_finbot.engines.adapting.adapter import Adapter, KeyPath

OWN: Final = "portfolio"
"""The engine that needs nobody else's code."""

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        OWN: "pytest_finbot.engines.portfolio:PortfolioEngine",
        "backtesting": "pytest_finbot.engines.backtesting:BacktestingEngine",
        "backtrader": "pytest_finbot.engines.backtrader:BacktraderEngine",
        "bt": "pytest_finbot.engines.bt:BtEngine",
        "nautilus": "pytest_finbot.engines.nautilus:NautilusEngine",
        "vectorbt": "pytest_finbot.engines.vectorbt:VectorbtEngine",
        "zipline": "pytest_finbot.engines.zipline:ZiplineEngine",
    }
)
"""Where the engines with a name of their own are. All but the first drive a package of others, which
is imported when a run is executed."""


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

    def conventions(self, spec: RunSpec) -> Conventions | None:
        """What the function's own attribute ``conventions``, a function of the spec, says; none without."""
        told = getattr(self._function, "conventions", None)
        found: Conventions | None = None if told is None else told(spec)
        return found

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        result: EngineResult = detached(self._function(spec, market))
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


def engine_problems(spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
    """What ``spec`` asks of its engine that the engine cannot express, each with its key.

    Imports the adapter, which imports nothing of the engine's own package.
    """
    if spec.engine in BUILT_IN and spec.engine != OWN:
        adapter: Adapter = _load(spec.engine)
        yield from adapter.problems(spec)


def resolve_engine(name: str) -> Engine:
    """The engine called ``name``: a built-in one, or a user's ``pkg.module:callable``.

    Raises ParameterError for an unknown name or a module that cannot be imported.
    """
    problem = engine_problem(name)
    if problem is not None:
        raise ParameterError(problem)
    if name in BUILT_IN:
        engine: Engine = _load(name)
        return engine
    return CallableEngine(name, import_callable("engine", name))


def _load(name: str) -> Any:
    module, _, attribute = BUILT_IN[name].partition(":")
    return getattr(importlib.import_module(module), attribute)()
