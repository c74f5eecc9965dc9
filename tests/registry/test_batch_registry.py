"""What a script gets from a BatchRegistry: nothing is lost, nothing is made up."""

import enum
import errno
import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import pytest_finbot.registry
from pytest_finbot.contracts import BatchStatus, ErrorCategory, ErrorInfo, RunRecord, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import BatchRegistry, open_registry


class Rebalance(enum.Enum):
    MONTHLY = "M"


@pytest.fixture
def registry(root):
    with BatchRegistry(root) as registry:
        yield registry


def files(root):
    """Every file with its content."""
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def succeed(registry, batch_id, *names):
    return [registry.add_item_result(batch_id, {"name": name, "status": "success"}) for name in names]


def manifested(root, batch_id, name, created_at):
    """A batch as another program, or another day, left it: one run, recorded."""
    registry = open_registry(root)
    registry.create_batch(
        {"batch_id": batch_id, "batch_name": name, "created_at": created_at, "provenance": {}}
    )
    writer = registry.open_writer(batch_id, "main")
    writer.append("begin", {"at": created_at, "expected": ["a"], "deselected": 0})
    writer.append("run", {"name": "a", "status": "success", "attempt": 1, "finished_at": created_at})
    writer.append("end", {"at": created_at, "exitstatus": 0})
    writer.close()


# ------------------------------------------------------------------------- status is counted


def test_of_3_expected_runs_1_is_recorded_and_the_batch_is_never_completed(registry):
    batch_id = registry.create_batch("core", ["a", "b", "c"])
    assert registry.get_batch(batch_id).status is BatchStatus.RUNNING
    succeed(registry, batch_id, "b")
    assert registry.get_batch(batch_id).status is BatchStatus.RUNNING
    assert registry.complete_batch(batch_id) is BatchStatus.PARTIAL
    row = registry.get_batch(batch_id)
    assert (row.status, row.expected, row.recorded, row.success, row.not_run) == ("partial", 3, 1, 1, 2)
    assert row.ended_at is not None
    succeed(registry, batch_id, "a", "c")  # late, and counted all the same
    assert registry.get_batch(batch_id).status is BatchStatus.COMPLETED


def test_a_batch_of_failures_alone_is_failed(registry):
    batch_id = registry.create_batch("core", ["a", "b"])
    registry.add_item_result(batch_id, {"name": "a", "status": "failed"})
    assert registry.complete_batch(batch_id) is BatchStatus.FAILED


def test_cancelled_stays_cancelled_whatever_is_recorded_and_ended_later(registry, root):
    batch_id = registry.create_batch("core", ["a", "b"])
    succeed(registry, batch_id, "a")
    registry.update_status(batch_id, "cancelled", "prices of Friday are wrong")
    succeed(registry, batch_id, "b")
    assert registry.complete_batch(batch_id) is BatchStatus.CANCELLED
    with BatchRegistry(root) as elsewhere:  # ends a batch that it did not begin
        assert elsewhere.complete_batch(batch_id) is BatchStatus.CANCELLED
        row = elsewhere.get_batch(batch_id)
    assert (row.status, row.cancel_reason) == (BatchStatus.CANCELLED, "prices of Friday are wrong")
    assert row.success == 2


def test_a_batch_is_ended_by_another_object_than_began_it(registry, root):
    batch_id = registry.create_batch("core", ["a", "b"])
    succeed(registry, batch_id, "a")
    with BatchRegistry(root) as elsewhere:
        assert elsewhere.complete_batch(batch_id) is BatchStatus.PARTIAL
    assert registry.get_batch(batch_id).status is BatchStatus.PARTIAL


@pytest.mark.parametrize("status", ["completed", "failed", "partial", "pending", BatchStatus.COMPLETED])
def test_a_status_cannot_be_set_and_the_error_says_what_the_records_come_to(registry, root, status):
    batch_id = registry.create_batch("core", ["a", "b", "c"])
    succeed(registry, batch_id, "a")
    before = files(root)
    with pytest.raises(RegistryError) as caught:
        registry.update_status(batch_id, status)
    assert f"a batch cannot be made {status}: the records of {batch_id} come to running" in str(caught.value)
    assert "(3 expected, 1 succeeded, 0 failed, 2 not run), and a status is counted from records" in str(
        caught.value
    )
    assert files(root) == before


