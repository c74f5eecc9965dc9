"""Whether the snapshots of data beside a registry are whole: manifests, and all objects they name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_finbot.errors import DataError
from pytest_finbot.market.snapshots.manifest import is_snapshot_id
from pytest_finbot.market.snapshots.objects import object_path, read_object
from pytest_finbot.market.snapshots.reading import open_snapshot
from pytest_finbot.registry.snapshots import LOCK, snapshots_folder
from pytest_finbot.registry.upkeep.findings import Finding, stray
from pytest_finbot.registry.upkeep.object_files import entries, object_files

_PRUNE = "finbot data prune"


@dataclass(slots=True)
class _Named:
    """The first manifest that names an object, whose rows it holds, and how often it is named again."""

    manifest: Path
    what: str
    others: int = 0


class SnapshotVerification:
    """Iterate over it for what is found; the counts are those of what was looked at so far.

    Nothing is changed. Symlinks are told and not followed. Memory grows with the number of objects
    (some 300 bytes each), not with what they hold.
    """

    def __init__(self, root: Path, now: float) -> None:
        self._folder = snapshots_folder(root)
        self._now = now
        self._named: dict[bytes, _Named] = {}
        self.count = 0
        """Manifests."""
        self.objects = 0
        self.unreferenced = 0
        """Objects that no manifest names."""
        self.unreferenced_bytes = 0

    def __iter__(self) -> Iterator[Finding]:
        for path in entries(self._folder):
            if path.is_symlink():
                yield from self._stray(path)
            elif path.suffix == ".json" and is_snapshot_id(path.stem):
                yield from self._manifest(path)
            elif path.name != LOCK and not (path.name == "objects" and path.is_dir()):
                yield from self._stray(path)
        yield from self._missing()
        if not (self._folder / "objects").is_symlink():
            yield from self._objects()

    def _manifest(self, path: Path) -> Iterator[Finding]:
        try:
            snapshot = open_snapshot(self._folder, path.stem)
        except DataError as error:
            if path.exists():  # else it was removed meanwhile
                self.count += 1
                said = str(error).removeprefix(str(path)).lstrip(": ")
                yield Finding("fault", self._shown(path), None, f"it {said}")
            return
        self.count += 1
        for digest, what in snapshot.objects():
            key = bytes.fromhex(digest)
            if key in self._named:
                self._named[key].others += 1
            else:
                self._named[key] = _Named(path, what)

    def _missing(self) -> Iterator[Finding]:
        for key, named in self._named.items():
            path = object_path(self._folder, key.hex())
            if path.is_file() or not named.manifest.exists():
                continue
            others = f", and it is named {named.others:,} times more" if named.others else ""
            yield Finding(
                "fault",
                self._shown(named.manifest),
                None,
                f"object {self._shown(path)} is missing: it holds {named.what}{others}; copy it from where "
                "the snapshot is whole, or take the snapshot again from the same files",
            )

    def _objects(self) -> Iterator[Finding]:
        for path, digest in object_files(self._folder / "objects", follow=False):
            if digest is None or path.suffix != ".parquet":
                yield from self._stray(path)
                continue
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue  # removed meanwhile
            self.objects += 1
            named = self._named.get(bytes.fromhex(digest))
            if named is None:
                self.unreferenced += 1
                self.unreferenced_bytes += size
                if not size:
                    continue  # what a power cut leaves; whoever needs it writes it again
            what = "no snapshot names it" if named is None else named.what
            try:
                read_object(self._folder, digest, what)
            except DataError as error:
                if path.exists():
                    said = str(error).replace(f"object {path} ", "")
                    yield Finding("fault", self._shown(path), None, f"the object is damaged: {said}")
        if self.unreferenced:
            yield Finding(
                "note",
                self._shown(self._folder / "objects"),
                None,
                f"{self.unreferenced:,} objects ({self.unreferenced_bytes:,} bytes) that no snapshot names; "
                f"{_PRUNE} removes them",
            )

    def _stray(self, path: Path) -> Iterator[Finding]:
        yield from stray(self._folder.parent, path, self._now, remover=_PRUNE)

    def _shown(self, path: Path) -> str:
        return path.relative_to(self._folder.parent).as_posix()
