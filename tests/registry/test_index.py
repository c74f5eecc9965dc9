"""Questions to a registry are answered from an index, which is what the files say and no more."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pytest_finbot.contracts import BatchStatus, ErrorCategory, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry import liveness
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index
from pytest_finbot.registry.index.place import cache_folder, index_path
from pytest_finbot.registry.queries import BatchFilter, RunFilter

OLD, NEW, NEWEST = (f"batch-2026{month}21T091502Z-00000{month[1]}" for month in ("02", "03", "04"))
VERSIONS = {"python": "3.11.7", "numpy": "2.4.6"}


def digest(letter):
    return letter * 64


class Recorder:
    """A registry, and batches recorded in it by its own writers."""

    def __init__(self, root):
        self.files = FilesRegistry(root, "second")
        self.path = root.parent / "index.sqlite"

    def begin(self, batch_id, *expected, name="core", at=None, **manifest):
        at = at or f"2026-{batch_id[10:12]}-21T09:15:02.000+00:00"
        created = {"batch_id": batch_id, "batch_name": name, "created_at": at, **manifest}
        self.files.create_batch(created)
        self.line(batch_id, "begin", at=at, expected=list(expected), deselected=0)

    def line(self, batch_id, kind, writer="main", **payload):
        out = self.files.open_writer(batch_id, writer)
        out.append(kind, payload)
        out.close()

    def run(self, batch_id, name, status="success", attempt=1, writer="gw0", minute=16, **more):
        at = f"2026-{batch_id[10:12]}-21T09:{minute:02d}:00.000+00:00"
        self.line(
            batch_id,
            "run",
            writer,
            **{
                "name": name,
                "status": status,
                "attempt": attempt,
                "started_at": at,
                "finished_at": at,
                "seconds": 2.0,
                **more,
            },
        )

    def end(self, batch_id, at="2026-12-01T00:00:00.000+00:00"):
        # A session's begin and end are in one segment.
        (main,) = self.folder(batch_id).glob("main-*.jsonl")
        with main.open("a") as file:
            file.write(json.dumps({"v": 1, "kind": "end", "at": at, "exitstatus": 0}) + "\n")

    def whole(self, batch_id, *names, **more):
        self.begin(batch_id, *names, **more)
        for name in names:
            self.run(batch_id, name)
        self.end(batch_id)

    def folder(self, batch_id):
        return self.files._layout.batch_folder(batch_id)

    def index(self):
        return Index.of(self.files, self.path)


@pytest.fixture
def registry(tmp_path):
    return Recorder(tmp_path / ".finbot")


@pytest.fixture
def reads(monkeypatch):
    """Ids of the batches that a refresh reads."""
    from pytest_finbot.registry.index import rows

    found = []
    read = rows.read_batch

    def reading(files, folder):
        found.append(folder.name)
        return read(files, folder)

    monkeypatch.setattr(rows, "read_batch", reading)
    return found


def names(rows):
    return [row.name for row in rows]


# ---------------------------------------------------------------------------------- rows


def test_an_empty_registry_has_nothing_to_tell(registry):
    with registry.index() as index:
        assert (index.batches(), index.runs(), index.latest(), index.problems()) == ([], [], [], ())
        told = index.statistics()
    assert (told.batches, told.success_rate, told.first, told.last) == (0, None, None, None)


def test_a_run_is_told_by_its_final_record(registry):
    registry.begin(NEW, "a", provenance={"git commit": "abc123"})
    registry.run(NEW, "a", "failed", error={"category": "timeout"})
    registry.run(
        NEW,
        "a",
        attempt=2,
        verdict="moved",
        engine="portfolio",
        strategy="momentum",
        tags=["core", "slow"],
        series=digest("5"),
        fingerprint={
            "config": digest("1"),
            "data": {"hash": digest("2")},
            "code": {"hash": digest("3")},
            "environment": VERSIONS,
        },
        metrics={"final_nav": 110000.0, "sharpe": None, "trades": 7, "cagr": "much", "max_drawdown": -0.25},
    )
    with registry.index() as index:
        (row,) = index.runs()
    assert (row.run_id, row.batch_id, row.batch_name, row.attempt) == (f"{NEW}/a#2", NEW, "core", 2)
    assert (row.status, row.category, row.verdict) == (RunStatus.SUCCESS, None, "moved")
    assert (row.engine, row.strategy, row.tags) == ("portfolio", "momentum", ("core", "slow"))
    assert (row.started_at, row.seconds, row.commit) == ("2026-03-21T09:16:00.000+00:00", 2.0, "abc123")
    assert (row.config_hash, row.data_hash, row.code_hash) == (digest("1"), digest("2"), digest("3"))
    assert (row.environment_hash, row.series) == (sha256_of_json(VERSIONS), digest("5"))
    assert (row.final_nav, row.trades, row.max_drawdown) == (110000.0, 7.0, -0.25)
    assert (row.total_return, row.sharpe, row.cagr) == (None, None, None)


def test_in_which_order_segments_are_read_makes_no_difference(registry):
    registry.begin(NEW, "a", "b")
    registry.run(NEW, "a", "success", attempt=2, writer="aa", engine="second")
    registry.run(NEW, "a", "failed", attempt=1, writer="zz", engine="first")
    registry.run(NEW, "b", "failed", attempt=1, writer="aa", engine="first")
    registry.run(NEW, "b", "success", attempt=2, writer="zz", engine="second")
    with registry.index() as index:
        assert [(row.name, row.attempt, row.engine) for row in index.runs()] == [
            ("b", 2, "second"),
            ("a", 2, "second"),
        ]


def test_a_batch_that_is_gone_on_with_has_not_ended_until_its_last_session_has(registry):
    registry.begin(NEW, "a")
    registry.end(NEW, at="2026-12-01T00:00:00.000+00:00")
    with registry.index() as index:
        assert index.batches()[0].ended_at == "2026-12-01T00:00:00.000+00:00"
        registry.line(NEW, "begin", at="2026-12-02T00:00:00.000+00:00", expected=["a"], deselected=0)
        index.refresh()
        assert index.batches()[0].ended_at is None


def test_a_batch_is_told_with_its_counts(registry):
    registry.begin(NEW, "a", "b", "c", "d", provenance={"git commit": "unknown: no git"})
    registry.run(NEW, "a", verdict="identical")
    registry.run(NEW, "b", "failed", verdict="moved")
    registry.run(NEW, "c", "failed", error={"category": "crash"})
    registry.end(NEW)
    with registry.index() as index:
        (row,) = index.batches()
        told = index.statistics()
    assert (row.batch_id, row.name, row.status) == (NEW, "core", BatchStatus.PARTIAL)
    assert (row.created_at, row.ended_at) == (
        "2026-03-21T09:15:02.000+00:00",
        "2026-12-01T00:00:00.000+00:00",
    )
    assert (row.expected, row.recorded, row.success, row.failed, row.not_run) == (4, 3, 1, 2, 1)
    assert (row.error_categories, row.verdicts) == ({"crash": 1, "unknown": 1}, {"identical": 1, "moved": 1})
    assert (row.run_seconds, row.commit, row.problems) == (6.0, "", ())
    assert (told.runs, told.success, told.failed, told.not_run, told.success_rate) == (3, 1, 2, 1, 0.25)
    assert (told.batches_by_status, told.run_seconds) == ({"partial": 1}, 6.0)
    assert (told.error_categories, told.verdicts) == (row.error_categories, row.verdicts)


def test_statistics_sum_batches_and_can_be_of_a_time(registry):
    registry.whole(OLD, "a", "b")
    registry.whole(NEW, "a", "b")
    registry.begin(NEWEST, "a")
    registry.run(NEWEST, "a", "failed", error={"category": "timeout"})
    registry.end(NEWEST)
    with registry.index() as index:
        told = index.statistics()
        early = index.statistics(until=datetime(2026, 3, 1, tzinfo=UTC))
        late = index.statistics(since=datetime(2026, 3, 21, 9, 15, 2, tzinfo=UTC))
    assert (told.batches, told.runs, told.success) == (3, 5, 4)
    assert told.batches_by_status == {"completed": 2, "failed": 1}
    assert (told.first[:10], told.last[:10]) == ("2026-02-21", "2026-04-21")
    assert (early.batches, late.batches, late.error_categories) == (1, 2, {"timeout": 1})


def test_the_whole_record_is_read_from_its_segment(registry):
    registry.begin(NEW, "a")
    registry.run(NEW, "a", "failed")
    registry.run(NEW, "a", attempt=2, padding="x" * 1000)
    with registry.index() as index:
        record = index.record(f"{NEW}/a#2")
        assert (record["attempt"], record["padding"], "kind" in record) == (2, "x" * 1000, False)
        for segment in registry.folder(NEW).glob("gw0-*.jsonl"):
            segment.write_text(segment.read_text().replace('"attempt":2', '"attempt":3'))
        with pytest.raises(RegistryError, match=r"gw0-.*jsonl has changed"):
            index.record(f"{NEW}/a#2")
        for segment in registry.folder(NEW).glob("gw0-*.jsonl"):
            segment.write_text(segment.read_text().replace('"attempt":3', '"attempt":2'))
        with pytest.raises(RegistryError, match=rf"no run {NEW}/a .*did you mean '{NEW}/a#2'"):
            index.record(f"{NEW}/a")  # a later attempt counts
        for segment in registry.folder(NEW).glob("gw0-*.jsonl"):
            segment.write_text("no line\n" + segment.read_text())
        with pytest.raises(RegistryError, match=r"gw0-.*jsonl has changed"):
            index.record(f"{NEW}/a#2")
        index.refresh()
        assert index.record(f"{NEW}/a#2") == record
        shutil.rmtree(registry.folder(NEW))
        with pytest.raises(RegistryError, match=r"cannot read the record of run .*No such file"):
            index.record(f"{NEW}/a#2")


def test_a_run_is_found_by_its_id_whatever_its_name(registry):
    registry.begin(NEW, "a", "a#2", "b/c", "x\udc80y")
    for name in ("a", "a#2", "b/c", "x\udc80y"):
        registry.run(NEW, name)
    registry.begin(OLD, "a")
    registry.run(OLD, "a", run_id="of-my-own")
    with registry.index() as index:
        for name in ("a", "a#2", "b/c"):
            assert index.run(f"{NEW}/{name}").name == name
            assert index.record(f"{NEW}/{name}")["name"] == name
        assert index.run("of-my-own").batch_id == OLD
        # A lone surrogate has no UTF-8, which is what SQLite keeps: it is told by its escape.
        assert index.run(f"{NEW}/x\udc80y").name == "x\\udc80y"
        assert index.record(f"{NEW}/x\udc80y")["name"] == "x\udc80y"
        for missing in (f"{NEW}/z", f"{NEW}/a#3", "z", f"{OLD}/a#0", f"{OLD}/a"):
            assert index.run(missing) is None


# ------------------------------------------------------------------------------- filters


def test_batches_are_filtered_and_newest_first_by_time(registry):
    registry.whole(OLD, "a", name="core")
    registry.begin(
        NEW, "a", name="slow", at="2026-05-01T00:00:00.000+00:00"
    )  # created later than its id says
    registry.end(NEW)
    registry.whole(NEWEST, "a", name="core_2")
    with registry.index() as index:

        def asked(limit=None, offset=0, **wanted):
            found = index.batches(BatchFilter(**wanted), limit, offset)
            if limit is None and not offset:
                assert index.count_batches(BatchFilter(**wanted)) == len(found)
            return names(found)

        assert asked() == ["slow", "core_2", "core"]
        assert asked(limit=1) == ["slow"]
        assert asked(limit=2, offset=1) == ["core_2", "core"]
        assert asked(status=BatchStatus.COMPLETED) == ["core_2", "core"]
        assert asked(name="core") == ["core"]
        assert asked(name="core*") == ["core_2", "core"]
        assert asked(name="s?ow") == ["slow"]
        assert asked(since=datetime(2026, 4, 21, 9, 15, 2, tzinfo=UTC)) == ["slow", "core_2"]
        assert asked(until=datetime(2026, 4, 21, 9, 15, 2, tzinfo=UTC)) == ["core"]
        assert asked(status=BatchStatus.COMPLETED, name="core_*") == ["core_2"]
        for wrong in ({"limit": -1}, {"offset": -1}):
            with pytest.raises(RegistryError, match=r"is -1, expected a number from 0 on"):
                asked(**wrong)


def test_runs_are_filtered_by_everything_at_once(registry):
    registry.begin(OLD, "a", "b[1]", "c", "b1")
    registry.run(OLD, "a", strategy="momentum", engine="portfolio", tags=["core"], verdict="moved", minute=1)
    registry.run(OLD, "b[1]", "failed", error={"category": "timeout"}, tags=["core", "slow"], minute=2)
    registry.run(OLD, "c", "failed", strategy="momentum", tags=[","], minute=3)
    registry.run(OLD, "b1", minute=3)
    registry.begin(NEW, "a")
    registry.run(NEW, "a", engine="bt")
    at = datetime(2026, 2, 21, 10, 2, tzinfo=timezone(timedelta(hours=1)))
    with registry.index() as index:

        def asked(**wanted):
            found = index.runs(RunFilter(**wanted))
            assert index.count_runs(RunFilter(**wanted)) == len(found)
            return names(found)

        assert asked() == ["a", "c", "b1", "b[1]", "a"]
        assert asked(name="a") == ["a", "a"]
        assert asked(name="b[1]") == ["b[1]"]
        assert asked(name="b*") == ["b1", "b[1]"]
        assert asked(name="b[*") == ["b[1]"]
        assert asked(batch=NEW) == ["a"]
        assert asked(batch="batch-unheard-of") == []
        assert asked(strategy="momentum") == ["c", "a"]
        assert asked(engine="bt") == ["a"]
        assert asked(status=RunStatus.FAILED) == ["c", "b[1]"]
        assert asked(category=ErrorCategory.UNKNOWN) == ["c"]
        assert asked(category=ErrorCategory.TIMEOUT, status=RunStatus.FAILED) == ["b[1]"]
        assert asked(verdict="moved") == ["a"]
        assert asked(tag="core") == ["b[1]", "a"]
        assert asked(tag=",") == ["c"]
        assert asked(since=at) == ["a", "c", "b1", "b[1]"]
        assert asked(until=at) == ["a"]
        assert asked(tag="core", strategy="momentum", name="?", batch=OLD) == ["a"]
        assert names(index.runs(limit=2, offset=1)) == ["c", "b1"]


def test_times_of_other_zones_and_of_none_are_told_in_utc(registry):
    registry.begin(OLD, "a", "b", at="2026-02-21T09:15:02.5")
    registry.run(OLD, "a", started_at="2026-02-21T12:00:00+02:00")
    registry.run(OLD, "b", started_at="2026-02-21T10:30:00")
    with registry.index() as index:
        assert [row.started_at[11:] for row in index.runs()] == ["10:30:00.000+00:00", "10:00:00.000+00:00"]
        assert index.batches()[0].created_at == "2026-02-21T09:15:02.500+00:00"


def test_a_hash_or_its_beginning_finds_every_run_that_depends_on_it(registry):
    registry.begin(OLD, "a", "b")
    registry.run(
        OLD, "a", series=digest("a"), fingerprint={"config": digest("b"), "code": {"hash": digest("c")}}
    )
    registry.run(OLD, "b", minute=17, series=digest("b"), fingerprint={"environment": VERSIONS})
    registry.begin(NEW, "a")
    registry.run(NEW, "a", fingerprint={"data": {"hash": digest("b")}})
    with registry.index() as index:
        found = index.by_hash("bbbbbb")
        assert [(row.batch_id, row.name) for row in found] == [(NEW, "a"), (OLD, "b"), (OLD, "a")]
        assert names(index.by_hash(digest("C"))) == ["a"]
        assert names(index.by_hash(sha256_of_json(VERSIONS)[:6])) == ["b"]
        assert index.by_hash("dddddd") == []
        assert len(index.by_hash("bbbbbb", limit=1)) == 1
        for wrong in ("bbbbb", "nothex", digest("b") + "b", "b%%%%%"):
            with pytest.raises(RegistryError, match="expected 6 to 64 hexadecimal digits"):
                index.by_hash(wrong)


def test_the_latest_and_the_history_of_a_run(registry):
    for batch_id, name in ((OLD, "core"), (NEW, "core"), (NEWEST, "slow")):
        registry.whole(batch_id, "a", name=name)
    with registry.index() as index:
        assert [row.batch_id for row in index.latest()] == [NEWEST, NEW]
        assert [row.batch_id for row in index.latest("core")] == [NEW]
        assert [row.batch_id for row in index.history("a")] == [OLD, NEW, NEWEST]
        assert [row.batch_id for row in index.history("a", "core")] == [OLD, NEW]
        assert [row.batch_id for row in index.history("a", limit=2)] == [NEW, NEWEST]
        assert index.history("unheard-of") == index.latest("unheard-of") == []
        shutil.rmtree(registry.folder(NEW))
        index.refresh()
        assert [row.batch_id for row in index.latest("core")] == [OLD]


# -------------------------------------------------------------------------- open batches


def test_an_open_batch_runs_as_long_as_its_controller_lives(registry):
    registry.begin(OLD, "a", "b")
    registry.run(OLD, "a")
    running = BatchFilter(status=BatchStatus.RUNNING)
    holding = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib\n"
            "from pytest_finbot.registry import liveness\n"
            "kept = liveness.hold(pathlib.Path(sys.argv[1]))\n"
            "print('held', flush=True)\n"
            "time.sleep(60)",
            str(registry.folder(OLD)),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holding.stdout.readline() == b"held\n"
        with registry.index() as index:
            (row,) = index.batches(running)
            assert (row.status, row.ended_at, index.count_batches(running)) == (BatchStatus.RUNNING, None, 1)
            holding.kill()
            holding.wait()
            # No file has changed, and there is nothing to refresh.
            assert (index.batches(running), index.count_batches(running)) == ([], 0)
            (row,) = index.batches(BatchFilter(status=BatchStatus.PARTIAL))
            assert (row.status, row.ended_at) == (BatchStatus.PARTIAL, None)
            assert index.statistics().batches_by_status == {"partial": 1}
    finally:
        holding.kill()
        holding.wait()
        holding.stdout.close()


def test_where_nobody_can_tell_an_open_batch_counts_as_running(registry):
    registry.begin(OLD, "a")
    assert liveness.is_alive(registry.folder(OLD)) is None
    with registry.index() as index:
        assert index.batches()[0].status is BatchStatus.RUNNING


# ------------------------------------------------------------------------------- refresh


def test_only_what_grew_is_read_again(registry, reads):
    registry.whole(OLD, "a")
    registry.begin(NEW, "a", "b")
    registry.run(NEW, "a")
    with registry.index() as index:
        assert sorted(reads) == [OLD, NEW]
        reads.clear()
        index.refresh()
        assert reads == []
        registry.run(NEW, "b")
        assert index.count_runs() == 2  # an answer is as new as the last refresh
        index.refresh()
        assert (reads, index.count_runs()) == ([NEW], 3)
        reads.clear()
    with registry.index() as index:
        assert (reads, index.count_runs()) == ([], 3)


def test_new_and_deleted_batches_come_and_go(registry):
    registry.whole(OLD, "a")
    with registry.index() as index:
        registry.whole(NEW, "a", "b")
        index.refresh()
        assert [row.batch_id for row in index.batches()] == [NEW, OLD]
        shutil.rmtree(registry.folder(OLD))
        index.refresh()
        assert [row.batch_id for row in index.batches()] == [NEW]
        assert {row.batch_id for row in index.runs()} == {NEW}
        shutil.rmtree(registry.folder(NEW))
        index.refresh()
        assert (index.batches(), index.runs()) == ([], [])


def test_a_changed_segment_is_read_again_though_its_size_is_the_same(registry):
    registry.whole(OLD, "a", "b")
    settle(registry)
    with registry.index() as index:
        (segment,) = list(registry.folder(OLD).glob("gw0-*.jsonl"))[:1]
        text = segment.read_text()
        assert '"seconds":2.0' in text
        segment.write_text(text.replace('"seconds":2.0', '"seconds":9.0'))
        index.refresh()
        assert index.batches()[0].run_seconds == 11.0


def test_a_segment_that_joins_or_leaves_a_settled_batch_is_noticed(registry):
    registry.begin(OLD, "a")
    registry.end(OLD)
    settle(registry)
    with registry.index() as index:
        assert index.count_runs() == 0
        registry.run(OLD, "a")
        index.refresh()
        assert index.count_runs() == 1
        for segment in registry.folder(OLD).glob("gw0-*.jsonl"):
            segment.unlink()
        index.refresh()
        assert index.count_runs() == 0


def settle(registry):
    """Make the batches old enough for their folders' times to be trusted."""
    for folder in registry.files.root.glob("batches/*/*/batch-*"):
        os.utime(folder, (1e9, 1e9))


