"""``finbot ci annotate``: the runs that need somebody, at their lines of the batch file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

import click

from pytest_finbot.cli.ci.commands import LEVELS, command
from pytest_finbot.cli.ci.session import Session, Told

if TYPE_CHECKING:
    from pytest_finbot.reports.report import Report, RunFacts

MOST: Final = 10
"""Annotations of a level that GitHub shows of one step."""
_LONGEST: Final = 2_000
"""Characters of a message; GitHub cuts at 4,096 bytes."""

Level = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Annotation:
    level: Level
    title: str
    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where: dict[str, str | int | None] = {"file": self.file, "line": self.line or None}
        return command(
            self.level, _cut(self.message), {**(where if self.file else {}), "title": _cut(self.title, 200)}
        )


@click.command()
def annotate() -> None:
    """Print a workflow command for each run that moved, failed or is missing, the worst first.

    At most ten of a level, which is what GitHub shows; the tenth says how many more there are.
    """
    for annotation in shown(Session.read(os.environ)):
        click.echo(str(annotation))


def shown(session: Session) -> list[Annotation]:
    """As many as GitHub shows, errors first."""
    found = [*_of_session(session)]
    for told in session.worst_first:
        found += _of_batch(told)
    # Of those that changed and are not listed it is not known which of them fail.
    not_listed = sum(report.failed_not_listed for report in session.reports)
    unsure = any(report.changed_not_listed for report in session.reports)
    listed: list[Annotation] = []
    for level in LEVELS:
        of_level = [annotation for annotation in found if annotation.level == level]
        if len(of_level) > MOST:
            left = len(of_level) - MOST + 1 + (not_listed if level == "error" else 0)
            words = f"and {'at least ' if unsure else ''}{left:,} more"
            more = Annotation(
                of_level[0].level, "finbot", f"{words}: see the summary of this job, or the report"
            )
            of_level = [*of_level[: MOST - 1], more]
        listed += of_level
    return listed


def _of_session(session: Session) -> Iterator[Annotation]:
    if session.left is not None and session.left.problems:
        for problem in session.left.problems:
            yield Annotation("error", "finbot: nothing was run", problem.message, problem.file, problem.line)
    elif session.left is None or session.why:
        yield Annotation("error", "finbot: not green", session.why)
    elif (
        not session.green and session.verdict == "failed" and not any(r.batch.errors for r in session.reports)
    ):
        yield Annotation(
            "error",
            "finbot: not green",
            f"pytest ended with status {session.left.status}, and no backtest failed: "
            "another test of the session did, or pytest itself; see its output",
        )


def _of_batch(told: Told) -> Iterator[Annotation]:
    """The whole first, then runs: those without a result, those that moved most, those that were waived."""
    name, file = told.batch.name, told.batch.file
    report = told.report
    if report is None:
        yield Annotation("error", f"{name}: no report", told.why_not, file, 1)
        return
    for problem in report.batch.problems:
        yield Annotation("error", f"{name}: not green", problem, file, 1)
    for run in report.failed:
        yield Annotation("error", f"{run.run}: {_what(run)}", run.error or _what(run), file, run.line or 1)
    for run in report.changed:
        level: Level = "error" if run.fails else "warning"
        yield Annotation(level, f"{run.run}: {_verdict(run)}", _moved(run), file, run.line or 1)
    yield from _of_gate(report, name, file)


def _of_gate(report: Report, name: str, file: str) -> Iterator[Annotation]:
    gate = report.batch.gate
    if gate is None:
        yield Annotation("notice", f"{name}: nothing is gated", report.batch.gate_words, file, 1)
        return
    for waiver in gate.expired:
        yield Annotation(
            "error",
            f"waiver expired: {waiver.run} {waiver.check}",
            f"it held until {waiver.expires}, by {waiver.reviewer}: {waiver.reason}",
            *_place(waiver.where, file),
        )
    for waiver in gate.unused:
        yield Annotation(
            "warning",
            f"waiver without use: {waiver.run} {waiver.check}",
            "nothing that it speaks of moved; remove it",
            *_place(waiver.where, file),
        )


def _place(where: str, file: str) -> tuple[str, int]:
    """File and line of ``waivers.yaml:12``: a waiver stands in the batch file, or in a file beside it."""
    path, _, digits = where.rpartition(":")
    name = path.replace("\\", "/").rpartition("/")[2]
    if not (file and name and digits.isdecimal()):
        return file, 1
    return str(PurePosixPath(file).with_name(name)), int(digits)


def _what(run: RunFacts) -> str:
    """``failed (data_error in market_data)``, ``not run``, ``missing``."""
    said = run.status.replace("_", " ")
    details = " in ".join(filter(None, (run.category, run.phase)))
    return f"{said} ({details})" if details else said


def _verdict(run: RunFacts) -> str:
    return (run.verdict or run.status).replace("_", " ")


def _moved(run: RunFacts) -> str:
    """Money, percent and date of the largest difference, the first day, and why."""
    from pytest_finbot.baselines.headline import signed_money

    comparison = run.comparison
    if comparison is None:
        return run.error or _verdict(run)
    lines = [comparison.reason or ""]
    final, largest = comparison.final, comparison.largest
    if final is not None and final.change is not None:
        percent = "" if final.relative is None else f" ({final.relative * 100:+,.2f} %)"
        lines.append(f"final NAV {signed_money(final.change)}{percent}")
    if largest is not None and largest.relative is not None:
        lines.append(f"furthest apart on {largest.session}: {largest.relative * 1e4:+,.1f} bp of NAV")
    if comparison.first_session:
        lines.append(f"first on {comparison.first_session}")
    lines.extend(run.causes[:5])
    return "\n".join(filter(None, lines)) or run.error or _verdict(run)


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