def test_what_the_records_come_to_may_be_said(registry, root):
    batch_id = registry.create_batch("core", ["a"])
    before = files(root)
    registry.update_status(batch_id, "running")
    assert files(root) == before
    succeed(registry, batch_id, "a")
    registry.update_status(batch_id, "completed")
    with pytest.raises(
        RegistryError, match=r"there is nothing to cancel: the records of .* come to completed"
    ):
        registry.update_status(batch_id, "cancelled")
    with pytest.raises(RegistryError, match=r"status is 'canceled'; expected .*; did you mean 'cancelled'"):
        registry.update_status(batch_id, "canceled")


# -------------------------------------------------------------------------- attempts, errors


def test_of_batches_made_in_one_moment_the_last_is_the_last(registry, monkeypatch):
    moments = (datetime(2026, 11, 21, tzinfo=UTC) + timedelta(milliseconds=one) for one in range(100))
    falling = (bytes([255 - one, 0]) for one in range(100))
    monkeypatch.setattr(
        pytest_finbot.registry.journal, "datetime", SimpleNamespace(now=lambda zone: next(moments))
    )
    monkeypatch.setattr(
        pytest_finbot.registry.ids, "os", SimpleNamespace(urandom=lambda count: next(falling))
    )
    made = [registry.create_batch("core", ["a"]) for _ in range(4)]
    assert made == sorted(made)


def test_an_item_recorded_twice_counts_once_and_both_attempts_are_kept(registry):
    batch_id = registry.create_batch("core", ["a", "b"])
    first = registry.add_item_result(batch_id, {"name": "a", "status": "failed", "error": "no prices"})
    second = registry.add_item_result(batch_id, {"name": "a", "status": "success"})
    assert (first, second) == (f"{batch_id}/a", f"{batch_id}/a#2")
    row = registry.get_batch(batch_id)
    assert (row.recorded, row.success, row.failed, row.not_run) == (1, 1, 0, 1)
    attempts = registry.get_attempts(batch_id, "a")
    assert [(each.attempt, each.status, each.run_id) for each in attempts] == [
        (1, "failed", first),
        (2, "success", second),
    ]
    assert attempts[0].error.message == "no prices"
    assert registry.get_attempts(batch_id, "b") == []


def test_an_attempt_number_that_is_taken_becomes_the_next_one(registry, root):
    batch_id = registry.create_batch("core", ["a"])
    record = RunRecord("", "", "a", RunStatus.SUCCESS, 1, "2026-01-01", "2026-01-01", 1.0, "gw0")
    assert registry.add_item_result(batch_id, record) == f"{batch_id}/a"
    with BatchRegistry(root) as elsewhere:
        assert elsewhere.add_item_result(batch_id, record) == f"{batch_id}/a#2"
    assert (
        registry.add_item_result(batch_id, {"name": "a", "status": "failed", "attempt": 7})
        == f"{batch_id}/a#7"
    )
    assert [each.attempt for each in registry.get_attempts(batch_id, "a")] == [1, 2, 7]
    assert registry.get_batch(batch_id).failed == 1


def test_a_record_that_another_process_is_just_writing_is_known_when_it_is_whole(registry, root):
    batch_id = registry.create_batch("core", ["a", "b"])
    line = json.dumps(
        {"v": 1, "kind": "run", "name": "a", "status": "success", "attempt": 5, "finished_at": "1"}
    )
    with next((root / "batches").rglob(batch_id)).joinpath("other-1.jsonl").open("w") as file:
        file.write(line[:40])
        file.flush()
        succeed(registry, batch_id, "b")
        file.write(line[40:] + "\n")
    assert succeed(registry, batch_id, "a") == [f"{batch_id}/a#6"]


