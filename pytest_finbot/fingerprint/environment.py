"""Versions under which a result was made."""

from __future__ import annotations

import functools
import platform
import sys
from collections.abc import Iterable


@functools.cache
def _version(distribution: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def environment(distributions: Iterable[str] = ()) -> dict[str, str]:
    """Versions that can move numbers: Python, platform, NumPy, pandas, ours, and those named."""
    names = sorted({"numpy", "pandas", "pytest-finbot", *distributions})
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "platform": f"{platform.system()}-{platform.machine()}",
        **{name: _version(name) for name in names},
    }
