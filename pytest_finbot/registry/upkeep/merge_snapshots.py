"""Snapshots of data of several registries into one: manifests, and the objects that they name.

A snapshot is named by its data and an object by its values, so what is there already is right,
unless it is damaged. Only what the manifests say of the runs that used the data may differ: the
united one says all of it.
"""

from __future__ import annotations

import filecmp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_finbot.errors import DataError
from pytest_finbot.market.snapshots.objects import object_path, read_object
from pytest_finbot.market.snapshots.reading import Snapshot, manifest_path, open_snapshot, snapshot_ids
from pytest_finbot.registry.durable import make_folder, telling
from pytest_finbot.registry.snapshots import (
    PATIENCE,
    put_manifest,
    snapshots_folder,
    snapshots_lock,
    write_objects,
)
from pytest_finbot.registry.upkeep.damage import advice


class SnapshotMerge:
    """First :meth:`plan`, which changes nothing, then :meth:`copy`, both within :meth:`locked`.

    ``counts``: ``snapshots`` that are new, ``snapshots_grown`` that were tied to more runs,
    ``snapshot_objects`` that are new, ``snapshot_objects_mended`` that were damaged here.
    """

    def __init__(self, target: Path, others: Sequence[Path]) -> None:
        self._home = snapshots_folder(target)
        self._roots = {snapshots_folder(other): other for other in others}
        self._ids = {folder: snapshot_ids(folder) for folder in self._roots}
        self._sources: dict[str, Path] = {}
        """Folder of snapshots in which each object is whole; that of here where it is."""
        self._lost: dict[str, str] = {}
        """What is wrong with each object that is whole nowhere."""
        self._wanted: dict[str, Path] = {}
        """Objects of the snapshots that are copied, and where from."""
        self._manifests: list[Mapping[str, Any]] = []
        self.counts: Counter[str] = Counter()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else takes or removes snapshots here meanwhile. Raises RegistryError."""
        if not any(self._ids.values()):
            yield
            return
        with telling("merge snapshots into", self._home):
            make_folder(self._home, durable=True)
        with snapshots_lock(self._home, PATIENCE):
            yield

    def plan(self, conflicts: list[str]) -> tuple[str, ...]:
        """Look what is to be copied; the damage for which a snapshot, or what one says, stays out.

        To ``conflicts`` comes what has one id and is not one.
        """
        damaged: list[str] = []
        every = {identity for ids in self._ids.values() for identity in ids}
        # New ones first: what is only as whole as it was is not good enough for them.
        for identity in sorted(every, key=lambda one: (manifest_path(self._home, one).exists(), one)):
            holders: list[Snapshot] = []
            for folder, ids in self._ids.items():
                if identity in ids:
                    try:
                        holders.append(open_snapshot(folder, identity))
                    except DataError as error:
                        damaged.append(f"{error}; {advice(self._roots[folder])}")
            home = manifest_path(self._home, identity)
            try:
                known = open_snapshot(self._home, identity) if home.exists() else None
            except DataError as error:
                damaged.append(str(error))
                continue
            if not holders:
                continue
            first = known or holders[0]
            conflicts += [
                f"{manifest_path(other.folder, identity)} is of other data than "
                f"{manifest_path(first.folder, identity)}; two snapshots have one id"
                for other in holders
                if other.document["sources"] != first.document["sources"]
            ]
            lost = self._find_objects(holders, known is not None)
            # Of a snapshot that is here nothing spreads: verify tells of it.
            if lost is not None and known is None:
                damaged.append(lost)
                continue
            self._manifests += [holder.document for holder in holders]
            for digest in holders[0].object_hashes():
                if self._sources.get(digest, self._home) != self._home:
                    self._wanted[digest] = self._sources[digest]
        return tuple(damaged)

    def copy(self) -> None:
        """Copy what was planned; all of it is on the disk when this returns. Raises RegistryError."""
        contents = {
            object_path(self._home, digest): object_path(source, digest).read_bytes
            for digest, source in self._wanted.items()
        }
        for path in contents:
            self.counts["snapshot_objects_mended" if _is_there(path) else "snapshot_objects"] += 1
        if contents:
            write_objects(self._home, contents)
        results: dict[str, set[str]] = {}
        for document in self._manifests:
            results.setdefault(document["id"], set()).add(put_manifest(self._home, document))
        for result in results.values():
            self.counts["snapshots"] += "new" in result
            self.counts["snapshots_grown"] += "new" not in result and "grown" in result

    def _find_objects(self, holders: Sequence[Snapshot], known: bool) -> str | None:
        """Look for every object of a snapshot; what is wrong with the first that is whole nowhere."""
        for digest in holders[0].object_hashes():
            if digest not in self._sources and digest not in self._lost:
                self._find(digest, [holder.folder for holder in holders], known)
        lost = (
            f"{what}: {self._lost[digest]}" for digest, what in holders[0].objects() if digest in self._lost
        )
        return next(lost, None)

    def _find(self, digest: str, folders: Sequence[Path], known: bool) -> None:
        here = object_path(self._home, digest)
        with telling("read object", here):
            there = _is_there(here)
            if there and known:
                # As whole as it was, and of a snapshot that is here already.
                theirs = [object_path(folder, digest) for folder in folders]
                alike = (filecmp.cmp(path, here, shallow=False) for path in theirs if path.is_file())
                if any(alike):
                    self._sources[digest] = self._home
                    return
        wrong = ""
        for folder in (*([self._home] if there else []), *folders):
            try:
                read_object(folder, digest, "")
            except DataError as error:
                if folder != self._home:
                    said = str(error).removeprefix(": ")
                    wrong = wrong or f"{said}; {advice(self._roots[folder])}"
            else:
                self._sources[digest] = folder
                return
        self._lost[digest] = wrong


def _is_there(path: Path) -> bool:
    """Whether an object is there; an empty file is what a power cut leaves of one."""
    return path.is_file() and path.stat().st_size > 0
