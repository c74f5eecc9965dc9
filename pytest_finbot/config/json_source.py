"""JSON with lines.

``json.loads`` judges the syntax, as it is fast and strict and its messages are known. The
tree is then built from the same text by tokens, because the standard parser tells neither
where a key stands nor that it was there twice.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import Any, Final

from pytest_finbot.config.scalars import ScalarReader
from pytest_finbot.config.source import DEEPEST, Oddity, Positions, SourceSyntaxError, Tree

_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")|([{\[])|([}\]])|([^\s{}\[\],:"]+)')
_STRING, _OPEN, _CLOSE = 1, 2, 3
_NONE: Final = object()
_NOT_JSON: Final = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}
"""Words that Python's parser lets pass, by their YAML names: numbers to be reported."""


def read_json(text: str) -> Tree:
    """The value in ``text``. Raises SourceSyntaxError."""
    if not text.strip():
        raise SourceSyntaxError(0, "the file is empty")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} (column {error.colno})"
        raise SourceSyntaxError(error.lineno, message) from None
    except RecursionError:
        raise SourceSyntaxError(0, f"nested more than {DEEPEST} levels deep") from None
    except ValueError:  # Python's limit on digits of an integer
        raise SourceSyntaxError(0, "not usable: a whole number with thousands of digits") from None
    return _build(text)


def _build(text: str) -> Tree:
    newlines = [match.start() for match in re.finditer("\n", text)]

    def line_of(offset: int) -> int:
        return bisect_left(newlines, offset) + 1

    positions, read, texts = Positions(line_of), ScalarReader(), _Texts()
    oddities: list[Oddity] = []
    stack: list[tuple[Any, list[int], Any, int]] = []
    container: Any = []  # stands above the root
    offsets: list[int] = []
    key: Any = _NONE
    offset = 0
    value: Any
    for match in _TOKEN.finditer(text):
        kind, token, start = match.lastindex, match.group(), match.start()
        if kind == _STRING:
            value = texts.get(token) or texts.read(token)
            if key is _NONE and type(container) is dict:
                key, offset = value, start
                continue
        elif kind == _CLOSE:
            positions.record(container, offsets)
            closed = container
            container, offsets, key, offset = stack.pop()
            value = closed
            start = offset
        elif kind == _OPEN:
            place = offset if type(container) is dict else start
            stack.append((container, offsets, key, place))
            if len(stack) > DEEPEST:
                raise SourceSyntaxError(line_of(start), f"nested more than {DEEPEST} levels deep")
            container, offsets, key = {} if text[start] == "{" else [], [], _NONE
            continue
        else:
            value = read.known.get(token, _NONE)
            if value is _NONE:
                value = read(_NOT_JSON.get(token, token))
        if type(container) is not dict:
            container.append(value)
            offsets.append(start)
        else:
            if key in container:
                number = list(container).index(key)
                first = line_of(offsets[number])
                message = f"the key '{key}' is given twice; it was first given on line {first}"
                oddities.append(Oddity(container, key, line_of(offset), message))
                offsets[number] = offset
            else:
                offsets.append(offset)
            container[key] = value
            key = _NONE
    if texts.broken is not None:
        where = line_of(text.index(texts.broken))
        raise SourceSyntaxError(where, "a text holds half of a surrogate pair, which is not valid Unicode")
    positions.settle(container[0], offsets[0])
    return Tree(container[0], positions, oddities, read.unusual)


class _Texts(dict[str, str]):
    """Raw string tokens and what they say; ``broken`` is one that UTF-8 cannot hold."""

    broken: str | None = None

    def read(self, token: str) -> str:
        text: str = json.loads(token) if "\\" in token else token[1:-1]
        if "\\u" in token and any("\ud800" <= letter <= "\udfff" for letter in text):
            self.broken = token
        self[token] = text
        return text
