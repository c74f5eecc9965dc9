"""How a command tells an error, and a path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click


def short(path: Path) -> str:
    """``path`` relative to the current folder, where it lies below it."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


@contextmanager
def told() -> Iterator[None]:
    """Errors of ours as their message and exit status 4."""
    from pytest_finbot.errors import FinbotError

    try:
        yield
    except FinbotError as error:
        click.echo(f"finbot: {error}", err=True)
        raise SystemExit(4) from error
