"""Registries into one: a union of their files, for each has one writer or is named by its content.

First everything is compared and read, so that what cannot be one, or is damaged, is refused
before anything is copied.
Then objects are copied and snapshots of data, then segments, then a new batch's manifest: whoever
reads meanwhile never sees a record whose objects are missing. What is there already is left alone, so a merge
that was killed is finished by repeating it.
"""

from __future__ import annotations

import filecmp
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import make_folder, sync_folder, telling, write_file
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.layout import MANIFEST, MARKER, segments
from pytest_finbot.registry.liveness import LOCK, is_alive
from pytest_finbot.registry.strict_json import decode
from pytest_finbot.registry.upkeep.damage import advice, damaged_line, damaged_manifest, is_whole
from pytest_finbot.registry.upkeep.lock import upkeep_lock
from pytest_finbot.registry.upkeep.merge_snapshots import SnapshotMerge
from pytest_finbot.registry.upkeep.object_files import object_files

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class MergeReport:
    """What a merge came to. All counts are 0 where everything was there already."""

    batches: int
    """Batches that are new."""
    segments: int
    """Segments that are new, in new batches or in known ones."""
    grown: int
    """Segments of which there was only the beginning."""
    objects: int
    """Objects that are new."""
    mended: int
    """Objects that were damaged and are whole in another registry."""
    logs: int
    """Logs that are new or have more lines now."""
    running: tuple[str, ...]
    """Batches that ran meanwhile, as ``<registry>: <batch>``: merge again when they are over."""
    damaged: tuple[str, ...] = ()
    """Damage that was copied because it was allowed: the first of each file, naming it."""
    snapshots: int = 0
    """Snapshots of data that are new."""
    snapshots_grown: int = 0
    """Snapshots that are tied to more runs now."""
    snapshot_objects: int = 0
    """Objects of snapshots that are new."""
    snapshot_objects_mended: int = 0
    """Objects of snapshots that were damaged and are whole in another registry."""
    left_out: tuple[str, ...] = ()
    """Damage of snapshots that were not copied: one that is not whole can replay nothing."""


def existing_source(folder: Path) -> FilesRegistry:
    """The registry in ``folder``, to merge from; none is made.

    Raises RegistryError where there is none, or it is somebody else's or of a newer version.
    """
    if not (folder / MARKER).is_file():
        raise RegistryError(f"there is no registry in {folder}: it has no {MARKER}")
    return FilesRegistry(folder)


def merge(
    target: FilesRegistry, others: Sequence[FilesRegistry], *, allow_damaged: bool = False
) -> MergeReport:
    """Copy into ``target`` what ``others`` have and it has not; ``others`` are not changed.

    A batch that runs in one of them is copied as far as it is recorded now. Everything is on
    the disk when this returns. Raises RegistryError, with nothing copied, where one of
    ``others`` is the target, or a batch has in two of them another manifest or a segment with
    other lines; unless ``allow_damaged`` also where a line, manifest, object or snapshot that would
    be copied is damaged (a snapshot then stays out); also where something cannot be read or written.
    """
    for other in others:
        with telling("read", other.root):
            if os.path.samefile(other.root, target.root):
                raise RegistryError(f"{other.root} is the registry to merge into; name another one")
    snapshots = SnapshotMerge(target.root, [other.root for other in others])
    with upkeep_lock(target.root), snapshots.locked():
        return _Merging(target, tuple(others), allow_damaged, snapshots).merge()


@dataclass(frozen=True, slots=True)
class _Copy:
    """The first ``size`` bytes of ``source``, which ``target`` has not all of."""

    source: Path
    target: Path
    size: int


