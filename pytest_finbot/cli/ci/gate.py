"""``finbot ci gate``: the exit status of the job, and nothing else."""

from __future__ import annotations

import os

import click

from pytest_finbot.cli.ci.commands import command
from pytest_finbot.cli.ci.left import folder_of, read_left
from pytest_finbot.errors import ParameterError


@click.command()
def gate() -> None:
    """Exit with the status that "finbot ci run" left in FINBOT_CI_FOLDER.

    A status that is missing or cannot be read is 1: what is not known is not green.
    """
    try:
        left = read_left(folder_of(os.environ))
    except ParameterError as error:
        click.echo(command("error", f"not green: {error}", {"title": "finbot"}))
        raise SystemExit(1) from None
    raise SystemExit(left.status)
