"""A number that does not exist for a run, with the reason: never NaN, never an exception."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Undefined:
    """Why a figure has no value, in words that a report can print."""

    reason: str


Figure: TypeAlias = float | Undefined
"""A finite Python float, or why there is none."""

NOT_FINITE = Undefined("the result is not a finite number")


def figure(value: float) -> Figure:
    """``value`` as a Python float, or :data:`NOT_FINITE`."""
    number = float(value)
    return number if math.isfinite(number) else NOT_FINITE


def value_of(found: Figure, name: str, undefined: dict[str, str]) -> float | None:
    """``found`` as JSON has it; the reason goes into ``undefined`` under ``name``."""
    if isinstance(found, Undefined):
        undefined[name] = found.reason
        return None
    return found
