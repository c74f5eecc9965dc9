"""What is refused before anything runs, and never with exit status 0."""

import os
import subprocess
import sys
import time

import pytest

ONE_RUN = "- {id: held}\n"
USAGE = pytest.ExitCode.USAGE_ERROR
WORKERS = pytest.mark.parametrize("workers", ["0", "2", "auto"])


@WORKERS
def test_every_mistake_of_a_batch_file_is_told_at_once(project, workers):
    project.batch(
        """\
        - {id: one, strateggy: x}
        - {id: one, start_date: 2020-13-45}
        - {id: three, params: {weights: {AAA: lots}}}
        - {id: four, engine: portfoleo}
        - {id: five, strategy: "nowhere.at_all:mine"}
        - {id: six, data: {calendar: XNYSE}}
        - {id: seven, start_date: null, seed: 4294967296}
        """
    )
    result = project.pytest("-n", workers)
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(
        [
            "*nothing was run*",
            "*finbot.yaml:11:*strateggy*did you mean 'strategy'*",
            "*finbot.yaml:12:*one*",
            "*finbot.yaml:12:*2020-13-45*",
            "*finbot.yaml:13: runs[[]2].params.weights.AAA:*",
            "*finbot.yaml:14: runs[[]3].engine: unknown engine 'portfoleo'; did you mean 'portfolio'*",
            "*finbot.yaml:15: runs[[]4].strategy: 'nowhere.at_all:mine': there is no module 'nowhere'*",
            "*finbot.yaml:16: runs[[]5].data.calendar: unknown calendar 'XNYSE'; did you mean 'XNYS'*",
            "*finbot.yaml:17: runs[[]6].seed: *at most 4294967295*",
            "*finbot.yaml:17: runs[[]6].start_date: expected a date*",
        ],
        consecutive=False,
    )
    assert not (project.path / ".finbot").exists()
    assert not (project.path / "output").exists()


@WORKERS
def test_a_batch_file_that_is_not_there(project, workers):
    result = project.pytest("-n", workers, batch="nowhere.yaml")
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*nowhere.yaml*"])


@WORKERS
def test_a_batch_file_without_runs_is_not_green(project, workers):
    project.write("finbot.yaml", "batch_name: small\nruns: []\n")
    result = project.pytest("-n", workers)
    assert result.ret == USAGE


def test_a_selection_that_leaves_no_run_of_a_named_batch_is_not_green(project):
    project.batch(ONE_RUN)
    project.write("test_ordinary.py", "def test_ordinary():\n    pass\n")
    for workers in ("0", "2"):
        result = project.pytest("test_ordinary.py", "-k", "ordinary", "-n", workers)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
        result.stdout.fnmatch_lines(["*small: no run was selected*"])
    assert list((project.path / ".finbot").glob("batches/*/*/*")) == []


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc"), reason="root writes anywhere")
def test_an_unwritable_registry_is_not_green(project):
    project.batch(ONE_RUN)
    project.write("blocked", "a file where a folder should be")
    result = project.pytest("--finbot-registry", "blocked/registry")
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*blocked*"])


def test_an_output_folder_with_somebody_elses_runs_is_left_alone(project):
    project.batch(ONE_RUN)
    project.write("output/small/runs/precious.txt", "mine")
    result = project.pytest()
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(
        ["*output/small holds runs without .finbot-output.json, by which pytest-finbot marks what it wrote*"]
    )
    assert (project.output / "runs/precious.txt").read_text() == "mine"


def test_a_session_that_is_refused_leaves_the_output_of_the_batch_before(project):
    project.batch("- {id: held}\n")
    project.pytest("-n", "0").assert_outcomes(passed=1)

    def output():
        return {
            path: path.stat().st_mtime_ns
            for path in project.output.rglob("*")
            if path.is_file() and path.name != ".finbot.lock"
        }

    before = output()
    assert project.output / "batch_summary.json" in before
    project.refused("--finbot-retry-failed")
    assert output() == before
    # Another batch of the session is refused, when this one is begun already.
    text = (project.path / "finbot.yaml").read_text()
    project.write("finbot_too.yaml", text.replace("batch_name: small", "batch_name: too"))
    project.write("output/too/runs/precious.txt", "mine")
    project.refused("--finbot-batch", "finbot_too.yaml")
    assert output() == before


