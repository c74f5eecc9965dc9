"""The keys ``timeout``, ``memory_limit`` and ``retries``: how long, how much, how often.

None of them can change the numbers of a run that ends well, so none is in its hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, PlainValidator, WithJsonSchema

from pytest_finbot.config.fields import Amount, Strict, wrong
from pytest_finbot.config.problems import describe, quoted
from pytest_finbot.config.scalars import is_unusual
from pytest_finbot.config.source import unusual_words
from pytest_finbot.contracts import ErrorCategory, RetrySpec
from pytest_finbot.errors import did_you_mean

SMALLEST_MEMORY: Final = 2**20
"""Bytes; no run can be executed in less."""
MOST_ATTEMPTS: Final = 100

_NO_LIMIT: Final = "; write null for no limit"
_ONCE: Final = "; write 1 to try once"


# ------------------------------------------------------------------- one number, one unit


@dataclass(frozen=True, slots=True)
class _Measure:
    """How an amount may be written. ``units`` maps a unit to what one of it is."""

    expected: str
    units: Mapping[str, int]
    same_as: Mapping[str, str]
    """What is likely meant by a unit that is none."""

    any_case: bool = False
    """Whether small and large letters of a unit say the same."""

    def read(self, text: str) -> Decimal:
        match = _AMOUNT.fullmatch(text.strip())
        if match is None or len(text) > _LONGEST:
            raise self.refused(text)
        digits, given = match.groups()
        if not given:
            raise wrong(f"expected {self.expected}, got {describe(text)}; write the number without quotes")
        unit = next((unit for unit in self.units if self._is(given, unit)), None)
        if unit is None:
            meant = self.same_as.get(given.lower(), given.lower())
            hint = f"did you mean '{meant}'?" if meant in self.units else f"expected one of {self._listed()}"
            raise wrong(f"{quoted(text)}: {quoted(given)} is no unit; {hint}")
        return Decimal(digits) * self.units[unit]

    def refused(self, value: object) -> Exception:
        hint = _NO_LIMIT if _means_off(value) else ""
        return wrong(f"expected {self.expected}, got {describe(value)}{hint}")

    def _is(self, given: str, unit: str) -> bool:
        return given == unit or (self.any_case and given.lower() == unit.lower())

    def _listed(self) -> str:
        return ", ".join(self.units)


_AMOUNT: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([A-Za-z]*)", re.ASCII)
_LONGEST: Final = 40

_TIME: Final = _Measure(
    "seconds as a number, or text such as 90s, 2m or 1h",
    {"s": 1, "m": 60, "h": 3600},
    {
        **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
        **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
        **dict.fromkeys(("hr", "hrs", "hour", "hours"), "h"),
    },
)
_MEMORY: Final = _Measure(
    "bytes as a whole number, or text such as 512 MiB or 2 GiB",
    {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
    {"k": "KiB", "m": "MiB", "g": "GiB"},
    any_case=True,
)


def _is_null(value: object) -> bool:
    # In YAML "none" is text like any other; who writes it means null.
    return value is None or (isinstance(value, str) and value.strip().lower() == "none")


def _means_off(value: object) -> bool:
    return value is False or _is_null(value) or (isinstance(value, str) and value.lower() in _OFF)


_OFF: Final = frozenset({"off", "no", "false", "never", "unlimited"})


def _usual(value: Any) -> Any:
    if is_unusual(value):
        raise wrong(unusual_words(value))
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def _read_timeout(value: Any) -> float | None:
    """Seconds, or ``None``: no limit."""
    if _is_null(value):
        return None
    if isinstance(value, str):
        seconds = _TIME.read(value)
    elif _is_number(value):
        seconds = _usual(value)
    else:
        raise _TIME.refused(value)
    if seconds <= 0:
        raise wrong(f"{_shown(value)} is not above 0{_NO_LIMIT if seconds == 0 else ''}")
    return float(_usual(float(seconds)))


def _read_memory(value: Any) -> int | None:
    """Bytes, or ``None``: no limit."""
    if _is_null(value):
        return None
    if isinstance(value, str):
        size = int(_MEMORY.read(value))
    elif type(_usual(value)) is int:
        size = value
    else:
        raise _MEMORY.refused(value)
    if size < SMALLEST_MEMORY:
        raise wrong(f"{_shown(value)} is below 1 MiB (1048576 bytes), and no run can be executed in less")
    return int(_usual(size))


def read_size(text: str) -> int:
    """Bytes, as ``memory_limit`` has them, or as digits alone; raises ValueError with what is wrong."""
    digits = text.strip()
    size = _read_memory(int(digits) if digits.isdecimal() else text)
    if size is None:
        raise _MEMORY.refused(text)
    return size


_NULL: Final[list[dict[str, Any]]] = [
    {"type": "null"},
    {"type": "string", "pattern": r"^\s*[nN][oO][nN][eE]\s*$"},
]


def _text_in(units: str) -> dict[str, Any]:
    return {"type": "string", "pattern": rf"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*{units}\s*$"}


Timeout = Annotated[
    float | None,
    PlainValidator(_read_timeout),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, _text_in("[smh]"), *_NULL]}),
]
"""Seconds of wall time."""

MemoryLimit = Annotated[
    int | None,
    PlainValidator(_read_memory),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": SMALLEST_MEMORY},
                _text_in("([kKmMgG][iI]?)?[bB]"),
                *_NULL,
            ]
        }
    ),
]
"""Bytes."""


# ------------------------------------------------------------------------------- retries


_USUAL: Final = RetrySpec()
_RETRIED: Final = tuple(category for category in ErrorCategory if category is not ErrorCategory.REGRESSION)
_WORDS: Final[dict[str, ErrorCategory]] = {
    word: category for category in ErrorCategory for word in (category.value, category.name.lower())
}


def _read_category(value: Any) -> ErrorCategory:
    """A category by its own name or by the short one (``memory`` for ``memory_error``)."""
    known = ", ".join(_RETRIED)
    if not isinstance(value, str):
        raise wrong(f"expected one of {known}, got {describe(value)}")
    category = _WORDS.get(value)
    if category is None:
        raise wrong(f"{quoted(value)} is not one of {known}{did_you_mean(value.lower(), _WORDS)}")
    if category is ErrorCategory.REGRESSION:
        raise wrong(
            "a regression is not tried again: a move is no accident, "
            "and a gate that is asked until it opens holds nothing"
        )
    return category


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _as_mapping(value: Any) -> Any:
    """``3`` as ``{attempts: 3}``."""
    if isinstance(value, dict):
        return value
    if type(_usual(value)) is int:
        if not 1 <= value <= MOST_ATTEMPTS:
            raise wrong(f"{value} is not from 1 to {MOST_ATTEMPTS}, the first attempt counted")
        return {"attempts": value}
    raise wrong(
        "expected a whole number of attempts, or a mapping of attempts, on, backoff and jitter, "
        f"got {describe(value)}{_ONCE if _means_off(value) else ''}"
    )


_CATEGORY_SCHEMA: Final = {
    "type": "string",
    "enum": [word for word, category in _WORDS.items() if category in _RETRIED],
}

Categories = Annotated[
    list[Annotated[ErrorCategory, PlainValidator(_read_category)]],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [_CATEGORY_SCHEMA, {"type": "array", "items": _CATEGORY_SCHEMA, "minItems": 1}]}
    ),
]


class RetriesModel(Strict):
    """How often a run is tried, after which errors, and how long is waited in between."""

    noun: ClassVar[str] = "retries"

    attempts: Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)] = _USUAL.attempts
    on: Categories = Field(default_factory=lambda: list(_USUAL.on))
    backoff: Amount = _USUAL.backoff
    jitter: bool = _USUAL.jitter


class _OrAttempts:
    """Tells editors that a number alone will do."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "integer", "minimum": 1, "maximum": MOST_ATTEMPTS}
        return {"anyOf": [number, handler(core)]}


Retries = Annotated[RetriesModel, BeforeValidator(_as_mapping), _OrAttempts()]


def retries_given(model: RetriesModel) -> dict[str, Any]:
    """What one level of the file gives, in RetrySpec's terms; ``on`` in one order, each once."""
    given = {name: model.__dict__[name] for name in model.model_fields_set}
    if "on" in given:
        given["on"] = tuple(category for category in ErrorCategory if category in given["on"])
    return given


# ------------------------------------------------------------------------------ together


def cannot_be_ended(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with ``inline`` beside a limit, in a run's merged settings; or ``None``."""
    if settings.get("isolation") != "inline":
        return None
    limits = [name for name in ("timeout", "memory_limit") if settings.get(name) is not None]
    if not limits:
        return None
    off = " and ".join(f"{name}: null" for name in limits)
    return (
        f"isolation: inline and {' and '.join(limits)} exclude each other: nothing can end a run inside "
        f"its own process; write isolation: process (or auto), or {off}"
    )
