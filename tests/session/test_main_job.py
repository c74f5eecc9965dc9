"""A batch file becomes tests, records and a summary, alike with and without workers."""

import json
import subprocess
import sys

import pytest

TWO_RUNS = """\
- {id: held, rebalance_freq: none, tags: [core]}
- {id: daily, rebalance_freq: D, costs: {commission_bps: 10}}
"""
WORKERS = pytest.mark.parametrize("workers", ["0", "2"])


@WORKERS
def test_each_run_is_a_test_a_record_and_a_line_of_the_summary(project, workers):
    project.batch(TWO_RUNS)
    result = project.pytest("-n", workers, "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*finbot.yaml::held*", "*small: 2 of 2 runs succeeded: completed*"])
    assert project.statuses() == {"held": "success", "daily": "success"}
    summary = project.summary()
    assert (summary["status"], summary["expected"], summary["success"]) == ("completed", 2, 2)
    assert "small" in (project.output / "batch_summary.md").read_text()
    assert (project.output / "finbot.yaml").read_bytes() == (project.path / "finbot.yaml").read_bytes()
    assert sorted(path.name for path in (project.output / "runs").iterdir()) == ["daily", "held"]


def results(project):
    """What a run came to, without when and where it did."""
    own_time = {"run_id", "batch_id", "started_at", "finished_at", "seconds", "worker", "peak_rss", "phases"}
    own_time |= {"timings"}
    return [
        {key: value for key, value in run.items() if key not in own_time} for run in project.summary()["runs"]
    ]


def test_workers_change_nothing_in_the_results(project):
    project.batch(TWO_RUNS)
    seen = []
    for workers in ("0", "2"):
        project.pytest("-n", workers, "--finbot-registry", f"registry{workers}").assert_outcomes(passed=2)
        seen.append(
            (
                results(project),
                {
                    path.relative_to(project.output): path.read_bytes()
                    for path in sorted((project.output / "runs").rglob("*.parquet"))
                },
            )
        )
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 4


def test_results_are_the_same_without_xdist(project):
    project.batch(TWO_RUNS)
    project.pytest("-n", "0").assert_outcomes(passed=2)
    with_xdist = results(project)
    # Another registry: a batch is counted against the one before it.
    project.pytest("-p", "no:xdist", "--finbot-registry", "other").assert_outcomes(passed=2)
    assert results(project) == with_xdist


def test_nothing_is_gated_and_every_format_says_so(project):
    project.batch(TWO_RUNS)
    result = project.pytest()
    result.stdout.fnmatch_lines(["*Nothing is gated*"])
    assert "Nothing is gated" in (project.output / "batch_summary.md").read_text()
    assert "Nothing is gated" in project.summary()["gate_words"]


def test_a_single_run_is_selected_by_its_node_id_keyword_or_tag(project):
    project.batch(TWO_RUNS)
    for selection in (["finbot.yaml::held"], ["-k", "held"], ["-m", "core"]):
        result = project.pytest("--strict-markers", *selection)
        result.assert_outcomes(passed=1, deselected=0 if "::" in selection[0] else 1)
        assert project.statuses() == {"held": "success"}
        assert project.summary()["deselected"] == 1


@WORKERS
def test_a_file_called_finbot_is_found_in_a_folder_named_as_argument(project, workers):
    project.batch(TWO_RUNS, name="tests/finbot_small.yaml")
    project.write("tests/prices.csv", (project.path / "prices.csv").read_text())
    result = project.pytest("tests", "-n", workers, batch=None)
    result.assert_outcomes(passed=2)


def test_the_copy_of_a_batch_file_in_its_output_is_not_a_batch(project):
    project.batch(TWO_RUNS, name="tests/finbot_small.yaml")
    project.write("tests/prices.csv", (project.path / "prices.csv").read_text())
    for _ in range(2):
        project.pytest("tests", batch=None).assert_outcomes(passed=2)
    assert (project.path / "tests/output/small/finbot_small.yaml").is_file()


def test_testpaths_are_searched_but_a_bare_folder_is_not(project):
    project.batch(TWO_RUNS, name="tests/finbot_small.yaml")
    project.write("tests/prices.csv", (project.path / "prices.csv").read_text())
    assert project.pytest(batch=None).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    project.write("pytest.ini", "[pytest]\ntestpaths = tests\n")
    project.pytest(batch=None).assert_outcomes(passed=2)


def test_looking_at_the_runs_creates_nothing(project):
    project.batch(TWO_RUNS)
    result = project.pytest("--collect-only", "-q")
    result.stdout.fnmatch_lines(["finbot.yaml::held", "finbot.yaml::daily"])
    assert not (project.path / ".finbot").exists()
    assert not (project.path / "output").exists()


