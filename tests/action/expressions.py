"""The expressions of GitHub's workflows, as far as ``action.yml`` uses them; anything else is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z_][\w-]*)|(?P<sign>==|!=|&&|\|\||[!().\[\]]))"
)
_STATUS = ("success", "failure", "always", "cancelled")


def interpolate(text: str, contexts: Mapping[str, Any], status: Mapping[str, bool]) -> str:
    """``text`` with each ``${{ … }}`` replaced by what it is."""
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: _said(evaluate(found[1], contexts, status)), text, flags=re.S
    )


def condition(text: str | None, contexts: Mapping[str, Any], status: Mapping[str, bool]) -> bool:
    """An ``if``: without a function that asks for the status, ``success()`` is meant as well."""
    text = (text or "success()").strip()
    text = text.removeprefix("${{").removesuffix("}}") if text.startswith("${{") else text
    asks = re.search(rf"\b({'|'.join(_STATUS)})\(\)", text) is not None
    return (asks or status["success"]) and _true(evaluate(text, contexts, status))


def evaluate(text: str, contexts: Mapping[str, Any], status: Mapping[str, bool]) -> Any:
    """The value of an expression; raises ValueError for what this evaluator does not know."""
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"unknown expression: {text!r} at {text[at:]!r}")
        tokens.append(found[found.lastgroup or 0])
        at = found.end()
    reader = _Reader(tokens, contexts, status)
    value = reader.either()
    if reader.tokens:
        raise ValueError(f"unknown expression: {text!r}, from {reader.tokens} on")
    return value


class _Reader:
    def __init__(self, tokens: list[str], contexts: Mapping[str, Any], status: Mapping[str, bool]) -> None:
        self.tokens, self.contexts, self.status = tokens, contexts, status

    def take(self, *wanted: str) -> str | None:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else None

    def either(self) -> Any:
        value = self.both()
        while self.take("||"):
            other = self.both()
            value = value if _true(value) else other
        return value

    def both(self) -> Any:
        value = self.equal()
        while self.take("&&"):
            other = self.equal()
            value = other if _true(value) else value
        return value

    def equal(self) -> Any:
        value = self.single()
        while sign := self.take("==", "!="):
            other = self.single()
            # Text is compared without case.
            same = str(value).casefold() == str(other).casefold()
            value = same if sign == "==" else not same
        return value

    def single(self) -> Any:
        if self.take("!"):
            return not _true(self.single())
        if self.take("("):
            value = self.either()
            assert self.take(")")
            return value
        word = self.tokens.pop(0)
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if self.take("("):
            assert self.take(")")
            asked: Callable[[], bool] = {name: lambda name=name: self.status[name] for name in _STATUS}[word]
            return asked()
        value = self.contexts[word]
        while self.take("."):
            # What is not there is null, which is empty text.
            key = self.tokens.pop(0)
            value = value.get(key, "") if isinstance(value, Mapping) else ""
        return value


def _true(value: Any) -> bool:
    return bool(value)


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
