"""Markdown as GitHub renders it: cmark-gfm with its extensions, and what GitHub looks for in the HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from cmarkgfm.cmark import Options, github_flavored_markdown_to_html

VOID = ("br", "hr", "img", "input")
BLOCKS = ("p", "td", "th", "li", "summary", "h1", "h2", "h3", "pre", "details", "blockquote")
FOUND_LATER = {
    "a mention": r"(?<![\w/])@[a-z0-9][\w-]*",
    "an address": r"\w@\w+\.\w",
    "an issue": r"(?<!\w)(?:#|gh-)\d+|\w#\d",
    "a commit": r"\b(?=[0-9]*[a-f])[0-9a-f]{7,40}\b",
    "mathematics": r"\$[^$]+\$|\$`",
    "emoji": r":(?!\d\dZ?\b)[a-z0-9_+-]+:",
    "a link": r"://|\bwww\.\w",
    "GitLab's": r"[!%~&^]\d|~\w|\[\w+:\d|\[\[",
}
"""What forges make something of once the Markdown is HTML, in all text that is not code or a link."""


@dataclass
class Rendered(HTMLParser):
    """A page: ``tags`` in their order, the ``cells`` of its tables, the text of its blocks."""

    page: str
    tags: list[str] = field(default_factory=list)
    tables: list[list[list[str]]] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    text: str = ""
    _open: list[str] = field(default_factory=list)
    _bare: str = ""
    bare: list[str] = field(default_factory=list)
    """Text outside code, block by block; code in it is a NUL."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.html = github_flavored_markdown_to_html(
            self.page, Options.CMARK_OPT_UNSAFE | Options.CMARK_OPT_FOOTNOTES
        )
        self.feed(self.html)
        self.close()
        assert not self._open, f"not closed: {self._open}"
        self._end_block()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in BLOCKS:
            self._end_block()
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> closes something else"
        self.tags.append(f"/{tag}")
        if tag in BLOCKS:
            self._end_block()

    def handle_data(self, data: str) -> None:
        self.text += data
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1] += data
        self._bare += "\0" if {"code", "pre", "a"} & set(self._open) else data

    def _end_block(self) -> None:
        self.bare.append(self._bare)
        self._bare = ""

    def found_later(self) -> list[str]:
        """What a forge would make something of."""
        return [
            f"{what}: {found[0]!r}"
            for block in self.bare
            for what, pattern in FOUND_LATER.items()
            for found in re.finditer(pattern, block, re.IGNORECASE)
        ]

    @property
    def skeleton(self) -> list[str]:
        """Its elements, but for code: that is how a name may be shown."""
        return [tag for tag in self.tags if tag not in ("code", "/code")]
