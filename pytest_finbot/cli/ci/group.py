"""``finbot ci``: the commands that ``action.yml`` and other CI systems are made of."""

from __future__ import annotations

from typing import Final

import click

from pytest_finbot.cli.lazy import LazyGroup

_ELSEWHERE: Final[dict[str, str]] = {
    "annotate": "pytest_finbot.cli.ci.annotate:annotate",
    "combine": "pytest_finbot.cli.ci.combine:combine",
    "comment": "pytest_finbot.cli.ci.comment:comment",
    "comments": "pytest_finbot.cli.ci.comments:comments",
    "gate": "pytest_finbot.cli.ci.gate:gate",
    "gitlab": "pytest_finbot.cli.ci.gitlab:gitlab",
    "outputs": "pytest_finbot.cli.ci.outputs:outputs",
    "publish": "pytest_finbot.cli.ci.publish:publish",
    "run": "pytest_finbot.cli.ci.run:run",
    "summary": "pytest_finbot.cli.ci.summary:summary",
    "tell": "pytest_finbot.cli.ci.tell:tell",
}


@click.group(cls=LazyGroup, elsewhere=_ELSEWHERE)
def ci() -> None:
    """Run in CI, tell about it there, and close the gate."""
