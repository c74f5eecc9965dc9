"""The key ``marks``: when a position counts as valued, and how many may not."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema

from pytest_finbot.config.fields import Strict, wrong
from pytest_finbot.config.limits import LimitError, read_fraction
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


class MarksModel(Strict):
    """Trading sessions a mark may be old, and the fraction of held positions without one."""

    noun: ClassVar[str] = "marks"

    max_age: Annotated[int, Field(ge=0)] = _USUAL.max_age
    max_unmarked: Share = _USUAL.max_unmarked
