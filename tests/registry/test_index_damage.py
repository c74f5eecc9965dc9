"""Whatever became of an index's bytes, and whatever one batch holds, every question is answered."""

import json
import os
import random
import sqlite3

import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.index import search
from pytest_finbot.registry.queries import BatchFilter, RunFilter

OLD, NEW = (f"batch-2026{month}21T091502Z-00000{month[1]}" for month in ("02", "03"))
LARGE = 99999999999999999999


@pytest.fixture
def registry(recorder_in, tmp_path):
    return recorder_in(tmp_path / ".finbot")


@pytest.fixture
def filled(registry):
    registry.begin(OLD, *(f"run_{number}" for number in range(30)), provenance={"git commit": "abc123"})
    for number in range(30):
        registry.run(
            OLD,
            f"run_{number}",
            engine="portfolio",
            tags=["core"],
            series="5" * 64,
            metrics={"final_nav": 1000.0 + number, "sharpe": -0.0},
        )
    registry.end(OLD)
    registry.whole(NEW, "a")
    (registry.folder(NEW) / "gw9-00000000.jsonl").write_text("nonsense\n")
    return registry


def everything(index):
    return index.batches(), index.runs(), index.problems(), index.latest(), index.record(f"{OLD}/run_7")


def edit(path, *statements):
    with sqlite3.connect(path) as other:
        for statement in statements:
            assert other.execute(statement).rowcount
    other.close()


# ------------------------------------------------------------------------- its own bytes


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE runs SET final_nav = 1.0 WHERE number = 3",
        "UPDATE runs SET seconds = 'long' WHERE number = 3",
        "UPDATE runs SET tags = 999 WHERE number = 3",
        "UPDATE runs SET start = start + 1",
        "UPDATE words SET word = 'portfolia' WHERE word = 'portfolio'",
        "UPDATE words SET word = '[5' WHERE word = '[\"core\"]'",
        "UPDATE words SET word = CAST(x'a6' AS TEXT) WHERE word = 'success'",
        "UPDATE batches SET name = 'cora'",
        "UPDATE batches SET success = 31 WHERE success = 30",
        "UPDATE batches SET status = 'won'",
        "UPDATE batches SET verdicts = '5'",
        "UPDATE batches SET problems = '[]' WHERE problem_count > 0",
        "UPDATE batches SET signature = 5",
        "UPDATE batches SET batch_id = 'batch-none' WHERE number = 1",
    ],
)
def test_a_changed_value_is_noticed_and_the_index_made_anew(filled, statement):
    with filled.index() as index:
        before = everything(index)
    edit(filled.path, statement)
    with filled.index() as index:
        assert everything(index) == before
        assert index.where == str(filled.path)
    with filled.index() as index:  # and the new one is whole
        assert everything(index) == before


def test_a_signature_with_a_letter_for_a_digit_locks_nobody_out(filled):
    with filled.index() as index:
        before = everything(index)
    edit(filled.path, "UPDATE batches SET signature = replace(CAST(signature AS TEXT), '1', 't')")
    with filled.index() as index:
        assert everything(index) == before


def test_a_schema_that_is_no_text_locks_nobody_out(filled):
    with filled.index() as index:
        before = everything(index)
    raw = filled.path.read_bytes()
    assert b"CREATE TABLE words" in raw
    filled.path.write_bytes(raw.replace(b"CREATE TABLE words", b"CREATE TABLE wor\xa6s"))
    with filled.index() as index:
        assert everything(index) == before
        assert index.where == str(filled.path)


def test_whichever_byte_is_changed_every_question_is_answered_with_what_was_recorded(filled):
    with filled.index() as index:
        before = everything(index)
        index._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = filled.path.read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        raw = bytearray(whole)
        at = chance.randrange(len(raw))
        raw[at] ^= 1 << chance.randrange(8)
        filled.path.write_bytes(raw)
        with filled.index() as index:
            batches, runs, problems, latest, record = everything(index)
            index.statistics(), index.count_runs(), index.history("a"), index.by_hash("555555")
        assert [batch for batch in batches if batch not in before[0]] == [], at
        assert [run for run in (*runs, *latest) if run not in before[1]] == [], at
        assert set(problems) <= set(before[2]), at
        assert record == before[4], at


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tracks SET name = -name",
        "UPDATE batches SET batch_id = replace(batch_id, 'batch', 'botch')",
    ],
)
def test_that_there_is_no_such_run_is_not_believed_where_its_record_is_there(filled, statement):
    with filled.index() as index:
        before = index.record(f"{OLD}/run_7"), index.run(f"{OLD}/run_7")
    assert None not in before
    with filled.index() as index:
        # Beside the index, as a disk would: between its refresh and the question.
        edit(filled.path, statement)
        assert (index.record(f"{OLD}/run_7"), index.run(f"{OLD}/run_7")) == before
    with filled.index() as index:
        edit(filled.path, statement)
        assert index.run(f"{OLD}/run_7") == before[1]
        assert index.run(f"{OLD}/run_77") is None
        assert index.run(f"{OLD}x/run_7") is None
        assert index.run("run_7") is None


def test_an_index_that_breaks_twice_is_answered_from_memory(filled, monkeypatch):
    real = search.count_runs
    with filled.index() as index:

        def failing(connection, wanted):
            if not index.where.startswith("in memory"):
                raise KeyError("a word that is none")
            return real(connection, wanted)

        monkeypatch.setattr(search, "count_runs", failing)
        assert index.count_runs() == 31
        assert index.where.startswith("in memory: it is damaged: KeyError")


# ------------------------------------------------------------------------------- limits


