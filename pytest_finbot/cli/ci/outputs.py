"""``finbot ci outputs``: the action's outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import click

from pytest_finbot.cli.ci.commands import append, assignment
from pytest_finbot.cli.ci.session import Session

NAMES: Final = (
    "verdict",
    "moved",
    "failed",
    "new",
    "missing",
    "report-path",
    "summary-json",
    "batch-id",
)
"""Of the outputs of the action, those that are known before anything is sent."""


@click.command()
def outputs() -> None:
    """Write the action's outputs to the file that GITHUB_OUTPUT names, or print them."""
    values = values_of(Session.read(os.environ))
    text = "".join(assignment(name, value) for name, value in values.items())
    if not append(os.environ.get("GITHUB_OUTPUT"), text):
        for name, value in values.items():
            click.echo(f"{name}: {value}")


def values_of(session: Session) -> Mapping[str, str]:
    """The outputs, of several batches summed up. A count that is not known is empty, and no 0."""
    counts = {
        "moved": sum(report.moved for report in session.reports),
        "failed": sum(report.batch.errors for report in session.reports),
        "new": sum(report.new for report in session.reports),
        "missing": sum(report.missing for report in session.reports),
    }
    worst = next(iter(session.worst_first), None)
    report = "" if worst is None else str(worst.folder / "batch_summary.md")
    summary = "" if session.folder is None else str(session.folder / "session.json")
    return {
        "verdict": session.verdict,
        **{name: str(number) if session.whole else "" for name, number in counts.items()},
        "report-path": report if report and os.path.isfile(report) else "",
        "summary-json": summary if summary and os.path.isfile(summary) else "",
        "batch-id": "\n".join(told.batch.batch_id for told in session.batches if told.batch.batch_id),
    }
