"""Snapshots beside a registry: each value once, whole or not at all, gone when nothing needs them."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.contracts import DataSpec, RunSpec
from pytest_finbot.errors import DataError, RegistryError
from pytest_finbot.market.snapshots.reading import open_snapshot, snapshot_ids
from pytest_finbot.market.store import PriceStore
from pytest_finbot.registry import snapshots as taking
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.snapshots import snapshots_folder, take_snapshot
from pytest_finbot.registry.upkeep.prune_snapshots import prune_snapshots

BATCH = "batch-20261121T091502Z-3f9c1a"
OTHER = "batch-20261122T091502Z-3f9c1b"
SYMBOLS = ("AAA", "BBB", "CCC")


class Place:
    """A folder with prices, a batch file's name, and its registry."""

    def __init__(self, folder):
        self.folder, self.root = folder, folder / ".finbot"
        days = pd.bdate_range("2018-01-01", "2020-12-31")
        steps = np.random.default_rng(7).normal(size=(len(days), len(SYMBOLS)))
        index = pd.Index(days.strftime("%Y-%m-%d"), name="Date")
        self.prices = pd.DataFrame(np.round(90 + np.cumsum(steps, axis=0), 3), index, SYMBOLS)
        self.write()

    def write(self, **changes):
        for day, (symbol, value) in changes.items():
            self.prices.loc[day.removeprefix("on").replace("_", "-"), symbol] = value
        self.prices.to_csv(self.folder / "prices.csv")

    def run(self, name="all", symbols=SYMBOLS, start="2018-01-01", **data):
        return RunSpec(
            name=name,
            engine="portfolio",
            strategy="fixed_weights",
            params={},
            symbols=symbols,
            start_date=date.fromisoformat(start),
            end_date=date(2020, 12, 31),
            start_capital=1000.0,
            data=DataSpec(str(self.folder / "prices.csv"), **data),
        )

    def take(self, *runs, **more):
        return take_snapshot(
            self.root, self.folder / "finbot.yaml", [(run, ()) for run in runs or [self.run()]], **more
        )

    def prune(self, **more):
        return prune_snapshots(FilesRegistry(self.root), **{"keep": timedelta(0), **more})

    @property
    def snapshots(self):
        return snapshots_folder(self.root)

    def objects(self):
        return {path.stem for path in self.snapshots.glob("objects/*/*.parquet")}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


# ------------------------------------------------------------------------------------ taking


def test_each_symbols_year_is_an_object(place):
    taken = place.take()
    assert (taken.objects, taken.written, taken.new) == (9, 9, True)
    assert place.objects() == {*open_snapshot(place.snapshots, taken.id).object_hashes()}
    assert taken.sources == {"prices.csv": SYMBOLS}
    assert taken.years == ("2018", "2019", "2020")
    assert taken.bytes == sum(path.stat().st_size for path in place.snapshots.glob("objects/*/*"))


def test_the_same_data_is_the_same_snapshot_and_nothing_is_written(place, tmp_path):
    first = place.take()
    before = {path: path.read_bytes() for path in place.snapshots.rglob("*.*") if path.is_file()}
    shutil.copy(place.folder / "prices.csv", tmp_path / "copy.csv")
    (tmp_path / "copy.csv").replace(place.folder / "prices.csv")  # another time, the same values
    again = place.take()
    assert (again.id, again.new, again.written, again.bytes_written) == (first.id, False, 0, 0)
    assert {path: path.read_bytes() for path in before} == before


def test_one_changed_price_is_one_new_object(place):
    first = place.take()
    was = place.objects()
    place.write(on2019_05_06=("BBB", 88.125))
    second = place.take()
    assert second.id != first.id
    assert (second.objects, second.written) == (9, 1)
    assert was < place.objects()
    # And the first is still what it was.
    old = dataclasses.replace(place.run().data, snapshot=first.id, snapshots=str(place.snapshots))
    replayed = PriceStore().load(dataclasses.replace(place.run(), data=old))
    assert replayed.digest.hash == first.digests["all"] != second.digests["all"]


def test_a_taking_for_other_runs_ties_their_digests_to_the_same_data(place):
    first = place.take()
    second = place.take(place.run(), place.run("late", start="2019-01-01"))
    assert (second.id, second.new, second.written) == (first.id, False, 0)
    opened = open_snapshot(place.snapshots, first.id)
    assert opened.digests == {first.digests["all"], second.digests["late"]}
    assert opened.document["created_at"] == opened.document["taken"][0]["at"]


def test_data_that_a_run_is_refused_is_kept_and_told(place):
    place.write(on2019_05_06=("BBB", None))
    taken = place.take(place.run(), place.run("short", ("AAA",)), place.run("typo", ("AAA", "BBBB")))
    assert {*taken.refused} == {"all", "typo"}
    assert "BBB" in taken.refused["all"]
    assert "2019-05-06" in taken.refused["all"]
    assert {*taken.digests} == {"short"}
    assert taken.sources == {"prices.csv": ("AAA", "BBB", "CCC")}