def test_a_limit_that_no_page_has_is_refused_and_breaks_nothing(filled):
    with filled.index() as index:
        for wrong in (-1, 2**62 + 1, LARGE, "5"):
            for ask in (index.runs, index.batches):
                with pytest.raises(RegistryError, match=r"limit is .*, expected a number from 0 on"):
                    ask(limit=wrong)
                with pytest.raises(RegistryError, match=r"offset is .*, expected a number from 0 on"):
                    ask(offset=wrong)
        assert len(index.runs(RunFilter(), 2**62, 30)) == 1
        assert index.batches(BatchFilter(), 5, 2**62) == []
        assert index.where == str(filled.path)


# ------------------------------------------------------------------------------ signatures


@pytest.mark.skipif(os.name == "nt", reason="the time of a change is not kept there")
def test_a_file_changed_in_place_with_its_size_and_time_put_back_is_noticed(registry):
    registry.whole(OLD, "a")
    os.utime(registry.folder(OLD), (1e9, 1e9))
    with registry.index() as index:
        (segment,) = registry.folder(OLD).glob("gw0-*.jsonl")
        before = segment.stat()
        with segment.open("r+b") as file:
            raw = file.read()
            file.seek(0)
            file.write(raw.replace(b'"success"', b'"succ3ss"'))
        os.utime(segment, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.utime(registry.folder(OLD), (1e9, 1e9))
        assert segment.stat().st_size == before.st_size
        index.refresh()
        assert index.count_runs() == 0
        assert f"{OLD}/{segment.name}:1" in index.problems()[0]


# ----------------------------------------------------------------------------- odd batches


def written(registry, batch_id, writer, *lines):
    """Lines as another program would write them: without checksums."""
    path = registry.folder(batch_id) / f"{writer}-00000000.jsonl"
    path.write_text("".join(json.dumps({"v": 1, **line}) + "\n" for line in lines))
    return path.name


RUN = {"kind": "run", "name": "a", "status": "success", "attempt": 1, "finished_at": "2026-02-21T10:00:00"}
BEGIN = {"kind": "begin", "at": "2026-02-21T09:15:02.000+00:00", "expected": ["a"], "deselected": 0}


@pytest.mark.parametrize(
    "odd",
    [
        {"attempt": LARGE},
        {"tags": -1},
        {"seconds": [1]},
        {"seconds": "long"},
        {"metrics": 7},
        {"fingerprint": True},
        {"status": "failed", "error": 99},
        {"deselected": LARGE},
        {"expected": 1},
    ],
)
def test_a_line_of_odd_values_is_its_own_batchs_problem(registry, odd):
    registry.whole(NEW, "a")
    registry.files.create_batch({"batch_id": OLD, "batch_name": "odd", "created_at": BEGIN["at"]})
    in_begin = bool({"deselected", "expected"} & odd.keys())
    main = written(registry, OLD, "main", {**BEGIN, **(odd if in_begin else {})})
    worker = written(registry, OLD, "gw0", {**RUN, **({} if in_begin else odd)})
    with registry.index() as index:
        new, old = index.batches()
        assert (new.status, new.problems, old.name) == (BatchStatus.COMPLETED, (), "odd")
        (key,) = odd.keys() - {"status"}
        about = [problem for problem in old.problems if key in problem]
        assert len(about) == 1, old.problems
        assert about[0].startswith(f"{OLD}/{main if in_begin else worker}:1: ")
        assert index.count_runs(RunFilter(batch=NEW)) == 1
        assert index.statistics().batches == 2
        json.dumps([run.seconds for run in index.runs()], allow_nan=False)


@pytest.mark.parametrize("odd", [{"provenance": True}, {"runs": 1}, {"common": None, "runs": []}])
def test_a_manifest_of_odd_values_is_its_own_batchs_problem(registry, odd):
    registry.whole(NEW, "a")
    registry.begin(OLD, "a", **odd)
    with registry.index() as index:
        new, old = index.batches()
        (problem,) = old.problems
        assert problem.startswith(f"{OLD}/manifest.json: {next(iter(odd))} is ")
        assert (new.problems, index.count_runs()) == ((), 1)


def test_numbers_beyond_all_bounds_are_none_and_add_up_to_a_number(registry):
    registry.files.create_batch({"batch_id": OLD, "batch_name": "odd", "created_at": BEGIN["at"]})
    written(registry, OLD, "main", {**BEGIN, "expected": ["a", "b"]})
    path = registry.folder(OLD) / "gw0-00000000.jsonl"
    lines = [{"v": 1, **RUN, "name": name, "seconds": 1.7e308, "metrics": {"sharpe": 1}} for name in "ab"]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text.replace('"sharpe": 1', '"sharpe": 1e999'))
    with registry.index() as index:
        assert [run.sharpe for run in index.runs()] == [None, None]
        assert index.batches()[0].run_seconds > 1.7e308
        json.dumps(index.statistics().run_seconds, allow_nan=False)


# --------------------------------------------------------------------------------- commits


def test_a_commit_of_a_changed_tree_has_a_plus_and_a_session_that_goes_on_has_its_own(registry):
    registry.begin(OLD, "a", "b", provenance={"git commit": "abc123", "git dirty": "yes"})
    registry.run(OLD, "a", minute=16)
    again = {"git commit": "def456", "git dirty": "no"}
    registry.line(
        OLD,
        "begin",
        writer="main",
        at="2026-02-21T09:30:00.000+00:00",
        expected=["b"],
        deselected=1,
        provenance=again,
    )
    registry.run(OLD, "b", minute=31)
    registry.begin(NEW, "a", provenance={"git commit": "abc123", "git dirty": "no"})
    with registry.index() as index:
        assert {run.name: run.commit for run in index.runs()} == {"a": "abc123+", "b": "def456"}
        assert [batch.commit for batch in index.batches()] == ["abc123", "abc123+"]