def test_a_folder_that_just_changed_is_looked_into_though_its_time_says_nothing(registry):
    registry.begin(OLD, "a")
    with registry.index() as index:
        folder = registry.folder(OLD)
        before = os.stat(folder)
        registry.run(OLD, "a")
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))  # the same tick of the clock
        index.refresh()
        assert index.count_runs() == 1


# ------------------------------------------------------------------------------ problems


def test_a_malformed_manifest_hides_nothing(registry):
    registry.whole(OLD, "a")
    registry.whole(NEW, "a")
    (registry.folder(OLD) / "manifest.json").write_text("{nonsense")
    with registry.index() as index:
        new, old = index.batches()
        assert (old.batch_id, old.name, old.status, old.success) == (OLD, "", BatchStatus.COMPLETED, 1)
        assert old.created_at == "2026-02-21T09:15:02.000+00:00"
        assert (new.name, new.problems) == ("core", ())
        assert index.problems() == old.problems
        assert len(old.problems) == index.statistics().problems == 1
        assert f"{OLD}/manifest.json" in old.problems[0].replace("\\", "/")
        (registry.folder(OLD) / "manifest.json").unlink()
        index.refresh()
        assert [row.batch_id for row in index.batches()] == [NEW, OLD]
        assert f"{OLD}/manifest.json" in index.problems()[0]


