"""Snapshots of data through merges and verifications: all of it, whole, and damage named and kept out."""

import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest

from pytest_finbot.contracts import DataSpec, RunSpec
from pytest_finbot.errors import DataError, RegistryError
from pytest_finbot.market.snapshots import manifest
from pytest_finbot.market.snapshots.manifest import seal
from pytest_finbot.market.snapshots.objects import object_path
from pytest_finbot.market.snapshots.reading import manifest_path, open_snapshot, snapshot_ids
from pytest_finbot.market.store import PriceStore
from pytest_finbot.registry import open_registry
from pytest_finbot.registry import snapshots as taking
from pytest_finbot.registry.snapshots import snapshots_folder, snapshots_lock, take_snapshot
from pytest_finbot.registry.upkeep import merge_snapshots
from pytest_finbot.registry.upkeep.merge import merge
from pytest_finbot.registry.upkeep.verify import verify

DAYS = ("2019-12-30", "2019-12-31", "2020-01-02", "2020-01-03")


class Place:
    """A folder of prices, and registries beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.prices = folder / "prices.csv"
        self.write()

    def write(self, last=23):
        rows = [(10, 20), (11, 21), (12, 22), (13, last)]
        lines = [f"{day},{a},{b}" for day, (a, b) in zip(DAYS, rows, strict=True)]
        self.prices.write_text("\n".join(["Date,AAA,BBB", *lines, ""]))

    def run(self, name="all", start="2019-12-30", **data):
        return RunSpec(
            name=name,
            engine="portfolio",
            strategy="fixed_weights",
            params={},
            symbols=("AAA", "BBB"),
            start_date=date.fromisoformat(start),
            end_date=date(2020, 1, 3),
            start_capital=1000.0,
            data=DataSpec(str(self.prices), **data),
        )

    def take(self, registry, *runs, day=1):
        """The id of a snapshot of the data of ``runs``, taken on that day of a month."""
        moment = datetime(2026, 11, day, tzinfo=UTC)
        batch = self.folder / "finbot.yaml"
        return take_snapshot(registry.root, batch, [(run, ()) for run in runs or [self.run()]], now=moment).id

    def replay(self, registry, identity, **run):
        """Digest of the run's data in the registry's snapshot."""
        data = {"snapshot": identity, "snapshots": str(snapshots_folder(registry.root))}
        return PriceStore().load(self.run(**run, **data)).digest.hash

    def registry(self, name):
        return open_registry(self.folder / name, durability="second")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def files(registry):
    """Bytes of every manifest and object."""
    folder = snapshots_folder(registry.root)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.suffix in (".json", ".parquet")
    }


def damaged(registry, identity, place=-1):
    """The path of an object of the snapshot, which has one bit changed now."""
    folder = snapshots_folder(registry.root)
    path = object_path(folder, sorted(open_snapshot(folder, identity).object_hashes())[place])
    raw = bytearray(path.read_bytes())
    raw[10] ^= 1
    path.write_bytes(raw)
    return path


def counts(report):
    return (
        report.snapshots,
        report.snapshots_grown,
        report.snapshot_objects,
        report.snapshot_objects_mended,
    )


def faults(registry):
    return [str(finding) for finding in verify(registry) if finding.level == "fault"]


# ----------------------------------------------------------------------------------- merging


def test_the_snapshots_of_all_come_together_and_are_replayed_without_the_files(place):
    target, one, two = (place.registry(name) for name in ("all", "one", "two"))
    first = place.take(one)
    digest = PriceStore().load(place.run()).digest.hash
    place.write(last=24)
    second = place.take(two)
    assert counts(merge(target, [one, two])) == (2, 0, 5, 0)  # 2 symbols, 2 years, one of them changed
    assert files(target) == files(one) | files(two)
    place.prices.unlink()
    assert place.replay(target, first) == digest != place.replay(target, second)
    before = files(target)
    assert counts(merge(target, [one, two])) == (0, 0, 0, 0)
    assert files(target) == before
    assert faults(target) == []


def test_one_snapshot_taken_for_other_runs_is_tied_to_all_of_them_whatever_the_order(place):
    one, two, late = place.registry("one"), place.registry("two"), place.run("late", "2020-01-02")
    place.take(one, day=3)
    place.take(two, place.run(), late, day=2)
    place.take(two, day=4)  # the like of what one has, later
    identity = place.take(two, late, day=1)
    ways = []
    for name, order in (("forth", (one, two)), ("back", (two, one))):
        target = place.registry(name)
        report = merge(target, order[:1])
        assert (report.snapshots, report.snapshots_grown) == (1, 0)
        assert merge(target, order[1:]).snapshots_grown == 1 - (name == "back")
        ways.append(files(target))
    assert counts(merge(place.registry("at once"), [one, two])) == (1, 0, 4, 0)
    assert ways[0] == ways[1] == files(place.registry("at once"))
    document = open_snapshot(snapshots_folder(target.root), identity).document
    assert [(taken["at"][:10], *taken["digests"]) for taken in document["taken"]] == [
        ("2026-11-01", "late"),
        ("2026-11-02", "all", "late"),
        ("2026-11-03", "all"),
    ]
    assert document["created_at"].startswith("2026-11-01")


def test_objects_that_no_snapshot_names_are_left_behind(place):
    target, one = place.registry("all"), place.registry("one")
    identity = place.take(one)
    place.write(last=24)
    manifest_path(snapshots_folder(one.root), place.take(one)).unlink()
    assert merge(target, [one]).snapshot_objects == 4
    assert snapshot_ids(snapshots_folder(target.root)) == [identity]


def test_a_damaged_snapshot_is_told_and_not_spread(place):
    target, one = place.registry("all"), place.registry("one")
    first = place.take(one)
    place.write(last=24)
    second = place.take(one)
    [only_of_first] = {*open_snapshot(snapshots_folder(one.root), first).object_hashes()} - {
        *open_snapshot(snapshots_folder(one.root), second).object_hashes()
    }
    path = object_path(snapshots_folder(one.root), only_of_first)
    path.write_bytes(path.read_bytes()[:-5])
    said = f"prices.csv (snapshot {first}): BBB, 2020: object {path} "
    with pytest.raises(RegistryError) as told:
        merge(target, [one])
    assert str(told.value).startswith(f"nothing was merged: {said}")
    assert str(told.value).endswith(f"verify --registry {one.root}; or merge all but it: --allow-damaged")
    assert files(target) == {}
    report = merge(target, [one], allow_damaged=True)
    assert counts(report) == (1, 0, 4, 0)
    assert (len(report.left_out), report.left_out[0].startswith(said), report.damaged) == (1, True, ())
    assert snapshot_ids(snapshots_folder(target.root)) == [second]
    assert faults(target) == []


def test_a_manifest_that_was_edited_is_told_and_not_spread(place):
    target, one = place.registry("all"), place.registry("one")
    path = manifest_path(snapshots_folder(one.root), place.take(one))
    path.write_bytes(path.read_bytes().replace(b'"close"', b'"Close"'))
    with pytest.raises(RegistryError, match=f"nothing was merged: {path} is not as it was written"):
        merge(target, [one])
    assert files(target) == {}


def test_what_is_damaged_in_one_is_taken_from_another(place):
    target, one, two = (place.registry(name) for name in ("all", "one", "two"))
    identity = place.take(one)
    place.take(two)
    whole = files(one)
    damaged(one, identity, 0)
    damaged(two, identity, 1)
    assert counts(merge(target, [one, two])) == (1, 0, 4, 0)
    assert files(target) == whole


def test_what_is_damaged_here_and_there_is_verifys_to_tell_but_comes_into_no_new_snapshot(place):
    target, one = place.registry("all"), place.registry("one")
    first = place.take(one)
    merge(target, [one])
    folders = [snapshots_folder(registry.root) for registry in (target, one)]
    for folder in folders:
        for digest in open_snapshot(folder, first).object_hashes():
            object_path(folder, digest).write_bytes(b"PAR1")
    assert counts(merge(target, [one])) == (0, 0, 0, 0)
    assert len(faults(target)) == 4
    place.write(last=24)
    second = place.take(one)  # shares three objects with the first, and does not read what is there
    with pytest.raises(RegistryError, match=rf"snapshot {second}\): AAA, 2019: object {folders[1]}.* cannot"):
        merge(target, [one])
    assert snapshot_ids(folders[0]) == [first]


def test_what_is_damaged_here_is_mended_and_what_is_only_damaged_there_does_not_matter(place):
    target, one = place.registry("all"), place.registry("one")
    identity = place.take(one)
    merge(target, [one])
    whole = files(target)
    damaged(target, identity, 0)
    damaged(target, identity, 1).write_bytes(b"")
    damaged(one, identity, 2)
    assert counts(merge(target, [one])) == (0, 0, 1, 1)
    assert files(target) == whole


def test_an_object_of_other_bytes_and_the_same_values_is_kept(place):
    import pyarrow.parquet as pq

    target, one = place.registry("all"), place.registry("one")
    path = object_path(
        snapshots_folder(one.root),
        next(open_snapshot(snapshots_folder(one.root), place.take(one)).object_hashes()),
    )
    merge(target, [one])
    pq.write_table(pq.read_table(path), path, compression="none", store_schema=False)
    before = files(target)
    assert counts(merge(target, [one])) == (0, 0, 0, 0)
    assert files(target) == before != files(one)


def test_a_manifest_that_is_damaged_here_is_not_overwritten(place):
    target, one = place.registry("all"), place.registry("one")
    path = manifest_path(snapshots_folder(target.root), place.take(one))
    merge(target, [one])
    path.write_bytes(b"{}")
    with pytest.raises(RegistryError, match=f"nothing was merged: {path} is not a snapshot's manifest"):
        merge(target, [one])
    merge(target, [one], allow_damaged=True)
    assert path.read_bytes() == b"{}"
    path.unlink()
    assert counts(merge(target, [one])) == (1, 0, 0, 0)


def test_two_snapshots_of_one_id_with_other_data_are_refused(place, monkeypatch):
    for module in (manifest, taking):  # two hashes that begin with the same 12 digits
        monkeypatch.setattr(module, "snapshot_id", lambda described: "snap-000000000000")
    target, one, two = (place.registry(name) for name in ("all", "one", "two"))
    place.take(one)
    place.write(last=24)
    place.take(two)
    with pytest.raises(RegistryError, match=r"nothing was merged: .* is of other data than"):
        merge(target, [one, two])
    merge(target, [one])
    before = files(target)
    with pytest.raises(RegistryError, match="two snapshots have one id"):
        merge(target, [two], allow_damaged=True)
    assert files(target) == before


def test_nobody_takes_or_removes_snapshots_during_a_merge(place, monkeypatch):
    target, one = place.registry("all"), place.registry("one")
    place.take(one)
    merge(target, [one])
    monkeypatch.setattr(merge_snapshots, "PATIENCE", 0.0)
    with snapshots_lock(snapshots_folder(target.root), 0.0):
        with pytest.raises(RegistryError, match="another finbot data snapshot or prune is at work"):
            merge(target, [one])
        merge(target, [place.registry("none")])  # has no snapshots, so it needs no lock


KILLED = """
import os, signal, sys
from pathlib import Path
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.upkeep.merge import existing_source, merge
left, replace = int(sys.argv[3]), os.replace
def dying(source, target):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)
os.replace = dying
merge(open_registry(sys.argv[1]), [existing_source(Path(sys.argv[2]))])
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_a_merge_killed_at_any_file_leaves_whole_snapshots_and_a_repeat_finishes_it(place):
    one = place.registry("one")
    place.take(one)
    place.write(last=24)
    place.take(one)
    for left in (0, 3, 5, 6, 7):  # five objects, two manifests
        target = place.folder / f"killed{left}"
        target.mkdir()
        shutil.copy(one.root / "registry.json", target)
        done = subprocess.run([sys.executable, "-c", KILLED, str(target), str(one.root), str(left)])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        registry = open_registry(target)
        assert faults(registry) == []
        merge(registry, [one])
        assert files(registry) == files(one)
    assert (done.returncode, left) == (0, 7)


