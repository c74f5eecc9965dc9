"""How many workers ``-n auto`` may start."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

VARIABLE = "FINBOT_MAX_WORKERS"


def worker_limit(cores: int, limits: Iterable[int]) -> int:
    """The least of ``cores``, the batches' ``max_workers`` and FINBOT_MAX_WORKERS.

    Raises UsageError where the variable is not a whole number of at least 1.
    """
    allowed = [cores, *limits]
    said = os.environ.get(VARIABLE, "").strip()
    if said:
        try:
            number = int(said)
        except ValueError:
            number = 0
        if number < 1:
            raise pytest.UsageError(f"{VARIABLE}={said!r}: expected a whole number of at least 1")
        allowed.append(number)
    return min(allowed)
