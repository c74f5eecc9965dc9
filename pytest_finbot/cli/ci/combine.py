"""``finbot ci combine``: the reports of all shards become one, which is green only if it is whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_finbot.cli.ci.commands import shown
from pytest_finbot.cli.ci.telling_forges import told_in_ci
from pytest_finbot.cli.telling import short

if TYPE_CHECKING:
    from pytest_finbot.reports.report import Report


@click.command()
@click.option("--expect", type=click.IntRange(1, 1000), metavar="N", help="how many shards there are to be")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="write the report of all (JSON)"
)
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="write it as Markdown as well"
)
@click.argument("reports", nargs=-1, type=click.Path(path_type=Path))
def combine(
    expect: int | None, output: Path | None, markdown: Path | None, reports: tuple[Path, ...]
) -> None:
    """Put the REPORTS (batch_report.json) of all shards of a batch together.

    The exit status is 0 only if every shard is there once, they belong together, and the gate is
    open; 1 where something moved, failed or is missing; 4 where they are not shards of one batch.
    """
    from pytest_finbot.errors import ReportError
    from pytest_finbot.reports.combining import GivenReport
    from pytest_finbot.reports.combining import combine as put_together

    given: list[GivenReport] = []
    unreadable: list[str] = []
    with told_in_ci():
        _forget((output, markdown), reports)
        for path in reports:
            try:
                given.append(GivenReport(short(path), _read(path)))
            except ReportError as error:
                unreadable.append(str(error))
        try:
            whole = put_together(given, unreadable=unreadable, expect=expect)
        except ReportError as error:
            if markdown is not None:  # a summary of the job, or a comment, tells why there is none
                _write(markdown, f"**Not green:** {_code(str(error))}\n")
            raise
        if output is not None:
            _write(output, json.dumps(whole.to_json(), ensure_ascii=False, allow_nan=False) + "\n")
        if markdown is not None:
            from pytest_finbot.reports.markdown import markdown_report

            _write(markdown, markdown_report(whole))
    for line in _lines(whole):
        click.echo(shown(line))  # shards run what somebody proposes, and this job may have a token
    raise SystemExit(0 if whole.green else 1)


def _read(path: Path) -> Report:
    """Raises ReportError."""
    from pytest_finbot.errors import ReportError
    from pytest_finbot.reports.reading import MOST_BYTES, read_report

    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)  # enough to see that it is too large
    except OSError as error:
        raise ReportError(f"{short(path)} cannot be read: {error.strerror or error}") from error
    return read_report(raw, short(path))


def _lines(whole: Report) -> list[str]:
    batch, shards = whole.batch, whole.shards
    assert shards is not None, "made of shards"
    numbers = [f"{batch.success:,} of {batch.expected:,} runs succeeded"]
    for name, count in batch.error_categories.items():
        numbers.append(f"{count:,} failed ({name})")
    numbers += [f"{batch.not_run:,} not run"] if batch.not_run else []
    numbers += [f"{batch.deselected:,} deselected"] if batch.deselected else []
    lines = [f"{batch.batch_name}: {', '.join(numbers)}: {'green' if whole.green else 'not green'}"]
    lines += [f"  {shards.words}", f"  {batch.gate_words}"]
    lines += [f"  problem: {problem}" for problem in batch.problems]
    for run in (*whole.changed, *whole.failed):
        what = run.verdict if run.verdict and run.status != "missing" else run.status
        said = run.error.partition("\n")[0]
        lines.append(f"  {what.replace('_', ' ')}: {run.run}" + (f": {said}" if said else ""))
    if more := whole.changed_not_listed + whole.failed_not_listed:
        lines.append(f"  and {more:,} more runs that changed or failed")
    lines += [f"  note: {note}" for note in batch.notes]
    if whole.green and not batch.passes("any"):
        lines.append(f"  not green, and excused by --finbot-fail-on {batch.fail_on}")
    return lines


def _code(text: str) -> str:
    """``text`` as a span of code, in one line: nothing in it is Markdown."""
    line = "".join(char if char.isprintable() else " " for char in text)[:2_000].replace("`", "'")
    return f"`` {line} ``"


def _forget(outputs: tuple[Path | None, ...], reports: tuple[Path, ...]) -> None:
    """Remove what was put together before: from now on it is no longer so. Raises ReportError."""
    from pytest_finbot.errors import ReportError

    read = {path.resolve() for path in reports}
    for path in filter(None, outputs):
        if path.resolve() in read:
            raise ReportError(
                f"{path} is one of the reports to combine, and would be replaced; name another file"
            )
        if path.is_symlink() or (path.exists() and not path.is_file()):
            # /dev/stdout, say, which root could remove.
            raise ReportError(f"{path} is no plain file, and would be replaced; name another file")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ReportError(f"{path} cannot be replaced: {error.strerror or error}") from error


def _write(path: Path, text: str) -> None:
    """The file appears whole or not at all. Raises ReportError."""
    from pytest_finbot.errors import ReportError

    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8", errors="backslashreplace")
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise ReportError(f"cannot write {path}: {error.strerror or error}") from error
