"""Opening what a command is about: a batch file with its baselines, a registry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.files import FilesRegistry

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


def existing_registry(folder: str) -> FilesRegistry:
    """The registry in ``folder``. Raises RegistryError where there is none: looking makes none."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.layout import MARKER

    if not Path(folder, MARKER).is_file():
        raise RegistryError(f"there is no registry in {folder}; say where: --registry FOLDER")
    return FilesRegistry(Path(folder))
