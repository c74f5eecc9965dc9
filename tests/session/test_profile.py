"""--finbot-profile: a profile and the phase times of every run, and where the batch's time went."""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
from importlib.util import find_spec

import pytest

from pytest_finbot.pipeline.outcome import RunOutcome
from pytest_finbot.pipeline.profiling import RunProfile

RUNS = """\
- {id: held, outputs: []}
- {id: apart, isolation: process, reports: [summary]}
- {id: broken, strategy: "ours:broken"}
"""
OURS = """\
def broken(spec, market):
    return wrong()


def wrong():
    raise ValueError("no")
"""
CPROFILE = ["profile/profile.pstats", "profile/profile.txt", "profile/phases.json"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_run_has_a_profile_where_its_other_files_are(project, workers):
    project.write("ours.py", OURS)
    project.batch(RUNS)
    result = project.pytest("--finbot-profile", "-n", workers)
    assert result.ret == 1
    assert project.statuses() == {"held": "success", "apart": "success", "broken": "failed"}
    for run in project.summary()["runs"]:
        folder = project.output / "runs" / run["name"]
        assert [name for name in run["artifacts"] if name.startswith("profile/")] == CPROFILE
        assert all((folder / name).is_file() for name in run["artifacts"])
        told = json.loads((folder / "profile" / "phases.json").read_text())
        assert (told["run"], told["profiler"], told["not_profiled"]) == (run["name"], "cprofile", None)
        assert [phase["seconds"] for phase in told["phases"]] == [phase["seconds"] for phase in run["phases"]]
        assert told["timings"]["recording"] == run["timings"]["recording"]
        functions = {name for _, _, name in pstats.Stats(str(folder / "profile/profile.pstats")).stats}
        assert "simulate" in functions
        assert ("wrong" in functions) is (run["name"] == "broken")
        assert "cumulative" in (folder / "profile" / "profile.txt").read_text()
    count = {"0": "1 worker", "2": "2 workers"}[workers]
    result.stdout.fnmatch_lines(
        [
            f"*time of {count}: loading * s, engine * s, checks * s, recording * s, profiling * s, *",
            "*profiles in output/small/runs/<run>/profile",
        ]
    )
    assert project.summary()["time_spent"]["workers"] == max(int(workers), 1)


def test_without_the_option_there_is_none_and_an_old_one_does_not_stay(project):
    project.batch("- {id: held, outputs: []}")
    assert project.pytest("--finbot-profile").ret == 0
    folder = project.output / "runs" / "held" / "profile"
    assert folder.is_dir()
    result = project.pytest()
    assert not folder.exists()
    assert "time of" not in result.stdout.str()
    assert project.summary()["time_spent"]["workers"] == 1


def test_another_profiler_is_refused_before_anything_runs(project):
    project.batch("- {id: held}")
    result = project.pytest("--finbot-profile=cprofiler")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--finbot-profile*invalid choice: 'cprofiler'*"])
    assert not (project.path / ".finbot").exists()


@pytest.mark.skipif(find_spec("pyinstrument") is not None, reason="pyinstrument is installed here")
def test_a_profiler_that_is_not_installed_is_told_with_how_to_install_it(project):
    project.batch("- {id: held}")
    result = project.pytest("--finbot-profile", "pyinstrument")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*pyinstrument is not installed; pip install 'pytest-finbot[[]profile]'*"])
    assert not (project.path / ".finbot").exists()


@pytest.mark.skipif(find_spec("pyinstrument") is None, reason="pyinstrument is not installed here")
def test_pyinstrument_leaves_a_page_and_a_text(project):
    project.batch("- {id: held, outputs: []}")
    assert project.pytest("--finbot-profile", "pyinstrument").ret == 0
    folder = project.output / "runs" / "held" / "profile"
    assert sorted(path.name for path in folder.iterdir()) == ["phases.json", "profile.html", "profile.txt"]
    assert "<html" in (folder / "profile.html").read_text()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="before 3.12 the newer profiler replaces the older")
def test_where_something_else_profiles_the_run_goes_on_and_says_so(tmp_path):
    with cProfile.Profile(), RunProfile("cprofile") as profile:
        pass
    assert profile.why_not.startswith("it could not be profiled with cprofile: ")
    assert profile.write(tmp_path, RunOutcome(_Named()), {}) == ["profile/phases.json"]
    assert json.loads((tmp_path / "profile/phases.json").read_text())["not_profiled"] == profile.why_not


class _Named:
    name = "run"
