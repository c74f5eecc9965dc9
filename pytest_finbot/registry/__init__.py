"""Where runs are remembered.

Scripts and notebooks start at :class:`BatchRegistry` or :class:`ExperimentRegistry`, the
layers above at :func:`open_registry`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.errors import RegistryError

if TYPE_CHECKING:
    from pytest_finbot.registry.batch_registry import BatchRegistry
    from pytest_finbot.registry.experiment import Experiment
    from pytest_finbot.registry.experiment_registry import ExperimentRegistry
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.registry.segments import Durability

__all__ = ["BatchRegistry", "Experiment", "ExperimentRegistry", "open_registry"]

_HOMES = {
    "BatchRegistry": "batch_registry",
    "Experiment": "experiment",
    "ExperimentRegistry": "experiment_registry",
}


def open_registry(url: str | Path, *, durability: Durability = "item") -> Registry:
    """The registry at ``url``: a folder, made if it does not exist.

    ``durability`` is how soon a record is safe from a power cut, see
    :data:`~pytest_finbot.registry.segments.Durability`. Raises RegistryError where it
    cannot be read or written, is somebody else's or newer, or is of a kind unknown here.
    """
    from pytest_finbot.registry.files import FilesRegistry

    if isinstance(url, str) and "://" in url:
        scheme = url.partition("://")[0]  # no more of it: the rest can hold a password
        if scheme.startswith("postgresql"):
            raise RegistryError(f"a registry at {scheme}:// is not available in this version; name a folder")
        raise RegistryError(f"a registry cannot be at {scheme}://; name a folder")
    return FilesRegistry(Path(url), durability)


def __getattr__(name: str) -> Any:
    """The public classes, imported when they are asked for: the command's start must not wait."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