@dataclass(slots=True)
class _Merging:
    target: FilesRegistry
    others: tuple[FilesRegistry, ...]
    allow_damaged: bool
    snapshots: SnapshotMerge
    counts: Counter[str] = field(default_factory=Counter)
    running: list[str] = field(default_factory=list)

    def merge(self) -> MergeReport:
        conflicts: list[str] = []
        # Sizes are taken here, before the objects: what is recorded later may name later objects.
        plans = [(batch_id, self._plan(batch_id, conflicts)) for batch_id in self._batch_ids()]
        left_out = self.snapshots.plan(conflicts)
        if conflicts:
            more = f"; and {len(conflicts) - 1:,} more files differ" if len(conflicts) > 1 else ""
            raise RegistryError(f"nothing was merged: {conflicts[0]}{more}")
        damaged = tuple(self._damage(plans))
        told = [*damaged, *left_out]
        if told and not self.allow_damaged:
            more = f"; and {len(told) - 1:,} more files are damaged" if len(told) > 1 else ""
            instead = "copy it as it is" if damaged else "merge all but it"
            raise RegistryError(f"nothing was merged: {told[0]}{more}; or {instead}: --allow-damaged")
        for other in self.others:
            self._objects(other)
        self.snapshots.copy()
        for batch_id, copies in plans:
            self._batch(batch_id, copies)
        return MergeReport(
            **{
                name: self.counts[name]
                for name in ("batches", "segments", "grown", "objects", "mended", "logs")
            },
            running=tuple(self.running),
            damaged=damaged,
            **self.snapshots.counts,
            left_out=left_out,
        )

    # ------------------------------------------------------------------------- comparing

    def _batch_ids(self) -> list[str]:
        return sorted({batch_id for other in self.others for batch_id in other.batch_ids()})

    def _holders(self, batch_id: str) -> list[Path]:
        """The batch's folder in each of the others that has it."""
        folders = [other.batch_folder(batch_id) for other in self.others]
        return [folder for folder in folders if (folder / MANIFEST).is_file()]

    def _plan(self, batch_id: str, conflicts: list[str]) -> list[_Copy]:
        """What to copy of a batch, its manifest last."""
        home = self.target.batch_folder(batch_id)
        longest: dict[str, tuple[Path, int]] = {}
        for folder in (home, *self._holders(batch_id)):
            for path in (*(segments(folder) if folder.is_dir() else ()), folder / MANIFEST):
                with telling("read", path):
                    if not path.exists():
                        continue  # a new batch, or what a killed merge left of it
                    size = path.stat().st_size
                    known = longest.setdefault(path.name, (path, size))
                    same_length = path.name != MANIFEST or size == known[1]
                    if not same_length or not _begin_alike(path, known[0], min(size, known[1])):
                        what = "another manifest" if path.name == MANIFEST else "other lines"
                        conflicts.append(
                            f"batch {batch_id} has {what} in {path} than in {known[0]}; one of them was "
                            "changed, or two batches have one id"
                        )
                    elif size > known[1]:
                        longest[path.name] = (path, size)
        names = sorted(longest, key=lambda name: (name == MANIFEST, name))
        return [
            _Copy(longest[name][0], home / name, longest[name][1])
            for name in names
            if longest[name][0].parent != home
        ]

    def _damage(self, plans: list[tuple[str, list[_Copy]]]) -> Iterator[str]:
        """What is wrong with what would be copied, the first of each file."""
        for _, copies in plans:
            for copy in copies:
                if copy.target.name == MANIFEST:
                    said = damaged_manifest(copy.source)
                else:
                    known = copy.target.stat().st_size if copy.target.exists() else 0
                    said = damaged_line(copy.source, known, copy.size)
                if said is not None:
                    yield f"{said}; {advice(copy.source.parents[4])}"
        series = self.target.root / "series"
        seen: set[tuple[bytes, str]] = set()
        for other in self.others:
            for path, digest in object_files(other.root / "series"):
                # Two registries have many in common: each is read once.
                if digest is None or (key := (bytes.fromhex(digest), path.suffix)) in seen:
                    continue
                seen.add(key)
                with telling("read", path):
                    known_here = _is_there(series / path.parent.name / path.name)
                if not known_here and not is_whole(other.objects, path):
                    yield f"object {path} does not hold what it is named by; {advice(other.root)}"

    # --------------------------------------------------------------------------- copying

    def _objects(self, other: FilesRegistry) -> None:
        series = self.target.root / "series"
        written: Path | None = None
        for path, digest in object_files(other.root / "series"):
            if digest is None:
                continue
            target = series / path.parent.name / path.name
            if written is not None and written != target.parent:
                sync_folder(written)
                written = None
            with telling("copy object", path):
                if _is_there(target):
                    os.utime(target)  # in use again, lest a prune takes it before it is named
                    if filecmp.cmp(path, target, shallow=False) or is_whole(self.target.objects, target):
                        continue
                    if not is_whole(other.objects, path):
                        continue  # damaged here and there: verify tells
                    self.counts["mended"] += 1
                else:
                    self.counts["objects"] += 1
                make_folder(target.parent, durable=True)
                _copy(_Copy(path, target, path.stat().st_size), keep_time=False)
                written = target.parent
        if written is not None:
            sync_folder(written)

    def _batch(self, batch_id: str, copies: list[_Copy]) -> None:
        home = self.target.batch_folder(batch_id)
        at_work_here = is_alive(home) is True
        with telling("merge into", home):
            make_folder(home, durable=True)
            for copy in copies:
                grows = copy.target.exists()
                if grows and at_work_here:
                    continue  # its writer has it open; told below
                if copy.target.name == MANIFEST:
                    sync_folder(home)
                _copy(copy, keep_time=True)
                kind = "batches" if copy.target.name == MANIFEST else "grown" if grows else "segments"
                self.counts[kind] += 1
            sync_folder(home)
            for folder in self._holders(batch_id):
                if not at_work_here:
                    self._logs(folder, home)
                alive = is_alive(folder)
                if alive:
                    self.running.append(f"{folder.parents[3]}: {batch_id}")
                elif alive is False and not (home / LOCK).exists():
                    # Known to be over there, so that it is known here: a lock that nobody holds.
                    write_file(home / LOCK, b"", durable=True)
        if at_work_here:
            self.running.append(f"{self.target.root}: {batch_id}")

    def _logs(self, folder: Path, home: Path) -> None:
        logs = folder / "logs"
        for path in sorted(logs.glob("*.jsonl")) if logs.is_dir() else ():
            target = home / "logs" / path.name
            theirs, ours = path.read_bytes(), target.read_bytes() if target.exists() else b""
            merged = _merged_log(ours, theirs)
            if merged != ours:
                make_folder(target.parent, durable=True)
                write_file(target, merged, durable=True)
                self.counts["logs"] += 1


