"""What a single value of a batch file may be. Strict: ``"100"`` is no number, ``true`` neither."""

from __future__ import annotations

import calendar
import functools
import re
from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from pytest_finbot.config.problems import describe, quoted

LONGEST_NAME: Final = 120

RESERVED_TAGS: Final = frozenset(
    {"skip", "skipif", "xfail", "parametrize", "usefixtures", "filterwarnings", "finbot", "flaky"}
)

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ID_SIGNS = "letters, digits and _ . -, the first a letter or digit"
_BATCH_NAME = re.compile(r"[A-Za-z0-9_-]+")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class Strict(BaseModel):
    """Base of all models: unknown keys, converted types and non-finite numbers are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    noun: ClassVar[str] = "this"
    """What the model describes, for messages."""


def wrong(message: str) -> PydanticCustomError:
    """A validation error that says ``message`` and nothing else."""
    return PydanticCustomError("finbot", "{message}", {"message": message})


@functools.lru_cache(maxsize=4096)
def _date_of(text: str) -> date | str:
    """The date, or what is wrong with it."""
    match = _DATE.fullmatch(text)
    if match is None:
        return f"{quoted(text)} is not a date; expected YYYY-MM-DD"
    year, month, day = (int(part) for part in match.groups())
    if year == 0:
        return f"'{text}' is not a date: there is no year 0"
    if not 1 <= month <= 12:
        return f"'{text}' is not a date: there is no month {month:02}; expected YYYY-MM-DD"
    days = calendar.monthrange(year, month)[1]
    if not 1 <= day <= days:
        return f"'{text}' is not a date: {year:04}-{month:02} has {days} days"
    return date(year, month, day)


def _read_date(value: Any) -> date:
    if not isinstance(value, str):
        raise wrong(f"expected a date as YYYY-MM-DD, got {describe(value)}")
    found = _date_of(value)
    if isinstance(found, str):
        raise wrong(found)
    return found


def _check_name(pattern: re.Pattern[str], allowed: str, text: str, *, of: str = "a folder") -> str:
    if not pattern.fullmatch(text):
        raise wrong(f"{quoted(text)} is not a name for {of}; allowed are {allowed}")
    if len(text) > LONGEST_NAME:
        raise wrong(f"{quoted(text)} has {len(text)} characters; at most {LONGEST_NAME} are allowed")
    return text


def _check_said(text: str) -> str:
    if not text.strip():
        raise wrong("must not be empty")
    return text


def _check_tag(text: str) -> str:
    if text in RESERVED_TAGS:
        raise wrong(f"the tag '{text}' has a meaning of its own in pytest; choose another word")
    if not _TAG.fullmatch(text):
        raise wrong(f"{quoted(text)} is not a tag; expected a letter, then letters, digits and _ . -")
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _only(allowed: str, why: str, value: Any) -> Any:
    if value != allowed:
        raise wrong(f"{describe(value)} is not available; expected {allowed}: {why}")
    return value


IsoDate = Annotated[date, PlainValidator(_read_date), WithJsonSchema({"type": "string", "format": "date"})]
RunId = Annotated[
    str,
    AfterValidator(functools.partial(_check_name, _RUN_ID, _ID_SIGNS)),
    WithJsonSchema({"type": "string", "pattern": f"^{_RUN_ID.pattern}$", "maxLength": LONGEST_NAME}),
]
BatchName = Annotated[
    str,
    AfterValidator(functools.partial(_check_name, _BATCH_NAME, "letters, digits, _ and -")),
    WithJsonSchema({"type": "string", "pattern": f"^{_BATCH_NAME.pattern}$", "maxLength": LONGEST_NAME}),
]
SnapshotId = Annotated[
    str,
    AfterValidator(functools.partial(_check_name, _RUN_ID, _ID_SIGNS, of="a snapshot")),
    WithJsonSchema({"type": "string", "pattern": f"^{_RUN_ID.pattern}$", "maxLength": LONGEST_NAME}),
]
Tag = Annotated[
    str, AfterValidator(_check_tag), WithJsonSchema({"type": "string", "pattern": f"^{_TAG.pattern}$"})
]
Symbols = Annotated[
    list[str],
    BeforeValidator(_as_list),
    Field(min_length=1),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]
Local = Annotated[
    Literal["local"],
    BeforeValidator(
        functools.partial(
            _only, "local", "a run never touches the network; put the prices into a file and name it"
        )
    ),
]
Daily = Annotated[Literal["1d"], BeforeValidator(functools.partial(_only, "1d", "sessions are days"))]
FilePath = Annotated[str, Field(min_length=1)]
Name = Annotated[str, Field(min_length=1)]
Said = Annotated[
    str, AfterValidator(_check_said), WithJsonSchema({"type": "string", "minLength": 1, "pattern": r"\S"})
]
"""Text that says something: blanks alone do not."""
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
LARGEST_SEED = 2**32 - 1
"""Largest that numpy.random.seed takes."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


def symbol_fault(symbol: str) -> str | None:
    """What is wrong with a symbol, or ``None``."""
    if not symbol:
        return "a symbol must not be empty"
    if symbol != symbol.strip() or not symbol.isprintable():
        return f"the symbol {quoted(symbol)} has blanks around it or unprintable characters"
    return None