def test_a_failure_without_a_category_counts_as_unknown(registry, root):
    batch_id = registry.create_batch("core", ["a", "b", "c", "d", "e"])
    registry.add_item_result(batch_id, {"name": "a", "status": "failed"})
    registry.add_item_result(batch_id, {"name": "b", "status": "failed", "error": "it broke"})
    registry.add_item_result(batch_id, {"name": "c", "status": "failed", "error": {"category": "timeout"}})
    error = ErrorInfo(ErrorCategory.DATA, "load", "KeyError", "no AAPL")
    registry.add_item_result(batch_id, {"name": "d", "status": "failed", "error": error})
    other = open_registry(root).open_writer(batch_id, "other")  # another program's idea of an error
    other.append(
        "run", {"run_id": "x", "batch_id": batch_id, "name": "e", "status": "failed", "attempt": 1,
                "started_at": "2026-01-01T00:00:00.000+00:00", "finished_at": "2026-01-01T00:00:00.000+00:00",
                "seconds": 1.0, "worker": "x", "error": {"message": "no word for it"}},
    )  # fmt: skip
    other.close()
    assert registry.get_error_summary(batch_id) == {"data_error": 1, "timeout": 1, "unknown": 3}
    assert registry.get_batch(batch_id).error_categories == {"data_error": 1, "timeout": 1, "unknown": 3}
    failed = registry.get_failed_items(batch_id)
    assert [(each.name, each.error and each.error.category) for each in failed] == [
        *(("a", None), ("b", "unknown"), ("c", "timeout"), ("d", "data_error"), ("e", "unknown")),
    ]
    assert failed[4].error.message == "no word for it"


def test_failed_items_are_those_whose_final_record_failed(registry):
    batch_id = registry.create_batch("core", ["a", "b"])
    for name, status in (("a", "failed"), ("a", "success"), ("b", "success"), ("b", "failed")):
        registry.add_item_result(batch_id, {"name": name, "status": status})
    assert [each.run_id for each in registry.get_failed_items(batch_id)] == [f"{batch_id}/b#2"]


# ------------------------------------------------------------------------ lists, times, ids


def test_newest_first_is_by_time_and_not_by_name(registry, root):
    manifested(root, "batch-20260301T080000Z-ffffff", "alpha", "2026-03-01T08:00:00.100+00:00")
    manifested(root, "batch-20260301T080000Z-000000", "beta", "2026-03-01T08:00:00.900+00:00")
    manifested(root, "batch-20260228T235959Z-aaaaaa", "zeta", "2026-02-28T23:59:59.000+00:00")
    assert [row.name for row in registry.list_batches()] == ["beta", "alpha", "zeta"]
    assert [row.name for row in registry.list_batches(limit=1, offset=1)] == ["alpha"]
    assert [row.name for row in registry.list_batches(name="?eta")] == ["beta", "zeta"]
    assert [row.name for row in registry.list_batches(offset=5)] == []


