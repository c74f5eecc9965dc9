"""Status and counts are what the records come to, in whatever order they are read."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import fold as fold_module
from pytest_finbot.registry.fold import fold_batch

BATCH = "batch-20261121T091502Z-3f9c1a"


class Folder:
    """A batch's folder, written line by line as its writers would."""

    def __init__(self, path):
        self.path = path / BATCH
        self.path.mkdir(parents=True)

    def write(self, segment, *lines):
        with (self.path / f"{segment}.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def fold(self, **options):
        return fold_batch(self.path, **options)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def begin(*expected, at="1", deselected=0):
    return {"v": 1, "kind": "begin", "at": at, "expected": list(expected), "deselected": deselected}


def start(name, attempt=1):
    return {"v": 1, "kind": "start", "name": name, "attempt": attempt, "at": "2"}


def run(name, status="success", attempt=1, finished_at="3", kind="run", category=None, **more):
    error = None if category is None else {"category": category}
    return {
        "v": 1,
        "kind": kind,
        "name": name,
        "status": status,
        "attempt": attempt,
        "finished_at": finished_at,
        "error": error,
        **more,
    }


def crash(name, attempt=1, **more):
    return run(name, "failed", attempt, kind="crash", category="crash", **more)


CANCEL = {"v": 1, "kind": "cancel", "at": "8", "reason": "interrupted (Ctrl-C)"}
END = {"v": 1, "kind": "end", "at": "9", "exitstatus": 0}


# ------------------------------------------------------------------------------- status


def test_a_batch_that_has_not_begun_is_pending(folder):
    fold = folder.fold()
    assert (fold.status, fold.expected_count, fold.problems) == (BatchStatus.PENDING, 0, ())


def test_a_batch_that_began_and_did_not_end_is_running(folder):
    folder.write("main-1", begin("a", "b"))
    folder.write("gw0-1", run("a", "failed", category="timeout"))
    assert folder.fold().status == BatchStatus.RUNNING
    assert folder.fold(writer_alive=True).status == BatchStatus.RUNNING


def test_a_batch_whose_controller_died_is_over(folder):
    folder.write("main-1", begin("a", "b"))
    folder.write("gw0-1", run("a"))
    assert folder.fold(writer_alive=False).status == BatchStatus.PARTIAL


def test_a_success_of_every_expected_run_is_completed(folder):
    folder.write("main-1", begin("a", "b"), END)
    folder.write("gw0-1", run("a"))
    folder.write("gw1-1", run("b"))
    fold = folder.fold()
    assert (fold.status, fold.success, fold.not_run) == (BatchStatus.COMPLETED, 2, ())


@pytest.mark.parametrize("writer_alive", [None, True, False])
@pytest.mark.parametrize("ended", [(), (END,)])
def test_one_record_of_three_expected_is_never_completed(folder, ended, writer_alive):
    folder.write("main-1", begin("a", "b", "c"), *ended)
    folder.write("gw0-1", run("b"))
    fold = folder.fold(writer_alive=writer_alive)
    assert fold.status in (BatchStatus.RUNNING, BatchStatus.PARTIAL)
    assert (fold.expected_count, fold.recorded, fold.success, fold.failed, fold.not_run_count) == (
        3,
        1,
        1,
        0,
        2,
    )
    assert fold.not_run == ("a", "c")


def test_a_batch_that_ended_with_failures_beside_successes_is_partial(folder):
    folder.write("main-1", begin("a", "b"), END)
    folder.write("gw0-1", run("a"), run("b", "failed", category="data_error"))
    assert folder.fold().status == BatchStatus.PARTIAL


def test_a_batch_that_ended_with_failures_only_is_failed(folder):
    folder.write("main-1", begin("a", "b"), END)
    folder.write("gw0-1", run("a", "failed"))
    assert folder.fold().status == BatchStatus.FAILED


def test_a_batch_that_ended_with_no_record_at_all_is_partial(folder):
    folder.write("main-1", begin("a"), END)
    assert folder.fold().status == BatchStatus.PARTIAL


def test_a_batch_that_expects_nothing_is_never_completed(folder):
    folder.write("main-1", begin(), END)
    assert folder.fold().status == BatchStatus.PARTIAL


@pytest.mark.parametrize("lines", [[CANCEL, END], [CANCEL], [END, CANCEL]])
def test_cancelled_stays_cancelled(folder, lines):
    folder.write("main-1", begin("a"), *lines)
    assert folder.fold().status == BatchStatus.CANCELLED
    folder.write("gw0-1", run("a"))
    fold = folder.fold(writer_alive=True)
    assert (fold.status, fold.success, fold.cancel_reason) == (
        BatchStatus.CANCELLED,
        1,
        "interrupted (Ctrl-C)",
    )


def test_a_cancelled_batch_that_is_gone_on_with_is_no_longer_cancelled(folder):
    folder.write("main-1", begin("a", "b", at="1"), {**CANCEL, "at": "2"}, END)
    folder.write("gw0-1", run("a"))
    folder.write("main-2", begin("b", at="3"))
    assert folder.fold(writer_alive=True).status == BatchStatus.RUNNING
    folder.write("gw0-2", run("b"))
    fold = folder.fold()
    assert (fold.status, fold.cancel_reason) == (BatchStatus.COMPLETED, None)


def test_a_session_that_goes_on_may_be_cancelled_in_turn(folder):
    folder.write("main-1", begin("a", at="1"))
    folder.write("main-2", begin("a", at="3"))
    folder.write("cancel-1", {**CANCEL, "at": "4", "reason": "asked for"})
    fold = folder.fold(writer_alive=True)
    assert (fold.status, fold.cancel_reason) == (BatchStatus.CANCELLED, "asked for")


def test_a_run_that_left_the_batch_file_is_no_longer_expected(folder):
    folder.write("main-1", begin("a", "b", at="1"))
    folder.write("gw0-1", run("a"), run("b"))
    folder.write("main-2", {**begin("a", at="3"), "gone": ["b"]}, END)
    fold = folder.fold()
    assert (fold.expected, fold.recorded, fold.problems) == (("a",), 1, ())
    folder.write("main-3", begin("b", at="4"), END)
    assert folder.fold().expected == ("a", "b")


def test_a_deleted_record_counts_no_longer_until_the_run_is_asked_for_again(folder):
    folder.write("main-1", begin("a", "b", at="1"), END)
    folder.write("gw0-1", run("a"), run("b"))
    folder.write("delete-1", {"v": 1, "kind": "delete", "at": "2", "name": "b", "attempt": 1})
    fold = folder.fold()
    assert (fold.expected, fold.recorded, fold.status, fold.problems) == (
        ("a",),
        1,
        BatchStatus.COMPLETED,
        (),
    )
    folder.write("main-2", begin("b", at="3"), END)
    assert folder.fold().not_run == ("b",)
    folder.write("gw0-2", run("b", attempt=2))
    assert folder.fold().recorded == 2


def test_a_record_compared_anew_counts_from_then_on(folder):
    folder.write("main-1", begin("a"), END)
    folder.write("gw1-2", {**run("a", "failed", 1, "5"), "compared_at": "7"})
    folder.write("gw2-1", run("a", "success", 1, "6"))
    assert folder.fold().failed == 1


def test_records_without_a_begin_prove_nothing(folder):
    folder.write("gw0-1", run("a"), run("b"))
    fold = folder.fold()
    assert (fold.status, fold.recorded) == (BatchStatus.PENDING, 0)
    assert fold.problems == ("2 runs are recorded, but no line tells that the batch began: none counts",)


# --------------------------------------------------------------------- which record counts


def statuses(fold):
    return {record["name"]: (record["status"], record.get("mark")) for record in fold.records()}


def test_the_highest_attempt_wins(folder):
    folder.write("main-1", begin("a"), END)
    folder.write("gw0-1", run("a", "success", attempt=2, finished_at="4"))
    folder.write("gw1-1", run("a", "failed", attempt=1, finished_at="5"))
    fold = folder.fold()
    assert (fold.status, fold.attempts) == (BatchStatus.COMPLETED, {"a": 2})


def test_a_later_attempt_that_fails_takes_an_earlier_success_back(folder):
    folder.write("main-1", begin("a"), END)
    folder.write("gw0-1", run("a", "success", attempt=1), run("a", "failed", attempt=2))
    assert folder.fold().status == BatchStatus.FAILED


def test_a_workers_own_word_beats_the_controllers_on_its_death(folder):
    folder.write("main-1", begin("a"), crash("a", finished_at="9"), END)
    folder.write("gw0-1", run("a", "success", finished_at="3"))
    fold = folder.fold()
    assert (fold.status, fold.error_categories) == (BatchStatus.COMPLETED, {})


def test_a_crash_of_a_later_attempt_beats_what_an_earlier_one_recorded(folder):
    folder.write("main-1", begin("a"), crash("a", attempt=2), END)
    folder.write("gw0-1", run("a", "success", attempt=1))
    assert folder.fold().error_categories == {"crash": 1}


def test_of_equal_records_the_latest_wins(folder):
    folder.write("main-1", begin("a", "b"), END)
    folder.write(
        "gw0-1", run("a", mark="late", finished_at="7"), run("b", mark="first"), run("b", mark="second")
    )
    folder.write("gw1-1", run("a", mark="early", finished_at="6"))
    assert statuses(folder.fold()) == {"a": ("success", "late"), "b": ("success", "second")}


def test_an_item_recorded_twice_counts_once(folder):
    folder.write("main-1", begin("a", "b"), END)
    folder.write("gw0-1", run("a"), run("a"))
    folder.write("gw1-1", run("a"))
    fold = folder.fold()
    assert (fold.recorded, fold.success, fold.not_run) == (1, 1, ("b",))
    assert len(list(fold.records())) == 1


def test_a_run_nobody_expected_is_a_problem_and_not_counted(folder):
    folder.write("main-1", begin("a"), END)
    folder.write("gw0-1", run("a"), run("stranger", "failed"))
    fold = folder.fold()
    assert (fold.status, fold.recorded, fold.failed) == (BatchStatus.COMPLETED, 1, 0)
    assert fold.problems == (
        f"{BATCH}/gw0-1.jsonl: run 'stranger' is recorded but was not expected; it is not counted",
    )
    assert [record["name"] for record in fold.records()] == ["a"]


# ------------------------------------------------------------------------------- counts


def test_failures_are_counted_by_category_and_none_goes_without(folder):
    folder.write("main-1", begin("a", "b", "c", "d", "e", deselected=4), crash("e"), END)
    folder.write(
        "gw0-1",
        run("a", "failed", category="timeout"),
        run("b", "failed", category="timeout"),
        run("c", "failed"),
        run("d", "failed", category=""),
    )
    fold = folder.fold()
    assert fold.error_categories == {"crash": 1, "timeout": 2, "unknown": 2}
    assert (fold.failed, fold.deselected) == (5, 4)


def test_a_run_that_was_started_and_left_no_record_is_unfinished_and_not_run(folder):
    folder.write("main-1", begin("a", "b", "c", "d"), crash("c"), CANCEL)
    folder.write("gw0-1", start("a"), run("a"), start("a", 2), start("b"), start("c"))
    fold = folder.fold()
    assert fold.unfinished == ("a", "b")
    assert fold.not_run == ("b", "d")
    assert fold.attempts == {"a": 2, "b": 1, "c": 1, "d": 0}


def test_a_resumed_batch_expects_what_all_its_sessions_expected(folder):
    folder.write("main-1", begin("a", "b", "c", deselected=2, at="1"), END)
    folder.write("gw0-1", run("a"))
    folder.write("main-0", begin("b", "c", deselected=3, at="5"))
    fold = folder.fold()
    assert (fold.status, fold.expected, fold.deselected) == (BatchStatus.RUNNING, ("a", "b", "c"), 2)
    folder.write("gw0-2", run("b"), run("c"))
    folder.write("main-0", END)
    assert folder.fold().status == BatchStatus.COMPLETED


def test_a_session_that_asks_for_more_runs_leaves_fewer_deselected(folder):
    folder.write("main-1", begin("a", "b", deselected=3, at="1"), END)
    folder.write("main-2", begin("c", deselected=4, at="5"), END)
    fold = folder.fold()
    assert (fold.expected, fold.deselected) == (("a", "b", "c"), 2)


def test_a_session_that_died_does_not_keep_a_resumed_batch_running(folder):
    folder.write("main-9", begin("a", "b", at="1"))
    folder.write("main-1", begin("b", at="5"), END)
    folder.write("gw0-1", run("a"))
    assert folder.fold().status == BatchStatus.PARTIAL


def test_a_run_expected_twice_owes_one_record(folder):
    folder.write("main-1", begin("a", "a"), END)
    folder.write("gw0-1", run("a"))
    fold = folder.fold()
    assert (fold.expected_count, fold.deselected, fold.status) == (1, 0, BatchStatus.COMPLETED)


# ------------------------------------------------------------------------------ records


def test_records_come_in_the_expected_order_or_in_the_one_asked_for(folder):
    folder.write("main-1", begin("c", "a", "b"), END)
    folder.write("gw0-1", run("a"), run("b"))
    folder.write("gw1-1", run("c"))
    fold = folder.fold()
    assert [record["name"] for record in fold.records()] == ["c", "a", "b"]
    assert [record["name"] for record in fold.records(["b", "nobody", "c"])] == ["b", "c"]


def test_expected_records_name_what_did_not_run(folder):
    folder.write("main-1", begin("b", "a"), END)
    folder.write("gw0-1", run("a", mood="sunny"))
    rows = list(folder.fold().expected_records())
    record = run("a", mood="sunny")
    del record["v"], record["kind"]
    assert rows == [("b", None), ("a", record)]


def test_more_segments_than_may_be_open_are_read(folder, monkeypatch):
    monkeypatch.setattr(fold_module, "_OPEN_FILES", 2)
    names = [f"run_{number}" for number in range(9)]
    folder.write("main-1", begin(*names), END)
    for number, name in enumerate(names):
        folder.write(f"gw{number % 5}-1", run(name))
    assert [record["name"] for record in folder.fold().records()] == names


def test_a_segment_changed_after_the_fold_is_told(folder):
    folder.write("main-1", begin("a"), END)
    folder.write("gw0-1", run("a"))
    fold = folder.fold()
    path = folder.path / "gw0-1.jsonl"
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(RegistryError, match=r"gw0-1.jsonl changed while it was read"):
        list(fold.records())
    path.unlink()
    with pytest.raises(RegistryError, match=r"cannot read .*gw0-1.jsonl"):
        list(fold.records())


# ----------------------------------------------------------------------------- problems


def test_every_line_that_cannot_be_used_is_named_and_hides_no_other(folder):
    folder.write("main-1", begin("a", "b"), END)
    folder.write(
        "gw0-1",
        run("a"),
        {"v": 1, "kind": "run", "name": "b"},
        {"v": 1, "kind": "start", "name": "b", "attempt": "first"},
        run("b", "splendid"),
        run("b", attempt=0),
        run("b", attempt=2**70),
        {"v": 1, "kind": "weather", "mood": "sunny"},
        run("b"),
    )
    with (folder.path / "gw1-1.jsonl").open("w") as file:
        file.write('garbage\n{"v":1,"kind":"run"')
    fold = folder.fold()
    assert fold.status == BatchStatus.COMPLETED
    assert [problem.split(": ")[0] for problem in fold.problems] == [
        f"{BATCH}/gw0-1.jsonl:2",
        f"{BATCH}/gw0-1.jsonl:3",
        f"{BATCH}/gw0-1.jsonl:4",
        f"{BATCH}/gw0-1.jsonl:5",
        f"{BATCH}/gw0-1.jsonl:6",
        f"{BATCH}/gw1-1.jsonl:1",
    ]
    (note,) = fold.notes
    assert note.startswith(f"{BATCH}/gw1-1.jsonl:2: the last line was cut off")


def test_what_was_never_wholly_written_is_noted_and_is_no_fault(folder):
    """A write that failed half way, and went on once there was room again."""
    folder.write("main-1", begin("a"), END)
    with (folder.path / "gw0-1.jsonl").open("w") as file:
        file.write('{"v":1,"kind":"run","name":"a","stat\n')
    folder.write("gw0-1", run("a"))
    fold = folder.fold()
    assert (fold.status, fold.problems) == (BatchStatus.COMPLETED, ())
    assert fold.notes[0].startswith(f"{BATCH}/gw0-1.jsonl:1: ")


def test_a_line_of_a_newer_version_stops_the_fold(folder):
    folder.write("main-1", begin("a"), {**END, "v": 3})
    with pytest.raises(RegistryError, match=r"main-1.jsonl:2 has version 3"):
        folder.fold()


def test_a_batch_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RegistryError, match="cannot read the batch in"):
        fold_batch(tmp_path / BATCH)


