"""Fingerprint parts that stay the same in one process, worked out once in it."""

from __future__ import annotations

import functools
from typing import Any

from pytest_finbot.fingerprint import code_modules, environment, sha256_of_json


@functools.cache
def environment_of(distributions: tuple[str, ...]) -> dict[str, str]:
    return environment(distributions)


@functools.cache
def code_of(modules: tuple[str, ...]) -> dict[str, Any]:
    """Hashes of the named modules as they were when this process first used them.

    What they import is not followed, and ``scope`` says so: an unchanged hash here does not
    prove that nothing else changed.
    """
    hashes = code_modules(modules)
    return {"hash": sha256_of_json(hashes), "scope": "named modules only", "modules": hashes}
