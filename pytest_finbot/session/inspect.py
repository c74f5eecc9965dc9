"""What the layers above the batch file know to be wrong with a run before it is run."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_finbot.contracts import RunSpec
from pytest_finbot.engines.resolve import engine_problem, uses_strategies
from pytest_finbot.strategies.inspect import inspect_params

KeyPath = tuple[str | int, ...]


def inspect_run(spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
    """Problems of the run's engine, strategy and parameters, each with its key."""
    problem = engine_problem(spec.engine)
    if problem is not None:
        yield ("engine",), problem
    elif uses_strategies(spec.engine):
        yield from inspect_params(spec)
