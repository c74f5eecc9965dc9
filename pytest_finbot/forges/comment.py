"""One comment a report: found again by its marker and its author, and kept up to date in place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from pytest_finbot.errors import ForgeError
from pytest_finbot.forges.http import UnsureError

LONGEST_SLUG: Final = 60
_ATTEMPTS: Final = 4


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment as the forge has it. ``author``: login, or where logins can be had anew, an id."""

    id: int
    author: str
    body: str
    url: str


class Thread(Protocol):
    """The comments of one pull or merge request, oldest first."""

    def me(self) -> str:
        """Whom the token's comments are by."""

    def comments(self) -> Iterable[Comment]: ...

    def create(self, body: str) -> Comment:
        """Raises UnsureError where it may have been created or not."""

    def update(self, comment: Comment, body: str) -> Comment: ...

    def wait(self, seconds: float, why: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a comment. ``url`` is empty where there is none."""

    what: Literal["created", "updated", "unchanged", "none"]
    url: str = ""


def marker(report_name: str, *, fork: bool = False) -> str:
    """The first line of a comment, which nobody sees. Names that differ have markers that differ.

    ``fork``: of numbers that come from a fork; such a comment never takes the place of one of ours.
    Raises ForgeError for a name without a letter or digit.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", report_name.lower()).strip("-")
    if not report_name.strip():
        raise ForgeError("the report has no name: say --report-name NAME")
    slug = plain[:LONGEST_SLUG]
    if slug != report_name:
        digest = hashlib.sha256(report_name.encode("utf-8", "backslashreplace")).hexdigest()[:8]
        slug = f"{slug}-{digest}".strip("-")
    return f"<!-- pytest-finbot: {'fork/' if fork else ''}{slug} -->"


def upsert(thread: Thread, mark: str, body: str, *, wanted: bool) -> Told:
    """Makes ``body``, which begins with the line ``mark``, our comment: in place where there is one.

    Where it is not ``wanted``, one that is there is brought up to date all the same, as what it says would
    be of an older state, and none is made. Two of ours (two jobs have raced) become one that is up to date
    and one that says where that is.
    """
    assert body.startswith(mark + "\n")
    me = thread.me().casefold()
    why = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            thread.wait(2.0**attempt, why)
        ours = [comment for comment in thread.comments() if _is_ours(comment, mark, me)]
        if ours:
            return _brought_up_to_date(thread, ours, mark, body)
        if not wanted:
            return Told("none")
        try:
            return Told("created", thread.create(body).url)
        except UnsureError as error:
            # It may be there: it is looked for before another one is made.
            why = str(error)
    raise ForgeError(f"{why}, {_ATTEMPTS} times")


def _is_ours(comment: Comment, mark: str, me: str) -> bool:
    # Everybody can write the marker, so the author has to be us; and we repeat strangers' names, so
    # it has to be the first line.
    first = comment.body.lstrip("\ufeff").partition("\n")[0].rstrip("\r ")
    return first == mark and comment.author.casefold() == me


def _brought_up_to_date(thread: Thread, ours: list[Comment], mark: str, body: str) -> Told:
    first, *others = ours
    told = Told("unchanged", first.url)
    if not _same(first.body, body):
        told = Told("updated", thread.update(first, body).url or first.url)
    for other in others:
        elsewhere = f"{mark}\n\nOut of date: see [the other comment]({first.url}).\n"
        if not _same(other.body, elsewhere):
            thread.update(other, elsewhere)
    return told


def _same(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
