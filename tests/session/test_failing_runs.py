"""Runs that go wrong: each is told and recorded, and none harms its neighbours."""

import json
import os
import signal
import sys
import tempfile
import time

import pytest

NEIGHBOURS = """\
- {id: before, rebalance_freq: D}
- {id: bad, strategy: "ours:bad"}
- {id: after, rebalance_freq: D, costs: {commission_bps: 5}}
"""
WORKERS = pytest.mark.parametrize("workers", ["0", "2"])


def run_with(project, code, workers, *options):
    project.write("ours.py", code)
    project.batch(NEIGHBOURS)
    return project.pytest("-n", workers, *options)


INLINE = ("--finbot-isolation", "inline")


def neighbours_are_whole(project):
    runs = {run["name"]: run for run in project.summary()["runs"]}
    for name, final_nav in (("before", None), ("after", None)):
        assert runs[name]["status"] == "success"
        assert runs[name]["metrics"]["final_nav"] > 1000, final_nav
        assert (project.output / "runs" / name / "series.parquet").is_file()
    assert project.summary()["status"] == "partial"
    return runs["bad"]


@WORKERS
def test_a_strategy_that_raises(project, workers):
    code = """
    def bad(spec, market):
        return helper(market)

    def helper(market):
        raise ValueError("no signal today")
    """
    result = run_with(project, code, workers)
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "engine_error in simulate: ValueError: no signal today",
            "finbot.yaml:12: run bad",
            "*ours.py*in helper*",
            "*ValueError: no signal today*",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_finbot/pipeline*")
    error = neighbours_are_whole(project)["error"]
    assert (error["category"], error["phase"], error["type"]) == ("engine_error", "simulate", "ValueError")
    assert "in helper" in error["traceback"]


@WORKERS
def test_weights_of_the_wrong_shape_are_told_without_a_traceback(project, workers):
    code = """
    import numpy as np

    def bad(spec, market):
        return np.ones((3, 7))
    """
    result = run_with(project, code, workers)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["engine_error in simulate: *(3, 7)*", "finbot.yaml:12: run bad"])
    result.stdout.no_fnmatch_line("*Traceback*")
    message = neighbours_are_whole(project)["error"]["message"]
    assert "(3, 7)" in message
    assert "(6, 2)" in message


@WORKERS
def test_weights_that_are_not_a_number(project, workers):
    code = """
    import numpy as np
    from pytest_finbot.contracts import TargetWeights

    def bad(spec, market):
        return TargetWeights(np.array([2]), np.array([[0.5, np.nan]]))
    """
    run_with(project, code, workers).assert_outcomes(passed=2, failed=1)
    message = neighbours_are_whole(project)["error"]["message"]
    assert "2020-01-06" in message
    assert "BBB" in message


@WORKERS
def test_a_run_that_skips_itself_is_not_excused(project, workers):
    code = """
    import pytest

    def bad(spec, market):
        pytest.skip("not in the mood")
    """
    result = run_with(project, code, workers)
    result.assert_outcomes(passed=2, failed=1)
    assert neighbours_are_whole(project)["status"] == "failed"


@WORKERS
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit(0)", "exit status 0 in phase simulate"),
        ("os._exit(3)", "exit status 3 in phase simulate"),
        ("os.kill(os.getpid(), 9)", "ended by SIGKILL*in phase simulate"),
        ("ctypes.string_at(0)", "ended by SIGSEGV in phase simulate"),
    ],
)
def test_a_run_that_ends_its_process_costs_only_itself(project, how, words, workers):
    result = run_with(project, f"import ctypes, os\n\ndef bad(spec, market):\n    {how}\n", workers)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines([f"crash in simulate: its process*{words}"])
    bad = neighbours_are_whole(project)
    assert (bad["error"]["category"], bad["error"]["phase"]) == ("crash", "simulate")
    assert [phase["name"] for phase in bad["phases"]] == ["market_data", "simulate"]


def test_a_run_that_kills_its_worker_costs_only_itself(project):
    code = """
    import os

    def bad(spec, market):
        os._exit(3)
    """
    result = run_with(project, code, "2", *INLINE)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*died while it executed run bad*"])
    bad = neighbours_are_whole(project)
    assert bad["error"]["category"] == "crash"
    assert bad["strategy"] == "ours:bad"


@pytest.mark.parametrize("how", ["os._exit(0)", "os._exit(3)"])
def test_a_run_that_would_end_the_only_process_is_a_crash(project, how):
    result = run_with(project, f"import os\n\ndef bad(spec, market):\n    {how}\n", "0", *INLINE)
    result.assert_outcomes(passed=2, failed=1)
    assert neighbours_are_whole(project)["error"]["category"] == "crash"