# --------------------------------------------------------------------------------- verifying


@pytest.fixture
def kept(place):
    """A registry with two snapshots that share three of their four objects each, and their ids."""
    registry = place.registry(".finbot")
    first = place.take(registry)
    place.write(last=24)
    return registry, first, place.take(registry)


def test_whole_snapshots_are_counted(kept):
    looked = verify(kept[0])
    assert list(looked) == []
    found = looked.snapshots
    assert (found.count, found.objects, found.unreferenced, looked.faults) == (2, 5, 0, 0)


def test_a_changed_byte_is_told_with_whose_rows_it_was(place, kept):
    registry, first = kept[0], min(kept[1:])  # both have it; it is told of the first
    folder = snapshots_folder(registry.root)
    [digest] = {digest for digest, what in open_snapshot(folder, first).objects() if "AAA, 2019" in what}
    path = object_path(folder, digest)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 4] ^= 1
    path.write_bytes(raw)
    [fault] = faults(registry)
    shown = path.relative_to(registry.root).as_posix()
    assert fault.startswith(
        f"fault: {shown}: the object is damaged: prices.csv (snapshot {first}): AAA, 2019: "
    )
    with pytest.raises(DataError, match=f"AAA, 2019: object {path}"):
        place.replay(registry, first)


def test_a_missing_object_is_told_once_with_the_first_manifest_that_names_it(place, kept):
    registry, first, second = kept
    folder = snapshots_folder(registry.root)
    shared = {*open_snapshot(folder, first).object_hashes()} & {
        *open_snapshot(folder, second).object_hashes()
    }
    path = object_path(folder, min(shared))
    path.unlink()
    [fault] = faults(registry)
    assert fault.startswith(f"fault: snapshots/{min(first, second)}.json: object snapshots/objects/")
    assert f"/{path.name} is missing: it holds prices.csv (snapshot " in fault
    assert "it is named 1 times more; copy it from where" in fault


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda raw: raw.replace(b'"close"', b'"Close"'), "it is not as it was written: its checksum"),
        (lambda raw: raw[:-30], "it is not a snapshot's manifest: "),
        (lambda raw: b"", "it is not a snapshot's manifest: "),
        (lambda raw: seal({**json.loads(raw), "id": "snap-000000000000"}), "it is not the manifest"),
        (lambda raw: seal({**json.loads(raw), "version": 2}), "it has version 2, this pytest-finbot"),
    ],
)
def test_a_manifest_that_is_not_as_it_was_written_is_a_fault_and_its_objects_a_note(kept, change, said):
    registry, first, _ = kept
    path = manifest_path(snapshots_folder(registry.root), first)
    path.write_bytes(change(path.read_bytes()))
    looked = verify(registry)
    fault, note = map(str, looked)
    assert fault.startswith(f"fault: snapshots/{first}.json: {said}")
    assert note.startswith("note: snapshots/objects: 1 objects (")
    assert note.endswith("that no snapshot names; finbot data prune removes them")
    assert (looked.snapshots.count, looked.snapshots.unreferenced) == (2, 1)


