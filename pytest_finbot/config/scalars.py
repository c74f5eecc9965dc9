"""What a plain YAML scalar, or a JSON number or word, means.

The core schema of YAML 1.2, not 1.1: ``no`` and ``on`` are text (``NO`` and ``ON`` are
tickers), dates are text, ``1e5`` is a number. One deviation: digits with leading zeros
(``000001``, a ticker in Shenzhen) stay text, because 1.1 reads them as octal and 1.2 as
decimal, and either would lose the zeros.
"""

from __future__ import annotations

import math
import re
from typing import Final

Scalar = str | int | float | bool | None

LARGEST_INTEGER: Final = 2**53
"""Beyond it a whole number is not the same number in every program that reads JSON."""

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_NUMBER = re.compile(
    r"""(?P<hex>0x[0-9a-fA-F]+) | (?P<octal>0o[0-7]+)
    | [-+]?(?: (?P<whole>0|[1-9][0-9]*) (?![.eE0-9])
             | (?: (?:0|[1-9][0-9]*)(?:\.[0-9]*)? | \.[0-9]+ ) (?:[eE][-+]?[0-9]+)? )""",
    re.VERBOSE,
)
_MOST_DIGITS = 300


class ScalarReader:
    """Resolves plain scalars, each distinct text once.

    ``known`` maps a text to its value and may be read directly in a hot loop. ``unusual``
    turns true once a number was met that no run can use (see :func:`is_unusual`).
    """

    __slots__ = ("known", "unusual")

    def __init__(self) -> None:
        self.known: dict[str, Scalar] = {}
        self.unusual = False

    def __call__(self, text: str) -> Scalar:
        value = resolve(text)
        self.known[text] = value
        if is_unusual(value):
            self.unusual = True
        return value


def resolve(text: str) -> Scalar:
    """The value of a plain scalar. Never fails: what is nothing else is text.

    A number too large for float64 becomes infinite, so that it is reported, not kept.
    """
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if match["hex"]:
        return int(text, 16)
    if match["octal"]:
        return int(text, 8)
    # Python refuses to convert integers of thousands of digits; as a float they overflow.
    if match["whole"] and len(text) <= _MOST_DIGITS:
        return int(text)
    return float(text)


def is_unusual(value: object) -> bool:
    """Whether ``value`` is NaN, infinite, or a whole number beyond 2**53."""
    if type(value) is float:
        return not math.isfinite(value)
    return type(value) is int and abs(value) > LARGEST_INTEGER
