"""Which snapshots of data may go: those that no batch refers to, and objects that no snapshot names.

First it is said what would go (a plan), then, if asked, it goes. A batch that begins to use a
snapshot while it is being removed finds it missing, and says so.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pytest_finbot.errors import DataError, RegistryError
from pytest_finbot.market.snapshots.objects import is_hash
from pytest_finbot.market.snapshots.reading import Snapshot, manifest_path, open_snapshot, snapshot_ids
from pytest_finbot.registry.durable import sync_folder, telling
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.layout import MANIFEST, REMOVED, segments
from pytest_finbot.registry.snapshots import PATIENCE, snapshots_folder, snapshots_lock
from pytest_finbot.registry.upkeep.damage import damaged_line, damaged_manifest
from pytest_finbot.registry.upkeep.object_files import is_draft
from pytest_finbot.registry.upkeep.references import hashes_in, lines_of, plans_in

KEPT_YOUNG: Final = timedelta(days=1)
_NAMED = re.compile(rb"snap-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class SnapshotRemoval:
    """A snapshot that goes: when it was taken (ISO), for which batch files."""

    id: str
    created_at: str
    batches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotPrune:
    """What goes, or with ``applied`` went, and what stays; ids in order."""

    removed: tuple[SnapshotRemoval, ...]
    kept: Mapping[str, str]
    """Why each of the others stays."""
    objects: int
    object_bytes: int
    leftovers: int
    """Drafts of processes that were killed."""
    applied: bool


def prune_snapshots(
    registry: FilesRegistry,
    *,
    keep: timedelta = KEPT_YOUNG,
    apply: bool = False,
    now: datetime | None = None,
) -> SnapshotPrune:
    """Plan which snapshots and objects go, and with ``apply`` remove them. Without, nothing is changed.

    A snapshot stays where a batch names it (the data of a run to be, or of one that was recorded),
    where a record's data digest is that of a run it was taken for, and where it was taken, last,
    less than ``keep`` ago. Objects go that no remaining snapshot names and that are older, too.

    Raises RegistryError where a batch or a snapshot cannot be read whole, for nobody can tell then
    what it needs, and where a snapshot is being taken: nothing is removed.
    """
    if keep < timedelta(0):
        raise RegistryError(f"keep is {keep}; expected a length of time")
    snapshots = snapshots_folder(registry.root)
    if not snapshots.is_dir():
        return SnapshotPrune((), {}, 0, 0, 0, apply)
    moment = now or datetime.now(UTC)
    if not apply:
        return _plan(registry, snapshots, keep, moment)[0]
    with snapshots_lock(snapshots, 0.0):
        plan, garbage = _plan(registry, snapshots, keep, moment)
        for removal in plan.removed:
            path = manifest_path(snapshots, removal.id)
            with telling("remove", path):
                path.unlink()
        with telling("remove snapshots in", snapshots):
            sync_folder(snapshots)
            for path in garbage:
                path.unlink()
        return replace(plan, applied=True)


def _plan(
    registry: FilesRegistry, snapshots: Path, keep: timedelta, now: datetime
) -> tuple[SnapshotPrune, list[Path]]:
    """What would go, and the files of it beside the manifests."""
    horizon = now - keep
    opened = [_opened(snapshots, identity) for identity in snapshot_ids(snapshots)]
    needed = _needed(registry, opened)
    kept: dict[str, str] = {}
    removed: list[SnapshotRemoval] = []
    named: set[str] = set()
    for snapshot in opened:
        why = needed.get(snapshot.id)
        if why is None and _last_taken(snapshots, snapshot) > horizon:
            why = f"taken less than {_days(keep)} ago"
        if why is None:
            batches = tuple(sorted({taken["batch"] for taken in snapshot.document["taken"]}))
            removed.append(SnapshotRemoval(snapshot.id, snapshot.document["created_at"], batches))
        else:
            kept[snapshot.id] = why
            named.update(snapshot.object_hashes())
    gone = {digest for one in opened if one.id not in kept for digest in one.object_hashes()}
    objects: list[tuple[Path, int]] = []
    drafts: list[Path] = []
    for path in _files(snapshots):
        with telling("read", path):
            facts = path.stat()
        if is_draft(path):
            # None is being written while the lock is held; without it, one may be.
            if time.time() - facts.st_mtime > 2 * PATIENCE:
                drafts.append(path)
        elif is_hash(path.stem) and path.stem not in named:
            old = datetime.fromtimestamp(facts.st_mtime, UTC) <= horizon
            if old or path.stem in gone:
                objects.append((path, facts.st_size))
    plan = SnapshotPrune(
        removed=tuple(removed),
        kept=kept,
        objects=len(objects),
        object_bytes=sum(size for _, size in objects),
        leftovers=len(drafts),
        applied=False,
    )
    return plan, [*drafts, *(path for path, _ in objects)]


def _opened(snapshots: Path, identity: str) -> Snapshot:
    try:
        return open_snapshot(snapshots, identity)
    except DataError as error:
        raise RegistryError(f"nothing is removed, for nobody can tell what is needed: {error}") from error


def _needed(registry: FilesRegistry, opened: Sequence[Snapshot]) -> dict[str, str]:
    """Why each snapshot that the registry's batches refer to stays.

    References are looked for in the bytes of every line, as :mod:`upkeep.references` does: too much
    is found rather than too little.
    """
    of_digest: dict[bytes, list[str]] = {}
    for snapshot in opened:
        for digest in snapshot.digests:
            if is_hash(digest):
                of_digest.setdefault(bytes.fromhex(digest), []).append(snapshot.id)
    needed: dict[str, str] = {}
    for batch_id in _whole_batches(registry):
        for raw in lines_of(registry.batch_folder(batch_id)):
            plans = [registry.objects.path_of(plan, ".json") for plan in plans_in(raw)]
            for text in (raw, *map(_content, plans)):
                for name in _NAMED.findall(text):
                    needed.setdefault(name.decode(), f"batch {batch_id} names it")
            for used in hashes_in(raw):
                for identity in of_digest.get(used, ()):
                    needed.setdefault(identity, f"a run of batch {batch_id} used its data")
    return needed


def _whole_batches(registry: FilesRegistry) -> Iterator[str]:
    """Ids of all batches. Raises RegistryError for one of which something cannot be read."""
    known = {*registry.batch_ids()}
    with telling("read", registry.root / "batches"):
        for folder in sorted((registry.root / "batches").glob("*/*/*")):
            if folder.is_dir() and not folder.name.startswith(REMOVED) and folder.name not in known:
                raise _unreadable(folder.name, f"{folder / MANIFEST} is missing")
    for batch_id in sorted(known, reverse=True):
        folder = registry.batch_folder(batch_id)
        damage = damaged_manifest(folder / MANIFEST)
        for path in () if damage else segments(folder):
            damage = damage or damaged_line(path, 0, path.stat().st_size)
        if damage:
            raise _unreadable(batch_id, damage)
        yield batch_id


def _unreadable(batch_id: str, why: str) -> RegistryError:
    return RegistryError(
        f"nothing is removed, for nobody can tell what batch {batch_id} needs: {why}; "
        "see finbot registry verify"
    )


def _content(path: Path) -> bytes:
    with telling("read the plan", path):
        return path.read_bytes()


def _last_taken(snapshots: Path, snapshot: Snapshot) -> datetime:
    path = manifest_path(snapshots, snapshot.id)
    with telling("read", path):
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    times = [datetime.fromisoformat(taken["at"]) for taken in snapshot.document["taken"]]
    return max(written, *times)


def _files(snapshots: Path) -> Iterator[Path]:
    """Objects, and drafts of objects and manifests."""
    yield from sorted(path for path in snapshots.glob(".*.tmp") if path.is_file())
    yield from sorted(path for path in (snapshots / "objects").glob("*/*") if path.is_file())


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"
