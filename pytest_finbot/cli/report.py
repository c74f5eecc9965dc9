"""``finbot report``: any format of a batch's report made again, and two batches held against each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import click

from pytest_finbot.cli.naming import batch_named, complete_batch, using_manifest
from pytest_finbot.cli.opening import REGISTRY_OPTION, existing_registry
from pytest_finbot.cli.telling import short, told

if TYPE_CHECKING:
    from pytest_finbot.cli.report_made import Made

FORMATS: Final = ("text", "md", "html", "json", "csv")


@click.command()
@REGISTRY_OPTION
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="what to make; repeatable with --output (default: text, and with --output md)",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="write batch_summary.* into FOLDER instead of printing",
)
@click.option(
    "--against",
    metavar="OTHER",
    shell_complete=complete_batch,
    help="compare with this batch, run by run, instead of what BATCH was compared with",
)
@click.argument("batch", shell_complete=complete_batch)
def report(
    registry: str, formats: tuple[str, ...], output: Path | None, against: str | None, batch: str
) -> None:
    """Make the report of the recorded BATCH (an id, its beginning or end, or last) again.

    It is made of what is recorded, and nothing is executed. Where the session that ran BATCH did not
    end, the report says so and is not green. The exit status is 0 if the report is green, 1 otherwise.
    """
    if output is None and len(set(formats)) > 1:
        raise click.UsageError("several formats go into a folder: add --output FOLDER")
    chosen = formats or (("md",) if output is not None else ("text",))
    with told():
        from pytest_finbot.cli.report_made import made_again, made_against

        opened = existing_registry(registry)
        batch_id = batch_named(opened, batch)
        with using_manifest(batch_id):
            if against is None:
                made = made_again(opened, batch_id)
            else:
                made = made_against(opened, batch_id, batch_named(opened, against))
        green = _told(made, chosen[0]) if output is None else _written(made, chosen, output)
    raise SystemExit(0 if green else 1)


def _told(made: Made, name: str) -> bool:
    """Print one format; whether the report is green."""
    if name == "text":
        import shutil

        from pytest_finbot.reports.terminal import batch_lines, harmless

        report = made.report()
        width = shutil.get_terminal_size((100, 24)).columns
        color = sys.stdout.isatty() and not _no_color()
        for line in batch_lines(report, width=width, shown=made.excused):
            style = {"bold": True} if line.style == "bold" else {"fg": line.style or None}
            said = harmless(line.text)
            click.echo(click.style(said, **style) if color else said)
        click.echo(f"  batch {harmless(report.batch.batch_id)}")
    else:
        report = made.print(name, _out())
    return report.green


def _out() -> IO[Any]:
    return click.open_file("-", "w", encoding="utf-8", errors="backslashreplace")


def _no_color() -> bool:
    import os

    return bool(os.environ.get("NO_COLOR"))


def _written(made: Made, formats: tuple[str, ...], folder: Path) -> bool:
    """Write files, and say where; whether the report is green."""
    from pytest_finbot.errors import ReportError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        report, paths = made.write(folder, formats)
    except OSError as error:
        raise ReportError(
            f"cannot write the report into {short(folder)}: {error.strerror or error}"
        ) from error
    for path in paths:
        click.echo(short(path.absolute()))
    return report.green