def test_a_malformed_line_is_told_by_file_and_line(registry):
    registry.begin(OLD, "a")
    (main,) = registry.folder(OLD).glob("main-*.jsonl")
    with main.open("a") as file:
        file.write('{"v":1,"kind":"run","name":"a","status":"won"}\nnonsense\n')
    registry.run(OLD, "a")
    with registry.index() as index:
        assert index.count_runs() == 1
        told = index.problems()
        assert [problem.partition(": ")[0] for problem in told] == [
            f"{OLD}/{main.name}:2",
            f"{OLD}/{main.name}:3",
        ]


def test_a_batch_with_a_line_of_a_newer_version_is_listed_with_it(registry):
    registry.whole(OLD, "a")
    registry.whole(NEW, "a")
    (registry.folder(NEW) / "gw9-00000000.jsonl").write_text('{"v":99,"kind":"run"}\n')
    with registry.index() as index:
        new, old = index.batches()
        # The line that is not understood may be of a failure.
        assert (new.batch_id, new.status, new.success) == (NEW, BatchStatus.PARTIAL, 1)
        assert (old.batch_id, old.status, old.problems) == (OLD, BatchStatus.COMPLETED, ())
        (problem,) = index.problems()
        assert f"{NEW}/gw9-00000000.jsonl:1 has version 99" in problem
        assert "upgrade pytest-finbot" in problem


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_folder_that_cannot_be_looked_into_hides_no_other(registry):
    registry.whole(OLD, "a")
    registry.whole(NEW, "a")
    with registry.index() as index:
        month = registry.folder(OLD).parent
        month.rename(month.with_name("aside"))
        month.symlink_to(month)  # a loop, which not even root can look into
        index.refresh()
        assert str(month) in index.problems()[0]
        assert index.count_batches() == 2
        month.unlink()
        index.refresh()
        assert (index.problems(), index.count_batches()) == ((), 1)
        batch = registry.folder(NEW)
        batch.rename(batch.with_name("aside"))
        batch.symlink_to(batch)
        index.refresh()
        (row,) = index.batches()
        assert (row.batch_id, row.recorded) == (NEW, 0)
        assert any("cannot read the batch in" in problem for problem in index.problems())


