"""``finbot data``: the data of a batch: checked, kept, compared; and what may go of what was kept."""

from __future__ import annotations

from typing import Final

import click

from pytest_finbot.cli.lazy import LazyGroup

_ELSEWHERE: Final = {
    "check": "pytest_finbot.cli.data_check:check",
    "diff": "pytest_finbot.cli.data_diff:diff",
    "prune": "pytest_finbot.cli.data_prune:prune",
    "snapshot": "pytest_finbot.cli.data_snapshot:snapshot",
}
"""Commands by module and attribute."""


@click.group(cls=LazyGroup, elsewhere=_ELSEWHERE)
def data() -> None:
    """Prices and factors of a batch: check them, keep them, compare them."""
