"""A run of a batch without a baseline is counted against its newest good result."""

import pytest

from pytest_finbot.baselines import previous
from pytest_finbot.baselines.previous import Counted, EarlierRuns
from pytest_finbot.contracts import CheckSpec, Verdict
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.left_out import reason_of
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
    assert first["message"] == NONE
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
            "neither its configuration nor its code changed, which would be a reason *"
        )
        result.stdout.fnmatch_lines([words])

    project.batch("- {id: held, end_date: 2020-01-07}\n- {id: short, end_date: 2020-01-06}\n")
    assert project.pytest("-n", "0").ret == 0
    now = coverage(project)
    assert now["held"]["verdict"] == "within"
    assert now["held"]["message"].endswith(", because the configuration changed")
    assert now["short"]["verdict"] == "identical"


# ------------------------------------------------------------------------------- which result


class Batches:
    """Batches that are recorded one after another."""

    def __init__(self, folder):
        self.registry = open_registry(folder / ".finbot", durability="second")
        self.number = 0
        self.folds = []
        fold = self.registry.fold
        self.registry.fold = lambda batch_id, **asked: (self.folds.append(batch_id), fold(batch_id, **asked))[
            1
        ]

    def __call__(self, *runs, name="small", slicing=None, counts=COUNTS, **record):
        self.number += 1
        batch_id = f"batch-20260101T00{self.number // 60:02d}{self.number % 60:02d}Z-aaaaaa"
        self.registry.create_batch({"batch_id": batch_id, "batch_name": name, "slicing": slicing, "runs": []})
        writer = self.registry.open_writer(batch_id, "main")
        writer.append("begin", {"at": "2026-01-01", "expected": list(runs), "deselected": 0})
        for run in runs:
            fingerprint = {"config": f"{run}1", "code": {"hash": "c"}}
            told = {"name": run, "status": "success", "attempt": 1, "finished_at": "2026-01-01"}
            writer.append("run", {**told, "counts": counts, "fingerprint": fingerprint, **record})
        writer.append("end", {"at": "2026-01-01", "exitstatus": 0})
        writer.close()
        return batch_id

    def fails(self, run, **record):
        """A night on which ``run`` fails, recorded as a session records it."""
        against = self.earlier().reference(run)
        return self(run, status="failed", counted_against=against, **record)

    def earlier(self, before="batch-2027", name="small", slicing=None):
        self.folds.clear()
        return EarlierRuns(self.registry, name, slicing, before)

    def last(self, run="a", **asked):
        found = self.earlier(**asked).find(run)
        return found.batch_id if isinstance(found, Counted) else found.why

    def lines(self, batch_id):
        [segment] = self.registry.batch_folder(batch_id).glob("main-*.jsonl")
        return segment


@pytest.fixture
def batches(tmp_path):
    return Batches(tmp_path)


NONE = "there is no earlier good result of it to count against"


def test_it_is_the_newest_good_result_of_the_run_in_batches_of_the_name(batches):
    one = batches("a", "b")
    two = batches("a")
    batches("a", "b", name="other")
    later = batches("a", "b")
    assert batches.last("a", before=later) == two
    assert batches.last("b", before=later) == one  # a selection hides nothing of the others
    assert batches.last("a", before=one) == NONE


def test_a_run_that_fails_switches_nothing_off_for_the_others(batches):
    good = batches("a", "b")
    batches("a", status="failed")
    assert batches.last("a") == good
    assert batches.last("b") == good


def test_however_many_nights_are_red_what_was_good_is_not_forgotten_and_not_looked_for(batches, monkeypatch):
    monkeypatch.setattr(previous, "LOOKED_INTO", 3)
    good = batches("a")
    nights = [batches.fails("a") for _ in range(6)]
    earlier = batches.earlier()
    assert earlier.find("a").batch_id == good
    assert batches.folds == [nights[-1], good]


def test_a_run_that_was_never_good_is_not_looked_for_every_night(batches):
    nights = [batches.fails("a") for _ in range(4)]
    assert batches.last("a") == NONE
    assert batches.folds == [nights[-1]]


def test_a_look_at_some_phases_hides_nothing(batches):
    good = batches("a")
    skipped = [{"name": "checks", "status": "skipped", "seconds": 0.0, "reason": reason_of(["marks"])}]
    batches("a", phases=skipped)
    assert batches.last("a") == good


def test_a_batch_that_is_damaged_where_the_result_may_be_is_no_reason_to_pass(batches):
    batches("a")
    newest = batches("a")
    segment = batches.lines(newest)
    segment.write_text(segment.read_text().replace('"positions":500', '"positions":1'))
    found = batches.earlier().check("a", COUNTS, {}, tolerances_of(CheckSpec()))
    assert found.verdict is Verdict.ERROR
    assert f"batch {newest} may have a result of it, and cannot be read whole" in found.message
    assert f"finbot batches delete {newest}" in found.message


def test_a_manifest_that_cannot_be_read_is_named_and_stops_nobody(batches):
    good = batches("a")
    newest = batches("a")
    (batches.registry.batch_folder(newest) / "manifest.json").write_text("{")
    assert batches.last("a") == good
    assert batches.last("b") == f"{NONE}; {newest} cannot be read"
    assert batches.earlier().reference("b") is None  # nobody can say that there is none


def test_the_search_for_what_no_batch_has_ends_and_says_so(batches, monkeypatch):
    monkeypatch.setattr(previous, "LOOKED_INTO", 3)
    for _ in range(4):
        batches("other")
    assert batches.last("a") == "none of the newest 3 batches of small has a result of it"


def test_slices_are_counted_against_the_same_slices(batches):
    days = {"from": None, "to": None, "chunk_days": 30}
    batches("a")
    chunked = batches("a", slicing=days)
    batches("a", slicing={**days, "chunk_days": 60})
    assert batches.last("a", slicing=days) == chunked


# ----------------------------------------------------------------------------- what is fewer


def check(batches, run="a", config="a1", code="c", checks=None, not_asked=0, **fewer):
    batches("a")
    fingerprint = {"config": config, "code": {"hash": code}}
    tolerances = tolerances_of(checks or CheckSpec())
    return batches.earlier().check(run, {**COUNTS, **fewer}, fingerprint, tolerances, not_asked=not_asked)


def test_analytics_that_nobody_asked_for_are_not_missed(batches):
    assert check(batches, analytics=0, not_asked=1).verdict is Verdict.IDENTICAL
    assert check(batches, analytics=0, not_asked=0).verdict is Verdict.MOVED


def test_rows_can_be_left_uncounted(batches):
    off = check(batches, fills=1, checks=CheckSpec(limits={"coverage": None}))
    assert (off.verdict, off.message) == (Verdict.SKIPPED, "switched off (checks.coverage)")
    assert "checks: {coverage: false}" in check(batches, fills=1).message


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
    assert found.message == NONE


def test_records_that_counted_nothing_are_skipped_with_that_reason(batches):
    before = batches("a", counts={})
    found = batches.earlier().check("a", COUNTS, {}, tolerances_of(CheckSpec()))
    assert found.verdict is Verdict.SKIPPED
    assert found.message == f"no rows of batch {before} are counted"


def test_a_preset_that_leaves_fills_to_the_run_leaves_their_number_to_it_too(batches):
    loose = CheckSpec(preset="cross_engine")
    assert check(batches, checks=loose, fills=3, positions=4).verdict is Verdict.WITHIN
    assert check(batches, checks=loose, sessions=3).verdict is Verdict.MOVED
