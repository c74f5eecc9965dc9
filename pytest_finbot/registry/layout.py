"""Where things are in a registry kept as files, and whether a folder is one.

::

    registry.json
    batches/2026/11/<batch_id>/manifest.json
    batches/2026/11/<batch_id>/<writer>-<unique>.jsonl
    batches/2026/11/<batch_id>/logs/<writer>.jsonl
    series/ab/<hash>.parquet, <hash>.json
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import make_folder, telling, write_file
from pytest_finbot.registry.ids import batch_month, is_batch_id
from pytest_finbot.registry.strict_json import decode, encode

FORMAT = "finbot-registry"
VERSION = 1
MARKER = "registry.json"
MANIFEST = "manifest.json"
REMOVED = ".pruned-"
"""Begins the name of a batch folder on its way out; a prune finishes what was killed on it."""

_WRITER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of the registry in the folder ``root``."""

    root: Path

    @classmethod
    def open(cls, root: Path, *, durable: bool = True) -> Layout:
        """The registry in ``root``, made if there is none yet.

        Raises RegistryError where the folder cannot be made or written, where its
        ``registry.json`` is somebody else's, or where it is of a newer version.
        """
        layout = cls(root.absolute())
        marker = layout.root / MARKER
        with telling("open the registry", layout.root):
            if not marker.exists():
                make_folder(layout.root, durable=durable)
                # Whoever else makes the registry now writes the same bytes.
                content = encode({"format": FORMAT, "version": VERSION}, MARKER) + b"\n"
                write_file(marker, content, durable=durable)
            raw = marker.read_bytes()
        _check_marker(marker, raw)
        return layout

    @property
    def batches(self) -> Path:
        return self.root / "batches"

    @property
    def objects(self) -> Path:
        return self.root / "series"

    def batch_folder(self, batch_id: str) -> Path:
        """Folder of a batch; raises RegistryError for what is not a batch id."""
        return self.batches.joinpath(*batch_month(batch_id), batch_id)

    def manifest(self, batch_id: str) -> Path:
        return self.batch_folder(batch_id) / MANIFEST

    def logs(self, batch_id: str) -> Path:
        return self.batch_folder(batch_id) / "logs"

    def new_segment(self, batch_id: str, writer: str) -> Path:
        """A segment nobody has yet: each process that records needs one of its own."""
        _check_writer(writer)
        return self.batch_folder(batch_id) / f"{writer}-{os.urandom(4).hex()}.jsonl"

    def log(self, batch_id: str, writer: str) -> Path:
        _check_writer(writer)
        return self.logs(batch_id) / f"{writer}.jsonl"

    def batch_ids(self) -> Iterator[str]:
        """Batches with a manifest, newest first; looks only as far as it is asked."""
        for year in _names(self.batches):
            for month in _names(self.batches / year):
                for batch_id in _names(self.batches / year / month):
                    if (
                        is_batch_id(batch_id)
                        and batch_month(batch_id) == (year, month)
                        and self.manifest(batch_id).is_file()
                    ):
                        yield batch_id


def segments(folder: Path) -> list[Path]:
    """The segments of a batch's folder, by name."""
    with telling("read the batch in", folder):
        return sorted(path for path in folder.iterdir() if path.suffix == ".jsonl" and path.is_file())


def _names(folder: Path) -> list[str]:
    with telling("read", folder):
        if not folder.is_dir():
            return []
        return sorted((path.name for path in folder.iterdir()), reverse=True)


def _check_writer(writer: str) -> None:
    if _WRITER.fullmatch(writer) is None:
        raise RegistryError(f"{writer!r} cannot name a writer; expected letters, digits, '_', '-' and '.'")


def _check_marker(marker: Path, raw: bytes) -> None:
    try:
        content = decode(raw)
    except ValueError as error:
        raise RegistryError(f"{marker} is not a {FORMAT} file: {error}; expected another folder") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RegistryError(
            f'{marker} was not written by pytest-finbot: expected {{"format": "{FORMAT}", …}}; '
            "choose another folder for the registry"
        )
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RegistryError(f"{marker} has version {version!r}; expected a whole number from 1 to {VERSION}")
    if version > VERSION:
        raise RegistryError(
            f"{marker} has version {version}, this pytest-finbot reads up to {VERSION}; "
            "upgrade pytest-finbot or choose another folder for the registry"
        )
