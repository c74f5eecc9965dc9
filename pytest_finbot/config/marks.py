"""The key ``marks``: when a position counts as valued, how many may not, and how far off it may be."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from pytest_finbot.config.fields import Strict, wrong
from pytest_finbot.config.limits import LimitError, read_deviation, read_fraction
from pytest_finbot.contracts import MarkSpec

_USUAL = MarkSpec()


def _read_share(value: Any) -> float:
    try:
        return read_fraction(value)
    except LimitError as error:
        raise wrong(str(error)) from None


Share = Annotated[
    float,
    PlainValidator(_read_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": 1},
                {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*(%|bps?)\s*$"},
            ]
        }
    ),
]
"""A fraction from 0 to 1."""


def _read_deviation(value: Any) -> float:
    try:
        return read_deviation(value)
    except LimitError as error:
        raise wrong(str(error)) from None


Deviation = Annotated[
    float,
    PlainValidator(_read_deviation),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]*)?|\.[0-9]+)\s*(%|bps?)\s*$"},
            ]
        }
    ),
]
"""A fraction of 0 or more."""


class MarksModel(Strict):
    """Trading sessions a mark may be old, the fraction of held positions without one, and the
    fraction by which a mark may differ from the market's close."""

    noun: ClassVar[str] = "marks"

    max_age: Annotated[int, Field(ge=0)] = _USUAL.max_age
    max_unmarked: Share = _USUAL.max_unmarked
    max_deviation: Deviation = _USUAL.max_deviation
