"""What a batch's folder tells of it, be it readable or not: its name, its age, its size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.layout import MANIFEST, segments
from pytest_finbot.registry.records import unseal
from pytest_finbot.registry.strict_json import decode
from pytest_finbot.registry.upkeep.references import lines_of

_CLOCKS = timedelta(days=1)
"""By how much a batch's id and its manifest may tell another time."""
_SESSION_LINES = (b'"kind":"begin"', b'"kind":"end"', b'"kind":"cancel"')


def batch_name(folder: Path) -> str | None:
    """The batch's name; ``None`` where the manifest does not tell it."""
    try:
        name = unseal((folder / MANIFEST).read_bytes(), "it").get("batch_name")
    except (OSError, ValueError, RegistryError):
        return None
    return name if isinstance(name, str) else None


def created(folder: Path) -> datetime:
    """When the batch was created, as its id tells, to the second."""
    return datetime.strptime(folder.name[6:21], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def wrong_time(manifest: Mapping[str, Any], folder: Path) -> str | None:
    """What is wrong with when the manifest says that the batch was created. It need not say."""
    said = manifest.get("created_at")
    if said is None:
        return None
    try:
        at = datetime.fromisoformat(said)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    except (TypeError, ValueError):
        return f"created_at is {said!r}, which is no time in ISO 8601"
    if abs(at - created(folder)) > _CLOCKS:
        return f"created_at is {said!r}, but the batch's id says {created(folder).isoformat()}"
    return None


def last_session(folder: Path) -> datetime:
    """When a session of the batch last began or ended, as its lines tell; else when it was created."""
    last = created(folder)
    for raw in lines_of(folder):
        if any(kind in raw[:60] for kind in _SESSION_LINES):
            try:
                at = datetime.fromisoformat(decode(raw)["at"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that cannot be read is verify's to tell
            last = max(last, at if at.tzinfo is not None else at.replace(tzinfo=UTC))
    return last


def last_written(folder: Path) -> datetime:
    try:
        newest = max(path.stat().st_mtime for path in (folder / MANIFEST, *segments(folder)))
    except FileNotFoundError:
        newest = time.time()  # it changes as we look
    return datetime.fromtimestamp(newest, UTC)


def folder_bytes(folder: Path) -> int:
    with telling("read", folder):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
