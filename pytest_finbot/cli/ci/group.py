"""``finbot ci``: the commands that ``action.yml`` and other CI systems are made of."""

from __future__ import annotations

from typing import Final

import click

from pytest_finbot.cli.lazy import LazyGroup

_ELSEWHERE: Final[dict[str, str]] = {}


@click.group(cls=LazyGroup, elsewhere=_ELSEWHERE)
def ci() -> None:
    """Run in CI, tell about it there, and close the gate."""
