"""``finbot init``: from nothing to a gated batch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from pytest_finbot.cli.starter.files import Plan

_DONE: Final = {"write": "wrote", "append": "added to", "keep": "kept", "cannot": "cannot"}
_WOULD: Final = {"write": "would write", "append": "would add to", "keep": "keep", "cannot": "cannot"}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--dry-run", is_flag=True, help="only show what would be written")
@click.option(
    "--action",
    metavar="OWNER/REPO@REF",
    help="the GitHub Action that the workflow uses (default: the release of this version)",
)
def init(folder: Path, dry_run: bool, action: str | None) -> None:
    """Write a starter into FOLDER: a batch file that runs at once, and what belongs to it.

    A batch file, a strategy of your own, the folder of accepted results, a GitHub workflow, entries of
    .gitignore, a schema for editors; and a sample of prices where the repository has none in data/prices.*.
    What is there already is never overwritten, and to call it twice changes nothing.
    """
    from pytest_finbot.cli.starter.files import plan, write
    from pytest_finbot.cli.telling import told

    _require_action(action)
    with told():
        planned = plan(folder.resolve(), action)
    if planned.impossible:
        for one in planned.impossible:
            click.echo(f"finbot: {one.shown} cannot be written: {one.words}; nothing was written", err=True)
        raise SystemExit(4)
    words = _WOULD if dry_run else _DONE
    width = max(len(one.shown) for one in planned.files)
    for one in planned.files:
        if one.action == "keep" or dry_run:
            click.echo(f"{words[one.action]:<12}  {one.shown:<{width}}  {one.words}")
    if not dry_run:
        try:
            for one in write(planned):
                click.echo(f"{words[one.action]:<12}  {one.shown:<{width}}  {one.words}")
        except OSError as error:
            click.echo(f"finbot: {error.filename}: {error.strerror}; what is told above is written", err=True)
            raise SystemExit(4) from error
    _tell_rest(planned, folder, dry_run)


def _require_action(action: str | None) -> None:
    import re

    if action is not None and not re.fullmatch(r"[\w.-]+/[\w./-]+@[\w./-]+", action, re.ASCII):
        raise click.BadParameter(f"expected OWNER/REPO@REF, not {action!r}", param_hint="--action")


def _tell_rest(planned: Plan, folder: Path, dry_run: bool) -> None:
    for note in planned.notes:
        click.echo(f"note: {note}")
    if dry_run:
        click.echo("nothing was written (--dry-run)")
        return
    if not planned.to_do:
        click.echo("nothing to write: all of it is there")
    click.echo("\nNext:")
    if folder.resolve() != Path.cwd():
        click.echo(f"  cd {folder}")
    click.echo('  pytest --finbot-batch finbot.yaml --finbot-accept --finbot-reason "First results"')
    click.echo('  git add -A && git commit -m "Backtests that are tests"')
    click.echo("  pytest --finbot-batch finbot.yaml")
