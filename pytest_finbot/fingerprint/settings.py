"""Which settings differ between two configurations, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pytest_finbot.fingerprint.config import is_foreign

_LONGEST: Final = 60
_CONTEXT: Final = 20
"""Characters kept before the first difference where two long values begin alike."""
_PLAIN_KEY: Final = re.compile(r"[\w-]+")
_MOST_SYMBOLS: Final = 10
_ABSENT: Final = object()


def changed_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """``params.fast 50 → 49``, ``symbols +TSLA``: one text for each setting that differs.

    Both are :func:`~pytest_finbot.fingerprint.config.config_document` documents, perhaps read
    back from JSON. Values are told apart as the hash does it.
    """
    exact = any(is_foreign(str(side.get("engine")), str(side.get("strategy"))) for side in (old, new))
    return list(_changes(old, new, "", exact))


def _changes(old: Any, new: Any, path: str, exact: bool) -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            below = key if _PLAIN_KEY.fullmatch(key) else f'["{key}"]'
            where = f"{path}.{below}" if path and not below.startswith("[") else f"{path}{below}"
            yield from _changes(old.get(key, _ABSENT), new.get(key, _ABSENT), where, exact)
    elif old is not new and _spelled(old, exact) != _spelled(new, exact):
        if path == "symbols" and isinstance(old, list) and isinstance(new, list):
            yield _symbols(old, new)
        else:
            yield f"{path} {_pair(old, new)}"


def _symbols(old: list[str], new: list[str]) -> str:
    added = [f"+{symbol}" for symbol in new if symbol not in set(old)]
    removed = [f"−{symbol}" for symbol in old if symbol not in set(new)]  # noqa: RUF001 - a minus, as in print
    moves = [*added, *removed]
    if not moves:
        return "symbols reordered"
    left = len(moves) - _MOST_SYMBOLS
    return f"symbols {' '.join(moves[:_MOST_SYMBOLS])}{f' and {left} more' if left > 0 else ''}"


def _pair(old: Any, new: Any) -> str:
    before, after = _shown(old), _shown(new)
    if before == after:  # the text "50" and the number: quotes tell them apart
        before, after = _json(old), _json(new)
    start = 0
    if before[:_LONGEST] == after[:_LONGEST]:
        shared = next(
            (n for n, (one, other) in enumerate(zip(before, after, strict=False)) if one != other),
            min(len(before), len(after)),
        )
        start = max(0, shared - _CONTEXT)
    return f"{_cut(before, start)} → {_cut(after, start)}"


def _cut(text: str, start: int) -> str:
    begun = f"…{text[start:]}" if start else text
    return begun if len(begun) <= _LONGEST else f"{begun[: _LONGEST - 1]}…"


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "(not given)"
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _spelled(value: Any, exact: bool) -> str:
    """A text that is equal for two values where the hash takes them for the same."""
    return "" if value is _ABSENT else _json(value if exact else _as_number(value))


def _as_number(value: Any) -> Any:
    """``value`` with whole floats as integers, except the negative zero."""
    if isinstance(value, float) and value.is_integer() and repr(value) != "-0.0":
        return int(value)
    if isinstance(value, list | tuple):
        return [_as_number(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _as_number(item) for key, item in value.items()}
    return value
