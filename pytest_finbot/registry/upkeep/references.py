"""What the lines of a batch refer to, found in their bytes: nothing has to be understood for it.

An object that any line names is kept, be the line torn, of a newer version, or of a run that
was deleted or run again. Too much is found rather than too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.layout import MANIFEST, segments

_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_BATCH = rb"(batch-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6})"
_SOURCE = re.compile(rb"batch:" + _BATCH)
_BASELINE = re.compile(rb'baseline_batch\\*"\s*:\s*\\*"' + _BATCH)
"""In a manifest; in a plan the quotation marks are escaped, for it is kept as text."""
_PLAN = re.compile(rb'"runs":"([0-9a-f]{64})"')


def hashes_in(raw: bytes) -> Iterator[bytes]:
    """Every SHA-256 that ``raw`` names, as its 32 bytes: half of what its text would take."""
    for digits in _HASH.findall(raw):
        yield bytes.fromhex(digits.decode())


def batches_in(raw: bytes) -> Iterator[str]:
    """Every batch that ``raw`` names as what something was compared with, or was to be.

    A record says it as ``batch:ID`` where something moved, a manifest or a plan as
    ``baseline_batch`` in any case.
    """
    for pattern in (_SOURCE, _BASELINE):
        for batch_id in pattern.findall(raw):
            yield batch_id.decode()


def plans_in(raw: bytes) -> Iterator[str]:
    """The hash of the plan that a session's first line names, if it planned anew."""
    if b'"kind":"begin"' in raw[:60]:
        for digest in _PLAN.findall(raw):
            yield digest.decode()


def lines_of(folder: Path) -> Iterator[bytes]:
    """The manifest and every line of a batch's folder, readable or not, one in memory at a time.

    Raises RegistryError, naming the file, where one cannot be opened.
    """
    for path in (folder / MANIFEST, *segments(folder)):
        with telling("read", path), path.open("rb") as file:
            yield from file
