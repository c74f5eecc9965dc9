"""A token that cannot be printed."""

from __future__ import annotations

from typing import NoReturn

from pytest_finbot.errors import ForgeError


class Token:
    """A secret and the header it is sent in; its text is in no repr, message, pickle or copy.

    ``where`` is the name of the variable it comes from. Raises ForgeError, without the text, where it
    could not be sent as a header: http.client would say it in its own error.
    """

    __slots__ = ("_header", "_scheme", "_text")

    def __init__(self, text: str, *, where: str, header: str, scheme: str = "") -> None:
        text = text.strip()
        if not text:
            raise ForgeError(f"{where} is empty")
        if not all("!" <= sign <= "~" for sign in text):
            raise ForgeError(f"{where} holds characters that no token has: white space, or not ASCII")
        self._text, self._header, self._scheme = text, header, scheme

    def header(self) -> tuple[str, str]:
        """Name and value; for a request and nothing else."""
        return self._header, self._scheme + self._text

    def hidden(self, text: str) -> str:
        """``text`` with ``***`` for the token: servers and proxies have been seen to echo headers."""
        return text.replace(self._text, "***")

    def __repr__(self) -> str:
        return "Token(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is neither copied nor pickled")
