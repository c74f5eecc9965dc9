"""Where an index is kept: in the user's cache, never in the registry.

SQLite's write-ahead log must not live on a network file system, and merging two registries
must stay a union of their files.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

CACHE_VARIABLE = "FINBOT_CACHE_DIR"
"""Environment variable that names the cache folder in place of the system's."""


def index_path(root: Path) -> Path:
    """The index of the registry in ``root``: ``<cache>/finbot/<hash of the path>/index.sqlite``.

    Raises RuntimeError where the user has no home folder.
    """
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()
    return cache_folder() / "finbot" / digest[:16] / "index.sqlite"


def cache_folder() -> Path:
    """The user's cache folder, as the system has it. Raises RuntimeError where there is no home."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = os.environ.get("XDG_CACHE_HOME")
    # The specification has relative paths ignored.
    return Path(named) if named and os.path.isabs(named) else Path.home() / ".cache"
