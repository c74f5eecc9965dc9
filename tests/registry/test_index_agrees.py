"""Whatever was recorded, the index has the rows that a plain reading of everything comes to."""

import json
import shutil
from collections import Counter
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import BatchStatus, RunStatus
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index
from pytest_finbot.registry.queries import BatchFilter, RunFilter

BATCHES = [f"batch-2026{month:02d}01T000000Z-00000{month}" for month in (1, 2, 3)]
NAMES = ["a", "b", "ab", "b#", "[a]"]
HASHES = [letter * 64 for letter in "abc"]
TIMES = [f"2026-01-01T00:00:0{second}.000+00:00" for second in range(4)]

attempts = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["run", "run", "crash"]),
        "name": st.sampled_from(NAMES),
        "attempt": st.integers(1, 3),
        "status": st.sampled_from(["success", "failed"]),
        "started_at": st.sampled_from(TIMES),
        "finished_at": st.sampled_from(TIMES),
        "seconds": st.sampled_from([0.5, 1.0, 2.0]),
        "engine": st.sampled_from(["portfolio", "bt"]),
        "strategy": st.sampled_from(["", "momentum"]),
        "tags": st.lists(st.sampled_from(["core", "slow"]), unique=True),
        "verdict": st.sampled_from([None, "identical", "moved"]),
        "series": st.sampled_from([None, *HASHES]),
        "fingerprint": st.fixed_dictionaries({"config": st.sampled_from(HASHES)}),
        "metrics": st.fixed_dictionaries({"sharpe": st.sampled_from([None, 0.5, 1])}),
        "error": st.sampled_from([None, {"category": "timeout"}]),
    }
)
begins = st.fixed_dictionaries(
    {
        "kind": st.just("begin"),
        "at": st.sampled_from(TIMES),
        "expected": st.lists(st.sampled_from(NAMES), unique=True),
        "deselected": st.integers(0, 2),
    }
)
others = st.one_of(
    st.builds(lambda at: {"kind": "end", "at": at, "exitstatus": 0}, st.sampled_from(TIMES)),
    st.builds(lambda at: {"kind": "cancel", "at": at, "reason": "asked"}, st.sampled_from(TIMES)),
    st.builds(
        lambda at, name: {"kind": "delete", "at": at, "name": name, "attempt": 1},
        st.sampled_from(TIMES),
        st.sampled_from(NAMES),
    ),
    st.just({"kind": "start", "name": "a", "attempt": 1, "at": TIMES[0]}),
    st.just("not a line"),
)
segments = st.lists(st.one_of(attempts, attempts, others), max_size=8)
changes = st.tuples(
    st.sampled_from(BATCHES),
    st.sampled_from(["core", "slow"]),
    st.lists(begins, max_size=1),
    segments,
    segments,
    st.booleans(),  # whether the batch is deleted before
)


def write(registry, change, number):
    batch_id, name, begin, main, worker, deleted = change
    folder = registry._layout.batch_folder(batch_id)
    if deleted and folder.is_dir():
        shutil.rmtree(folder)
    if not folder.is_dir():
        registry.create_batch({"batch_id": batch_id, "batch_name": name, "created_at": TIMES[number % 3]})
    for writer, lines in (("main", [*begin, *main]), ("gw0", worker)):
        path = folder / f"{writer}-{number:08x}.jsonl"
        texts = [line if isinstance(line, str) else json.dumps({"v": 1, **line}) for line in lines]
        if texts:
            path.write_text("\n".join(texts) + "\n")


def plain_reading(registry):
    """Batches and runs as folds and whole records have them, in the order of the index."""
    batches, runs = [], []
    for batch_id in registry.batch_ids():
        fold, manifest = registry.fold(batch_id), registry.manifest(batch_id)
        records = list(fold.records())
        batches.append(
            {
                "batch_id": batch_id,
                "name": manifest["batch_name"],
                "created_at": manifest["created_at"],
                "status": fold.status,
                "counts": (fold.expected_count, fold.recorded, fold.success, fold.failed),
                "left": (fold.not_run_count, fold.deselected),
                "categories": fold.error_categories,
                "verdicts": fold.verdicts,
                "seconds": sum(record["seconds"] for record in records),
                "reason": fold.cancel_reason,
                "problems": fold.problems,
            }
        )
        for record in records:
            failed = record["status"] == "failed"
            runs.append(
                {
                    "batch_id": batch_id,
                    "batch_name": manifest["batch_name"],
                    "name": record["name"],
                    "attempt": record["attempt"],
                    "status": record["status"],
                    "category": (record["error"] or {"category": "unknown"})["category"] if failed else None,
                    "verdict": record["verdict"],
                    "engine": record["engine"],
                    "strategy": record["strategy"],
                    "tags": tuple(record["tags"]),
                    "started_at": record["started_at"],
                    "seconds": record["seconds"],
                    "series": record["series"],
                    "config_hash": record["fingerprint"]["config"],
                    "sharpe": record["metrics"]["sharpe"],
                }
            )
    batches.sort(key=lambda batch: (batch["created_at"], batch["batch_id"]), reverse=True)
    runs.sort(key=lambda run: (run["started_at"], run["batch_id"], run["name"]), reverse=True)
    return batches, runs


