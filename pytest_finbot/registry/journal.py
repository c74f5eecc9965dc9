"""How scripts record: what :class:`BatchRegistry` and :class:`ExperimentRegistry` stand on.

Threads share one journal. Each process has its own segments: a forked process finds those of
its parent and opens others.
"""

from __future__ import annotations

import os
import platform
import shutil
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.contracts import BatchStatus, RunRecord
from pytest_finbot.errors import RegistryError, did_you_mean
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.durable import sync_folder, telling
from pytest_finbot.registry.files import FilesBatchWriter, FilesRegistry
from pytest_finbot.registry.ids import is_batch_id, new_batch_id, run_id
from pytest_finbot.registry.known_runs import KnownRuns
from pytest_finbot.registry.layout import MANIFEST, REMOVED, segments
from pytest_finbot.registry.queries import utc_text
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.registry.segments import Durability, read_segment
from pytest_finbot.registry.submitted import (
    check_name,
    mapping_of,
    record_of,
    text_of,
    texts_of,
)
from pytest_finbot.registry.values import from_json, to_json

if TYPE_CHECKING:
    from pytest_finbot.registry.index import Index

WRITER = "script"
_TRIES = 10
_TO_THE_256TH = len("batch-20261121T091502Z-3f")


@dataclass(eq=False)
class _Batch:
    """A batch that this process records in."""

    known: KnownRuns
    writer: FilesBatchWriter | None = None
    begun: str | None = None
    """When the session of this writer's segment began; ``None`` where that has no begin line."""


@dataclass(eq=False)
class _Mine:
    """What belongs to one process."""

    pid: int = field(default_factory=os.getpid)
    lock: threading.RLock = field(default_factory=threading.RLock)
    batches: dict[str, _Batch] = field(default_factory=dict)
    named: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    """Batches made for what is saved under their names, and the runs that they have."""
    made: set[str] = field(default_factory=set)
    """Every batch made for what is saved: only these are begun and ended by a :meth:`Journal.save`."""
    index: Index | None = None
    newest: str = ""
    """The batch made last: ids of one 256th of a second sort by chance."""


