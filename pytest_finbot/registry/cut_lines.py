"""Whether an unreadable line is the beginning of a record, or a record that was damaged.

A write that fails half way (a full disk) leaves the beginning of a line, and what is recorded
next starts on a line of its own. Nobody was told that such a record is kept, so nothing is lost.
"""

from __future__ import annotations

import codecs

from pytest_finbot.registry.strict_json import decode

_WORDS = ("true", "false", "null")
_ENDS = (
    "",
    "0",  # a number, or what follows a colon or a comma
    *(word[cut:] for word in _WORDS for cut in range(1, len(word))),
    *(f'{rest}"' for rest in ("", "\\", "0", "00", "000", "0000")),  # in a text, in an escape of it
)
_ENDS_OF_MEMBERS = (*_ENDS, ":0", '"":0', *(f'{rest}":0' for rest in ("", "\\", "0", "00", "000", "0000")))


def is_cut_off(raw: bytes) -> bool:
    """Whether ``raw``, a line that is not JSON, is the beginning of a JSON object.

    Where that cannot be told it is not: a line that ends as a whole one does, in a brace, though
    inside of a text, has more likely lost a quotation mark than its end.
    """
    try:
        # The cut may have gone through a character of several bytes.
        text = codecs.getincrementaldecoder("utf-8")().decode(raw.removesuffix(b"\n"))
    except ValueError:
        return False
    scanned = _open_brackets(text)
    if not text.startswith('{"') and text != "{":
        return False
    if scanned is None:
        return False
    brackets, in_text = scanned
    if in_text and text.endswith("}"):
        return False
    closing = "".join(reversed(brackets))
    ends = _ENDS_OF_MEMBERS if brackets[-1] == "}" else _ENDS
    return any(_is_json(text + end + closing) for end in ends)


def _open_brackets(text: str) -> tuple[list[str], bool] | None:
    """What closes the brackets that are open at the end, and whether a text is.

    ``None`` where a bracket does not close what was opened, or nothing is open any more.
    """
    closing: list[str] = []
    in_text = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif in_text:
            escaped, in_text = character == "\\", character != '"'
        elif character == '"':
            in_text = True
        elif character in "{[":
            closing.append("}" if character == "{" else "]")
        elif character in "}]" and (not closing or closing.pop() != character or not closing):
            return None
    return (closing, in_text) if closing else None


def _is_json(text: str) -> bool:
    try:
        decode(text.encode())
    except ValueError:
        return False
    return True