def test_an_exit_registered_by_a_run_does_not_make_the_session_green(project):
    code = """
    import atexit
    import os

    def bad(spec, market):
        atexit.register(os._exit, 0)
        raise ValueError
    """
    assert run_with(project, code, "0", *INLINE).ret == pytest.ExitCode.TESTS_FAILED


def test_children_of_a_run_exit_as_they_like(project):
    code = """
    import os
    import numpy as np

    def bad(spec, market):
        child = os.fork()
        if child == 0:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        return np.full(market.close.shape, 0.5)
    """
    run_with(project, code, "0", *INLINE).assert_outcomes(passed=3)


@WORKERS
def test_what_a_strategy_does_to_its_parameters_is_no_neighbours_matter(project, workers):
    project.write(
        "ours.py",
        """
        import numpy as np

        def popping(spec, market):
            first = spec.params["weights"].pop("AAA", 0.5)
            spec.params.clear()
            object.__setattr__(spec, "name", "one")
            return np.tile([first, 1 - first], (len(market.sessions), 1))
        """,
    )
    project.write(
        "finbot.yaml",
        """
        batch_name: small
        defaults:
          data: {path: prices.csv}
          strategy: "ours:popping"
          params: {weights: {AAA: 0.9}}
          symbols: [AAA, BBB]
          start_date: 2020-01-02
          end_date: 2020-01-09
        runs: [{id: one}, {id: two}, {id: three}]
        """,
    )
    project.pytest("-n", workers).assert_outcomes(passed=3)
    runs = project.summary()["runs"]
    assert [run["name"] for run in runs] == ["one", "two", "three"]
    assert len({run["metrics"]["final_nav"] for run in runs}) == 1
    assert len({run["fingerprint"]["config"] for run in runs}) == 1


def test_a_strategy_cannot_change_the_prices_of_its_neighbours(project):
    code = """
    import numpy as np

    def bad(spec, market):
        object.__setattr__(market, "close", market.close * 2)
        for array in (market.sessions, market.close.base):
            if array is not None:
                array.setflags(write=True)
    """
    result = run_with(project, code, "0")
    result.assert_outcomes(passed=2, failed=1)
    runs = {run["name"]: run for run in project.summary()["runs"]}
    assert "WRITEABLE" in runs["bad"]["error"]["message"]
    project.batch("- {id: after, rebalance_freq: D, costs: {commission_bps: 5}}\n")
    project.pytest("-n", "0").assert_outcomes(passed=1)
    assert project.summary()["runs"][0]["metrics"] == runs["after"]["metrics"]


@WORKERS
def test_words_without_utf8_do_not_cost_the_summary(project, workers):
    code = """
    def bad(spec, market):
        raise ValueError("bad \\udcff name")
    """
    result = run_with(project, code, workers)
    result.assert_outcomes(passed=2, failed=1)
    assert "bad \\udcff name" in neighbours_are_whole(project)["error"]["message"]


@WORKERS
def test_a_run_that_sleeps_is_waited_for(project, workers):
    code = """
    import time
    import numpy as np

    def bad(spec, market):
        time.sleep(1.5)
        return np.full((6, 2), 0.25)
    """
    run_with(project, code, workers).assert_outcomes(passed=3)
    assert set(project.statuses().values()) == {"success"}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_interrupt_while_a_run_sleeps_keeps_what_ended(project, workers):
    project.write(
        "ours.py",
        """
        import time

        def bad(spec, market):
            open("asleep", "w").close()
            time.sleep(60)
        """,
    )
    project.batch(NEIGHBOURS)
    command = [sys.executable, "-m", "pytest", "--finbot-batch", "finbot.yaml", "-n", workers]
    with tempfile.TemporaryFile() as said:
        process = project.nursery.popen(
            [*command, "-p", "no:cacheprovider"], project.path, os.environ, said.fileno(), said.fileno()
        )

        def under_way():
            segments = (project.path / ".finbot").rglob("*.jsonl")
            before = any('"kind":"run"' in path.read_text() for path in segments)
            return before and (project.path / "asleep").exists()

        deadline = time.monotonic() + 60
        while not under_way() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        status = process.wait(timeout=60)
        said.seek(0)
        assert status == pytest.ExitCode.INTERRUPTED, said.read().decode()
    summary = project.summary()
    assert summary["status"] == "cancelled"
    runs = {run["name"]: run for run in summary["runs"]}
    assert runs["before"]["status"] == "success"
    assert runs["bad"]["status"] == "not_run"