def test_the_output_of_the_batch_before_does_not_stay(project):
    project.batch("- {id: old}\n")
    project.pytest().assert_outcomes(passed=1)
    project.write("output/small/.batch_summary.html.1-aa.tmp", "<p>of a session that was killed")
    project.batch("- {id: new}\n")
    project.pytest().assert_outcomes(passed=1)
    assert list(project.output.glob(".*.tmp")) == []
    assert [path.name for path in (project.output / "runs").iterdir()] == ["new"]
    assert len(list((project.path / ".finbot").glob("batches/*/*/*"))) == 2


def test_a_second_session_on_the_same_folder_stops_and_nothing_is_mixed(project):
    project.write(
        "ours.py",
        """
        import time
        from pathlib import Path

        import numpy as np

        def slow(spec, market):
            Path("asleep").touch()
            until = time.monotonic() + 60
            while not Path("go").exists() and time.monotonic() < until:
                time.sleep(0.05)
            return np.full((6, 2), 0.5)
        """,
    )
    project.batch("- {id: slow, strategy: 'ours:slow'}\n")
    first = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--finbot-batch", "finbot.yaml", "-p", "no:cacheprovider"],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (project.path / "asleep").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = project.pytest()
    assert second.ret == USAGE
    second.stderr.fnmatch_lines(
        [f"*output/small is being written by another session (process {first.pid}, batch-*"]
    )
    (project.path / "go").touch()
    assert first.wait(60) == 0
    assert project.statuses() == {"slow": "success"}
    assert len(list((project.path / ".finbot").glob("batches/*/*/*"))) == 1


def test_a_session_that_only_sets_up_runs_nothing_and_is_not_green(project):
    project.batch(ONE_RUN)
    for option in ("--setup-only", "--setup-plan"):
        result = project.pytest(option)
        assert result.ret == USAGE
        result.stderr.fnmatch_lines(["*run no backtest*"])


def test_two_batch_files_that_write_one_folder_are_refused(project):
    project.batch(ONE_RUN)
    project.batch(ONE_RUN, name="finbot_too.yaml")
    result = project.pytest("--finbot-batch", "finbot_too.yaml")
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*writes the same folder*"])


def test_two_batch_files_with_modules_of_one_name_are_refused(project):
    project.batch("- {id: held, strategy: 'ours:flat'}\n")
    for folder, weight in (("", 0.5), ("other/", 0.25)):
        project.write(
            f"{folder}ours.py",
            f"""
            import numpy as np

            def flat(spec, market):
                return np.full(market.close.shape, {weight})
            """,
        )
    project.write("other/prices.csv", (project.path / "prices.csv").read_text())
    text = (project.path / "finbot.yaml").read_text()
    project.write("other/finbot.yaml", text.replace("batch_name: small", "batch_name: other"))
    result = project.pytest("--finbot-batch", "other/finbot.yaml")
    assert result.ret == USAGE
    result.stderr.fnmatch_lines(["*module 'ours', which is both *other/ours.py and *ours.py*"])


def test_a_bad_file_that_was_only_found_stops_the_session_too(project):
    project.write("tests/finbot_bad.yaml", "batch_name: x\nrunz: []\n")
    project.write("tests/test_ordinary.py", "def test_ordinary():\n    pass\n")
    for workers in ("0", "2"):
        result = project.pytest("tests", "-n", workers, batch=None)
        assert result.ret == USAGE
        result.stderr.fnmatch_lines(["*finbot_bad.yaml*runz*"])
