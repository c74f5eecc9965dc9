"""``finbot init``."""

import click


@click.command()
def init() -> None:
    """Not there yet."""
