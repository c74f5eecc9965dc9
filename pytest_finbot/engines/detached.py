"""A result that nobody else can change any more.

A user's engine may keep what it returned, and run again: in the next run of its process, or when a
strategy is executed once more. What was proven has to be what is recorded.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pytest_finbot.contracts import EngineResult


def detached(result: Any) -> Any:
    """``result`` with arrays of its own; as it is where it is no :class:`EngineResult`.

    Arrays that nobody can write, such as prices that runs share, are kept: what is the same array stays it.
    """
    if type(result) is not EngineResult:
        return result  # for the contract to refuse
    return _of_own(
        dataclasses.replace(result, fills=_of_own(result.fills), decisions=_of_own(result.decisions))
    )


def _of_own(nouns: Any) -> Any:
    if not dataclasses.is_dataclass(nouns) or isinstance(nouns, type):
        return nouns
    arrays = {field.name: getattr(nouns, field.name) for field in dataclasses.fields(nouns)}
    changed = {
        name: _copied(value) for name, value in arrays.items() if type(value) in (np.ndarray, np.memmap)
    }
    return dataclasses.replace(nouns, **changed)


def _copied(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if _is_shut(values):
        return values
    if values.size and not any(values.strides):  # one number, however large its shape
        return np.broadcast_to(values.flat[0], values.shape)
    return np.array(values)


def _is_shut(values: Any) -> bool:
    """Whether neither it nor what it is a view of can be written."""
    while isinstance(values, np.ndarray):
        if values.flags.writeable:
            return False
        values = values.base
    return values is None
