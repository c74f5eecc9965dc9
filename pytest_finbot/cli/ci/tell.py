"""``finbot ci tell``: what three other commands do, in one process."""

from __future__ import annotations

import click

from pytest_finbot.cli.ci.annotate import annotate
from pytest_finbot.cli.ci.outputs import outputs
from pytest_finbot.cli.ci.summary import summary


@click.command()
@click.pass_context
def tell(context: click.Context) -> None:
    """Outputs, the summary of the step and annotations, each as its own command gives it."""
    for one in (outputs, summary, annotate):
        context.invoke(one)