@pytest.fixture
def own_zone():
    yield
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the machine's zone cannot be set")
def test_times_without_a_zone_are_utc(registry, root, own_zone, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    manifested(root, "batch-20260301T080000Z-000000", "core", "2026-03-01T08:00:00.000+00:00")
    naive, aware = datetime(2026, 3, 1, 8), datetime(2026, 3, 1, 8, tzinfo=UTC)
    newyork = datetime(2026, 3, 1, 3, tzinfo=timezone(timedelta(hours=-5)))
    later = timedelta(milliseconds=1)
    for moment in (naive, aware, newyork):
        assert registry.count(since=moment) == len(registry.list_batches(since=moment)) == 1  # included
        assert registry.count(until=moment) == len(registry.list_batches(until=moment)) == 0  # excluded
        assert registry.count(since=moment + later) == 0
        assert registry.count(until=moment + later) == 1
        assert registry.get_batch_statistics(since=moment).batches == 1
        assert registry.get_batch_statistics(since=moment + later).batches == 0
    batch_id = registry.create_batch("core", ["a"])
    registry.add_item_result(
        batch_id,
        {"name": "a", "status": "success", "started_at": naive, "finished_at": "2026-03-01T03:00:05-05:00"},
    )
    (record,) = registry.get_attempts(batch_id, "a")
    assert record.started_at == "2026-03-01T08:00:00.000+00:00"
    assert (record.finished_at, record.seconds) == ("2026-03-01T08:00:05.000+00:00", 5.0)


def test_ids_are_unique_across_months_and_each_finds_its_batch(registry, root):
    ids = [
        f"batch-{day}T000000Z-3f9c1a" for day in ("20251130", "20251231", "20260131", "20260228", "20260301")
    ]
    for number, batch_id in enumerate(ids):
        manifested(
            root,
            batch_id,
            f"of {number}",
            f"{batch_id[6:10]}-{batch_id[10:12]}-{batch_id[12:14]}T00:00:00+00:00",
        )
    assert [registry.get_batch(batch_id).name for batch_id in ids] == [f"of {number}" for number in range(5)]
    assert [row.batch_id for row in registry.list_batches()] == sorted(ids, reverse=True)
    registry.delete(ids[2])
    assert [registry.batch_exists(batch_id) for batch_id in ids] == [True, True, False, True, True]
    made = {registry.create_batch("core", ["a"]) for _ in range(20)}
    assert len(made) == 20
    assert registry.count(name="core") == 20


def test_lists_and_statistics_are_filtered_by_what_the_records_come_to(registry):
    done = registry.create_batch("done", ["a"])
    succeed(registry, done, "a")
    registry.add_item_result(done, {"name": "a", "status": "success", "seconds": 2.5, "verdict": "within"})
    broken = registry.create_batch("broken", ["a", "b"])
    registry.add_item_result(broken, {"name": "a", "status": "failed", "seconds": 0.5})
    registry.complete_batch(broken)
    open_one = registry.create_batch("open", ["a"])
    assert [row.batch_id for row in registry.list_batches(status="completed")] == [done]
    assert [row.batch_id for row in registry.list_batches(status=BatchStatus.FAILED)] == [broken]
    assert [row.batch_id for row in registry.list_batches(status="running")] == [open_one]
    assert [registry.count(status=status) for status in BatchStatus] == [0, 1, 1, 0, 1, 0]
    assert (registry.count(), registry.count(name="*o*n*")) == (3, 3)
    statistics = registry.get_batch_statistics()
    assert (
        statistics.batches,
        statistics.runs,
        statistics.success,
        statistics.failed,
        statistics.not_run,
    ) == (*(3, 2, 1, 1, 2),)
    assert (statistics.success_rate, statistics.run_seconds) == (0.25, 3.0)
    assert statistics.error_categories == {"unknown": 1}
    assert statistics.verdicts == {"within": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"limit": -1}, "limit is -1; expected a whole number from 0 on"),
        ({"offset": 1.5}, "offset is 1.5"),
        ({"limit": True}, "limit is True"),
        ({"status": "complete"}, "status is 'complete'; expected .*did you mean 'completed'"),
        ({"since": 3}, "since is 3; expected a datetime"),
        ({"until": "last week"}, "until is 'last week', which is no time in ISO 8601"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(registry, arguments, said):
    with pytest.raises(RegistryError, match=said):
        registry.list_batches(**arguments)


# --------------------------------------------------------------------- configuration, refusals

CONFIG = {
    "since": date(2015, 1, 2),
    "asked": datetime(2026, 3, 1, 8),
    "freq": Rebalance.MONTHLY,
    "prices": Path("data/prices.csv"),
    "capital": np.float64(100_000.5),
    "lookback": np.int32(252),
    "weights": np.array([0.6, 0.4]),
    "window": (63, 126),
    "$note": None,
}


def test_dates_enums_paths_and_numpy_scalars_come_back_of_the_same_types(registry, root):
    batch_id = registry.create_batch("core", ["a"], CONFIG)
    with BatchRegistry(root) as elsewhere:
        found = elsewhere.get_config(batch_id)
    assert list(found) == list(CONFIG)
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in CONFIG.items()
    }
    assert found.pop("weights").tolist() == [0.6, 0.4]
    assert found == {key: value for key, value in CONFIG.items() if key != "weights"}
    assert registry.get_config(registry.create_batch("plain", ["a"])) == {}


class Unknown:
    pass