def _is_there(path: Path) -> bool:
    """Whether an object is there; an empty file is what a power cut leaves of one."""
    return path.is_file() and path.stat().st_size > 0


def _merged_log(ours: bytes, theirs: bytes) -> bytes:
    """The longer log where it goes on with the other; else the lines of both, by time.

    A batch that went on in two registries has two logs of one name. They are for people, and
    no line of either is lost.
    """
    if ours.startswith(theirs):
        return ours
    if theirs.startswith(ours):
        return theirs
    lines = Counter(ours.splitlines()) | Counter(theirs.splitlines())
    return b"".join(line + b"\n" for line in sorted(lines.elements(), key=lambda line: (_at(line), line)))


def _at(line: bytes) -> str:
    try:
        value = decode(line)
    except ValueError:
        return ""
    at = value.get("at") if isinstance(value, dict) else None
    return at if isinstance(at, str) else ""


def _begin_alike(one: Path, other: Path, size: int) -> bool:
    """Whether the first ``size`` bytes are the same."""
    if one == other:
        return True
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in (one, other)]
        while size > 0:
            blocks = [file.read(min(_BLOCK, size)) for file in files]
            if blocks[0] != blocks[1] or not blocks[0]:
                return False
            size -= len(blocks[0])
    return True


def _blocks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0:
            block = file.read(min(_BLOCK, size))
            if not block:
                raise OSError(f"{path} became shorter")
            yield block
            size -= len(block)


def _copy(copy: _Copy, *, keep_time: bool) -> None:
    """Copy through a draft beside it, synced; the caller syncs the folder. Raises OSError."""
    target = copy.target
    draft = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        with draft.open("xb") as file:
            for block in _blocks(copy.source, copy.size):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if keep_time:
            found = copy.source.stat()
            os.utime(draft, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
