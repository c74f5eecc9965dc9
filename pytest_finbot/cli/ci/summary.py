"""``finbot ci summary``: the reports, where GitHub shows a job's summary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from pytest_finbot.cli.ci.commands import append
from pytest_finbot.cli.ci.session import Session, Told

LIMIT: Final = 1024 * 1024
"""Bytes of a step's summary; of a larger one GitHub shows nothing."""
_MOST_PROBLEMS: Final = 50
_LEAST: Final = 2_000
"""Bytes of which less is no report."""
_REPORT: Final = "batch_summary.md"


@click.command()
def summary() -> None:
    """Append the reports of the session to the file that GITHUB_STEP_SUMMARY names, or print them.

    Never more than 1 MiB with what is there: a report that has no room left is told in one line.
    """
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    there = Path(named).stat().st_size if named and Path(named).is_file() else 0
    text = "".join(pages(Session.read(os.environ), LIMIT - there))
    if not append(named, text):
        click.echo(text)


def pages(session: Session, room: int) -> Iterator[str]:
    """Markdown, the worst batch first, of at most ``room`` bytes in UTF-8."""
    if session.left is None or session.why:
        page = f"**Not green:** {_plain(session.why)}\n\n"
        for problem in () if session.left is None else session.left.problems[:_MOST_PROBLEMS]:
            page += f"- {_plain(str(problem))}\n"
        page += "\n"
        room -= len(page.encode())
        yield page
    elif session.beside:
        page = f"**Not green:** {session.beside}\n\n"
        room -= len(page.encode())
        yield page

    ordered = session.worst_first
    short = [_short(told) for told in ordered]
    # Room for a line each is kept before any report takes more.
    room -= sum(len(line.encode()) for line in short)
    for told, line in zip(ordered, short, strict=True):
        page = _page(told, room + len(line.encode()))
        room -= len(page.encode("utf-8", "backslashreplace")) - len(line.encode()) if page else 0
        yield page or line


def _page(told: Told, room: int) -> str:
    """The batch's own report, cut to ``room`` bytes; empty where there is none, or no room."""
    from pytest_finbot.reports.markdown.cutting import cut_to_fit

    if told.report is None or room < _LEAST:
        return ""
    try:
        text = (told.folder / _REPORT).read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""
    return f"{cut_to_fit(text, LIMIT, room - 2).rstrip()}\n\n"


def _short(told: Told) -> str:
    if told.report is None:
        return f"**{_plain(told.batch.name)}: not green:** {_plain(told.why_not)}\n\n"
    verdict = told.report.verdict.replace("_", " ")
    return (
        f"**{_plain(told.batch.name)}: {verdict}.** Its report has no room here and is in the artifact.\n\n"
    )


def _plain(text: str) -> str:
    """One line of Markdown that says ``text`` and does no more: a span of code."""
    line = "".join(char if char.isprintable() else " " for char in text)[:1_000].replace("`", "'")
    return f"`` {line} ``"
