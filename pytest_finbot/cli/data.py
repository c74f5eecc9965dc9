"""``finbot data``: the data of a batch: checked, kept, compared; and what may go of what was kept."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_ELSEWHERE: Final = {
    "check": "pytest_finbot.cli.data_check:check",
    "diff": "pytest_finbot.cli.data_diff:diff",
    "prune": "pytest_finbot.cli.data_prune:prune",
    "snapshot": "pytest_finbot.cli.data_snapshot:snapshot",
}
"""Commands by module and attribute, imported as those of :mod:`cli.main`."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_ELSEWHERE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _ELSEWHERE.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands)
def data() -> None:
    """Prices and factors of a batch: check them, keep them, compare them."""
