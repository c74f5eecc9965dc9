"""Ids of the runs that a matrix makes: what a key and its value are called in them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

LONGEST_SLUG: Final = 40
"""Characters; a longer value is named by its position."""

_OTHER_SIGNS: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def key_labels(keys: Iterable[str]) -> dict[str, str]:
    """What each key is called: its last part, or all of it where two keys end alike."""
    keys = list(keys)
    last = {key: _plain(key.rpartition(".")[2]) for key in keys}
    often = Counter(label.casefold() for label in last.values())
    return {key: label if often[label.casefold()] == 1 else _plain(key) for key, label in last.items()}


def _plain(key: str) -> str:
    return _OTHER_SIGNS.sub("_", key).replace(".", "_") or "_"


def slug(value: Any, position: int) -> str:
    """``value`` as a part of an id; ``v3`` by its 1-based ``position`` where it has no such form."""
    found = _slug(value, lists=True)
    return found if found and len(found) <= LONGEST_SLUG else f"v{position}"


def _slug(value: Any, *, lists: bool = False) -> str:
    """Empty where there is none."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value).replace("+", "")
    if isinstance(value, str):
        return _OTHER_SIGNS.sub("_", value).strip("_") if value.isascii() else ""
    if isinstance(value, list) and lists:
        parts = [_slug(child) for child in value]
        return "_".join(parts) if all(parts) else ""
    return ""