def indexed(index, rows, keys):
    return [{key: getattr(row, key) for key in keys} for row in rows]


def assert_same(registry, index):
    batches, runs = plain_reading(registry)
    assert [
        {
            "batch_id": row.batch_id,
            "name": row.name,
            "created_at": row.created_at,
            "status": row.status,
            "counts": (row.expected, row.recorded, row.success, row.failed),
            "left": (row.not_run, row.deselected),
            "categories": row.error_categories,
            "verdicts": row.verdicts,
            "seconds": row.run_seconds,
            "reason": row.cancel_reason,
            "problems": row.problems,
        }
        for row in index.batches()
    ] == batches
    keys = (
        "batch_id",
        "batch_name",
        "name",
        "attempt",
        "status",
        "category",
        "verdict",
        "engine",
        "strategy",
    )
    keys += ("tags", "started_at", "seconds", "series", "config_hash", "sharpe")
    found = index.runs()
    assert [{key: getattr(row, key) for key in keys} for row in found] == runs
    for row in found:
        assert index.run(row.run_id) == row
        assert index.record(row.run_id)["finished_at"]

    def asked(what):
        return [run for run in runs if what(run)]

    for wanted, what in (
        (RunFilter(name="a*"), lambda run: run["name"].startswith("a")),
        (RunFilter(name="[a]"), lambda run: run["name"] == "[a]"),
        (RunFilter(batch=BATCHES[1]), lambda run: run["batch_id"] == BATCHES[1]),
        (
            RunFilter(status=RunStatus.FAILED, engine="bt"),
            lambda r: (r["status"], r["engine"]) == ("failed", "bt"),
        ),
        (RunFilter(tag="core", verdict="moved"), lambda r: "core" in r["tags"] and r["verdict"] == "moved"),
        (RunFilter(since=datetime.fromisoformat(TIMES[2])), lambda run: run["started_at"] >= TIMES[2]),
    ):
        ids = [(run["batch_id"], run["name"]) for run in asked(what)]
        assert [(row.batch_id, row.name) for row in index.runs(wanted)] == ids
        assert index.count_runs(wanted) == len(ids)
        assert [(row.batch_id, row.name) for row in index.runs(wanted, limit=2, offset=1)] == ids[1:3]
    hashed = asked(lambda run: HASHES[0] in (run["series"], run["config_hash"]))
    assert [(r.batch_id, r.name) for r in index.by_hash("aaaaaaa")] == [
        (r["batch_id"], r["name"]) for r in hashed
    ]
    newest = {}
    for run in runs:
        newest.setdefault((run["batch_name"], run["name"]), (run["batch_id"], run["name"]))
    assert [(row.batch_id, row.name) for row in index.latest()] == list(newest.values())
    history = [run["batch_id"] for run in reversed(runs) if run["name"] == "a"]
    assert [row.batch_id for row in index.history("a")] == history
    told = index.statistics()
    assert told.batches_by_status == Counter(batch["status"] for batch in batches)
    assert (told.runs, told.failed) == (len(runs), sum(run["status"] == "failed" for run in runs))
    assert told.verdicts == Counter(run["verdict"] for run in runs if run["verdict"])
    assert told.error_categories == Counter(run["category"] for run in runs if run["category"])
    assert index.count_batches(BatchFilter(status=BatchStatus.COMPLETED)) == told.batches_by_status.get(
        "completed", 0
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("agrees")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(changes, min_size=1, max_size=6))
def test_an_index_kept_up_to_date_equals_a_plain_reading_and_one_made_anew(folder, history):
    shutil.rmtree(folder)
    registry = FilesRegistry(folder / "registry", "second")
    registry._durable = False
    with Index.of(registry, folder / "kept" / "index.sqlite") as kept:
        for number, change in enumerate(history):
            write(registry, change, number)
            kept.refresh()
            assert_same(registry, kept)
        with Index.of(registry, folder / "anew" / "index.sqlite") as anew:
            assert anew.runs() == kept.runs()
            assert anew.batches() == kept.batches()
            assert anew.problems() == kept.problems()