def test_a_broken_identity_fails_the_run_with_the_day_and_the_asset(project):
    project.write(
        "engines.py",
        """
        import numpy as np
        from pytest_finbot.contracts import EngineResult, Fills

        def lying(spec, market):
            quantity = np.zeros(market.close.shape)
            quantity[3:, 1] = 5.0          # five units from nowhere
            cash = np.full(len(market.sessions), spec.start_capital)
            nav = cash + (quantity * market.close).sum(axis=1)
            return EngineResult.of(
                sessions=market.sessions, assets=market.symbols, nav=nav, cash=cash,
                quantity=quantity, mark=market.close, start_cash=spec.start_capital,
            )
        """,
    )
    project.batch("- {id: lying, engine: 'engines:lying'}\n- {id: honest}\n")
    result = project.pytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*books of engine 'engines:lying' do not add up*", "*quantity_roll*2020-01-07*"]
    )
    checks = {check["name"]: check for check in project.summary()["runs"][0]["checks"]}
    broken = checks["quantity_roll"]
    assert (broken["verdict"], broken["session"], broken["asset"]) == ("error", "2020-01-07", "BBB")


def test_an_exit_inside_a_hook_that_loses_a_run_is_not_green(project):
    """xdist ends with 0 where a protocol hook raises; the missing record is what is seen."""
    project.write(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item):
            if item.name == "bad":
                return True  # claims to have run it
        """,
    )
    project.write("ours.py", "def bad(spec, market):\n    raise ValueError\n")
    project.batch(NEIGHBOURS)
    result = project.pytest("-n", "2")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*2 of 3 runs succeeded, 1 not run*"])
    assert project.statuses()["bad"] == "not_run"


def test_a_plugin_can_say_what_category_an_exception_has(project):
    project.write(
        "conftest.py",
        """
        from pytest_finbot.contracts import ErrorCategory

        def pytest_finbot_categorize_error(error, phase):
            if "feed" in str(error):
                return ErrorCategory.DATA
        """,
    )
    project.write("ours.py", "def bad(spec, market):\n    raise ValueError('the feed is stale')\n")
    project.batch(NEIGHBOURS)
    project.pytest()
    assert project.rows()["bad"]["error_category"] == "data_error"


@WORKERS
def test_a_registry_that_vanishes_under_a_session_is_not_green(project, workers):
    code = """
    import shutil
    from pathlib import Path

    import numpy as np

    def bad(spec, market):
        while Path(".finbot").exists():  # another worker may be writing into it
            shutil.rmtree(".finbot", ignore_errors=True)
        return np.full(market.close.shape, 0.5)
    """
    result = run_with(project, code, workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*small: the batch could not be summed up, so it is not green:*"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


@WORKERS
@pytest.mark.parametrize("lost", [".finbot/series", "output/small/runs/before"])
def test_files_of_earlier_runs_that_vanish_under_a_session_are_not_green(project, lost, workers):
    code = f"""
    import shutil
    import time
    from pathlib import Path

    import numpy as np

    def bad(spec, market):
        def recorded():  # the files of a run are there before its record
            return any('"kind":"run"' in path.read_text() for path in Path(".finbot").rglob("*.jsonl"))

        until = time.monotonic() + 60
        while not recorded() and time.monotonic() < until:
            time.sleep(0.05)
        shutil.rmtree({lost!r})
        return np.full(market.close.shape, 0.5)
    """
    project.write("ours.py", code)
    project.batch("- {id: before, symbols: [AAA]}\n- {id: bad, strategy: 'ours:bad'}\n")
    result = project.pytest("-n", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*problem: files of 1 run are gone that were written during the batch:*"])


@WORKERS
def test_an_output_folder_that_is_removed_and_made_again_is_not_green(project, workers):
    code = """
    import shutil

    import numpy as np

    def bad(spec, market):
        shutil.rmtree("output")
        return np.full(market.close.shape, 0.5)
    """
    project.write("ours.py", code)
    project.batch("- {id: bad, strategy: 'ours:bad'}\n")
    result = project.pytest("-n", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*was removed or replaced during the session*"])
    assert project.pytest("-n", workers, "--finbot-resume", "last").ret == pytest.ExitCode.USAGE_ERROR


@WORKERS
def test_an_output_folder_that_vanishes_is_not_green(project, workers):
    code = """
    import shutil
    from pathlib import Path

    import numpy as np

    def bad(spec, market):
        while not Path("output").is_file():  # another worker may be writing into it, and make it again
            shutil.rmtree("output", ignore_errors=True)
            if not Path("output").exists():
                Path("gone").touch()
                try:
                    Path("output").hardlink_to("gone")
                except FileExistsError:
                    continue
        return np.full(market.close.shape, 0.5)
    """
    result = run_with(project, code, workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "run bad ended with status success (final NAV *), but could not be recorded:*",
            "*could not be summed up*",
        ]
    )


@WORKERS
def test_stopping_at_the_first_failure_is_not_called_an_interrupt(project, workers):
    project.write("ours.py", "def bad(spec, market):\n    raise ValueError\n")
    more = "".join(f"- {{id: later_{number}}}\n" for number in range(20))
    project.batch("- {id: bad, strategy: 'ours:bad'}\n" + more)
    result = project.pytest("-n", workers, "-x")
    assert result.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)  # serial, xdist
    summary = project.summary()
    assert summary["status"] == "cancelled"
    assert summary["not_run"] > 0


def test_a_killed_session_leaves_its_records_and_frees_the_folder(project):
    project.write(
        "ours.py",
        """
        import os
        import signal

        def bad(spec, market):
            os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    project.batch("- {id: before}\n- {id: bad, strategy: 'ours:bad'}\n")
    killed = project.pytest("-n", "0", *INLINE)
    assert killed.ret == -signal.SIGKILL
    project.batch("- {id: before}\n")
    project.pytest().assert_outcomes(passed=1)
    assert project.statuses() == {"before": "success"}
    folders = sorted((project.path / ".finbot").glob("batches/*/*/*"))
    recorded = [
        [
            json.loads(line)["kind"]
            for path in folder.glob("*.jsonl")
            for line in path.read_text().splitlines()
        ]
        for folder in folders
    ]
    assert sorted(kinds.count("run") for kinds in recorded) == [1, 1]
    assert sorted(kinds.count("end") for kinds in recorded) == [0, 1]


