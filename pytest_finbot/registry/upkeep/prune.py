"""What may go: batches that are old or many, and the objects that nothing refers to any more.

First it is said what would go (a plan), then, if asked, it goes. Objects are marked and swept:
what any line of a remaining batch names stays, and so does what was written or used within a
time of grace, because an object is written before the record that names it.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import sync_folder, telling
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.fold import fold_batch
from pytest_finbot.registry.layout import MANIFEST, REMOVED
from pytest_finbot.registry.liveness import hold, is_alive
from pytest_finbot.registry.upkeep.batch_facts import (
    batch_name,
    created,
    folder_bytes,
    last_session,
    last_written,
)
from pytest_finbot.registry.upkeep.lock import upkeep_lock
from pytest_finbot.registry.upkeep.object_files import is_draft, object_files
from pytest_finbot.registry.upkeep.references import batches_in, hashes_in, lines_of, plans_in

GRACE = timedelta(days=1)
UNKNOWN_IS_OVER = timedelta(days=7)
"""A batch of which nobody can tell whether it runs counts as over when nothing was written so long."""

SWEPT = ".swept"
_PUT_REMOVED = re.compile(r"\.([0-9a-f]{64}\.(?:parquet|json))\.swept", re.ASCII)


@dataclass(frozen=True, slots=True)
class Removal:
    """A batch that goes: its folder's ``bytes``, and when it was last at work (UTC)."""

    batch_id: str
    name: str
    last: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A batch that stays though the criteria would have it go, and why."""

    batch_id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class PrunePlan:
    """What goes, or with ``applied`` went, and what stays. ``bytes`` are as files' lengths have them."""

    removed: tuple[Removal, ...]
    """Newest first."""
    kept: tuple[Kept, ...]
    """Batches that the criteria chose and something else protects, newest first."""
    not_chosen: Mapping[str, int]
    """How many batches the criteria left alone, by which of them."""
    objects: int
    object_bytes: int
    leftovers: tuple[str, ...]
    """Drafts and half removed batches that killed processes left; relative to the registry."""
    not_swept: str | None
    """Why no object goes, where none may."""
    applied: bool

    @property
    def bytes(self) -> int:
        return sum(removal.bytes for removal in self.removed) + self.object_bytes


def prune(
    registry: FilesRegistry,
    *,
    keep_last: int | None = None,
    older_than: timedelta | None = None,
    keep: Mapping[str, str] | None = None,
    grace: timedelta = GRACE,
    apply: bool = False,
    now: datetime | None = None,
) -> PrunePlan:
    """Plan what goes, and with ``apply`` remove it. Without, nothing is changed.

    A batch goes where every criterion given lets it: it is not among the newest
    ``keep_last`` of its batch name, and its last session is ``older_than`` ago. Never one that
    runs, or may run; never one in ``keep`` (batch ids with the reason, in words); never one
    that a remaining batch was compared with, or is to be, whether or not anything moved.

    Objects go that no remaining batch names and that were not written for ``grace``, and none
    while any batch runs. ``now`` is the clock's time where it is not given. Raises
    RegistryError where no criterion is given or one is negative, where another upkeep is at
    work, and where a remaining batch cannot be read: nothing is removed then.
    """
    if keep_last is None and older_than is None:
        raise RegistryError("nothing says what may go; give keep_last, older_than, or both")
    if keep_last is not None and keep_last < 0:
        raise RegistryError(f"keep_last is {keep_last}; expected 0 or more batches")
    for name, span in (("older_than", older_than), ("grace", grace)):
        if span is not None and span < timedelta(0):
            raise RegistryError(f"{name} is {span}; expected a length of time")
    moment = now or datetime.now(UTC)
    pruning = _Pruning(registry, keep_last, older_than, dict(keep or {}), grace, moment)
    if not apply:
        return pruning.plan()
    with upkeep_lock(registry.root):
        return pruning.apply(pruning.plan())


