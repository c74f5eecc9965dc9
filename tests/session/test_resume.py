"""Going on with a batch: what is recorded and still true stays, all else is run, with the reason."""

import json

import pytest

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])
OWN = """\
import numpy as np

SHARE = 0.5


def own(spec, market):
    return np.full(market.close.shape, SHARE)
"""
RUNS = """\
- {id: plain}
- {id: tuned, params: {weights: {AAA: 0.4}}}
- {id: own, strategy: "ours:own"}
- {id: short, symbols: [AAA], end_date: 2020-01-06}
"""


@pytest.fixture
def batch(project):
    project.write("ours.py", OWN)
    project.batch(RUNS)
    return project


def reasons(project, result):
    """Why each run was executed, by what the terminal said."""
    return dict(
        line.strip().split(": ", 1) for line in result.outlines if line.startswith("  ") and ": " in line
    )


def results(project):
    """What a summary says of each run, without what differs from one execution to the next."""
    kept = ("status", "metrics", "series", "fills", "marks", "checks", "fingerprint", "verdict")
    return {run["name"]: {key: run[key] for key in kept} for run in project.summary()["runs"]}


@WORKERS
def test_a_green_batch_runs_nothing_and_stays_green(batch, workers):
    batch.pytest("-n", workers)
    before = results(batch)
    result = batch.pytest("-n", workers, "--finbot-resume", "last")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["resumed: 4 done before, 0 executed now", "small: 4 of 4 runs succeeded*"])
    result.stdout.fnmatch_lines(["*4 done before in*"])
    assert results(batch) == before
    assert [line["kind"] for line in batch.recorded()].count("run") == 4


@WORKERS
def test_each_change_runs_what_it_concerns_and_is_named(batch, workers):
    batch.pytest("-n", workers)
    batch.write("ours.py", OWN.replace("SHARE = 0.5", "SHARE = 0.25"))
    batch.batch(RUNS.replace("AAA: 0.4", "AAA: 0.3"))
    prices = (batch.path / "prices.csv").read_text()
    batch.write("prices.csv", prices.replace("2020-01-08,13,20", "2020-01-08,13,20.5"))
    result = batch.pytest("-n", workers, "--finbot-resume", "last")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["resumed: 1 done before, 3 executed now*"])
    said = reasons(batch, result)
    assert said["tuned"] == "config changed: params.weights.AAA 0.4 → 0.3; data changed: BBB 2020"
    assert said["own"] == "data changed: BBB 2020; code changed: ours"
    assert said["plain"] == "data changed: BBB 2020"
    assert "short" not in said  # it never held that price
    resumed = results(batch)
    batch.pytest("-n", "0", "--finbot-registry", "fresh")
    assert resumed == results(batch)


def test_a_failed_run_is_tried_again_and_numbered_on(batch):
    batch.write("ours.py", "def own(spec, market):\n    raise ValueError\n")
    batch.pytest().assert_outcomes(passed=3, failed=1)
    batch.write("ours.py", OWN)
    result = batch.pytest("--finbot-resume", "last")
    assert result.ret == 0
    assert reasons(batch, result)["own"] == "failed before (engine_error)"
    own = [line for line in batch.recorded() if line.get("name") == "own" and line["kind"] == "run"]
    assert sorted((line["attempt"], line["status"]) for line in own) == [(1, "failed"), (2, "success")]


def test_only_what_failed_is_run_where_that_is_asked_for(batch):
    batch.write("ours.py", "def own(spec, market):\n    raise ValueError\n")
    batch.pytest("-k", "not short").assert_outcomes(passed=2, failed=1, deselected=1)
    batch.write("ours.py", OWN)
    result = batch.pytest("--finbot-retry-failed", "-n", "2")
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == 0
    assert batch.statuses() == {"plain": "success", "tuned": "success", "own": "success"}
    again = batch.pytest("--finbot-retry-failed")
    assert again.ret == pytest.ExitCode.USAGE_ERROR
    again.stderr.fnmatch_lines(["*no run of batch-* failed; to run what is not run yet: --finbot-resume*"])


@WORKERS
def test_a_retry_is_not_green_where_other_runs_hold_no_longer(batch, workers):
    batch.write("ours.py", "def own(spec, market):\n    raise ValueError\n")
    batch.pytest("-n", workers)
    batch.write("ours.py", OWN)
    batch.batch(RUNS.replace("AAA: 0.4", "AAA: 0.3"))
    result = batch.pytest("-n", workers, "--finbot-retry-failed")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*problem: 1 run (tuned) without a valid record, and not executed*"])
    assert batch.pytest("-n", workers, "--finbot-resume", "last").ret == 0


@WORKERS
@pytest.mark.parametrize("options", [["-k", "plain"], ["--deselect", "finbot.yaml::tuned"]])
def test_what_a_resumed_session_does_not_look_at_is_not_green(batch, workers, options):
    batch.pytest("-n", workers)
    result = batch.pytest("-n", workers, "--finbot-resume", "last", *options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*tuned*) not looked at in this session: nobody knows*"])


def test_a_batch_is_not_compared_with_itself(batch):
    batch.pytest()
    [folder] = (batch.path / ".finbot").glob("batches/*/*/*")
    result = batch.pytest("--finbot-resume", "last", "--finbot-baseline", f"batch:{folder.name}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*a batch compared with itself can never move*"])


