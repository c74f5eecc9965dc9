"""Making a page fit: what matters least to a reviewer goes first, in whole pieces, and is said to be gone.

It works on the finished page, whoever's template it is: what stands before the first ``## `` is kept,
then there are sections, in them folds (lines ``<details>`` to ``</details>``) and rows (lines that begin
with ``| `` or ``- ``). No name or message can begin a line like these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

DETAILS: Final = "Each changed run"
LAST_TO_GO: Final = (
    "Provenance",
    "How to accept",
    "Failed and missing runs",
    "Gate",
    "Causes",
    "Counts",
    "Changed runs",
    "Problems of the record",
)
"""Sections that are cut only when all others and all folds are gone, from the bottom up as well."""
ELSEWHERE: Final = "`batch_summary.csv`, `batch_summary.json` and `batch_report.json`"
_MOST_NAMED: Final = 12
_ROW: Final = ("| ", "- ")
_CUT: Final = "\n---\n\n**Cut to fit.** Not shown: "
_REST: Final = f". All of it is in {ELSEWHERE}, beside `batch_summary.md`."
_NOTE: Final = re.compile(re.escape(_CUT) + "(.*)" + re.escape(_REST) + r"\n*\Z")
"""What an earlier cut of the same page has said."""


@dataclass(slots=True)
class _Section:
    """A title and pieces of text: lines that stay together. ``kind`` of a piece: text, row or fold."""

    title: str
    pieces: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.pieces)


def cut_to_fit(page: str, limit: int, size: int) -> str:
    """``page`` in at most ``limit`` characters and ``size`` bytes in UTF-8, with a note of what was cut.

    First whole sections go, from the bottom up, but for :data:`DETAILS` and :data:`LAST_TO_GO`; then
    whole folds; then rows of tables and lists; then the other sections. What stands before the first
    section stays, unless it is too long by itself. Raises ValueError for less room than 500.
    """
    if min(limit, size) < 500:
        raise ValueError(f"there are {limit:,} characters and {size:,} bytes; expected at least 500 of each")
    if _fits(page, limit, size):
        return page
    return _Cutter(page, limit, size).cut()


def _fits(page: str, limit: int, size: int) -> bool:
    return len(page) <= limit and len(page.encode("utf-8", "backslashreplace")) <= size


class _Cutter:
    def __init__(self, page: str, limit: int, size: int) -> None:
        self._limit, self._size = limit, size
        earlier = _NOTE.search(page)
        self._earlier = "" if earlier is None else earlier[1]
        self._head, self._sections = _split(page if earlier is None else page[: earlier.start()])
        self._gone: list[str] = []
        self._folds: dict[str, int] = {}
        self._rows: dict[str, int] = {}

    def cut(self) -> str:
        done = (
            self._drop_all_but(DETAILS, *LAST_TO_GO)
            or self._fewer("fold", self._folds)
            or self._drop_all_but(*LAST_TO_GO)
            or self._fewer("row", self._rows)
            or self._drop_all_but()
        )
        return self._page() if done else self._short()

    def _drop_all_but(self, *kept: str) -> bool:
        """Take whole sections away, from the bottom up, until the page fits; whether it does."""
        for section in [one for one in reversed(self._sections) if one.title not in kept]:
            self._sections.remove(section)
            self._gone.append(section.title)
            if self._fits():
                return True
        return False

    def _fewer(self, kind: str, gone: dict[str, int]) -> bool:
        """Take pieces of this kind away, from the bottom up, until the page fits; whether it does."""
        for section in reversed(self._sections):
            places = [place for place, (of, _) in enumerate(section.pieces) if of == kind]
            whole = section.pieces
            low, high = 0, len(places)  # how many go: the least that is enough, or all
            while low < high:
                middle = (low + high) // 2
                self._without(section, whole, places, middle, gone)
                if self._fits():
                    high = middle
                else:
                    low = middle + 1
            self._without(section, whole, places, low, gone)
            if self._fits():
                return True
        return False

    @staticmethod
    def _without(
        section: _Section, whole: list[tuple[str, str]], places: list[int], count: int, gone: dict[str, int]
    ) -> None:
        left_out = set(places[len(places) - count :]) if count else set()
        section.pieces = [piece for place, piece in enumerate(whole) if place not in left_out]
        gone.pop(section.title, None)
        if count:
            gone[section.title] = count

    def _fits(self) -> bool:
        return _fits(self._page(), self._limit, self._size)

    def _page(self) -> str:
        return "".join((self._head, *(section.text for section in self._sections), self._said()))

    def _said(self) -> str:
        """What was cut, and where the rest is."""
        parts = [self._earlier] if self._earlier else []
        if self._gone:
            titles = self._gone[::-1]
            named = ", ".join(titles[:_MOST_NAMED]) + (", …" if len(titles) > _MOST_NAMED else "")
            parts.append(f"the section{'' if len(titles) == 1 else 's'} {named}")
        # Of a section that is gone as a whole, nothing else is told.
        for kind, gone in (("folded part", self._folds), ("row", self._rows)):
            parts += [
                f"{count:,} {kind}{'' if count == 1 else 's'} of {title}"
                for title, count in reversed(gone.items())
                if title not in self._gone
            ]
        if not parts:
            return ""
        return f"{_CUT}{'; '.join(parts)}{_REST}\n"

    def _short(self) -> str:
        """Only what stands before the sections, whole lines of it, as many as fit."""
        self._gone.append("the rest of what stands first")
        lines = self._head.splitlines(keepends=True)
        self._head = ""
        low, high = 0, len(lines)
        while low < high:
            middle = (low + high + 1) // 2
            self._head = "".join(lines[:middle])
            low, high = (middle, high) if self._fits() else (low, middle - 1)
        self._head = "".join(lines[:low])
        return self._page()


def _split(page: str) -> tuple[str, list[_Section]]:
    """What stands before the first section, and the sections; all text together is ``page``."""
    head: list[str] = []
    sections: list[_Section] = []
    fold: list[str] = []
    table = 0
    """Lines of the table so far: the first two are its head, and stay."""
    fenced = False
    for line in page.splitlines(keepends=True):
        fenced ^= line.startswith("```")
        if line.startswith("## ") and not fold and not fenced:
            sections.append(_Section(line[3:].strip(), []))
        if not sections:
            head.append(line)
            continue
        pieces = sections[-1].pieces
        if fold or line.startswith("<details>"):
            fold.append(line)
            if line.startswith("</details>"):
                pieces.append(("fold", "".join(fold)))
                fold = []
            continue
        table = table + 1 if line.startswith("|") and not fenced else 0
        row = not fenced and line.startswith(_ROW) and (table > 2 or line.startswith("- "))
        pieces.append(("row" if row else "text", line))
    if fold:
        sections[-1].pieces.append(("fold", "".join(fold)))
    return "".join(head), sections
