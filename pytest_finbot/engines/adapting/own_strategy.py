"""What a run may not ask of a strategy that is written for its engine."""

from __future__ import annotations

from pytest_finbot.contracts import FillTiming, RunSpec
from pytest_finbot.errors import ParameterError


def refuse_what_only_weights_have(engine: str, spec: RunSpec, fills: tuple[FillTiming, ...]) -> None:
    """Raise ParameterError where ``spec`` sets what only target weights can be held to.

    A strategy of the engine's own kind sizes and times its orders itself: limits on weights would be
    ignored without a word. ``fills`` are the timings that the engine gives to such a strategy.
    """
    native = f"strategy {spec.strategy!r} is written for engine {engine!r} and sizes its own orders"
    if spec.cash_buffer:
        raise ParameterError(f"cash_buffer: {native}; expected 0, or a function that returns target weights")
    if spec.max_gross_exposure is not None:
        raise ParameterError(
            f"max_gross_exposure: {native}; expected none, or a function that returns target weights"
        )
    if spec.fill not in fills:
        raise ParameterError(
            f"fill: {spec.fill}: strategy {spec.strategy!r} is written for engine {engine!r}, which trades "
            f"it at {' or '.join(fills)}; expected that, or a function that returns target weights"
        )