@WORKERS
def test_last_failed_runs_again_what_failed(project, workers):
    project.batch(TWO_RUNS + "- {id: broken, strategy: 'ours:broken'}\n")
    project.write("ours.py", "def broken(spec, market):\n    raise ValueError('no idea')\n")
    options = ("-n", workers, "-p", "cacheprovider")
    project.pytest(*options).assert_outcomes(passed=2, failed=1)
    project.pytest(*options, "--last-failed").assert_outcomes(failed=1, deselected=0 if workers == "2" else 2)


def test_a_batch_file_outside_the_root_folder_runs(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name, mark in (("one", 1), ("two", 2)):
        folder = elsewhere / name
        folder.mkdir()
        (folder / "prices.csv").write_text((project.path / "prices.csv").read_text())
        project.batch(TWO_RUNS)
        text = (
            (project.path / "finbot.yaml")
            .read_text()
            .replace("batch_name: small", f"batch_name: small{mark}")
        )
        (folder / "finbot.yaml").write_text(text)
    files = [str(elsewhere / name / "finbot.yaml") for name in ("one", "two")]
    result = project.pytest("--finbot-batch", files[0], "--finbot-batch", files[1], "-n", "2", batch=None)
    result.assert_outcomes(passed=4)
    assert (elsewhere / "one/output/small1/batch_summary.csv").is_file()
    assert (elsewhere / "two/output/small2/batch_summary.csv").is_file()


def test_ordinary_tests_run_beside_a_batch(project):
    project.batch(TWO_RUNS)
    project.write("test_ordinary.py", "def test_ordinary():\n    assert True\n")
    project.pytest("test_ordinary.py", "-n", "2").assert_outcomes(passed=3)


def test_the_log_tells_each_phase_as_it_starts_and_ends(project):
    project.batch(TWO_RUNS)
    project.pytest("-n", "2")
    lines = [
        json.loads(line)
        for log in sorted((project.output / "logs").iterdir())
        for line in log.read_text().splitlines()
    ]
    held = [line for line in lines if line["run"] == "held"]
    started = [line["phase"] for line in held if line["kind"] == "phase_start"]
    assert started == ["market_data", "simulate", "marks", "analytics", "risk", "costs", "checks", "ladder"]
    simulated = next(line for line in held if line["kind"] == "phase_result" and line["phase"] == "simulate")
    assert simulated["counters"] == {"sessions": 6, "fills": 2, "rejected_orders": 0}
    skipped = next(line for line in held if line["kind"] == "phase_result" and line["phase"] == "risk")
    assert skipped["status"] == "skipped"
    assert "not asked for" in skipped["reason"]


def test_reports_and_csv_are_written_where_asked_for(project):
    project.batch("- {id: told, rebalance_freq: D, reports: [summary, risk, tca], outputs: [parquet, csv]}\n")
    project.pytest().assert_outcomes(passed=1)
    names = sorted(path.name for path in (project.output / "runs" / "told").iterdir())
    assert names == [
        "fills.csv",
        "fills.parquet",
        "risk_report.json",
        "risk_report.md",
        "risk_series.json",
        "series.csv",
        "series.parquet",
        "summary_report.json",
        "summary_report.md",
        "tca_report.json",
        "tca_report.md",
        "tca_series.json",
    ]
    assert project.summary()["runs"][0]["artifacts"]


def test_junit_carries_the_run_and_its_result(project):
    project.batch(TWO_RUNS)
    project.pytest("--junitxml", "report.xml", "-n", "2").assert_outcomes(passed=2)
    text = (project.path / "report.xml").read_text()
    assert 'name="finbot.final_nav"' in text
    assert 'name="held"' in text


def test_the_number_of_workers_is_capped_by_the_batch_and_the_environment(project, monkeypatch):
    project.write("conftest.py", "def pytest_xdist_auto_num_workers():\n    return 4\n")
    project.batch(TWO_RUNS, head="max_workers: 2\n" + PRICES_HEAD)
    project.pytest("-n", "auto").stdout.fnmatch_lines(["*2 workers*"])
    monkeypatch.setenv("FINBOT_MAX_WORKERS", "1")
    project.pytest("-n", "auto").stdout.fnmatch_lines(["*1 worker*"])
    monkeypatch.setenv("FINBOT_MAX_WORKERS", "many")
    result = project.pytest("-n", "auto")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*FINBOT_MAX_WORKERS='many'*whole number*"])


PRICES_HEAD = """\
batch_name: small
defaults:
  {data: {path: prices.csv}, strategy: fixed_weights, symbols: [AAA],
   start_date: 2020-01-02, end_date: 2020-01-09}
runs:
"""


def test_the_finbot_command_is_the_pytest_call(project):
    project.batch(TWO_RUNS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest_finbot.cli.main", "run", "finbot.yaml", "-q", "-k", "held"],
        cwd=project.path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 runs succeeded" in done.stdout
