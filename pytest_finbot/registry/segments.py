"""Segments: JSON lines that one process appends, and anybody may read meanwhile."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pytest_finbot.registry.append_file import AppendFile
from pytest_finbot.registry.cut_lines import is_cut_off
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.records import record_head, seal, seal_fits, unseal

Durability = Literal["item", "second"]
"""``item``: a record is on the disk when ``append`` returns. ``second``: synced at most once
a second, so that a power cut can cost what was recorded since; a killed process costs nothing."""

SYNC_EVERY: Mapping[Durability, float] = {"item": 0.0, "second": 1.0}

_BUFFER: Final = 1 << 16
"""Bytes that are read at once: lines have some thousands."""


class SegmentWriter:
    """Appends to a segment of its own, created at the first line."""

    def __init__(self, path: Path, durability: Durability = "item") -> None:
        self._every = SYNC_EVERY[durability]
        self._file = AppendFile(path, exclusive=True, durable=True)

    @property
    def path(self) -> Path:
        return self._file.path

    def append(self, kind: str, payload: Mapping[str, Any], sync: bool = True) -> None:
        """Append one line. ``sync=False``: its loss at a power cut would not matter.

        Raises RegistryError where the payload is not strict JSON (nothing is written), or
        where the file cannot be written.
        """
        line = seal(kind, payload, _what(kind, payload))
        self._file.append(line, sync_every=self._every if sync else None)

    def close(self) -> None:
        """Sync what was not yet, and close. A second time does nothing."""
        self._file.close(sync=True)


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A line of a segment that could not be used; ``line`` is 1-based.

    ``unwritten``: it is the beginning of a line whose writer was killed, or told that it could
    not be written. Nobody was told that it is kept, so nothing recorded is lost.
    """

    file: str
    line: int
    message: str
    unwritten: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class Line(NamedTuple):
    """A readable line: where it is (bytes, newline included) and what it says.

    ``checksum`` is of its bytes: an order among lines that does not depend on where they are.
    """

    number: int
    offset: int
    length: int
    value: dict[str, Any]
    checksum: int


def segment_name(path: Path) -> str:
    """How messages call a segment: ``<batch_id>/<file>``."""
    return f"{path.parent.name}/{path.name}"


def read_segment(
    path: Path, problems: list[LineProblem], passed_over: tuple[bytes, ...] = (), *, heads: bool = False
) -> Iterator[Line]:
    """The readable lines of a segment, in order, one in memory at a time.

    A line that cannot be read is added to ``problems`` and hides no other; so is a last
    line without its newline, which counts as not written. Empty lines separate, no more.
    Raises RegistryError for an unreadable file and for a line of a newer version. What is
    appended while it is read is left for the next time: a quick writer is not chased. Whole lines
    that begin as one of ``passed_over`` does are of no interest, and not decoded. With ``heads`` a run's
    line may be given with no more than :func:`~..records.record_head` has of it.
    """
    name = segment_name(path)
    offset = 0
    with telling("read", path), path.open("rb", _BUFFER) as file:
        size = os.fstat(file.fileno()).st_size
        for number, raw in enumerate(file, start=1):
            if offset >= size:
                return
            start, offset = offset, offset + len(raw)
            if raw == b"\n":
                continue
            if passed_over and raw.startswith(passed_over) and seal_fits(raw) and raw.endswith(b"\n"):
                continue
            if not raw.endswith(b"\n"):
                message = f"the last line was cut off after {len(raw)} bytes and is not counted"
                problems.append(LineProblem(name, number, message, unwritten=True))
                return
            try:
                value = (record_head(raw) if heads else None) or unseal(raw, f"{name}:{number}")
            except ValueError as error:
                message = f"the line cannot be read and is not counted: {error}"
                problems.append(LineProblem(name, number, message, unwritten=is_cut_off(raw)))
                continue
            yield Line(number, start, len(raw), value, zlib.crc32(raw))


def _what(kind: str, payload: Mapping[str, Any]) -> str:
    name = payload.get("name")
    return f"{kind} of {name}" if isinstance(name, str) else kind
