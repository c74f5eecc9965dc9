"""Whether a registry is whole: every line readable, every reference there, every hash right.

Its snapshots of data are looked at by :mod:`upkeep.verify_snapshots`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.cut_lines import is_cut_off
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.fold import fold_batch
from pytest_finbot.registry.ids import batch_month, is_batch_id
from pytest_finbot.registry.layout import MANIFEST, REMOVED, segments
from pytest_finbot.registry.liveness import LOCK, is_alive
from pytest_finbot.registry.records import record_from_json, unseal
from pytest_finbot.registry.segments import segment_name
from pytest_finbot.registry.small_tables import get_table
from pytest_finbot.registry.upkeep.batch_facts import wrong_time
from pytest_finbot.registry.upkeep.findings import Finding, stray
from pytest_finbot.registry.upkeep.object_files import entries, object_files
from pytest_finbot.registry.upkeep.references import hashes_in
from pytest_finbot.registry.upkeep.verify_snapshots import SnapshotVerification

_PLACE = re.compile(r"(.+?\.jsonl):(\d+): ", re.DOTALL)
_UNUSABLE = (RegistryError, ValueError, TypeError, KeyError, AttributeError, OverflowError)
"""What reading values of the wrong type or shape raises, whatever was written there."""


def verify(registry: FilesRegistry) -> Verification:
    """Look at every file of ``registry``, changing none; iterate over it for what is found.

    Symlinks below ``batches/``, ``series/`` and ``snapshots/`` are told and not followed.

    Batches may be recorded and looked at meanwhile. Memory grows with the number of objects
    (some 100 bytes each) and with the runs of the largest batch, not with what they recorded.
    """
    return Verification(registry)


class Verification:
    """Findings as they are made; the counts are those of what was looked at so far."""

    def __init__(self, registry: FilesRegistry) -> None:
        self._registry = registry
        self._root = registry.root
        self._now = time.time()
        self._referenced: set[bytes] = set()
        self._missing: dict[Path, _Missing] = {}
        self.batches = 0
        self.records = 0
        """Lines that hold the record of an attempt; runs may have several."""
        self.objects = 0
        self.unreferenced = 0
        """Objects that no line of any batch names."""
        self.unreferenced_bytes = 0
        self.snapshots = SnapshotVerification(registry.root, self._now)
        self.notes = 0
        self.faults = 0

    def __iter__(self) -> Iterator[Finding]:
        for finding in self._findings():
            if finding.level == "fault":
                self.faults += 1
            else:
                self.notes += 1
            yield finding

    def _findings(self) -> Iterator[Finding]:
        yield from self._batch_tree()
        for path, missing in self._missing.items():
            others = f", and {missing.others:,} other lines name it" if missing.others else ""
            yield Finding(
                "fault",
                missing.file,
                missing.line,
                f"object {self._shown(path)} is missing: it holds {missing.what}{others}; "
                "copy series/ together with batches/, or run the batch again",
            )
        yield from self._objects()
        yield from self.snapshots

    # --------------------------------------------------------------------------- batches

    def _batch_tree(self) -> Iterator[Finding]:
        """Whatever lies below batches/: nothing there is passed over in silence."""
        for year in entries(self._root / "batches"):
            if not _is_folder(year):
                yield from self._alien(year)
                continue
            for month in entries(year):
                if not _is_folder(month):
                    yield from self._alien(month)
                    continue
                for folder in entries(month):
                    yield from self._in_month(folder)

    def _in_month(self, folder: Path) -> Iterator[Finding]:
        if not _is_folder(folder):
            yield from self._alien(folder)
        elif folder.name.startswith(REMOVED):
            message = "left by a prune that was killed; the next one removes it"
            yield Finding("note", self._shown(folder), None, message)
        elif not is_batch_id(folder.name):
            yield from self._alien(folder)
        elif batch_month(folder.name) != (folder.parents[1].name, folder.parent.name):
            message = "a batch in the folder of another month is not found; move it to its own"
            yield Finding("fault", self._shown(folder), None, message)
        else:
            yield from self._whole_batch(folder)

    def _whole_batch(self, folder: Path) -> Iterator[Finding]:
        try:
            yield from self._batch(folder)
        except RegistryError as error:
            if folder.is_dir():  # removed meanwhile: nothing is wrong with what is not there
                yield Finding("fault", self._shown(folder), None, str(error))

    def _batch(self, folder: Path) -> Iterator[Finding]:
        alive = is_alive(folder)
        paths = segments(folder)
        if not (folder / MANIFEST).is_file():
            if paths:
                message = (
                    f"there is no {MANIFEST}, so nobody finds what is recorded here; was a merge killed?"
                )
                yield Finding("fault", self._shown(folder), None, f"{message} then repeat it")
            elif alive is not True:
                message = "an empty folder: whoever was to create the batch was killed"
                yield Finding("note", self._shown(folder), None, message)
            return
        self.batches += 1
        if (folder / MANIFEST).is_symlink():
            yield from self._alien(folder / MANIFEST)
        else:
            yield from self._manifest(folder / MANIFEST)
        seen: dict[str, _Seen] = {}
        for path in paths:
            if path.is_symlink():
                yield from self._alien(path)
                continue
            looked = seen[segment_name(path)] = _Seen(set())
            yield from self._segment(path, looked, alive is True)
        yield from self._folded(folder, seen, alive)
        known = {folder / MANIFEST, folder / LOCK, folder / "logs", *paths}
        for path in entries(folder):
            # A segment that is not known began since.
            if path not in known and (path.suffix != ".jsonl" or path.is_symlink()):
                yield from self._alien(path)
        if (folder / "logs").is_symlink():
            yield from self._alien(folder / "logs")
            return
        for path in entries(folder / "logs"):
            if path.suffix != ".jsonl" or path.is_symlink():
                yield from self._alien(path)

    def _manifest(self, path: Path) -> Iterator[Finding]:
        with telling("read", path):
            raw = path.read_bytes()
        self._referenced.update(hashes_in(raw))
        try:
            value = unseal(raw, "it")
        except (ValueError, RegistryError) as error:
            yield Finding("fault", self._shown(path), None, f"the manifest cannot be read: {error}")
            return
        said = (value["kind"], value.get("batch_id"))
        if said != ("manifest", path.parent.name):
            message = (
                f"it is not the manifest of this batch: its kind is {said[0]!r}, its batch_id {said[1]!r}"
            )
            yield Finding("fault", self._shown(path), None, message)
        elif (wrong := wrong_time(value, path.parent)) is not None:
            yield Finding("fault", self._shown(path), None, wrong)

    def _segment(self, path: Path, seen: _Seen, alive: bool) -> Iterator[Finding]:
        shown = self._shown(path)
        offset = 0
        with telling("read", path), path.open("rb") as file:
            # As it is now: a writer that is quicker than we are would keep us here.
            size = os.fstat(file.fileno()).st_size
            for number, raw in enumerate(file, start=1):
                if offset >= size:
                    return
                offset += len(raw)
                if raw == b"\n":
                    continue
                self._referenced.update(hashes_in(raw))
                seen.lines = number
                if not raw.endswith(b"\n"):
                    seen.told.add(number)
                    if not alive:
                        yield Finding("note", shown, number, _CUT_AT_THE_END.format(len(raw)))
                    return
                try:
                    value = unseal(raw, "it")
                except RegistryError as error:
                    seen.told.add(number)
                    yield Finding("fault", shown, number, f"the line cannot be read: {error}")
                except ValueError as error:
                    seen.told.add(number)
                    if is_cut_off(raw):
                        yield Finding("note", shown, number, _CUT_IN_BETWEEN)
                    else:
                        message = f"the line cannot be read and is not counted: {error}"
                        yield Finding("fault", shown, number, message)
                else:
                    for message in self._line(value, path, number):
                        yield Finding("fault", shown, number, message)

    def _folded(self, folder: Path, seen: dict[str, _Seen], alive: bool | None) -> Iterator[Finding]:
        """What only all segments together tell: runs nobody expected, lines that make no sense."""
        try:
            problems = fold_batch(folder, writer_alive=alive).problems
        except RegistryError:
            if any(looked.told for looked in seen.values()):
                return  # a line of a newer version, told already
            raise
        for problem in problems:
            place = _PLACE.match(problem)
            if place is None:
                yield Finding("fault", self._shown(folder), None, problem.removeprefix(f"{folder.name}/"))
                continue
            looked, number = seen.get(place[1]), int(place[2])
            # Lines that came since are looked at when the registry is verified again.
            if looked is not None and number <= looked.lines and number not in looked.told:
                path = folder.parent / place[1]
                yield Finding("fault", self._shown(path), number, problem[place.end() :])

    # --------------------------------------------------------------------------- records

    def _line(self, value: dict[str, Any], path: Path, number: int) -> Iterator[str]:
        """What is wrong with a readable line. Objects that are missing are noted for later."""
        if value["kind"] == "begin":
            if isinstance(value.get("runs"), str):
                yield from self._refers(value["runs"], ".json", "the session's plan", path, number)
            return
        if value["kind"] == "facts":
            what = "what the session knew when it ended"
            yield from self._refers(value.get("facts"), ".json", what, path, number)
            return
        if value["kind"] not in ("run", "crash"):
            return
        self.records += 1
        try:
            record_from_json(value)
        except RegistryError as error:
            yield str(error)
            return
        if not isinstance(value.get("metrics"), dict):
            yield f"the record of run {value['name']} has no metrics, which every record has"
        tables = value.get("tables")
        for part in ("series", "fills", "marks"):
            named = value.get(part)
            if named is None:
                continue
            if isinstance(tables, dict) and part in tables:
                try:
                    get_table(self._registry.objects, value, part, verify=True)
                except _UNUSABLE as error:
                    yield f"the {part} in the record of run {value['name']} are damaged: {error}"
            else:
                yield from self._refers(named, ".parquet", f"the {part} of run {value['name']}", path, number)
        for part, key in (("data", "parts"), ("code", "modules")):
            known = (value.get("fingerprint") or {}).get(part)
            if isinstance(known, dict) and key not in known and known.get("hash") is not None:
                what = f"the {part} of the fingerprint of run {value['name']}"
                yield from self._refers(known["hash"], ".json", what, path, number)

    def _refers(
        self, named: Any, suffix: Literal[".parquet", ".json"], what: str, path: Path, number: int
    ) -> Iterator[str]:
        try:
            found = self._registry.objects.path_of(named, suffix)
        except (RegistryError, TypeError):
            yield f"{what}: {named!r} cannot name an object; expected 64 hexadecimal digits"
            return
        if found in self._missing:
            self._missing[found].others += 1
        elif not found.is_file() and path.is_file():  # else the batch was removed meanwhile
            self._missing[found] = _Missing(self._shown(path), number, what)

    # --------------------------------------------------------------------------- objects

    def _objects(self) -> Iterator[Finding]:
        for path, digest in object_files(self._root / "series", follow=False):
            if digest is None:
                yield from self._alien(path)
                continue
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue  # removed meanwhile
            self.objects += 1
            if bytes.fromhex(digest) not in self._referenced:
                self.unreferenced += 1
                self.unreferenced_bytes += size
            damage = self._damage(path, digest)
            if damage is not None and path.exists():
                yield Finding("fault", self._shown(path), None, damage)
        if self.unreferenced:
            yield Finding(
                "note",
                "series",
                None,
                f"{self.unreferenced:,} objects ({self.unreferenced_bytes:,} bytes) that no record refers "
                "to; finbot registry prune removes them",
            )

    def _damage(self, path: Path, digest: str) -> str | None:
        import pyarrow as pa

        objects = self._registry.objects
        try:
            if path.suffix == ".json":
                objects.get_json(digest, verify=True)
            else:
                objects.get_table(digest, verify=True)
        except (*_UNUSABLE, pa.ArrowException) as error:
            said = str(error).replace(f"object {path} ", "")
            return f"the object is damaged: {said}"
        return None

    # ---------------------------------------------------------------------------- others

    def _alien(self, path: Path) -> Iterator[Finding]:
        yield from stray(self._root, path, self._now)

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


_CUT_AT_THE_END = (
    "the last line was cut off after {} bytes: a record nobody was told is kept; normal after a kill"
)
_CUT_IN_BETWEEN = "the line was cut off: a record that could not be written, as its run was told"


@dataclass(slots=True)
class _Seen:
    """Lines of a segment: how many there were, and those told of already."""

    told: set[int]
    lines: int = 0


@dataclass(slots=True)
class _Missing:
    """The first line that names a missing object, and how many others do."""

    file: str
    line: int
    what: str
    others: int = 0


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
