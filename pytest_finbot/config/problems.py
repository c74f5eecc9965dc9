"""Mistakes in plain words: pydantic's errors, and our own, with file, line and key."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError

from pytest_finbot.errors import Problem, did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from pytest_finbot.config.source import Positions

Place = tuple[str | int, ...]
"""Where something stands: keys and item numbers (0-based) from the top of the file."""

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST_QUOTE: Final = 60
LONGEST_PATH: Final = 400

_EXPECTED: Final = {
    "string_type": "text",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_YES_AND_NO: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_BOUNDS: Final = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def key_path(place: Place) -> str:
    """``("runs", 2, "params", "BRK.B")`` -> ``runs[2].params["BRK.B"]``."""
    words = ""
    for part in place:
        if isinstance(part, int):
            words += f"[{part}]"
        elif _BARE_KEY.fullmatch(part):
            words += f".{part}" if words else part
        else:
            words += f"[{json.dumps(part)}]"
    return words


def placed(base: Place, inner: Place, key: Place) -> Place:
    """Where ``key``, a path within a run, stands if ``base`` holds what the run has at ``inner``."""
    return (*base, *key[len(inner) :])


def quoted(text: str, longest: int = _LONGEST_QUOTE) -> str:
    """``text`` in single quotes on one line, cut where it is longer than ``longest``."""
    shown = text if len(text) <= longest else text[:longest] + "…"
    return "'" + (shown if shown.isprintable() else json.dumps(shown)[1:-1]) + "'"


def describe(value: object) -> str:
    """What a value is, in the words of someone who writes the file."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {quoted(value)}"
    return "a list" if isinstance(value, list) else "a mapping"


class Findings:
    """Every problem found in one file. The same one, found from many runs, counts once."""

    def __init__(self, file: str, positions: Positions) -> None:
        self._file = file
        self._positions = positions
        self._found: dict[tuple[int, str, str], Problem] = {}
        self._once: set[Place] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Place, message: str, *, at: Place | None = None) -> None:
        """Note a problem with the key ``place``; its line is that of ``at`` where given."""
        line = self._positions.line(place if at is None else at)
        key = key_path(place)
        self._found.setdefault((line, key, message), Problem(self._file, line, key, message))

    def add_once(self, place: Place, message: str) -> None:
        """Note a problem of many runs that one place makes: the first of them will do."""
        if place not in self._once:
            self._once.add(place)
            self.add(place, message)

    def add_invalid(
        self, place: Place, error: ValidationError, model: type[BaseModel], inner: Place = ()
    ) -> None:
        """Note what pydantic found wrong with the value at ``place``, checked by ``model``.

        ``inner``: what stands at ``place`` is only the model's value at this path.
        """
        for detail in error.errors(include_url=False):
            where = placed(place, inner, detail["loc"])
            # Of a limit, which is read as a whole, a single error may tell several faults.
            for key, fault in detail.get("ctx", {}).get("faults", ()):
                self.add((*where, *key), fault)
            message = told(detail, model)
            if message is not None:
                self.add(where, message)

    def sorted(self) -> list[Problem]:
        """In the order of the file."""
        return [self._found[key] for key in sorted(self._found)]


def told(detail: ErrorDetails, model: type[BaseModel]) -> str | None:
    """One error of pydantic's in plain words; ``None`` where it is told by others."""
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind in ("finite_number", "finbot_faults"):
        return None
    if kind == "extra_forbidden":
        *parents, key = detail["loc"]
        fields = _model_at(model, parents).model_fields
        return unknown_key(str(key), fields, [name for name in fields if not fields[name].deprecated])
    if kind == "missing":
        owner = _model_at(model, detail["loc"][:-1])
        return f"missing; {getattr(owner, 'noun', 'this')} needs {detail['loc'][-1]}"
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, got {describe(given)}{_how(kind, given)}"
    if kind in _BOUNDS:
        word, name = _BOUNDS[kind]
        return f"{given} is not {word} {context[name]:.15g}"
    if kind == "literal_error":
        return not_one_of(given, re.findall(r"'([^']*)'", context["expected"]))
    if kind == "string_too_short":
        return "must not be empty"
    if kind == "too_short":
        return f"expected at least {context['min_length']}, got {context['actual_length']}"
    return detail["msg"]


def _how(kind: str, given: object) -> str:
    """How to write what was probably meant."""
    if kind == "string_type" and isinstance(given, int | float):
        return "; put it in quotes"
    if kind == "bool_type" and isinstance(given, str) and given.lower() in _YES_AND_NO:
        return f"; write {_YES_AND_NO[given.lower()]}"
    return ""


def unknown_key(key: str, known: Iterable[str], current: Iterable[str]) -> str:
    """A key that is not ``known``, with the nearest or, where none is near, all ``current`` ones."""
    near = did_you_mean(key, known)
    return f"unknown key {quoted(key)}{near or '; expected one of ' + ', '.join(current)}"


def not_one_of(given: object, choices: Iterable[str]) -> str:
    """A value outside an enumeration, with what is allowed and what was probably meant."""
    choices = list(choices)
    allowed = choices[0] if len(choices) == 1 else "one of " + ", ".join(choices)
    if not isinstance(given, str):
        return f"expected {allowed}, got {describe(given)}"
    return f"{quoted(given)} is not {allowed}{_nearest(given, choices)}"


_SAME_AS: Final = {
    "daily": "D",
    "day": "D",
    "weekly": "W",
    "week": "W",
    "monthly": "M",
    "month": "M",
    "quarterly": "Q",
    "quarter": "Q",
    "yearly": "A",
    "annual": "A",
    "annually": "A",
    "year": "A",
    "Y": "A",
    "never": "none",
    "ffill": "forward_fill",
    "pad": "forward_fill",
    "bfill": "backfill",
}


def _nearest(given: str, choices: list[str]) -> str:
    for word in (given.upper(), given.lower(), _SAME_AS.get(given, _SAME_AS.get(given.lower(), ""))):
        if word in choices:
            return f"; did you mean '{word}'?"
    return did_you_mean(given, choices)


def _model_at(model: type[BaseModel], parents: Iterable[str | int]) -> type[BaseModel]:
    """The model that checks the value at ``parents`` inside ``model``."""
    for part in parents:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models_in(model.model_fields[part].annotation), model)
    return model


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
