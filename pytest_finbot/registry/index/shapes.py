"""What values of a record and of a manifest are, for those that are something else to be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LONGEST = 60

Shapes = tuple[tuple[str, tuple[type, ...], bool, str], ...]
RECORD: Shapes = (  # key, types, whether null is one, in words
    ("tags", (list,), True, "a list of text"),
    ("seconds", (int, float), True, "a number"),
    ("error", (dict,), True, "an object"),
    ("metrics", (dict,), True, "an object"),
    ("fingerprint", (dict,), True, "an object"),
)
MANIFEST: Shapes = (
    ("provenance", (dict,), True, "an object"),
    ("common", (dict,), False, "an object"),
    ("runs", (list,), False, "a list"),
)


def wrong(value: Mapping[str, Any], shapes: Shapes) -> list[str]:
    """What is of another type than it should be, in words."""
    return [
        f"{key} is {brief(found)}, expected {expected}; it is passed over"
        for key, types, null, expected in shapes
        if type(found := value.get(key, None if null else types[0]())) not in types
        and not (null and found is None)
    ]


def brief(value: object) -> str:
    """``value`` as it is told in a message; the beginning of a long one."""
    said = repr(value)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}…"