@WORKERS
@pytest.mark.parametrize("mark", ["skip", "xfail"])
def test_a_run_cannot_be_excused_by_a_marker(project, workers, mark):
    """A conftest marks the failing run; pytest alone would call that green."""
    project.write(
        "conftest.py",
        f"""
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.name == "bad":
                    item.add_marker(pytest.mark.{mark})
        """,
    )
    project.write("ours.py", "def bad(spec, market):\n    raise ValueError\n")
    project.batch(NEIGHBOURS)
    result = project.pytest("-n", workers)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.summary()["status"] == "partial"


@WORKERS
@pytest.mark.parametrize(
    ("how", "category"),
    [
        ("os.chdir('/'); raise ValueError", "engine_error"),
        ("sys.modules.clear(); raise ValueError", "engine_error"),
        ("np.tile = lambda *a, **k: 1 / 0; raise ValueError", "engine_error"),
        ("raise KeyboardInterrupt", "engine_error"),
    ],
)
def test_what_a_failing_run_breaks_in_its_process_is_no_neighbours_matter(project, how, category, workers):
    code = """
    import os
    import sys

    import numpy as np

    def bad(spec, market):
        {how}

    def fine(spec, market):
        open("prices.csv").close()
        return np.tile([0.5, 0.5], (len(market.sessions), 1))
    """
    project.write("ours.py", code.format(how=how))
    own = "".join(f"- {{id: own_{number}, strategy: 'ours:fine'}}\n" for number in range(3))
    project.batch("- {id: bad, strategy: 'ours:bad'}\n" + own)
    project.pytest("-n", workers).assert_outcomes(passed=3, failed=1)
    assert project.rows()["bad"]["error_category"] in (category, "environment_error", "crash")


@pytest.mark.parametrize(
    "how", ["sys.stdout.close()", "sys.stdout = sys.stderr = None", "os.close(1); os.close(2)"]
)
def test_a_run_that_closes_its_output_is_a_run_like_any_other(project, how):
    code = f"""
    import os
    import sys

    import numpy as np

    def bad(spec, market):
        {how}
        return np.full(market.close.shape, 0.5)
    """
    project.write("ours.py", code)
    project.batch("- {id: bad, strategy: 'ours:bad'}\n- {id: again, strategy: 'ours:bad'}\n- {id: after}\n")
    project.pytest().assert_outcomes(passed=3)


def test_a_run_that_replaces_what_we_write_records_with_is_recorded(project):
    code = """
    import json

    def bad(spec, market):
        json.dumps = lambda *a, **k: "{}"
        json.loads = lambda *a, **k: {}
        raise ValueError("after it")
    """
    result = run_with(project, code, "0")
    result.assert_outcomes(passed=2, failed=1)
    assert neighbours_are_whole(project)["error"]["message"] == "after it"