@dataclass(slots=True)
class _Pruning:
    registry: FilesRegistry
    keep_last: int | None
    older_than: timedelta | None
    keep: dict[str, str]
    grace: timedelta
    now: datetime
    marked: set[bytes] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    """Batches whose references are marked."""
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    # ------------------------------------------------------------------------------ plan

    def plan(self) -> PrunePlan:
        chosen: dict[str, Removal] = {}
        kept: dict[str, Kept] = {}
        not_chosen: Counter[str] = Counter()
        remaining: list[str] = []
        numbers: Counter[str | None] = Counter()
        for batch_id in self.registry.batch_ids():
            folder = self.registry.batch_folder(batch_id)
            name = batch_name(folder)
            numbers[name] += 1
            try:
                left = self._left_alone(numbers[name], folder)
                why = None if left is not None else self._protected(batch_id, folder, name)
                if left is None and why is None:
                    removal = Removal(batch_id, name or "", last_session(folder), folder_bytes(folder))
                    chosen[batch_id] = removal
                    continue
            except RegistryError:
                if (folder / MANIFEST).exists():
                    raise
                continue  # removed meanwhile
            remaining.append(batch_id)
            if left is not None:
                not_chosen[left] += 1
            elif why is not None:
                kept[batch_id] = Kept(batch_id, name or "", why)
        self._mark(remaining, chosen, kept)
        objects = [path.stat().st_size for path in self._garbage()]
        return PrunePlan(
            removed=tuple(chosen.values()),
            kept=tuple(kept[batch_id] for batch_id in sorted(kept, reverse=True)),
            not_chosen=dict(not_chosen),
            objects=len(objects),
            object_bytes=sum(objects),
            leftovers=tuple(path.relative_to(self.registry.root).as_posix() for path in self._leftovers()),
            not_swept=self._running_batch(),
            applied=False,
        )

    def _left_alone(self, number: int, folder: Path) -> str | None:
        """The criterion that lets the ``number``-th newest batch of its name stay."""
        if self.keep_last is not None and number <= self.keep_last:
            return f"among the newest {self.keep_last} of their name"
        if self.older_than is not None and (
            self.now - created(folder) <= self.older_than
            or self.now - last_session(folder) <= self.older_than
        ):
            return "not old enough"
        return None

    def _protected(self, batch_id: str, folder: Path, name: str | None) -> str | None:
        if name is None:
            return "its manifest cannot be read; see finbot registry verify"
        if batch_id in self.keep:
            return self.keep[batch_id]
        return self._running(folder)

    def _running(self, folder: Path) -> str | None:
        """Why the batch runs or may run; ``None`` where it is over."""
        alive = is_alive(folder)
        if alive:
            return "it is running"
        if alive is None and self.now - last_written(folder) < UNKNOWN_IS_OVER and not _is_over(folder):
            return (
                f"nobody can tell whether it is running; it counts as over {UNKNOWN_IS_OVER.days} days "
                "after it was last written"
            )
        return None

    def _mark(self, remaining: list[str], chosen: dict[str, Removal], kept: dict[str, Kept]) -> None:
        """Mark what ``remaining`` batches name; those they were compared with remain as well."""
        todo = list(remaining)
        while todo:
            batch_id = todo.pop()
            if batch_id in self.read:
                continue
            folder = self.registry.batch_folder(batch_id)
            try:
                for raw in lines_of(folder):
                    self.marked.update(hashes_in(raw))
                    for source in (*batches_in(raw), *self._of_plans(raw)):
                        if source in chosen:
                            removal = chosen.pop(source)
                            why = f"batch {batch_id} was compared with it"
                            kept[source] = Kept(source, removal.name, why)
                            todo.append(source)
            except RegistryError:
                if (folder / MANIFEST).exists():
                    raise
            self.read.add(batch_id)

    def _of_plans(self, raw: bytes) -> Iterator[str]:
        """Batches that the plan named by ``raw``, a session's first line, is to be compared with."""
        for digest in plans_in(raw):
            path = self.registry.objects.path_of(digest, ".json")
            with telling("read the plan", path):
                yield from batches_in(path.read_bytes())

    def _running_batch(self) -> str | None:
        """Why no object may go: a batch is at work, and may be about to name one it found there."""
        for batch_id in self.registry.batch_ids():
            if self._running(self.registry.batch_folder(batch_id)) is not None:
                return f"batch {batch_id} is running, or may be; objects are removed when none is"
        return None

    def _garbage(self) -> Iterator[Path]:
        """Objects and drafts that no marked line names, not written for the time of grace."""
        horizon = (self.now - self.grace).timestamp()
        for path, digest in object_files(self.registry.root / "series"):
            if digest is not None and bytes.fromhex(digest) not in self.marked:
                try:
                    if path.stat().st_mtime < horizon:
                        yield path
                except FileNotFoundError:
                    continue

    def _leftovers(self) -> Iterator[Path]:
        """What killed processes left: half removed batches, objects put aside, drafts."""
        root, horizon = self.registry.root, (self.now - max(self.grace, timedelta(hours=1))).timestamp()
        yield from sorted((root / "batches").glob(f"*/*/{REMOVED}*"))
        yield from sorted(
            path for path in (root / "series").glob(f"*/.*{SWEPT}") if _original(path) is not None
        )
        for path in itertools.chain((root / "batches").rglob(".*.tmp"), (root / "series").rglob(".*.tmp")):
            try:
                if is_draft(path) and path.stat().st_mtime < horizon:
                    yield path
            except FileNotFoundError:
                continue

    # ----------------------------------------------------------------------------- apply

    def apply(self, plan: PrunePlan) -> PrunePlan:
        for path in [self.registry.root / name for name in plan.leftovers]:
            self._finish(path)
        # A session that began since may be compared with a batch that was to go.
        chosen = {removal.batch_id: removal for removal in plan.removed}
        saved = {one.batch_id: one for one in plan.kept}
        self._mark([one for one in self.registry.batch_ids() if one not in chosen], chosen, saved)
        removed, kept = [], list(saved.values())
        for removal in chosen.values():
            why = self._remove(self.registry.batch_folder(removal.batch_id))
            if why is None:
                removed.append(removal)
            else:
                kept.append(Kept(removal.batch_id, removal.name, why))
        # Batches that were created or written since, and those that were to go and stay.
        self.read = {one for one in self.read if not self._written_since(one)}
        self._mark(list(self.registry.batch_ids()), {}, {})
        not_swept = self._running_batch()
        sizes = (
            [] if not_swept is not None else [size for path in self._garbage() for size in self._sweep(path)]
        )
        return replace(
            plan,
            removed=tuple(removed),
            kept=tuple(sorted(kept, key=lambda one: one.batch_id, reverse=True)),
            objects=len(sizes),
            object_bytes=sum(sizes),
            not_swept=not_swept,
            applied=True,
        )

    def _written_since(self, batch_id: str) -> bool:
        folder = self.registry.batch_folder(batch_id)
        # Clocks of file systems are coarse.
        return folder.is_dir() and last_written(folder) > self.began - timedelta(seconds=5)

    def _remove(self, folder: Path) -> str | None:
        """Remove a batch's folder; why not, where a session took it up meanwhile.

        It is renamed first: to who looks, it is there whole or not at all.
        """
        aside = folder.with_name(REMOVED + folder.name)
        held = None
        try:
            if is_alive(folder) is not None:
                held = hold(folder)
        except RegistryError:
            return "it is running"
        try:
            why = self._running(folder) if held is None else None
            if why is None:
                with telling("remove", folder):
                    os.rename(folder, aside)
                    sync_folder(folder.parent)
                    shutil.rmtree(aside)
            return why
        finally:
            if held is not None:
                held.release()

    def _sweep(self, path: Path) -> Iterator[int]:
        """Remove an object; its bytes, if it went.

        It is put aside before it is looked at for the last time: who uses it until then has
        made it young again, who comes later does not find it and writes it anew.
        """
        aside = path.with_name(f".{path.name}{SWEPT}")
        with telling("remove", path):
            try:
                os.rename(path, aside)
            except FileNotFoundError:
                return
            found = aside.stat()
            if found.st_mtime < (self.now - self.grace).timestamp():
                aside.unlink()
                yield found.st_size
            elif path.exists():
                aside.unlink()
            else:
                os.rename(aside, path)

    def _finish(self, path: Path) -> None:
        """Finish what a killed process began: the batch goes, the object only if nothing names it."""
        with telling("remove", path):
            if path.name.startswith(REMOVED):
                shutil.rmtree(path)
            elif (original := _original(path)) is not None:
                if original.exists() or bytes.fromhex(original.stem) not in self.marked:
                    path.unlink()
                else:
                    os.rename(path, original)
            else:
                path.unlink(missing_ok=True)


def _is_over(folder: Path) -> bool:
    """Whether the batch's own records say so: its last session ended, or somebody cancelled it."""
    try:
        fold = fold_batch(folder, writer_alive=None)
    except RegistryError:  # of a newer version, say: nobody can tell
        return False
    return fold.ended or fold.status is BatchStatus.CANCELLED


def _original(path: Path) -> Path | None:
    """The object that was put aside as ``path``; ``None`` where it is none."""
    match = _PUT_REMOVED.fullmatch(path.name)
    return None if match is None else path.with_name(match[1])