def test_a_file_that_cannot_be_read_leaves_nothing(place):
    (place.folder / "prices.csv").write_text("Date,AAA\n2020-01-02,1\n2020-01-02,2\n")
    with pytest.raises(DataError, match="more than once: 2020-01-02"):
        place.take()
    assert not place.root.exists()
    place.write()
    with pytest.raises(DataError, match="no symbol of its runs"):
        place.take(place.run(symbols=("ZZZ",)))


def test_data_that_changes_while_it_is_taken_is_not_kept(place, monkeypatch):
    digests = taking._digests

    def writing_meanwhile(runs):
        found = digests(runs)
        place.write(on2019_05_06=("BBB", 88.125))
        return found

    monkeypatch.setattr(taking, "_digests", writing_meanwhile)
    with pytest.raises(DataError, match="changed while it was being read"):
        place.take()
    assert not place.root.exists()


def test_an_object_that_was_removed_is_written_again(place):
    first = place.take()
    victim = next(iter(place.snapshots.glob("objects/*/*")))
    victim.write_bytes(b"")  # what a power cut may leave
    again = place.take()
    assert (again.written, again.new) == (1, False)
    data = dataclasses.replace(place.run().data, snapshot=first.id, snapshots=str(place.snapshots))
    PriceStore().load(dataclasses.replace(place.run(), data=data))


def test_a_snapshot_of_runs_that_replay_one_holds_the_same_data(place):
    first = place.take()
    replaying = place.run(snapshot=first.id, snapshots=str(place.snapshots))
    (place.folder / "prices.csv").unlink()
    assert place.take(replaying).id == first.id


KILLED = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from test_snapshots import Place
place = object.__new__(Place)
place.folder = pathlib.Path({folder!r}); place.root = place.folder / ".finbot"
print("begin", flush=True)
place.take()
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_a_process_killed_while_writing_leaves_a_whole_snapshot_or_none(place):
    # 40 years: 120 objects
    steps = np.random.default_rng(1).normal(0, 0.02, (len(place.prices) * 14, 3))
    rows = np.add((50, 90, 200), np.cumsum(steps, axis=0))
    days = pd.bdate_range("1980-01-01", periods=len(rows)).strftime("%Y-%m-%d")
    frame = pd.DataFrame(rows, pd.Index(days, name="Date"), SYMBOLS)
    frame.to_csv(place.folder / "prices.csv")
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(place.folder))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "begin\n"
        deadline = time.monotonic() + 60
        while len(place.objects()) < 5 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert place.objects()
    left = snapshot_ids(place.snapshots)
    for identity in left:  # it was quicker than the signal
        snapshot = open_snapshot(place.snapshots, identity)
        assert [snapshot.source_data(source) for source in snapshot.document["sources"]]
    again = place.take()
    assert again.new == (not left)
    data = dataclasses.replace(place.run().data, snapshot=again.id, snapshots=str(place.snapshots))
    replayed = PriceStore().load(dataclasses.replace(place.run(), data=data))
    assert replayed.digest.hash == again.digests["all"]


# ----------------------------------------------------------------------------------- pruning


@pytest.fixture
def recorder(place, recorder_in):
    return recorder_in(place.root)


def test_what_nothing_refers_to_goes_with_the_objects_that_nobody_shares(place, recorder):
    first = place.take()
    place.write(on2019_05_06=("BBB", 88.125))
    second = place.take()
    recorder.begin(BATCH, "all")
    recorder.run(BATCH, "all", fingerprint={"data": {"hash": second.digests["all"], "field": "close"}})
    recorder.end(BATCH)
    before = place.objects()
    plan = place.prune()
    assert [removal.id for removal in plan.removed] == [first.id]
    assert plan.kept == {second.id: f"a run of batch {BATCH} used its data"}
    assert (plan.objects, plan.applied) == (1, False)
    assert place.objects() == before  # a plan changes nothing
    assert snapshot_ids(place.snapshots) == sorted([first.id, second.id])

    done = place.prune(apply=True)
    assert (done.applied, done.removed, done.objects) == (True, plan.removed, 1)
    assert snapshot_ids(place.snapshots) == [second.id]
    assert place.objects() == {*open_snapshot(place.snapshots, second.id).object_hashes()}
    assert place.prune(apply=True).removed == ()


