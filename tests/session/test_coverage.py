"""A batch without a baseline is counted against the last one of its name that was completed."""

import pytest

from pytest_finbot.baselines.previous import PreviousBatch, last_completed
from pytest_finbot.contracts import CheckSpec, Verdict
from pytest_finbot.registry import open_registry
from pytest_finbot.tolerances import tolerances_of

COUNTS = {"sessions": 250, "positions": 500, "fills": 24, "metrics": 19, "analytics": 1}


def coverage(project):
    """The coverage check of each run of the newest batch."""
    return {
        run["name"]: next(check for check in run["checks"] if check["name"] == "coverage")
        for run in project.summary()["runs"]
    }


def test_a_file_that_lost_its_last_sessions_fails_and_says_what_is_fewer(project):
    project.batch("- {id: held, end_date: 2020-01-10}\n- {id: short, end_date: 2020-01-06}\n")
    assert project.pytest("-n", "0").ret == 0
    first = coverage(project)["held"]
    assert first["verdict"] == "skipped"
    assert first["message"] == "there is no baseline and no completed batch before this one to count against"
    before = project.summary()["batch_id"]

    whole = (project.path / "prices.csv").read_text()
    project.write("prices.csv", whole.partition("2020-01-08")[0])
    for workers in ("0", "2"):  # a batch that failed is none to count against: it stays red
        result = project.pytest("-n", workers)
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        assert project.statuses() == {"held": "failed", "short": "success"}
        assert project.rows()["held"]["error_category"] == "regression"
        words = (
            f"*coverage: fewer than in batch {before}: 6 → 4 sessions, 12 → 8 positions, 19 → 18 metrics; "
            "neither its configuration nor its code changed, which would be a reason"
        )
        result.stdout.fnmatch_lines([words])

    project.batch("- {id: held, end_date: 2020-01-07}\n- {id: short, end_date: 2020-01-06}\n")
    assert project.pytest("-n", "0").ret == 0
    now = coverage(project)
    assert now["held"]["verdict"] == "within"
    assert now["held"]["message"].endswith(", because the configuration changed")
    assert now["short"]["verdict"] == "identical"


# ------------------------------------------------------------------------------- which batch


class Batches:
    """Batches that are recorded one after another."""

    def __init__(self, folder):
        self.registry = open_registry(folder / ".finbot", durability="second")
        self.number = 0

    def __call__(self, *runs, name="small", status="success", deselected=0, slicing=None, counts=COUNTS):
        self.number += 1
        batch_id = f"batch-20260101T0000{self.number:02d}Z-aaaaaa"
        self.registry.create_batch({"batch_id": batch_id, "batch_name": name, "slicing": slicing, "runs": []})
        writer = self.registry.open_writer(batch_id, "main")
        writer.append("begin", {"at": "2026-01-01", "expected": list(runs), "deselected": deselected})
        for run in runs:
            fingerprint = {"config": f"{run}1", "code": {"hash": "c"}}
            record = {"name": run, "status": status, "attempt": 1, "finished_at": "2026-01-01"}
            writer.append("run", {**record, "counts": counts, "fingerprint": fingerprint})
        writer.append("end", {"at": "2026-01-01", "exitstatus": 0})
        writer.close()
        return batch_id

    def last(self, before, name="small"):
        return last_completed(self.registry, name, before=before)


@pytest.fixture
def batches(tmp_path):
    return Batches(tmp_path)


def test_it_is_the_newest_completed_one_of_the_name(batches):
    batches("a", "b")
    whole = batches("a", "b")
    batches("a", "b", status="failed")
    batches("a", "b", name="other")
    now = batches("a", "b")
    batches("a", "b")  # later than the batch that is gone on with
    assert batches.last(now) == whole
    assert batches.last(whole) < whole


def test_there_may_be_none(batches):
    batches("a", status="failed")
    batches("a", name="other")
    assert batches.last(batches("a")) is None


def test_a_selection_is_counted_against_only_where_there_is_no_whole_batch(batches):
    batches("a", deselected=1)
    selection = batches("a", deselected=1)
    assert batches.last(batches("a", "b", status="failed")) == selection
    whole = batches("a", "b")
    batches("a", deselected=1)
    assert batches.last(batches("a", "b")) == whole


def test_slices_are_counted_against_the_same_slices(batches):
    days = {"from": None, "to": None, "chunk_days": 30}
    whole = batches("a")
    chunked = batches("a.1", "a.2", slicing=days)
    assert batches.last(batches("a")) == whole
    assert batches.last(batches("a.1", "a.2", slicing=days)) == chunked
    assert batches.last(batches("a.1", slicing={**days, "chunk_days": 60})) is None


# ----------------------------------------------------------------------------- what is fewer


def check(batches, run="a", config="a1", code="c", checks=None, **fewer):
    previous = PreviousBatch(batches.registry, batches("a"))
    fingerprint = {"config": config, "code": {"hash": code}}
    return previous.check(run, {**COUNTS, **fewer}, fingerprint, tolerances_of(checks or CheckSpec()))


@pytest.mark.parametrize("output", COUNTS)
def test_fewer_of_any_output_fails(batches, output):
    found = check(batches, **{output: COUNTS[output] - 1})
    assert found.verdict is Verdict.MOVED
    assert f"{COUNTS[output]:,} → {COUNTS[output] - 1:,} {output}" in found.message
    assert found.value == 1.0


def test_as_many_are_identical_and_more_are_within(batches):
    assert check(batches).verdict is Verdict.IDENTICAL
    assert check(batches, sessions=251).verdict is Verdict.WITHIN
    mixed = check(batches, sessions=251, fills=3)
    assert mixed.verdict is Verdict.MOVED
    assert "sessions" not in mixed.message


def test_another_configuration_or_code_is_a_reason(batches):
    assert check(batches, config="a2", fills=3).message.endswith(
        "24 → 3 fills, because the configuration changed"
    )
    changed = check(batches, code="d", fills=3)
    assert changed.verdict is Verdict.WITHIN
    assert changed.message.endswith("because the code changed")


def test_a_run_that_the_batch_did_not_have_is_skipped_with_that_reason(batches):
    found = check(batches, run="new")
    assert found.verdict is Verdict.SKIPPED
    assert found.message == "batch batch-20260101T000001Z-aaaaaa has no record of it"


def test_records_that_counted_nothing_are_skipped_with_that_reason(batches):
    previous = PreviousBatch(batches.registry, batches("a", counts={}))
    found = previous.check("a", COUNTS, {}, tolerances_of(CheckSpec()))
    assert found.verdict is Verdict.SKIPPED
    assert found.message == f"no rows of batch {previous.batch_id} are counted"


def test_a_preset_that_leaves_fills_to_the_run_leaves_their_number_to_it_too(batches):
    loose = CheckSpec(preset="cross_engine")
    assert check(batches, checks=loose, fills=3, positions=4).verdict is Verdict.WITHIN
    assert check(batches, checks=loose, sessions=3).verdict is Verdict.MOVED
