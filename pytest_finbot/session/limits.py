"""Limits of the command line and the environment: how many workers, how long a run, where it runs."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

import pytest

from pytest_finbot.config.expand import Batch
from pytest_finbot.errors import BatchFileError, Problem

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


def as_asked(batch: Batch, config: pytest.Config) -> Batch:
    """``batch`` with the limits of the command line in place of its own. Raises BatchFileError."""
    timeout, isolation = config.option.finbot_timeout, config.option.finbot_isolation
    if timeout is None and isolation is None:
        return batch
    runs = tuple(
        dataclasses.replace(
            spec,
            timeout=spec.timeout if timeout is None else timeout,
            isolation=isolation or spec.isolation,
        )
        for spec in batch.runs
    )
    for spec in runs:
        if spec.isolation == "inline" and (spec.timeout is not None or spec.memory_limit is not None):
            limit = "timeout" if spec.timeout is not None else "memory_limit"
            words = f"run {spec.name} has a {limit}, and inline nothing can end it; leave isolation to auto"
            raise BatchFileError([Problem(batch.path.name, spec.line, "isolation", words)])
    return dataclasses.replace(batch, runs=runs)
