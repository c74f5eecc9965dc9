"""Questions to a registry are answered from an index, which is what the files say and no more."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pytest_finbot.contracts import BatchStatus, ErrorCategory, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry import liveness
from pytest_finbot.registry.queries import BatchFilter, RunFilter

OLD, NEW, NEWEST = (f"batch-2026{month}21T091502Z-00000{month[1]}" for month in ("02", "03", "04"))
VERSIONS = {"python": "3.11.7", "numpy": "2.4.6"}


def digest(letter):
    return letter * 64


@pytest.fixture
def registry(recorder_in, tmp_path):
    return recorder_in(tmp_path / ".finbot")


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
