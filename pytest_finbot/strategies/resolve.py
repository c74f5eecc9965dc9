"""From the name in a batch file to a strategy. The one place that lists the built-in ones."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any, Final, cast

from pytest_finbot.contracts import MarketData, RunSpec, TargetWeights
from pytest_finbot.errors import MissingDependencyError, ParameterError, did_you_mean
from pytest_finbot.strategies.decisions import as_target_weights
from pytest_finbot.strategies.params import Params
from pytest_finbot.strategies.protocol import Strategy

_HERE = "pytest_finbot.strategies"

BUILT_IN: Final[dict[str, tuple[str, str]]] = {
    # name and function: module, class of its parameters
    "dual_momentum": (f"{_HERE}.dual_momentum", "DualMomentumParams"),
    "fixed_weights": (f"{_HERE}.fixed_weights", "FixedWeightsParams"),
    "momentum_rotation": (f"{_HERE}.momentum_rotation", "MomentumRotationParams"),
    "multifactor_long_short": (f"{_HERE}.multifactor_long_short", "MultifactorLongShortParams"),
    "risk_parity": (f"{_HERE}.risk_parity", "RiskParityParams"),
    "sma_crossover": (f"{_HERE}.sma_crossover", "SmaCrossoverParams"),
}

_CALLABLE_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def target_weights(spec: RunSpec, market: MarketData) -> TargetWeights:
    """What the run's strategy wants, checked: rows [K], weights [K, N].

    Raises ParameterError where the strategy cannot be found, EngineError where it returns
    what no strategy may. Whatever the strategy itself raises passes through untouched.
    """
    strategy = resolve_strategy(spec.strategy)
    if isinstance(strategy, type):
        raise ParameterError(
            f"strategy {spec.strategy!r} is a class, which engine {spec.engine!r} cannot run; expected a "
            "function that returns target weights"
        )
    decisions = strategy(spec, market)
    return as_target_weights(decisions, spec.strategy, market)


def resolve_strategy(name: str) -> Strategy:
    """The strategy called ``name``: a built-in one, or a user's ``pkg.module:callable``.

    Raises ParameterError for an unknown name, or one that cannot be imported.
    """
    problem = strategy_problem(name)
    if problem is not None:
        raise ParameterError(problem)
    if name in BUILT_IN:
        return cast(Strategy, getattr(importlib.import_module(BUILT_IN[name][0]), name))
    return cast(Strategy, import_callable("strategy", name))


def strategy_problem(name: str) -> str | None:
    """What is wrong with a strategy's name as such, or ``None``; imports nothing."""
    if name in BUILT_IN or is_callable_path(name):
        return None
    return (
        f"unknown strategy {name!r}{did_you_mean(name, BUILT_IN)} (known: {', '.join(sorted(BUILT_IN))}, "
        "or your own as pkg.module:callable)"
    )


def strategy_module(name: str) -> str:
    """Name of the module that holds strategy ``name``."""
    return BUILT_IN[name][0] if name in BUILT_IN else name.partition(":")[0]


def params_class(name: str) -> type[Params]:
    """How the built-in strategy ``name`` declares its parameters."""
    module, attribute = BUILT_IN[name]
    return cast(type[Params], getattr(importlib.import_module(module), attribute))


def is_callable_path(name: str) -> bool:
    """Whether ``name`` has the form ``pkg.module:callable``."""
    return _CALLABLE_PATH.fullmatch(name) is not None


def import_callable(kind: str, name: str) -> Callable[..., Any]:
    """The callable that ``name`` (``pkg.module:callable``) names; ``kind`` says what of, in messages.

    Raises ParameterError where the module cannot be imported (missing, or its source does not
    compile), has no such attribute, or that is not callable; MissingDependencyError where what
    it imports is not installed. Anything else that the module raises while it is imported
    passes through, with the user's own traceback.
    """
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        words = f"{kind} {name!r}: module {module_name} cannot be imported: {error}"
        if f"{module_name}.".startswith(f"{error.name}."):
            raise ParameterError(words + _where(error, module_name)) from error
        raise MissingDependencyError(f"{words}; is it installed here?") from error
    except (ImportError, SyntaxError) as error:
        raise ParameterError(
            f"{kind} {name!r}: module {module_name} cannot be imported: {error}{_where(error, module_name)}"
        ) from error
    found: Any = module
    for step in attribute.split("."):
        if not hasattr(found, step):
            public = [known for known in dir(found) if not known.startswith("_")]
            raise ParameterError(
                f"{kind} {name!r}: module {module_name} has no {attribute!r}{did_you_mean(step, public)}"
            )
        found = getattr(found, step)
    if not callable(found):
        raise ParameterError(
            f"{kind} {name!r}: expected a function, but {attribute!r} is of type {type(found).__name__}"
        )
    return cast(Callable[..., Any], found)


def _where(error: ImportError | SyntaxError, module_name: str) -> str:
    """What to do about a module that is not there, as against one whose own imports fail."""
    if isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}."):
        return " (is the folder that holds it on sys.path?)"
    return ""
