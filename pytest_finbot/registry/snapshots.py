"""Snapshots of data beside a registry's records: taking them, and removing those that nothing needs.

::

    snapshots/snap-3f9c1a7e5b2d.json          manifest, see market.snapshots.manifest
    snapshots/objects/ab/<hash>.parquet       a symbol's year, stored once for all snapshots

Objects are on the disk before the manifest that names them: a snapshot whose taking was killed is
not there at all, and what it left is used by the next one or removed by a prune.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pytest_finbot.errors import DataError, ParameterError, RegistryError
from pytest_finbot.market.snapshots.gather import Use, gather
from pytest_finbot.market.snapshots.manifest import FORMAT, VERSION, describe, seal, snapshot_id
from pytest_finbot.market.snapshots.objects import is_hash, object_hash, object_path, to_parquet
from pytest_finbot.market.snapshots.reading import Snapshot, manifest_path, open_snapshot, snapshot_ids
from pytest_finbot.market.snapshots.sources import Source, SymbolData, years_of
from pytest_finbot.market.store import PriceStore
from pytest_finbot.registry.durable import make_folder, sync_folder, telling, write_file
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.layout import MANIFEST, REMOVED, segments
from pytest_finbot.registry.upkeep.damage import damaged_line, damaged_manifest
from pytest_finbot.registry.upkeep.object_files import is_draft
from pytest_finbot.registry.upkeep.references import hashes_in, lines_of, plans_in

KEPT_YOUNG: Final = timedelta(days=1)
_LOCK: Final = ".finbot-snapshots.lock"
_PATIENCE: Final = 60.0
"""Seconds for which taking a snapshot waits for another one to be written."""
_NAMED = re.compile(rb"snap-[0-9a-f]{12}")


def snapshots_folder(root: Path) -> Path:
    """Where the snapshots of the registry in ``root`` are."""
    return root.absolute() / "snapshots"


# ------------------------------------------------------------------------------------ taking


@dataclass(frozen=True, slots=True)
class TakenSnapshot:
    """What taking a snapshot came to. ``new``: there was none of the same data before.

    ``objects`` are those that it names, of which ``written`` were not there yet, of ``bytes`` in
    files (``bytes_written``). ``digests``: the data of each run; ``refused``: runs whose data is not
    fit to run on, with the reason.
    """

    id: str
    manifest: str
    new: bool
    sources: Mapping[str, tuple[str, ...]]
    """Symbols by source."""
    years: tuple[str, ...]
    objects: int
    written: int
    bytes: int
    bytes_written: int
    digests: Mapping[str, str]
    refused: Mapping[str, str]


def take_snapshot(
    root: Path, batch: Path, runs: Sequence[Use], *, now: datetime | None = None
) -> TakenSnapshot:
    """Store the data that ``runs`` of the batch file ``batch`` use, in the registry in ``root``.

    Each run comes with the factors that it takes from its panel. The registry is made where there
    is none. The same data has the same id: what is there is not written again. Raises DataError
    where a file cannot be read, or changes meanwhile; RegistryError where nothing can be written.
    """
    folder = batch.absolute().parent
    sources = gather(folder, runs)
    if not sources:
        raise DataError(f"{batch}: no symbol of its runs is in the files they name: there is nothing to keep")
    digests, refused = _digests(runs)
    described = _state(sources)
    if _state(gather(folder, runs)) != described:
        raise DataError(
            f"{batch}: its data changed while it was being read; run again when nothing writes it"
        )
    moment = (now or datetime.now(UTC)).isoformat(timespec="milliseconds")
    taken = {"at": moment, "batch": batch.name, "digests": digests, "refused": refused}
    snapshots = snapshots_folder(FilesRegistry(root).root)
    with telling("write the snapshot in", snapshots):
        make_folder(snapshots, durable=True)
    with _lock(snapshots, _PATIENCE):
        sizes = _write_objects(snapshots, sources, described)
        new = _write_manifest(snapshots, described, taken)
    return TakenSnapshot(
        id=snapshot_id(described),
        manifest=str(manifest_path(snapshots, snapshot_id(described))),
        new=new,
        sources={source.path: source.symbols for source in sources},
        years=tuple(
            sorted(
                {
                    year
                    for source in described
                    for table in source["tables"]
                    for years in table["symbols"].values()
                    for year in years
                }
            )
        ),
        objects=len(sizes),
        written=sum(fresh for _, fresh in sizes.values()),
        bytes=sum(size for size, _ in sizes.values()),
        bytes_written=sum(size for size, fresh in sizes.values() if fresh),
        digests=digests,
        refused=refused,
    )


def _digests(runs: Sequence[Use]) -> tuple[dict[str, str], dict[str, str]]:
    """The digest of each run's data, or why it is refused."""
    store = PriceStore()
    digests, refused = {}, {}
    for spec, factors in runs:
        try:
            digest = store.load(spec, factors).digest
        except (DataError, ParameterError) as error:
            refused[spec.name] = str(error)
        else:
            digests[spec.name] = digest.hash if digest is not None else ""
    return digests, refused