def test_what_is_none_of_a_snapshots_files_is_a_note(kept, tmp_path):
    registry, first, _ = kept
    folder = snapshots_folder(registry.root)
    (tmp_path / "elsewhere.parquet").write_bytes(b"")
    some = next((folder / "objects").iterdir())
    strays = {
        folder / "notes.txt": "it is none of the registry's files",
        folder / f"{first}.json.orig": "it is none of the registry's files",
        folder / ".snap-000000000000.json.1-aa.tmp": "finbot data prune removes it",
        some / f"{some.name}{'0' * 62}.json": "it is none of the registry's files",
        some / f".{'0' * 64}.parquet.1-aa.tmp": "finbot data prune removes it",
        some / f"{some.name}{'0' * 62}.parquet": "a symlink, to",
    }
    for path, said in strays.items():
        if "symlink" in said:
            path.symlink_to(tmp_path / "elsewhere.parquet")
            continue
        path.write_bytes(b"?")
        os.utime(path, (0, 0))
    (some / ".young.parquet.1-aa.tmp").write_bytes(b"?")
    found = {finding.file: str(finding) for finding in verify(registry)}
    assert {*found} == {path.relative_to(registry.root).as_posix() for path in strays}
    for path, said in strays.items():
        line = found[path.relative_to(registry.root).as_posix()]
        assert line.startswith("note: ")
        assert said in line