@pytest.mark.parametrize(
    ("create", "said"),
    [
        (
            ("core", ["a"], {"runs": [{"model": Unknown()}]}),
            r"config.runs\[0\].model is of type .*Unknown, which cannot",
        ),
        (("core", ["a"], {"x": float("nan")}), "config.x is nan"),
        (("core", ["a", "b", "a"]), "run 'a' is expected twice"),
        (("core", "abc"), "expected is 'abc'; expected a list of names"),
        (("core", ["a/b"]), "'a/b' cannot name a run; expected"),
        (("core", ["a#2"]), "'a#2' cannot name a run"),
        (("core", [""]), "'' cannot name a run"),
        (("core", ["line\nbreak"]), "cannot name a run"),
        (("core", [3]), "the name of a run is 3; expected"),
        (("../up", ["a"]), "'../up' cannot name a batch"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(registry, root, create, said):
    before = sorted(root.rglob("*"))
    with pytest.raises(RegistryError, match=said):
        registry.create_batch(*create)
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"name": "sixty_fourty"}, "'sixty_fourty' was not expected in batch .*; did you mean 'sixty_forty'"),
        ({"status": "ok"}, "run 'sixty_forty': status is 'ok'; expected success, failed"),
        ({"status": None}, "status is None"),
        ({"name": None}, "the name of a run is None"),
        ({"metric": {}}, "has the key 'metric', which no record has; did you mean 'metrics'"),
        ({"metrics": {"sharpe": float("nan")}}, "metrics.sharpe is nan; expected a finite number, text"),
        ({"metrics": {"sharpe": Unknown()}}, "metrics.sharpe is <"),
        ({"metrics": {1: 2.0}}, "key 1"),
        ({"params": {"model": Unknown()}}, "params.model is of type .*Unknown"),
        ({"counts": {"fills": Unknown()}}, "Unknown, which JSON does not know"),
        ({"error": {"category": "time_out"}}, "error.category is 'time_out'; .*did you mean 'timeout'"),
        ({"error": {"msg": "x"}}, "error has the key 'msg', which no error has"),
        ({"error": 3}, "error is 3; expected an ErrorInfo"),
        ({"attempt": 0}, "attempt is 0; expected a whole number from 1 on"),
        ({"seconds": -1}, "seconds is -1"),
        ({"started_at": "noon"}, "started_at is 'noon'"),
        ({"tags": "core"}, "tags are 'core'; expected a list of texts"),
        ({"batch_id": "batch-20260301T080000Z-000000"}, "is a record of batch .*-000000, not of"),
        ({"tags": ["\ud800"]}, "tags is .*, which has half a character"),
        ({"strategy": 3}, "strategy is 3; expected text"),
        ({"engine": "\udc80"}, "engine is .*, which has half a character"),
        ({"seed": "7"}, "seed is '7'; expected a whole number, or None"),
        ({"seed": True}, "seed is True; expected a whole number"),
        ({"peak_rss": 1.5}, "peak_rss is 1.5; expected a whole number"),
        ({"params": [1]}, r"params are \[1\]; expected names with values"),
        ({"fingerprint": "x"}, "fingerprint are 'x'; expected names with values"),
        ({"undefined_metrics": {"cagr": 3}}, "undefined_metrics.cagr is 3; expected text"),
        ({"error": "no price"}, "status is 'success' and it has an error; expected 'failed'"),
        ({"metrics": {"trades": 2**53 + 1}}, "metrics.trades is beyond .2.*53"),
        ({"metrics": {"trades": -(2**53) - 1}}, "metrics.trades is beyond .2.*53"),
        ({"started_at": "9999-12-31T23:59:59"}, "started_at '9999-12-31T23:59:59', .* beyond the years"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "started_at is '0001-.*, which in UTC is beyond"),
        ({"finished_at": "2026-01-01", "seconds": 1e30}, "seconds 1e[+]30 are beyond the years"),
        ({"started_at": 5}, "started_at is 5; expected a datetime"),
        ({"series": "ab" * 32}, "refers to series that this registry does not have"),
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_recorded_is_refused_and_nothing_is_written(registry, root, item, said):
    batch_id = registry.create_batch("core", ["sixty_forty", "all_in"])
    before = files(root)
    with pytest.raises(RegistryError, match=said):
        registry.add_item_result(batch_id, {"name": "sixty_forty", "status": "success", **item})
    assert files(root) == before
    succeed(registry, batch_id, "sixty_forty")  # and the segment is none the worse
    assert registry.get_batch(batch_id).success == 1


def test_the_largest_whole_number_without_loss_is_kept(registry):
    batch_id = registry.create_batch("core", ["a"])
    metrics = {"up": 2**53, "down": -(2**53)}
    registry.add_item_result(batch_id, {"name": "a", "status": "success", "metrics": metrics, "seed": 2**60})
    (record,) = registry.get_attempts(batch_id, "a")
    assert (record.metrics, record.seed) == (metrics, 2**60)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda registry, batch_id: registry.get_batch(None), "batch_id is None; expected text"),
        (lambda registry, batch_id: registry.get_config(3), "batch_id is 3; expected text"),
        (lambda registry, batch_id: registry.complete_batch(None), "batch_id is None; expected text"),
        (lambda registry, batch_id: registry.update_status(None, "cancelled"), "batch_id is None"),
        (lambda registry, batch_id: registry.delete(None), "batch_id is None"),
        (lambda registry, batch_id: registry.get_failed_items(b"x"), "batch_id is b'x'; expected text"),
        (lambda registry, batch_id: registry.get_error_summary(None), "batch_id is None"),
        (lambda registry, batch_id: registry.get_attempts(None, "a"), "batch_id is None"),
        (lambda registry, batch_id: registry.get_attempts(batch_id, None), "name is None; expected text"),
        (
            lambda registry, batch_id: registry.add_item_result(None, {"name": "a", "status": "success"}),
            "None",
        ),
        (
            lambda registry, batch_id: registry.add_item_result(batch_id, None),
            "a run is None; expected a Run",
        ),
        (lambda registry, batch_id: registry.list_batches(name=3), "name is 3; expected text"),
        (lambda registry, batch_id: registry.count(name=3), "name is 3; expected text"),
        (lambda registry, batch_id: registry.create_batch("x", None), "expected is None; expected a list"),
        (lambda registry, batch_id: registry.create_batch("x", ["a"], [1]), "config are .*expected names"),
    ],
)
def test_values_of_a_wrong_type_are_refused_in_one_message(registry, ask, said):
    batch_id = registry.create_batch("core", ["a"])
    with pytest.raises(RegistryError, match=said):
        ask(registry, batch_id)
    assert registry.batch_exists(None) is False