def test_a_record_a_manifest_and_a_plan_that_name_a_snapshot_keep_it(place, recorder):
    taken = place.take()

    def why():
        return place.prune().kept.get(taken.id)

    recorder.whole(BATCH, "all")
    assert why() is None
    for naming in (
        lambda at: recorder.run(at, "all", fingerprint={"data": {"hash": "0" * 64, "snapshot": taken.id}}),
        lambda at: recorder.line(
            at,
            "begin",
            runs=recorder.files.plan_anew({"specs": [{"data": {"snapshot": taken.id}}]}),
            at="2026",
        ),
    ):
        recorder.begin(OTHER, "all")
        naming(OTHER)
        assert why() == f"batch {OTHER} names it"
        shutil.rmtree(recorder.folder(OTHER))
        recorder.files._open.clear()
        assert why() is None
    recorder.begin(OTHER, "all", specs=[{"name": "all", "data": {"snapshot": taken.id}}])
    assert why() == f"batch {OTHER} names it"


def test_young_snapshots_and_objects_stay(place, recorder):
    taken = place.take()
    assert place.prune(keep=timedelta(days=2)).kept == {taken.id: "taken less than 2 days ago"}
    later = datetime.now(UTC) + timedelta(days=3)
    assert [one.id for one in place.prune(keep=timedelta(days=2), now=later).removed] == [taken.id]
    # What a killed process wrote before its manifest goes when it is old.
    (place.snapshots / f"{taken.id}.json").unlink()
    assert place.prune(keep=timedelta(days=2)).objects == 0
    assert place.prune(keep=timedelta(days=2), now=later).objects == 9


def test_taken_again_is_young_again(place):
    longago = datetime.now(UTC) - timedelta(days=30)
    taken = place.take(now=longago)
    manifest = place.snapshots / f"{taken.id}.json"
    os.utime(manifest, (longago.timestamp(),) * 2)
    assert [one.id for one in place.prune(keep=timedelta(days=1)).removed] == [taken.id]
    place.take()
    assert place.prune(keep=timedelta(days=1)).removed == ()


@pytest.mark.parametrize("damage", ["line", "manifest", "gone"])
def test_nothing_is_removed_where_a_batch_cannot_be_read_whole(place, recorder, damage):
    place.take()
    recorder.whole(BATCH, "all")
    folder = recorder.folder(BATCH)
    if damage == "line":
        (segment,) = folder.glob("gw0-*.jsonl")
        segment.write_text(segment.read_text().replace('"success"', '"succeed"'))
    elif damage == "manifest":
        (folder / "manifest.json").write_text("{}\n")
    else:
        (folder / "manifest.json").unlink()
    before = place.objects()
    for apply in (False, True):
        with pytest.raises(RegistryError, match=rf"nothing is removed.*{BATCH}"):
            place.prune(apply=apply)
    assert place.objects() == before
    assert snapshot_ids(place.snapshots)


def test_nothing_is_removed_where_a_snapshot_cannot_be_read(place):
    taken = place.take()
    place.write(on2019_05_06=("BBB", 88.125))
    place.take()
    manifest = place.snapshots / f"{taken.id}.json"
    manifest.write_text(manifest.read_text().replace("prices.csv", "prizes.csv"))
    with pytest.raises(RegistryError, match=r"nothing is removed.*checksum does not fit"):
        place.prune(apply=True)
    assert len(place.objects()) == 10


def test_taking_and_removing_wait_for_each_other(place, monkeypatch):
    place.take()
    monkeypatch.setattr(taking, "PATIENCE", 0.0)
    with taking.snapshots_lock(place.snapshots, 0.0):
        with pytest.raises(RegistryError, match="another finbot data snapshot or prune is at work"):
            place.prune(apply=True)
        with pytest.raises(RegistryError, match="another finbot data snapshot or prune is at work"):
            place.take()
        place.prune()  # a plan may be made at any time


def test_drafts_of_killed_processes_go(place):
    place.take()
    folder = next(place.snapshots.glob("objects/*"))
    for draft in (
        folder / f".{'0' * 64}.parquet.1-aa.tmp",
        place.snapshots / ".snap-000000000000.json.1-aa.tmp",
    ):
        draft.write_bytes(b"PAR1")
        os.utime(draft, (time.time() - 3600,) * 2)
    (folder / ".young.parquet.1-aa.tmp").write_bytes(b"PAR1")
    assert place.prune(keep=timedelta(days=1), apply=True).leftovers == 2
    assert [path.name for path in place.snapshots.rglob("*.tmp")] == [".young.parquet.1-aa.tmp"]


def test_other_upkeep_of_the_registry_leaves_snapshots_alone(place, recorder):
    from pytest_finbot.registry.upkeep.prune import prune
    from pytest_finbot.registry.upkeep.verify import verify

    place.take()
    recorder.whole(BATCH, "all")
    before = place.objects()
    looked = verify(recorder.files)
    assert [str(finding) for finding in looked if "snapshots" in str(finding)] == []
    prune(recorder.files, keep_last=0, grace=timedelta(0), apply=True)
    assert place.objects() == before