def _state(sources: Sequence[Source]) -> list[dict[str, Any]]:
    return describe(
        sources,
        [
            [
                {
                    symbol: {year: object_hash(rows) for year, rows in years_of(data).items()}
                    for symbol, data in table.symbols.items()
                }
                for table in source.tables
            ]
            for source in sources
        ],
    )


def _write_objects(
    snapshots: Path, sources: Sequence[Source], described: Sequence[Mapping[str, Any]]
) -> dict[str, tuple[int, bool]]:
    """Size in bytes of each object, and whether it was written now."""
    sizes: dict[str, tuple[int, bool]] = {}
    for source, told in zip(sources, described, strict=True):
        for table, of_table in zip(source.tables, told["tables"], strict=True):
            for symbol, data in table.symbols.items():
                hashes = of_table["symbols"][symbol]
                for year, rows in years_of(data).items():
                    digest = hashes[year]
                    if digest not in sizes:
                        sizes[digest] = _write_object(object_path(snapshots, digest), rows)
    return sizes


def _write_object(path: Path, rows: SymbolData) -> tuple[int, bool]:
    with telling("write object", path):
        # An empty file is what a power cut leaves of one that was never synced.
        there = path.stat().st_size if path.is_file() else 0
        if there:
            return there, False
        content = to_parquet(rows)
        make_folder(path.parent, durable=True)
        write_file(path, content, durable=True)
        return len(content), True


def _write_manifest(snapshots: Path, described: list[dict[str, Any]], taken: dict[str, Any]) -> bool:
    """Write the manifest, or add to one that is there for which runs the data was taken again."""
    identity = snapshot_id(described)
    path = manifest_path(snapshots, identity)
    new = not path.exists()
    history: list[dict[str, Any]] = []
    created = taken["at"]
    if not new:
        document = open_snapshot(snapshots, identity).document
        history, created = list(document["taken"]), document["created_at"]
        if any(_same_runs(taken, before) for before in history):
            with telling("write", path):
                os.utime(path)  # wanted again: as young as a new one to a prune
            return False
    document = {
        "format": FORMAT,
        "version": VERSION,
        "id": identity,
        "created_at": created,
        "sources": described,
        "taken": [*history, taken],
    }
    with telling("write", path):
        write_file(path, seal(document), durable=True)
    return new


def _same_runs(taken: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    return all(taken[key] == before[key] for key in ("batch", "digests")) and (
        taken["refused"].keys() == before["refused"].keys()
    )


# ----------------------------------------------------------------------------------- pruning


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
    with _lock(snapshots, 0.0):
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
    gone = {digest for one in opened if one.id not in kept for digest in one.object_hashes()} - named
    objects: list[tuple[Path, int]] = []
    drafts: list[Path] = []
    for path in _files(snapshots):
        with telling("read", path):
            facts = path.stat()
        if is_draft(path):
            # None is being written while the lock is held; without it, one may be.
            if time.time() - facts.st_mtime > 2 * _PATIENCE:
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
    yield from sorted(path for path in (snapshots / "objects").glob("*/.*.tmp") if path.is_file())


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:g} day{'' if days == 1 else 's'}"


@contextmanager
def _lock(snapshots: Path, patience: float) -> Iterator[None]:
    """Be the only one who takes or removes snapshots here. Raises RegistryError."""
    import filelock

    lock = filelock.FileLock(snapshots / _LOCK)
    with telling("lock", snapshots / _LOCK):
        try:
            lock.acquire(timeout=patience)
        except filelock.Timeout as error:  # an OSError, too
            raise RegistryError(
                f"another finbot data snapshot or prune is at work in {snapshots}; wait for it to end"
            ) from error
    try:
        yield
    finally:
        lock.release()
