"""JSON as RFC 8259 has it: no NaN, no infinity, nothing turned into text for lack of a word."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic_core import from_json

from pytest_finbot.errors import RegistryError


def encode(value: Any, what: str) -> bytes:
    """``value`` as compact UTF-8 on one line; ``what`` names it in the error.

    Raises RegistryError that says which part cannot be written, and writes nothing.
    """
    try:
        text = _ENCODER.encode(value)
    except (ValueError, TypeError) as error:
        found = _not_json(value, "") or str(error)
        raise RegistryError(f"{what} cannot be recorded: {found}") from error
    # A lone surrogate (file names from the system can hold them) has no UTF-8; its
    # backslash form is the JSON escape of the same character, so it reads back unharmed.
    return text.encode("utf-8", "backslashreplace")


def decode(raw: bytes) -> Any:
    """The value of JSON text in UTF-8; raises ValueError (also for NaN and infinities)."""
    try:
        return from_json(raw, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        pass  # what it does not take has other words for why, or is an escape without a character
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


# Made once: json.dumps and json.loads make them anew at every call that is not all defaults.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _not_json(value: Any, path: str) -> str | None:
    """What in ``value`` JSON has no word for, with its path; None where nothing is found."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{path or 'it'} is {value!r}; expected a finite number or null"
    if value is None or isinstance(value, str | int | float):
        return None
    if isinstance(value, dict):
        children = [(f"{path}.{key}" if path else str(key), child) for key, child in value.items()]
    elif isinstance(value, list | tuple):
        children = [(f"{path}[{number}]", child) for number, child in enumerate(value)]
    else:
        hint = " (expected a dict)" if isinstance(value, Mapping) else ""
        return f"{path or 'it'} is of type {type(value).__name__}, which JSON does not know{hint}"
    for where, child in children:
        found = _not_json(child, where)
        if found is not None:
            return found
    return None