@pytest.mark.parametrize("folder", ["", "  ", None, 3])
def test_a_registry_is_in_a_folder_that_has_a_name(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RegistryError, match=r"expected a folder, as '\.finbot'"):
        BatchRegistry(folder)
    assert list(tmp_path.iterdir()) == []


def test_numpy_numbers_are_recorded_as_numbers(registry):
    batch_id = registry.create_batch("core", ["a"])
    metrics = {"sharpe": np.float64(1.5), "trades": np.int64(7), "note": "x", "cagr": None}
    registry.add_item_result(
        batch_id,
        {"name": "a", "status": "success", "metrics": metrics, "undefined_metrics": {"cagr": "one session"}},
    )
    (record,) = registry.get_attempts(batch_id, "a")
    assert record.metrics == {"sharpe": 1.5, "trades": 7, "note": "x", "cagr": None}
    assert record.undefined_metrics == {"cagr": "one session"}


# ---------------------------------------------------------------------- damage and versions


def test_a_malformed_file_is_told_by_name_and_hides_no_other(registry, root):
    sound = registry.create_batch("sound", ["a"])
    succeed(registry, sound, "a")
    torn = registry.create_batch("torn", ["a", "b"])
    succeed(registry, torn, "a")
    lost = registry.create_batch("lost", ["a"])
    segment = next((root / "batches").rglob(f"{torn}/*.jsonl"))
    with segment.open("ab") as file:
        file.write(b'{"v": 1, "kind": "run", "name": "b", "stat\n')
    manifest = next((root / "batches").rglob(f"{lost}/manifest.json"))
    manifest.write_text("{")
    problems = registry.problems()
    assert any(f"{torn}/{segment.name}:3" in problem for problem in problems)
    assert any(str(manifest) in problem or f"{lost}/manifest.json" in problem for problem in problems)
    assert {row.batch_id for row in registry.list_batches()} >= {sound, torn}
    assert registry.get_batch(torn).problems
    assert registry.get_batch(torn).success == 1
    assert registry.get_batch(sound).problems == ()
    with pytest.raises(RegistryError, match=r"manifest\.json is not a manifest"):
        registry.get_batch(lost)
    succeed(registry, torn, "b")
    assert registry.get_batch(torn).status is BatchStatus.COMPLETED