class Journal:
    """A registry in a folder, as a script writes and reads it. Raises RegistryError throughout."""

    def __init__(self, url: str | Path, durability: Durability) -> None:
        if not isinstance(url, str | Path) or not str(url).strip():
            raise RegistryError(f"the registry is {url!r}; expected a folder, as '.finbot'")
        registry = open_registry(url, durability=durability)
        if not isinstance(registry, FilesRegistry):
            raise RegistryError(f"{type(registry).__name__} cannot be used from a script; name a folder")
        self.registry = registry
        self._durability = durability
        self._mine = _Mine()
        self._forked_from: list[_Mine] = []

    def own(self) -> _Mine:
        """What this process holds. Its lock is an own one too: the parent's may be held for ever."""
        mine = self._mine
        if mine.pid != os.getpid():
            # Kept, not closed: files and the index's connection are the parent's.
            self._forked_from.append(mine)
            mine = self._mine = _Mine()
        return mine

    def close(self) -> None:
        """Let go of files and index. Using the journal again opens them again."""
        mine = self.own()
        with mine.lock:
            batches, mine.batches = mine.batches, {}
            mine.named.clear()
            index, mine.index = mine.index, None
            for batch in batches.values():
                if batch.writer is not None:
                    batch.writer.close()
            if index is not None:
                index.close()

    def index(self) -> Index:
        """The index, with everything that is recorded by now. To be used under :meth:`own`'s lock."""
        from pytest_finbot.registry.index import Index

        mine = self.own()
        if mine.index is None:
            mine.index = Index.of(self.registry)
        mine.index.refresh()
        return mine.index

    # ------------------------------------------------------------------------------ batches

    def create(
        self,
        name: str,
        expected: list[str] | None,
        config: Mapping[str, Any] | None = None,
        description: str = "",
        provenance: Mapping[str, str] | None = None,
    ) -> str:
        """A new batch with its manifest and begin line; nothing is written unless all of it can be.

        ``expected`` are names that have been checked; ``None`` where each run begins as it is saved.
        """
        check_name(name, "batch")
        manifest = {
            "batch_name": name,
            "description": text_of(description, "description"),
            "durability": self._durability,
            "provenance": {
                **_surroundings(),
                **texts_of(provenance or {}, "provenance"),
            },
            "config": to_json(dict(mapping_of(config or {}, "config")), "config"),
            "common": {},
            "runs": [],
        }
        mine = self.own()
        with mine.lock:
            batch_id, at = self._create(manifest)
            if expected is None:
                return batch_id
            try:
                begin = {"at": at, "expected": expected, "deselected": 0}
                self._append(batch_id, self._batch(batch_id), "begin", begin)
            except RegistryError:
                self._discard(batch_id)
                raise
        return batch_id

    def _discard(self, batch_id: str) -> None:
        self.forget(batch_id)
        self.registry.discard_empty(batch_id)

    def _create(self, manifest: Mapping[str, Any]) -> tuple[str, str]:
        mine = self.own()
        for left in reversed(range(_TRIES)):
            now = datetime.now(UTC)
            batch_id, at = new_batch_id(now), utc_text(now)
            if left and batch_id[:_TO_THE_256TH] == mine.newest[:_TO_THE_256TH] and batch_id < mine.newest:
                time.sleep(0.001)  # it would sort before the one that was made before it
                continue
            try:
                self.registry.create_batch({"batch_id": batch_id, "created_at": at, **manifest})
            except RegistryError:
                # Two bytes of chance in a 256th of a second: another batch can have the same id.
                if left and self.exists(batch_id):
                    continue
                raise
            mine.newest = batch_id
            return batch_id, at
        raise AssertionError("the last try returns or raises")

    def exists(self, batch_id: str) -> bool:
        return isinstance(batch_id, str) and is_batch_id(batch_id) and self._manifest_path(batch_id).is_file()

    def config(self, batch_id: str) -> dict[str, Any]:
        self.check_exists(batch_id)
        config = from_json(self.registry.manifest(batch_id).get("config") or {}, "config")
        if not isinstance(config, dict):
            raise RegistryError(f"config of {batch_id} is {config!r}, expected names with values")
        return config

    def check_exists(self, batch_id: str) -> None:
        """Raise RegistryError, with the nearest id, where there is no such batch."""
        text_of(batch_id, "batch_id")
        if not self.exists(batch_id):
            self.registry.manifest(batch_id)

    def _manifest_path(self, batch_id: str) -> Path:
        return self.registry.batch_folder(batch_id) / MANIFEST

    def end(self, batch_id: str) -> BatchStatus:
        """Say that nothing more is coming; what the records come to then."""
        mine = self.own()
        with mine.lock:
            batch = self._batch(batch_id)
            batch.known.update()
            now = _now()
            began = batch.known.began or now
            if batch.begun != began:
                # An end counts for the session of its own segment. This one has the time of
                # the one that it ends: begun later, it would undo a cancel.
                begin = {"at": began, "expected": [], "deselected": 0}
                self._append(batch_id, batch, "begin", begin, sync=False)
            self._append(batch_id, batch, "end", {"at": now})
            self.forget(batch_id)
            return self.registry.fold(batch_id).status

    def cancel(self, batch_id: str, reason: str) -> None:
        mine = self.own()
        with mine.lock:
            batch = self._batch(batch_id)
            batch.known.update()
            at = max(_now(), batch.known.began or "")  # clocks of two machines differ
            self._append(batch_id, batch, "cancel", {"at": at, "reason": text_of(reason, "reason")})

    def remove(self, batch_id: str) -> None:
        """Remove a batch that is not running: its folder is gone at once, then its files."""
        mine = self.own()
        with mine.lock:
            self.check_exists(batch_id)
            if self.registry.fold(batch_id).status is BatchStatus.RUNNING:
                raise RegistryError(
                    f"batch {batch_id} is running and is not deleted; end it first with complete_batch, "
                    "or update_status(batch_id, 'cancelled')"
                )
            held = self.registry.hold(batch_id)  # cancelled, say, and its session still ends
            try:
                self.forget(batch_id)
                folder = self.registry.batch_folder(batch_id)
                # A hidden name: nobody who reads meanwhile finds half a batch.
                hidden = folder.with_name(f"{REMOVED}{batch_id}-{os.urandom(4).hex()}")
                with telling("delete the batch in", folder):
                    os.replace(folder, hidden)
                    if self._durability == "item":
                        sync_folder(folder.parent)
                    with suppress(FileNotFoundError):  # a prune finishes what it finds
                        shutil.rmtree(hidden)
            finally:
                held.release()

    def forget(self, batch_id: str) -> None:
        """Close this process's segment of a batch; recording more begins another."""
        batch = self.own().batches.pop(batch_id, None)
        if batch is not None and batch.writer is not None:
            batch.writer.close()

    # ------------------------------------------------------------------------------ records

    def add(self, batch_id: str, given: RunRecord | Mapping[str, Any]) -> str:
        """Record one attempt at an expected run; its run id."""
        record, extra = record_of(given, batch_id)
        mine = self.own()
        with mine.lock:
            batch = self._batch(batch_id)
            batch.known.update()
            _check_expected(batch_id, batch, record.name)
            return self._record(batch_id, batch, record, extra)

    def check_saved(self, batch_id: str, name: str) -> None:
        """Raise RegistryError where :meth:`save` would not take a run of that name."""
        mine = self.own()
        with mine.lock:
            batch = self._batch(batch_id)
            batch.known.update()
            if batch_id not in mine.made:
                _check_expected(batch_id, batch, name)

    def save(self, batch_id: str, given: RunRecord | Mapping[str, Any]) -> str:
        """Record one attempt at a run that the batch owes from now on, if it did not before.

        In a batch that this process did not make for what it saves, as :meth:`add`: what others
        began is neither made longer nor ended.
        """
        if batch_id not in self.own().made:
            return self.add(batch_id, given)
        record, extra = record_of(given, batch_id)
        mine = self.own()
        with mine.lock:
            batch = self._batch(batch_id)
            batch.known.update()
            if record.name not in batch.known.expected:
                # Later than what deleted an earlier run of this name.
                at = max(_now(), _after(batch.known.deleted.get(record.name)))
                begin = {"at": at, "expected": [record.name], "deselected": 0}
                # Begun and over: nobody has to come back to end it. One sync is for all three lines.
                self._append(batch_id, batch, "begin", begin, sync=False)
                self._append(batch_id, batch, "end", {"at": at}, sync=False)
            return self._record(batch_id, batch, record, extra)

    def save_named(self, batch_name: str, given: RunRecord | Mapping[str, Any]) -> str:
        """:meth:`save` in this process's batch of that name; in a new one if it has such a run.

        ``given`` has been checked: a batch is not made for what cannot be recorded.
        """
        name = given.name if isinstance(given, RunRecord) else str(given["name"])
        mine = self.own()
        with mine.lock:
            batch_id, names = mine.named.get(batch_name, ("", set()))
            if self.exists(batch_id) and name not in names:
                identity = self.save(batch_id, given)
            else:
                self.forget(batch_id)
                batch_id, names = self.create(batch_name, None), set()
                mine.made.add(batch_id)
                try:
                    identity = self.save(batch_id, given)
                except RegistryError:
                    mine.made.discard(batch_id)
                    self._discard(batch_id)
                    raise
                mine.named[batch_name] = batch_id, names
            names.add(name)
            return identity

    def delete_run(self, batch_id: str, name: str, attempt: int) -> None:
        """Say that the run's records up to ``attempt`` count no longer; they stay in their files."""
        mine = self.own()
        with mine.lock:
            batch = self._batch(batch_id)
            batch.known.update()
            at = max(_now(), batch.known.began or "")
            self._append(batch_id, batch, "delete", {"at": at, "name": name, "attempt": attempt})

    def attempts(self, batch_id: str, name: str) -> list[dict[str, Any]]:
        """Every record of a run that is not deleted, the one that counts last."""
        self.check_exists(batch_id)
        text_of(name, "name")
        found: list[tuple[int, bool, str, dict[str, Any]]] = []
        deleted = 0
        for path in segments(self.registry.batch_folder(batch_id)):
            for line in read_segment(path, []):
                value = line.value
                if value.get("name") != name or not isinstance(attempt := value.get("attempt"), int):
                    continue
                if value["kind"] in ("run", "crash"):
                    when = str(value.get("compared_at") or value.get("finished_at"))
                    found.append((attempt, value["kind"] == "run", when, value))
                elif value["kind"] == "delete":
                    deleted = max(deleted, attempt)
        found.sort(key=lambda entry: entry[:3])
        return [value for attempt, _, _, value in found if attempt > deleted]

    def _record(self, batch_id: str, batch: _Batch, record: RunRecord, extra: Mapping[str, Any]) -> str:
        self._check_references(record)
        highest = batch.known.attempts.get(record.name, 0)
        attempt = record.attempt if record.attempt > highest else highest + 1
        identity = run_id(batch_id, record.name, attempt)
        payload = record_to_json(record) | {"run_id": identity, "attempt": attempt} | dict(extra)
        self._append(batch_id, batch, "run", payload)
        return identity

    def _check_references(self, record: RunRecord) -> None:
        for part in ("series", "fills", "marks"):
            digest = getattr(record, part)
            if digest is not None and part not in record.tables:
                path = self.registry.objects.path_of(digest)
                if not path.is_file():
                    raise RegistryError(
                        f"run {record.name!r} refers to {part} that this registry does not have: {path}"
                    )

    def _batch(self, batch_id: str) -> _Batch:
        batches = self.own().batches
        batch = batches.get(batch_id)
        if batch is None:
            self.check_exists(batch_id)
            batch = batches[batch_id] = _Batch(KnownRuns(self.registry.batch_folder(batch_id)))
        return batch

    def _append(
        self, batch_id: str, batch: _Batch, kind: str, payload: Mapping[str, Any], sync: bool = True
    ) -> None:
        if batch.writer is None:
            batch.writer = self.registry.open_writer(batch_id, WRITER)
        batch.writer.append(kind, payload, sync)
        batch.known.wrote(batch.writer.path, {"kind": kind, **payload})
        if kind == "begin":
            batch.begun = str(payload["at"])


def _check_expected(batch_id: str, batch: _Batch, name: str) -> None:
    if name not in batch.known.expected:
        hint = did_you_mean(name, batch.known.expected)
        raise RegistryError(f"run {name!r} was not expected in batch {batch_id}{hint}")


def _now() -> str:
    return utc_text(datetime.now(UTC))


def _after(at: str | None) -> str:
    return "" if at is None else utc_text(datetime.fromisoformat(at) + timedelta(milliseconds=1))


def _surroundings() -> dict[str, str]:
    from pytest_finbot import __version__

    return {
        "host": platform.node() or "unknown",
        "python": platform.python_version(),
        "pytest-finbot": __version__,
    }
