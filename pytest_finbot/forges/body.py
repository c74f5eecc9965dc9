"""A comment's text: a marker, what is to be known before the report, the report, and where the rest is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal

from pytest_finbot.errors import ForgeError

if TYPE_CHECKING:
    from pytest_finbot.reports.report import Report

Mode = Literal["always", "on-change", "on-failure", "never"]
MODES: Final[tuple[Mode, ...]] = ("always", "on-change", "on-failure", "never")
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'*+,;=%-]{1,500}")


def wanted(report: Report, mode: Mode) -> bool:
    """Whether a comment is made where there is none, by the rule of notifications."""
    from pytest_finbot.reports.notification import worth_telling

    return mode != "never" and worth_telling(report, mode)


def body_of(
    report: Report,
    mark: str,
    *,
    limit: int,
    above: str = "",
    below: str = "",
    safe: Callable[[str], str] = str,
) -> str:
    """The comment, at most ``limit`` characters: cutting is the report's own, which says what is cut.

    ``above`` and ``below`` are paragraphs. ``safe`` is done to the report's Markdown at the end.
    """
    from pytest_finbot.reports.markdown import markdown_report

    head = f"{mark}\n\n" + (f"{above}\n\n" if above else "")
    tail = f"\n\n{below}\n" if below else "\n"
    room = limit - len(head) - len(tail)
    asked = room
    while asked > 0:
        text = safe(markdown_report(report, limit=asked).strip("\n"))
        if len(text) <= room:
            return head + text + tail
        # What made it safe made it longer: as much less is asked for.
        asked = min(asked * room // len(text), asked - 1)
    raise ForgeError(f"the report has no room in {limit:,} characters")


def no_report(mark: str, *, above: str = "", below: str = "") -> str:
    """The comment of a run that left no report: what an earlier one said is no longer true."""
    parts = (
        mark,
        above,
        "**No result.** The run ended before it had written a report, or what it wrote cannot be read. "
        "Nothing is known about the backtests at this commit.",
        below,
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def links(**addresses: str) -> str:
    """``[Artifact](…) · [Log](…)`` of those addresses that can be linked; underscores are spaces."""
    found = [
        f"[{name.replace('_', ' ').capitalize()}]({address})"
        for name, address in addresses.items()
        if _ADDRESS.fullmatch(address)
    ]
    return " · ".join(found)


def from_stranger(head_repository: str, sha: str, *, run_url: str = "", fork: bool = True) -> str:
    """What stands above numbers that a run without rights has made, whose code somebody proposes."""
    log = f" ([its log]({run_url}))" if _ADDRESS.fullmatch(run_url) else ""
    of = f" of the fork `{head_repository}`" if fork else ""
    return (
        f"> [!WARNING]\n"
        f"> These numbers come from an unprivileged run{log}{of} at commit `{sha}`.\n"
        "> Whoever wrote the change could also write the numbers: they show what the run reported, and "
        "prove nothing."
    )