def test_an_unnamed_object_is_a_note_though_empty_and_a_fault_where_it_would_be_taken_for_another(kept):
    registry, first, _ = kept
    folder = snapshots_folder(registry.root)
    manifest_path(folder, first).unlink()
    [note] = list(verify(registry))
    assert (note.level, note.file) == ("note", "snapshots/objects")
    [name] = {path.stem for path in folder.glob("objects/*/*")} - {
        *open_snapshot(folder, snapshot_ids(folder)[0]).object_hashes()
    }
    object_path(folder, name).write_bytes(b"")
    assert faults(registry) == []
    object_path(folder, name).write_bytes(b"PAR1")  # the next snapshot of its values would name it
    [fault] = faults(registry)
    assert "the object is damaged: no snapshot names it: cannot be read" in fault


def test_the_command_tells_of_snapshots_and_ends_with_1_for_a_fault(kept):
    from click.testing import CliRunner

    from pytest_finbot.cli.main import main

    registry, first, _ = kept

    def ask(*words):
        done = CliRunner().invoke(main, ["registry", *words], catch_exceptions=False)
        return done.exit_code, done.stdout

    verifying = ("verify", "--registry", str(registry.root))
    said = "0 batches, 0 records, 0 objects, 2 snapshots with 5 objects, 0 notes, 0 faults\n"
    assert ask(*verifying) == (0, said)
    path = damaged(registry, first)
    status, out = ask(*verifying, "--json")
    document = json.loads(out)
    assert (status, document["faults"], document["snapshots"], document["snapshot_objects"]) == (1, 1, 2, 5)
    assert document["findings"][0]["file"] == path.relative_to(registry.root).as_posix()
    merging = ("merge", "--registry", str(registry.root.with_name("all")), str(registry.root))
    assert ask(*merging)[0] == 4
    status, out = ask(*merging, "--allow-damaged")
    assert status == 1
    assert out.startswith("not copied: prices.csv (snapshot snap-")