# --------------------------------------------------------------------------- properties

NAMES = st.sampled_from(["a", "b", "c", "d"])
LINES = st.one_of(
    st.builds(start, NAMES, st.integers(1, 3)),
    st.builds(
        run,
        NAMES,
        st.sampled_from(["success", "failed"]),
        st.integers(1, 3),
        st.sampled_from("345"),
        category=st.sampled_from(["timeout", "data_error", None]),
        mark=st.integers(0, 9),
    ),
    st.builds(crash, NAMES, st.integers(1, 3), mark=st.integers(0, 9)),
    st.builds(begin, NAMES, NAMES, at=st.sampled_from("12"), deselected=st.integers(0, 2)),
    st.sampled_from([CANCEL, END]),
)


def told(fold):
    return (
        fold.status,
        fold.expected,
        fold.deselected,
        fold.error_categories,
        fold.not_run,
        fold.unfinished,
        fold.attempts,
        list(fold.records()),
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=4), st.randoms())
def test_the_order_of_segments_changes_nothing(tmp_path_factory, segments, chance):
    orders = [list(enumerate(segments)), list(enumerate(chance.sample(segments, len(segments))))]
    seen = []
    for order in orders:
        folder = Folder(tmp_path_factory.mktemp("fold"))
        for number, lines in order:
            folder.write(f"gw{number}-1", *lines)
        seen.append(told(folder.fold()))
    assert seen[0] == seen[1]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=3))
def test_counts_add_up_and_green_means_all(tmp_path_factory, segments):
    folder = Folder(tmp_path_factory.mktemp("fold"))
    for number, lines in enumerate(segments):
        folder.write(f"gw{number}-1", *lines)
    fold = folder.fold()
    assert fold.success + fold.failed + fold.not_run_count == fold.expected_count
    assert fold.failed == sum(record["status"] == "failed" for record in fold.records())
    assert fold.not_run_count == len(fold.not_run)
    if fold.status == BatchStatus.COMPLETED:
        assert fold.success == fold.expected_count > 0


def test_a_run_costs_well_under_a_kibibyte(folder):
    runs = 2000
    names = [f"run_{number:05}" for number in range(runs)]
    folder.write("main-1", begin(*names))
    folder.write(
        "gw0-1",
        *(
            line
            for name in names
            for line in (
                start(name),
                run(
                    name,
                    "failed",
                    finished_at="2026-11-21T09:15:02.123+00:00",
                    category="timeout",
                    pad="x" * 2000,
                ),
            )
        ),
    )
    tracemalloc.start()
    fold = folder.fold()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert fold.failed == runs
    assert peak / runs < 800