def test_records_of_odd_shapes_are_told_as_far_as_they_go(registry):
    registry.begin(OLD, "a", created_at="yesterday", provenance=["x"])
    registry.run(
        OLD,
        "a",
        fingerprint=[1],
        metrics=7,
        tags="core",
        series=5,
        seconds="long",
        started_at=None,
        engine=None,
        verdict=None,
        strategy="\udc80",
        run_id=3,
    )
    with registry.index() as index:
        (row,) = index.runs()
        assert (row.tags, row.series, row.seconds, row.started_at, row.strategy) == (
            (),
            None,
            0.0,
            "",
            "\\udc80",
        )
        assert "created_at is 'yesterday'" in index.problems()[0]
        assert names(index.runs(RunFilter(strategy="\udc80"))) == ["a"]


# -------------------------------------------------------------------------------- its file


def test_it_is_kept_in_the_users_cache_and_never_in_the_registry(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    registry.whole(OLD, "a")
    with Index.of(registry.files) as index:
        assert index.where == str(index_path(registry.files.root))
        assert index.where.startswith(str(tmp_path / "cache" / "finbot"))
        assert len(os.path.basename(os.path.dirname(index.where))) == 16
    assert not list(registry.files.root.rglob("*sqlite*"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="other systems have other folders")
def test_the_cache_folder_is_the_systems(monkeypatch, tmp_path):
    monkeypatch.delenv("FINBOT_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache"


def test_two_paths_to_one_registry_share_an_index_and_two_registries_do_not(registry, tmp_path):
    (tmp_path / "link").symlink_to(registry.files.root)
    assert index_path(tmp_path / "link") == index_path(registry.files.root)
    assert index_path(tmp_path / "other") != index_path(registry.files.root)


def test_without_a_place_for_its_file_it_is_made_in_memory(registry, tmp_path):
    registry.whole(OLD, "a")
    (tmp_path / "file").write_text("no folder")
    for path in (tmp_path / "file" / "index.sqlite", tmp_path):  # below a file; a folder
        with Index.of(registry.files, path) as index:
            assert index.where.startswith("in memory: ")
            assert names(index.runs()) == ["a"]
            registry.run(OLD, "a", attempt=path == tmp_path or 2)
            index.refresh()
            assert index.count_runs() == 1


def ruin(path, how):
    if how == "garbage":
        path.write_bytes(os.urandom(path.stat().st_size))
    elif how == "text":
        path.write_text("this is no database\n" * 200)
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "cut to a few bytes":
        path.write_bytes(path.read_bytes()[:100])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "pages overwritten":
        raw = bytearray(path.read_bytes())
        raw[4096:] = b"\xa5" * (len(raw) - 4096)
        path.write_bytes(raw)
    elif how == "another version":
        with sqlite3.connect(path) as other:
            other.execute("UPDATE runs SET seconds = 99")
            other.execute("PRAGMA user_version = 999")
        other.close()
    elif how == "somebody else's tables":
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE runs (x)")
            other.execute("CREATE VIEW batches AS SELECT * FROM runs")
            other.execute("CREATE INDEX runs_by_time ON runs (x)")
        other.close()
    elif how == "a table is missing":
        with sqlite3.connect(path) as other:
            other.execute("DROP TABLE runs")
        other.close()
    else:
        path.unlink()


RUINS = (
    "garbage",
    "text",
    "truncated",
    "cut to a few bytes",
    "empty",
    "pages overwritten",
    "another version",
    "somebody else's tables",
    "a table is missing",
    "removed",
)


@pytest.mark.parametrize("how", RUINS)
def test_a_broken_index_is_made_anew(registry, how):
    registry.whole(OLD, *(f"run_{number}" for number in range(60)))
    with registry.index() as index:
        before = (index.batches(), index.runs())
    ruin(registry.path, how)
    with registry.index() as index:
        assert (index.batches(), index.runs()) == before
        assert index.where == str(registry.path)
    with registry.index() as index:  # and the new one is whole
        assert (index.batches(), index.runs()) == before


@pytest.mark.parametrize("how", RUINS)
def test_an_index_that_breaks_while_it_is_open_answers_all_the_same(registry, how):
    registry.whole(OLD, *(f"run_{number}" for number in range(60)))
    with registry.index() as index:
        before = index.runs()
        index._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ruin(registry.path, how)
        assert index.runs() == before
        registry.whole(NEW, "a")
        index.refresh()
        assert index.count_runs() == 61
        assert index.where == str(registry.path)
        assert registry.path.is_file()
    with registry.index() as index:
        assert index.count_runs() == 61


def test_the_index_of_another_registry_in_its_place_is_made_anew(registry, tmp_path):
    registry.whole(OLD, "a")
    other = Recorder(tmp_path / "other" / ".finbot")
    shutil.copytree(registry.files.root, other.files.root, dirs_exist_ok=True)
    # A copy in which a record is another, and nothing but its content tells.
    for segment in other.folder(OLD).glob("gw0-*.jsonl"):
        before = segment.stat()
        segment.write_text(segment.read_text().replace('"seconds":2.0', '"seconds":9.0'))
        os.utime(segment, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.index().close()
    registry.index().close()
    shutil.copy(other.path, registry.path)
    with registry.index() as index:
        assert [(row.batch_id, row.seconds) for row in index.runs()] == [(OLD, 2.0)]


def test_runs_that_began_at_once_have_an_order_that_pages_keep_to(registry):
    several = [f"run_{number * 7 % 20:02d}" for number in range(20)]
    for batch_id in (NEW, OLD):
        registry.begin(batch_id, *several)
        out = registry.files.open_writer(batch_id, "gw0")
        for name in several:
            at = "2026-03-21T09:15:02.000+00:00"
            run = {"name": name, "status": "success", "attempt": 1, "started_at": at, "finished_at": at}
            out.append("run", run)
        out.close()
    with registry.index() as index:
        ids = sorted((f"{batch_id}/{name}" for batch_id in (OLD, NEW) for name in several), reverse=True)
        assert [row.run_id for row in index.runs()] == ids
        assert [row.run_id for at in range(0, 40, 3) for row in index.runs(limit=3, offset=at)] == ids


def test_a_reader_sees_the_state_before_a_refresh_until_it_is_whole(registry, monkeypatch):
    registry.whole(OLD, "a")
    with registry.index() as reader, registry.index() as writer:
        registry.whole(NEW, "a")
        registry.whole(NEWEST, "a")
        seen = []
        from pytest_finbot.registry.index import rows

        read = rows.read_batch

        def reading(files, folder):
            seen.append(reader.count_batches())
            return read(files, folder)

        monkeypatch.setattr(rows, "read_batch", reading)
        writer.refresh()
        assert seen == [1, 1]
        assert reader.count_batches() == 3


def test_an_index_being_made_by_another_for_too_long_is_made_in_memory(registry):
    registry.whole(OLD, "a")
    import filelock

    with filelock.FileLock(f"{registry.path}.lock"):
        index = Index(registry.files, registry.path, patience=0.05)
        index.refresh()
        assert index.where.startswith("in memory: ")
        assert names(index.runs()) == ["a"]
        index.close()
    registry.index().close()
    with filelock.FileLock(f"{registry.path}.lock"):  # but one that is there is read
        registry.whole(NEW, "b")
        index = Index(registry.files, registry.path, patience=0.05)
        index.refresh()
        assert index.where == str(registry.path)
        assert names(index.runs()) == ["a"]
        index.close()


def test_a_registry_that_is_gone_is_said_and_its_index_kept(registry):
    registry.whole(OLD, "a")
    with registry.index() as index:
        shutil.move(registry.files.root, registry.files.root.with_name("moved"))
        with pytest.raises(RegistryError, match="the folder is gone"):
            index.refresh()
        assert index.count_runs() == 1


def test_a_closed_index_says_so(registry):
    index = registry.index()
    index.close()
    index.close()
    with pytest.raises(RegistryError, match="is closed"):
        index.runs()


def test_what_starts_the_command_loads_no_table_library(registry):
    registry.whole(OLD, "a")
    code = (
        "import sys, pathlib\n"
        "from pytest_finbot.registry.files import FilesRegistry\n"
        "from pytest_finbot.registry.index import Index\n"
        "Index.of(FilesRegistry(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])).runs()\n"
        "print(*sorted({'pandas', 'pyarrow', 'rich', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(registry.files.root), str(registry.path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
