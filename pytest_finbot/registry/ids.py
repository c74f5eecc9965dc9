"""Names of batches and runs. A batch's name tells when it was made, so names sort by time."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from pytest_finbot.errors import RegistryError

ENTROPY_BYTES = 3

_BATCH_ID = re.compile(r"batch-(\d{8}T\d{6})Z-[0-9a-f]{6}", re.ASCII)
_STAMP = "%Y%m%dT%H%M%S"


def new_batch_id(now: datetime, entropy: bytes | None = None) -> str:
    """``batch-20261121T091502Z-3f9c1a``: the second in UTC, its 256th, then two bytes of chance.

    Short sessions come several in a second, and the last one has to be the last. ``now`` has a time
    zone; ``entropy`` replaces the three bytes after the second. Raises ValueError for a time without
    a zone, or entropy that is not three bytes.
    """
    if now.tzinfo is None:
        raise ValueError(f"{now!r} has no time zone; a batch id tells the time in UTC")
    chance = _part(now) + os.urandom(ENTROPY_BYTES - 1) if entropy is None else entropy
    if len(chance) != ENTROPY_BYTES:
        raise ValueError(f"entropy has {len(chance)} bytes, expected {ENTROPY_BYTES}")
    return f"batch-{now.astimezone(UTC).strftime(_STAMP)}Z-{chance.hex()}"


def new_batch_ids(now: datetime, count: int) -> list[str]:
    """Ids of batches that begin together: no two alike, and sorted as the batches are."""
    chances: set[bytes] = set()
    while len(chances) < count:
        chances.add(os.urandom(ENTROPY_BYTES - 1))
    return [new_batch_id(now, _part(now) + chance) for chance in sorted(chances)]


def _part(now: datetime) -> bytes:
    """The 256th of its second."""
    return bytes([now.microsecond * 256 // 1_000_000])


def is_batch_id(text: str) -> bool:
    """Whether ``text`` is what :func:`new_batch_id` makes, with a date that exists."""
    match = _BATCH_ID.fullmatch(text)
    if match is None:
        return False
    try:
        datetime.strptime(match[1], _STAMP)
    except ValueError:
        return False
    return True


def batch_month(batch_id: str) -> tuple[str, str]:
    """Year and month of the batch, ``("2026", "11")``: its folder, whatever the clock says now.

    Raises RegistryError for what is not a batch id, so that no other text becomes a path.
    """
    if not is_batch_id(batch_id):
        raise RegistryError(
            f"{batch_id!r} is not a batch id; expected one like batch-20261121T091502Z-3f9c1a"
        )
    stamp = batch_id.removeprefix("batch-")
    return stamp[:4], stamp[4:6]


def run_id(batch_id: str, name: str, attempt: int = 1) -> str:
    """``<batch_id>/<name>`` of a run's first attempt; ``#2``, ``#3`` … follow for later ones."""
    return f"{batch_id}/{name}" if attempt == 1 else f"{batch_id}/{name}#{attempt}"