@pytest.mark.parametrize("file", ["manifest.json", "segment"])
def test_a_newer_version_is_refused_with_a_clear_message_and_hides_no_other(registry, root, file):
    sound = registry.create_batch("sound", ["a"])
    newer = registry.create_batch("newer", ["a"])
    folder = next((root / "batches").rglob(newer))
    path = folder / file if file == "manifest.json" else next(folder.glob("*.jsonl"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"v": 3}) + "\n" for line in lines))
    questions = (
        [registry.get_batch, registry.get_config]
        if file == "manifest.json"
        else [
            lambda batch_id: succeed(registry, batch_id, "a"),
            registry.complete_batch,
            registry.get_failed_items,
        ]
    )
    with BatchRegistry(root) as registry:
        for ask in questions:
            with pytest.raises(
                RegistryError, match="has version 3, this pytest-finbot reads up to 2; upgrade"
            ):
                ask(newer)
        assert sound in [row.batch_id for row in registry.list_batches()]
        assert any("has version 3" in problem for problem in registry.problems())


def test_a_registry_of_a_newer_version_is_refused(tmp_path):
    (tmp_path / "registry.json").write_text('{"format": "finbot-registry", "version": 2}')
    with pytest.raises(RegistryError, match="has version 2, this pytest-finbot reads up to 1"):
        BatchRegistry(tmp_path)


# --------------------------------------------------------------------------------- deletion


def test_a_deleted_batch_is_gone_at_once_and_no_other_is_touched(registry, root):
    kept, gone = registry.create_batch("kept", ["a"]), registry.create_batch("gone", ["a"])
    succeed(registry, kept, "a")
    with pytest.raises(RegistryError, match=f"batch {gone} is running and is not deleted; end it first"):
        registry.delete(gone)
    succeed(registry, gone, "a")
    before = {path for path in files(root) if gone not in path.parts}
    registry.delete(gone)
    assert set(files(root)) == before
    assert not [path for path in root.rglob("*") if gone in path.name]
    assert [row.batch_id for row in registry.list_batches()] == [kept]
    assert not registry.batch_exists(gone)
    for ask in (registry.delete, registry.get_batch, registry.get_error_summary, registry.complete_batch):
        with pytest.raises(RegistryError, match=f"there is no batch {gone} in"):
            ask(gone)
    with pytest.raises(RegistryError, match="there is no batch"):
        succeed(registry, gone, "a")


def test_a_deletion_that_fails_half_way_leaves_no_half_batch(registry, root, monkeypatch):
    batch_id = registry.create_batch("core", ["a"])
    succeed(registry, batch_id, "a")

    def full(folder):
        next(folder.glob("*.jsonl")).unlink()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("shutil.rmtree", full)
    with pytest.raises(RegistryError, match=r"cannot delete the batch in .*: Input/output error"):
        registry.delete(batch_id)
    assert not registry.batch_exists(batch_id)
    assert (registry.list_batches(), registry.problems()) == ([], ())


def test_a_batch_whose_script_died_can_be_cancelled_and_then_deleted(registry):
    batch_id = registry.create_batch("core", ["a"])
    registry.update_status(batch_id, "cancelled", "its script died")
    registry.delete(batch_id)
    assert registry.count() == 0


def test_a_batch_whose_session_still_lives_is_not_deleted_even_when_it_is_cancelled(registry, root):
    batch_id = registry.create_batch("core", ["a"])
    registry.update_status(batch_id, "cancelled", "no longer needed")
    held = open_registry(root).hold(batch_id)
    with pytest.raises(RegistryError, match=f"batch {batch_id} is being run by another session"):
        registry.delete(batch_id)
    held.release()
    registry.delete(batch_id)
    assert not registry.batch_exists(batch_id)


@pytest.mark.parametrize("batch_id", ["", "x", "../../etc", "batch-20260230T000000Z-000000"])
def test_what_is_no_batch_id_becomes_no_path(registry, batch_id):
    assert registry.batch_exists(batch_id) is False
    with pytest.raises(RegistryError, match="is not a batch id"):
        registry.delete(batch_id)