def test_reruns_that_are_asked_for_are_made(batch):
    batch.pytest()
    result = batch.pytest("--finbot-resume", "last", "--finbot-rerun", "1")
    result.stdout.fnmatch_lines(["resumed: 0 done before, 4 executed now (4 every run is executed)"])
    checks = {check["name"] for check in batch.summary()["runs"][0]["checks"]}
    assert "determinism" in checks


def test_files_asked_for_otherwise_are_made(batch):
    batch.pytest()
    text = (batch.path / "finbot.yaml").read_text()
    batch.write("finbot.yaml", text.replace("- {id: plain}", "- {id: plain, reports: [risk]}"))
    result = batch.pytest("--finbot-resume", "last")
    assert reasons(batch, result) == {"plain": "its reports are asked for otherwise"} | {
        key: words for key, words in reasons(batch, result).items() if key != "plain"
    }
    result.stdout.fnmatch_lines(["resumed: 3 done before, 1 executed now*"])


def test_a_damaged_line_is_not_taken_for_done(batch):
    batch.pytest()
    [segment] = (batch.path / ".finbot").glob("batches/*/*/*/main-*.jsonl")
    text = segment.read_text()
    segment.write_text(text.replace('"final_nav":1', '"final_nav":9', 1))
    result = batch.pytest("--finbot-resume", "last")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # the damage stays in the batch
    assert "lines of the batch cannot be read" in reasons(batch, result)["plain"]
    result.stdout.fnmatch_lines(["*problem: *its checksum does not fit*"])


@WORKERS
def test_what_was_never_run_is_run(batch, workers):
    batch.write("ours.py", "def own(spec, market):\n    raise ValueError\n")
    batch.pytest("-x", "-n", "0")
    assert batch.statuses()["short"] == "not_run"
    assert batch.summary()["status"] == "cancelled"
    batch.write("ours.py", OWN)
    result = batch.pytest("--finbot-resume", "last", "-n", workers)
    assert reasons(batch, result)["short"] == "not run before"
    assert batch.summary()["status"] == "completed"


def test_a_run_that_left_the_file_is_expected_no_longer_and_a_new_one_is(batch):
    batch.pytest()
    batch.batch(RUNS.replace("- {id: plain}\n", "") + "- {id: new}\n")
    result = batch.pytest("--finbot-resume", "last")
    assert result.ret == 0
    assert list(batch.statuses()) == ["tuned", "own", "short", "new"]
    assert reasons(batch, result) == {"new": "not run before"} | {
        key: words for key, words in reasons(batch, result).items() if key != "new"
    }


def test_a_damaged_result_is_not_taken_for_done(batch):
    batch.pytest()
    for path in (batch.path / ".finbot" / "series").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    result = batch.pytest("--finbot-resume", "last")
    assert result.ret == 0
    assert all("cannot be read" in words for name, words in reasons(batch, result).items() if name == "plain")
    result.stdout.fnmatch_lines(["resumed: 0 done before, 4 executed now*"])


def test_a_file_the_run_had_left_is_made_again(batch):
    batch.pytest()
    (batch.output / "runs" / "plain" / "series.parquet").unlink()
    result = batch.pytest("--finbot-resume", "last")
    assert reasons(batch, result)["plain"] == "its file series.parquet is gone from plain"
    assert (batch.output / "runs" / "plain" / "series.parquet").exists()


def test_what_was_done_is_held_to_the_baseline_of_today(project):
    project.gated("- {id: one}\n- {id: two, params: {weights: {AAA: 0.4}}}\n")
    assert project.pytest().ret == 0
    document = json.loads(project.baseline("one").read_text())
    for name in ("one.json", "one.parquet"):
        (project.baseline("one").parent / name).unlink()
    result = project.pytest("--finbot-resume", "last")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.verdicts() == {"one": "new", "two": "identical"}
    result.stdout.fnmatch_lines(["resumed: 2 done before, 0 executed now"])
    # The run itself was not executed a second time, and is accepted as it is recorded.
    project.pytest("--finbot-resume", "last", "--finbot-accept=one", "--finbot-reason", "as before")
    assert json.loads(project.baseline("one").read_text())["metrics"] == document["metrics"]
    assert project.pytest("--finbot-resume", "last").ret == 0
    assert project.verdicts() == {"one": "identical", "two": "identical"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("last", "there is no batch 'small' to go on with"),
        ("nonsense", "'nonsense' is not a batch id"),
        ("batch-20261121T091502Z-3f9c1a", "there is no batch batch-20261121T091502Z-3f9c1a"),
    ],
)
def test_there_must_be_something_to_go_on_with(project, asked, words):
    project.batch("- {id: plain}\n")
    result = project.pytest("--finbot-resume", asked)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{words}*"])


def test_a_batch_of_another_file_is_refused(project):
    project.batch("- {id: plain}\n")
    project.pytest()
    [folder] = (project.path / ".finbot").glob("batches/*/*/*")
    project.write("other.yaml", (project.path / "finbot.yaml").read_text().replace("small", "other"))
    result = project.pytest("--finbot-resume", folder.name, batch="other.yaml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{folder.name}: that is a batch of 'small', and other.yaml is 'other'*"])
