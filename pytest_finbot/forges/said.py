"""What a server said, made fit to be printed."""

from __future__ import annotations

import unicodedata
from typing import Any, Final

LONGEST: Final = 300
"""Characters of a stranger's words that are repeated."""

_UNPRINTED: Final = frozenset(("Cc", "Cf", "Co", "Cs", "Zl", "Zp"))


def one_line(text: str) -> str:
    """One bounded line without control and direction characters, and no command to a CI runner.

    GitHub's runner finds ``##[command]`` anywhere in a line, ``::command::`` at its start only.
    """
    kept = "".join(" " if unicodedata.category(sign) in _UNPRINTED else sign for sign in text[: 4 * LONGEST])
    line = " ".join(kept.split()).replace("##[", "# #[")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def said_by(document: Any) -> str:
    """The message of an error document of GitHub or GitLab, empty where there is none.

    GitHub: ``{"message": …, "errors": [{"message": …} | …]}``. GitLab: ``{"message": … | {…}}`` or
    ``{"error": …}``.
    """
    if not isinstance(document, dict):
        return ""
    parts = [document.get("message"), document.get("error"), document.get("error_description")]
    errors = document.get("errors")
    if isinstance(errors, list):
        parts += [error.get("message") if isinstance(error, dict) else error for error in errors[:3]]
    return "; ".join(part if isinstance(part, str) else str(part)[:LONGEST] for part in parts if part)
