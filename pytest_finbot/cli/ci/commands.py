"""GitHub's workflow commands: written so that no value ends its command or begins another.

A runner reads them from a step's output, a line each
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions), and values from
files that it names in the environment.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LEVELS: Final = ("error", "warning", "notice")

_DATA: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY: Final = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def command(name: str, message: str, properties: Mapping[str, str | int | None] | None = None) -> str:
    """One line, without its end: ``::error file=a.yaml,line=3::message``.

    Properties that are ``None`` or empty are left out; what would end the line, the properties or a
    property is escaped, as the runner undoes it.
    """
    given = [(key, _text(value)) for key, value in (properties or {}).items() if value is not None]
    listed = ",".join(f"{key}={value.translate(_PROPERTY)}" for key, value in given if value)
    return f"::{name}{' ' if listed else ''}{listed}::{_text(message).translate(_DATA)}"


def _text(value: str | int) -> str:
    """What can be written as UTF-8, whatever somebody named a file."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def end_token() -> str:
    """A word that nobody can guess, for ``::stop-commands::`` or as a delimiter."""
    return f"finbot-{secrets.token_hex(16)}"


def assignment(name: str, value: str) -> str:
    """What a runner's file of outputs holds of one value, several lines as well.

    Each has a delimiter of its own that is drawn by chance, so that no value can end itself and give
    another output.
    """
    text = _text(value)
    while (delimiter := end_token()) in text:
        continue
    return f"{name}<<{delimiter}\n{text}\n{delimiter}\n"


def append(path: str | None, text: str) -> bool:
    """Append ``text`` to a file that the runner named; whether there is one. Raises OSError."""
    if not path:
        return False
    with Path(path).open("a", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(text)
    return True


def shown(text: str) -> str:
    """``text`` as one line of a step's output that a runner takes for no command.

    A runner finds ``##[command]`` anywhere in a line, and ``::command::`` at its beginning.
    """
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in _text(text))
    return line.replace("##[", "# #[").replace("::", ": :")
