"""What the commands share: opening a batch file or a registry, and telling errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.protocol import Registry

PASS_ON = {"ignore_unknown_options": True}
"""Settings of commands that hand on pytest's options."""

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
    return files_registry(folder)


def files_registry(folder: str) -> FilesRegistry:
    """The registry kept as files in ``folder``; as :func:`existing_registry`."""
    from pytest_finbot.errors import RegistryError
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.layout import MARKER

    if not Path(folder, MARKER).is_file():
        raise RegistryError(f"there is no registry in {folder}; say where: --registry FOLDER")
    return FilesRegistry(Path(folder))


def become_pytest(options: Sequence[str], folder: Path | None = None) -> NoReturn:
    """Replace this process with ``pytest`` and its ``options``, in ``folder`` if one is given.

    A process of pytest's own: what it loads, it loads first, and signals and the exit status
    are its.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if folder is not None:
        os.chdir(folder)
    # -P keeps the current folder off sys.path, as it is for the command `pytest`.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "pytest", *options])  # noqa: S606


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
