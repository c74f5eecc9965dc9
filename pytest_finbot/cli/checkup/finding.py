"""What a check came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """``about`` in a word or two, ``words`` what was found, ``todo`` what to do about it, if anything."""

    about: str
    state: State
    words: str
    todo: str = ""


def ok(about: str, words: str) -> Finding:
    return Finding(about, "ok", words)


def note(about: str, words: str, todo: str = "") -> Finding:
    return Finding(about, "note", words, todo)


def problem(about: str, words: str, todo: str) -> Finding:
    return Finding(about, "problem", words, todo)