# -------------------------------------------------------------------- threads and processes


def test_threads_that_add_items_at_once_lose_nothing(registry):
    names = [f"run_{number}" for number in range(200)]
    batch_id = registry.create_batch("core", names)
    failures = []

    def add(mine):
        try:
            succeed(registry, batch_id, *mine, "run_0")
        except RegistryError as error:
            failures.append(error)

    threads = [threading.Thread(target=add, args=(names[number::4],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert registry.complete_batch(batch_id) is BatchStatus.COMPLETED
    assert registry.get_batch(batch_id).success == 200
    assert [each.attempt for each in registry.get_attempts(batch_id, "run_0")] == [1, 2, 3, 4, 5]


ADDING = """
import sys
from pytest_finbot.registry import BatchRegistry
root, batch_id, first, step, last = sys.argv[1:]
with BatchRegistry(root) as registry:
    for number in range(int(first), int(last), int(step)):
        item = {"name": f"run_{number}", "status": "success", "metrics": {"n": number}}
        registry.add_item_result(batch_id, item)
"""


def test_4_processes_that_add_items_at_once_lose_nothing(registry, root):
    names = [f"run_{number}" for number in range(200)]
    batch_id = registry.create_batch("core", names)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADDING, str(root), batch_id, str(first), "4", "200"],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for first in range(4)
    ]
    seen = []
    while any(process.poll() is None for process in processes):
        row = registry.get_batch(batch_id)
        seen.append(row.recorded)
        assert row.problems == ()
    for process in processes:
        assert (process.communicate()[1], process.returncode) == ("", 0)
    assert seen == sorted(seen)  # what was there once stays
    assert registry.complete_batch(batch_id) is BatchStatus.COMPLETED
    assert registry.get_batch(batch_id).success == 200
    assert {
        each.name: each.metrics["n"] for name in names[::20] for each in registry.get_attempts(batch_id, name)
    } == {name: number * 20 for number, name in enumerate(names[::20])}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_goes_on_recording_in_a_segment_of_its_own(registry, root):
    batch_id = registry.create_batch("core", ["a", "b", "c"])
    succeed(registry, batch_id, "a")
    assert registry.count() == 1  # with an index that is open
    script = f"""
import os, threading
from pytest_finbot.registry import BatchRegistry
registry = BatchRegistry({str(root)!r})
registry.add_item_result({batch_id!r}, {{"name": "b", "status": "success"}})
registry.count()
registry._journal.own().lock.acquire()  # as another thread may just have it
child = os.fork()
if child == 0:
    registry.add_item_result({batch_id!r}, {{"name": "c", "status": "success"}})
    ok = registry.get_batch({batch_id!r}).success == 3
    registry.close()
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
registry.add_item_result({batch_id!r}, {{"name": "b", "status": "success"}})
assert registry.count() == 1
registry.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stderr, done.returncode) == ("", 0)
    row = registry.get_batch(batch_id)
    assert (row.status, row.success, row.problems) == (BatchStatus.COMPLETED, 3, ())
    folder = next((root / "batches").rglob(batch_id))
    assert len(list(folder.glob("*.jsonl"))) == 3
    assert [each.attempt for each in registry.get_attempts(batch_id, "b")] == [1, 2]


# ------------------------------------------------------------------------------------ start


def test_importing_the_package_is_light_and_the_classes_come_when_asked_for():
    script = (
        "import sys, pytest_finbot.registry as r\n"
        "heavy = {'pandas', 'pyarrow', 'sqlite3', 'pydantic', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert {'BatchRegistry', 'ExperimentRegistry', 'Experiment'} <= set(dir(r))\n"
        "from pytest_finbot.registry import BatchRegistry, ExperimentRegistry, Experiment\n"
        "assert not {'pandas', 'pyarrow'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_name_that_the_package_does_not_have_is_told():
    with pytest.raises(AttributeError, match="has no attribute 'BatchRegistery'"):
        pytest_finbot.registry.BatchRegistery  # noqa: B018 - the question is the test
    with pytest.raises(RegistryError, match="cannot be at mlflow://; name a folder"):
        BatchRegistry("mlflow://somewhere")
