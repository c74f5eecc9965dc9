"""What somebody is told who is not looking: a title and a few lines, made of a report."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pytest_finbot.reports.templates import render

if TYPE_CHECKING:
    from pytest_finbot.config.notify import When
    from pytest_finbot.reports.report import Report

_LINK: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/%+=&?#-]*)?")
_LONGEST_LINK: Final = 500
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]")
_LONGEST_NAME: Final = 120


def worth_telling(report: Report, when: When) -> bool:
    """Whether somebody is told who asked to be told ``when``.

    ``on-change``: there is anything but identical results. ``on-failure``: the gate is shut, or would be
    if anything were to shut it.
    """
    if when == "always":
        return True
    if when == "on-failure":
        return not report.green or report.verdict in ("incomplete", "failed", "changed")
    verdicts = {} if report.batch.gate is None else report.batch.gate.verdicts
    moved = any(number for name, number in verdicts.items() if name != "identical")
    return bool(report.verdict != "passed" or moved or report.missing or report.changed or report.failed)


def notification(report: Report, link: str = "") -> tuple[str, str]:
    """Title and text. Nothing is in them that a user can write freely."""
    worst = report.worst
    facts = {
        "report": report,
        "green": report.green,
        "link": link,
        "batch_name": _name(report.batch.batch_name),
        "batch_id": _name(report.batch.batch_id),
        "worst_run": "" if worst is None else _name(worst.run),
    }
    title, _, text = render("notification.txt.j2", facts).partition("\n")
    return title, text.strip("\n")


def no_report(name: str, link: str = "") -> tuple[str, str]:
    """As :func:`notification`, of a batch that nothing can be said of; ``name`` is the batch's."""
    text = "It could not be summed up, or nothing of it was run: the gate is shut. Its log says why."
    return f"{_name(name)}: no result", f"{text}\n{link}".strip("\n")


def _name(name: str) -> str:
    """A name as batch files allow it. Chats make mentions and markup of other signs."""
    return _NO_NAME.sub("?", name)[:_LONGEST_NAME]


def ci_link(environment: Mapping[str, str] = os.environ) -> str:
    """Where this job can be looked at: GitHub's, GitLab's or Jenkins' word for it; else nothing."""
    parts = [
        environment.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    ]
    github = "{}/{}/actions/runs/{}".format(*parts) if all(parts) else ""
    for address in (github, environment.get("CI_JOB_URL", ""), environment.get("BUILD_URL", "")):
        if len(address) <= _LONGEST_LINK and _LINK.fullmatch(address):
            return address
    return ""
