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
_SOURCE = re.compile(rb"batch:(batch-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6})")


def hashes_in(raw: bytes) -> Iterator[bytes]:
    """Every SHA-256 that ``raw`` names, as its 32 bytes: half of what its text would take."""
    for digits in _HASH.findall(raw):
        yield bytes.fromhex(digits.decode())


def batches_in(raw: bytes) -> Iterator[str]:
    """Every batch that ``raw`` names as what something was compared with (``batch:ID``)."""
    for batch_id in _SOURCE.findall(raw):
        yield batch_id.decode()


def lines_of(folder: Path) -> Iterator[bytes]:
    """The manifest and every line of a batch's folder, readable or not, one in memory at a time.

    Raises RegistryError, naming the file, where one cannot be opened.
    """
    for path in (folder / MANIFEST, *segments(folder)):
        with telling("read", path), path.open("rb") as file:
            yield from file
