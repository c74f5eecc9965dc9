"""How the commands that speak to GitHub and GitLab tell what came of it: to people, and to later steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.ci.commands import append, assignment, command, shown

if TYPE_CHECKING:
    from pytest_finbot.forges.comment import Told
    from pytest_finbot.reports.report import Report


@contextmanager
def told_in_ci() -> Iterator[None]:
    """Errors of ours as their message, in which no runner finds a command, and exit status 4."""
    from pytest_finbot.errors import FinbotError

    try:
        yield
    except FinbotError as error:
        click.echo(f"finbot: {shown(str(error))}", err=True)
        raise SystemExit(4) from None


def note(message: str, environment: Mapping[str, str]) -> None:
    """Something to know that shuts no gate: an annotation where the runner is GitHub's."""
    if environment.get("GITHUB_ACTIONS") == "true":
        click.echo(command("notice", message, {"title": "pytest-finbot"}))
    else:
        click.echo(shown(message))


def tell(told: Told, what: str, environment: Mapping[str, str]) -> None:
    """One line for people, and the output ``comment-url`` for later steps of a GitHub job."""
    from pytest_finbot.errors import ForgeError

    said = {"none": "no comment is wanted, and there is none"}.get(told.what, told.what)
    click.echo(shown(f"{what}: {said} {told.url}".rstrip()))
    try:
        append(environment.get("GITHUB_OUTPUT"), assignment("comment-url", told.url))
    except OSError as error:
        raise ForgeError(f"GITHUB_OUTPUT cannot be written: {error}") from error


def report_in(path: Path) -> Report:
    """Raises ReportError where there is none, or nothing that is one."""
    from pytest_finbot.errors import ReportError
    from pytest_finbot.reports.reading import MOST_BYTES, read_report

    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ReportError(f"{path}: there is no report: {error.strerror}") from error
    return read_report(raw, str(path))


def report_or_why(path: Path, report_name: str) -> tuple[Report | None, str, str]:
    """The report, the name it is told under, and why there is none: then only a name that was given."""
    from pytest_finbot.errors import ReportError

    try:
        report = report_in(path)
    except ReportError as error:
        return None, report_name.strip(), str(error)
    return report, report_name.strip() or report.batch.batch_name, ""
