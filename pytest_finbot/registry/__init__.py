"""Where runs are remembered. Start at :func:`open_registry`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finbot.errors import RegistryError

if TYPE_CHECKING:
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.registry.segments import Durability


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
