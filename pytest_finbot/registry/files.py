"""The registry kept as files: no server, no lock; merging two is a union of their files."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pytest_finbot.errors import RegistryError, did_you_mean
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.durable import make_folder, sync_folder, telling, write_file
from pytest_finbot.registry.fold import BatchFold, fold_batch
from pytest_finbot.registry.layout import MANIFEST, Layout, segments
from pytest_finbot.registry.liveness import LOCK, Hold, hold, is_alive
from pytest_finbot.registry.logs import LogWriter
from pytest_finbot.registry.objects import ObjectStore
from pytest_finbot.registry.records import seal, unseal
from pytest_finbot.registry.segments import Durability, SegmentWriter
from pytest_finbot.registry.strict_json import decode, encode

_SUGGESTED = 100
"""Newest batches among which a mistyped id is looked for."""


class FilesRegistry:
    """A registry in the folder ``root``, made if there is none."""

    def __init__(self, root: Path, durability: Durability = "item") -> None:
        if durability not in get_args(Durability):
            expected = " or ".join(get_args(Durability))
            hint = did_you_mean(durability, get_args(Durability))
            raise RegistryError(f"durability is {durability!r}, expected {expected}{hint}")
        self._durability = durability
        # Once a second is for lines. What a line names is on the disk before it, whatever was asked:
        # a record of long ago would be worth nothing without its series, or without its registry.
        self._layout = Layout.open(root)
        self.objects = ObjectStore(self._layout.objects)
        self._open: dict[tuple[int, str, str], _Files] = {}

    @property
    def root(self) -> Path:
        return self._layout.root

    # --------------------------------------------------------------------------- batches

    def create_batch(self, manifest: Mapping[str, Any]) -> str:
        """Write the manifest and return its ``batch_id``. An existing batch is never touched."""
        batch_id = manifest.get("batch_id")
        if not isinstance(batch_id, str):
            raise RegistryError("the manifest has no batch_id")
        folder = self._layout.batch_folder(batch_id)
        content = seal("manifest", manifest, f"manifest of {batch_id}")
        with telling("create the batch in", folder):
            make_folder(folder.parent, durable=True)
            try:
                folder.mkdir()  # of two that create the same batch, one wins here
            except FileExistsError as error:
                raise RegistryError(f"batch {batch_id} exists already in {self.root}") from error
            try:
                sync_folder(folder.parent)
                write_file(folder / MANIFEST, content, durable=True)
            except OSError:
                # What is left of a batch that never began; the error that counts is the first.
                if not any(folder.iterdir()):
                    folder.rmdir()
                raise
        return batch_id

    def manifest(self, batch_id: str, at: str | None = None) -> dict[str, Any]:
        """The manifest without its envelope: as it was created, and what later sessions say anew.

        ``at``: as it was then, a time as records have it (their ``started_at``).
        """
        manifest = self._created(batch_id)
        for began, digest in self.plans(batch_id):
            if at is None or began <= at:
                manifest |= self.plan(digest)
        return manifest

    def plan_anew(self, changed: Mapping[str, Any]) -> str:
        """Keep what a session that goes on with a batch does otherwise, and return its hash.

        The manifest itself is never rewritten: the session's ``begin`` line names the hash
        as ``runs``, and :meth:`manifest` has it in place from then on.
        """
        # As text: a whole number of any size is JSON, and the canonical form knows only 53 bits.
        text = encode(changed, "the plan of the session").decode()
        digest = sha256_of_json(text)
        self.objects.put_json(digest, text)
        return digest

    def plan(self, digest: str) -> dict[str, Any]:
        """What :meth:`plan_anew` kept."""
        changed: dict[str, Any] = decode(self.objects.get_json(digest, verify=True).encode())
        return changed

    def plans(self, batch_id: str) -> tuple[tuple[str, str], ...]:
        """Sessions that planned anew: when each began and the hash of its plan, oldest first."""
        folder = self._layout.batch_folder(batch_id)
        if not folder.is_dir():
            raise self._unknown(batch_id)
        found = []
        for path in segments(folder):
            if path.name.startswith("main-"):
                with telling("read", path), path.open("rb") as file:
                    first = file.readline()
                try:
                    line = unseal(first, str(path))
                    found.append((line["at"], line["runs"]))
                except (ValueError, KeyError, TypeError):
                    continue  # no plan of its own; a line that is no line is the fold's to tell
        return tuple(sorted(found))

    def _created(self, batch_id: str) -> dict[str, Any]:
        path = self._layout.manifest(batch_id)
        try:
            raw = path.read_bytes()
        except FileNotFoundError as error:
            raise self._unknown(batch_id) from error
        except OSError as error:
            raise RegistryError(f"cannot read {path}: {error.strerror}") from error
        try:
            value = unseal(raw, str(path))
        except ValueError as error:
            raise RegistryError(f"{path} is not a manifest: {error}") from error
        if value["kind"] != "manifest" or value.get("batch_id") != batch_id:
            raise RegistryError(
                f"{path} is not the manifest of {batch_id}: "
                f"its kind is {value['kind']!r}, its batch_id {value.get('batch_id')!r}"
            )
        del value["v"], value["kind"]
        return value

    def batch_ids(self) -> Iterator[str]:
        return self._layout.batch_ids()

    def discard_empty(self, batch_id: str) -> bool:
        folder = self._layout.batch_folder(batch_id)
        with telling("discard the batch in", folder):
            if {path.name for path in folder.iterdir()} - {LOCK} != {MANIFEST}:
                return False
            (folder / MANIFEST).unlink()
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
        return True

    # --------------------------------------------------------------------------- records

    def open_writer(self, batch_id: str, name: str) -> FilesBatchWriter:
        """A writer named ``name`` (``main``, ``gw0`` …); its segment is made at the first line."""
        key = (os.getpid(), batch_id, name)
        files = self._open.get(key)
        if files is None or files.holders == 0:
            if not self._layout.manifest(batch_id).is_file():
                raise self._unknown(batch_id)
            segment = SegmentWriter(self._layout.new_segment(batch_id, name), self._durability)
            files = self._open[key] = _Files(segment, LogWriter(self._layout.log(batch_id, name)))
        return FilesBatchWriter(files)

    def fold(self, batch_id: str, *, writer_alive: bool | None = None) -> BatchFold:
        folder = self._layout.batch_folder(batch_id)
        if not folder.is_dir():
            raise self._unknown(batch_id)
        # Asked before the segments are read: a controller that ends meanwhile has told its end.
        alive = is_alive(folder) if writer_alive is None else writer_alive
        return fold_batch(folder, writer_alive=alive)

    def hold(self, batch_id: str) -> Hold:
        """Be the one who is at work on a batch. Raises RegistryError where somebody is already."""
        return hold(self._layout.batch_folder(batch_id))

    def batch_folder(self, batch_id: str) -> Path:
        """Where the batch's manifest and segments are; it need not exist."""
        return self._layout.batch_folder(batch_id)

    def logs_folder(self, batch_id: str) -> Path:
        return self._layout.logs(batch_id)

    def _unknown(self, batch_id: str) -> RegistryError:
        newest = list(itertools.islice(self.batch_ids(), _SUGGESTED))
        hint = did_you_mean(batch_id, newest) or (
            f"; the newest is {newest[0]}" if newest else "; it is empty"
        )
        return RegistryError(f"there is no batch {batch_id} in {self.root}{hint}")


class _Files:
    """The segment and log of one writer's name in one process, and how many hold them."""

    def __init__(self, segment: SegmentWriter, log: LogWriter) -> None:
        self.segment = segment
        self.log = log
        self.holders = 0


class FilesBatchWriter:
    """One holder of a process's segment and log; the last to close closes the files."""

    def __init__(self, files: _Files) -> None:
        self._files: _Files | None = files
        self._path = files.segment.path
        files.holders += 1

    @property
    def path(self) -> Path:
        """The segment, which exists from the first line on."""
        return self._path

    def append(self, kind: str, payload: Mapping[str, Any], sync: bool = True) -> None:
        self._held().segment.append(kind, payload, sync)

    def log(self, kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
        self._held().log.append(kind, payload, flush=flush)

    def close(self) -> None:
        files, self._files = self._files, None
        if files is None:
            return
        files.holders -= 1
        if files.holders == 0:
            try:
                files.segment.close()
            finally:
                files.log.close()

    def _held(self) -> _Files:
        if self._files is None:
            raise RegistryError(f"the writer of {self._path} is closed; open a new one to record more")
        return self._files
