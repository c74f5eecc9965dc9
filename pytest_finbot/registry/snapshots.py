"""Snapshots of data beside a registry's records: taking them.

::

    snapshots/snap-3f9c1a7e5b2d.json          manifest, see market.snapshots.manifest
    snapshots/objects/ab/<hash>.parquet       a symbol's year, stored once for all snapshots

Objects are on the disk before the manifest that names them: a snapshot whose taking was killed is
not there at all, and what it left is used by the next one or removed by
:mod:`upkeep.prune_snapshots`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from pytest_finbot.errors import DataError, ParameterError, RegistryError
from pytest_finbot.fingerprint import canonical_json
from pytest_finbot.market.snapshots.gather import Use, gather
from pytest_finbot.market.snapshots.manifest import FORMAT, VERSION, describe, seal, snapshot_id
from pytest_finbot.market.snapshots.objects import object_hash, object_path, to_parquet
from pytest_finbot.market.snapshots.reading import manifest_path, open_snapshot
from pytest_finbot.market.snapshots.sources import Source, SymbolData, years_of
from pytest_finbot.market.store import PriceStore
from pytest_finbot.registry.durable import make_folder, sync_folder, telling, write_file
from pytest_finbot.registry.files import FilesRegistry

_WRITERS: Final = 16
_UNSETTLED: Final = 120.0
"""Seconds after which the system has put a name on the disk by itself; its writer may have been killed."""
LOCK: Final = ".finbot-snapshots.lock"
PATIENCE: Final = 60.0
"""Seconds for which taking a snapshot waits for another one to be written."""

Put = Literal["new", "grown", "known"]
"""What writing a manifest came to: nothing was there, it was tied to more runs, nothing new was said."""


def snapshots_folder(root: Path) -> Path:
    """Where the snapshots of the registry in ``root`` are."""
    return root.absolute() / "snapshots"


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
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "id": snapshot_id(described),
        "created_at": moment,
        "sources": described,
        "taken": [{"at": moment, "batch": batch.name, "digests": digests, "refused": refused}],
    }
    snapshots = snapshots_folder(FilesRegistry(root).root)
    with telling("write the snapshot in", snapshots):
        make_folder(snapshots, durable=True)
    with snapshots_lock(snapshots, PATIENCE):
        with telling("write the snapshot in", snapshots):
            sizes = _write_objects(snapshots, sources, described)
        put = put_manifest(snapshots, document)
    return TakenSnapshot(
        id=document["id"],
        manifest=str(manifest_path(snapshots, document["id"])),
        new=put == "new",
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
    fresh: dict[Path, SymbolData] = {}
    unsettled: set[Path] = set()
    sizes: dict[str, tuple[int, bool]] = {}
    for source, told in zip(sources, described, strict=True):
        for table, of_table in zip(source.tables, told["tables"], strict=True):
            for symbol, data in table.symbols.items():
                hashes = of_table["symbols"][symbol]
                for year, rows in years_of(data).items():
                    digest = hashes[year]
                    if digest not in sizes:
                        path = object_path(snapshots, digest)
                        # An empty file is what a power cut leaves of one that was never synced.
                        facts = path.stat() if path.is_file() else None
                        there = 0 if facts is None else facts.st_size
                        sizes[digest] = (there, there > 0)
                        if not there:
                            fresh[path] = rows
                        elif facts is not None and time.time() - facts.st_mtime < _UNSETTLED:
                            unsettled.add(path.parent)
    for folder in sorted(unsettled):
        sync_folder(folder)
    written = write_objects(snapshots, {path: partial(to_parquet, rows) for path, rows in fresh.items()})
    return {
        digest: (size, False) if there else (written[object_path(snapshots, digest)], True)
        for digest, (size, there) in sizes.items()
    }


def write_objects(
    snapshots: Path, contents: Mapping[Path, Callable[[], bytes | memoryview]]
) -> dict[Path, int]:
    """Write objects, and wait until all are on the disk; their sizes in bytes. Raises RegistryError."""
    with telling("write the snapshot in", snapshots):
        for folder in sorted({path.parent for path in contents}):
            make_folder(folder, durable=False)
        if contents:
            sync_folder(snapshots)
            sync_folder(snapshots / "objects")

    def write(path: Path) -> int:
        with telling("write object", path):
            content = contents[path]()
            write_file(path, content, durable=True)
        return len(content)

    # Each waits for the disk; many that wait together wait hardly longer than one.
    with ThreadPoolExecutor(_WRITERS) as pool:
        return dict(zip(contents, pool.map(write, contents), strict=True))


def put_manifest(snapshots: Path, document: Mapping[str, Any]) -> Put:
    """Write the manifest of a snapshot whose objects are there, or unite it with one of the same data.

    United, it has the takings of both, each once, by time. For whoever holds :func:`snapshots_lock`.
    Raises DataError where the manifest that is there is damaged, RegistryError where it cannot be
    written.
    """
    path = manifest_path(snapshots, document["id"])
    known = open_snapshot(snapshots, document["id"]).document if path.exists() else None
    before = [] if known is None else list(known["taken"])
    united = _each_once([*before, *document["taken"]])
    with telling("write", path):
        if united == before:
            os.utime(path)  # wanted again: as young as a new one to a prune
            return "known"
        created = min(one["created_at"] for one in (document, known) if one is not None)
        write_file(path, seal({**document, "created_at": created, "taken": united}), durable=True)
    return "new" if known is None else "grown" if len(united) > len(before) else "known"


def _each_once(takings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By time, without those that an earlier one is the like of: of the same batch, with the same runs."""
    found: dict[bytes, dict[str, Any]] = {}
    for taken in sorted(takings, key=lambda taken: (taken["at"], canonical_json(taken))):
        runs = [taken["batch"], taken["digests"], sorted(taken["refused"])]
        found.setdefault(canonical_json(runs), taken)
    return list(found.values())


@contextmanager
def snapshots_lock(snapshots: Path, patience: float) -> Iterator[None]:
    """Be the only one who takes, merges or removes snapshots here. Raises RegistryError."""
    import filelock

    lock = filelock.FileLock(snapshots / LOCK)
    with telling("lock", snapshots / LOCK):
        try:
            lock.acquire(timeout=patience)
        except filelock.Timeout as error:  # an OSError, too
            raise RegistryError(
                f"another finbot data snapshot or prune is at work in {snapshots}, or a merge of "
                "registries; wait for it to end"
            ) from error
    try:
        yield
    finally:
        lock.release()
