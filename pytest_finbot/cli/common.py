"""What the commands share: opening a batch file or a registry, and telling errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.protocol import Registry

REGISTRY_OPTION = click.option(
    "--registry", default=".finbot", show_default=True, help="where runs are recorded", metavar="FOLDER"
)


def gated_batch(file: Path) -> tuple[Batch, Path]:
    """The batch of ``file`` and its folder of baselines. Raises BaselineError where it has none."""
    from pytest_finbot.config.expand import load_batch
    from pytest_finbot.errors import BaselineError

    batch = load_batch(file)
    if batch.baseline is None:
        raise BaselineError(f"{file}: batch {batch.batch_name} has no key baseline: nothing is gated")
    return batch, batch.baseline / batch.batch_name


def existing_registry(folder: str) -> Registry:
    """The registry in ``folder``. Raises RegistryError where there is none: looking makes none."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry import open_registry

    if not Path(folder).is_dir():
        raise RegistryError(f"there is no registry in {folder}; say where: --registry FOLDER")
    return open_registry(Path(folder))


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
