"""Fingerprint parts that stay the same in one process, worked out once in it."""

from __future__ import annotations

import functools
from typing import Any

from pytest_finbot.fingerprint import code_closure, environment, sha256_of_json

_VALUATION = ("pytest_finbot.valuation.books", "pytest_finbot.valuation.metrics")
"""What turns any engine's result into the numbers that are compared."""


@functools.cache
def environment_of(distributions: tuple[str, ...]) -> dict[str, str]:
    return environment(distributions)


@functools.cache
def code_of(modules: tuple[str, ...]) -> dict[str, Any]:
    """Import closure of the named modules as it was when this process first used them.

    ``hash`` covers ``modules``. Where some of them (``dynamic``) may import in ways that source
    does not show, ``scope`` says so: an unchanged hash then does not prove that nothing else
    changed. ``distributions`` are the installed packages they import, whose versions belong to
    the environment.
    """
    closure = code_closure((*modules, *_VALUATION))
    scope = "import closure"
    if closure.dynamic:
        scope += f"; dynamic imports in {', '.join(closure.dynamic)} are not followed"
    return {
        "hash": sha256_of_json(closure.modules),
        "scope": scope,
        "modules": closure.modules,
        "dynamic": list(closure.dynamic),
        "distributions": list(closure.distributions),
    }
