"""``--finbot-shard``: one batch on several machines, and their reports put together."""

import itertools
import json
import shutil

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.main import main

RUNS = """\
- {id: a, params: {weights: {AAA: 0.6, BBB: 0.4}}}
- {id: b, symbols: [AAA], tags: [core]}
- {id: c, params: {weights: {AAA: 0.1, BBB: 0.4}}}
- {id: d, params: {weights: {AAA: 0.2, BBB: 0.4}}}
- {id: e, params: {weights: {AAA: 0.3, BBB: 0.4}}}
"""


def folder(project, shard):
    number, _, count = shard.partition("/")
    return project.path / "output" / f"small.shard-{number}-of-{count}"


def report(project, shard):
    return folder(project, shard) / "batch_report.json"


def names(project, shard):
    document = json.loads((folder(project, shard) / "batch_summary.json").read_text())
    return [run["name"] for run in document["runs"]]


def combine(*words):
    done = CliRunner().invoke(main, ["ci", "combine", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Reports of the three shards of a batch that is as it was accepted, made once."""
    return tmp_path_factory.mktemp("reports")


@pytest.fixture
def three(project, kept):
    """The project, and the reports of its three shards."""
    project.gated(RUNS)
    saved = kept / "output"
    if not saved.exists():
        for shard, workers in (("1/3", 0), ("2/3", 2), ("3/3", 0)):
            result = project.pytest("--finbot-shard", shard, "-n", str(workers))
            assert result.ret == 0, result.stdout.str()
            result.stdout.fnmatch_lines([f"*shard {shard}: * of the batch's 5 runs", "*not the whole: *"])
        shutil.copytree(project.path / "output", saved)
    shutil.rmtree(project.path / "output", ignore_errors=True)
    shutil.copytree(saved, project.path / "output")
    return [report(project, shard) for shard in ("1/3", "2/3", "3/3")]


def test_three_shards_are_the_whole_and_green_together(project, three):
    each = [names(project, shard) for shard in ("1/3", "2/3", "3/3")]
    assert sorted(itertools.chain(*each)) == ["a", "b", "c", "d", "e"]
    assert all(each)
    whole = project.path / "whole.json"
    status, told = combine(*reversed(three), "--expect", "3", "-o", whole)
    assert (status, told.splitlines()[0]) == (0, "small: 5 of 5 runs succeeded: green")
    document = json.loads(whole.read_text())
    assert document["batch"]["provenance"]["shards"] == "3 of 3"
    assert document["batch"]["gate"]["verdicts"] == {"identical": 5}
    assert [run["run"] for run in document["others"]] == ["a", "b", "c", "d", "e"]


def test_a_shard_alone_is_never_the_whole(project, three):
    for one in three:
        assert combine(one)[0] == 1
    whole = project.path / "whole.json"
    whole.write_text("of an earlier time")
    status, told = combine(three[0], three[2], "-o", whole)
    assert status == 1
    assert "problem: shard 2/3 is absent: its 2 runs count as not run" in told
    document = json.loads(whole.read_text())
    assert (document["batch"]["not_run"], document["batch"]["expected"]) == (2, 5)
    three[1].write_text("{")
    status, told = combine(*three)
    assert status == 1
    assert "shard-2-of-3/batch_report.json cannot be read" in told
    assert "shard 2/3 is absent" in told


def test_reports_that_do_not_belong_together_are_refused(project, three):
    whole = project.path / "whole.json"
    whole.write_text("of an earlier time")
    status, told = combine(three[0], three[1], three[0], "-o", whole)
    assert status == 4
    assert "shard 1/3 is there twice" in told
    assert not whole.exists(), "nothing is left that could be taken for this one's"
    other = json.loads(three[1].read_text())
    other["shards"]["plan"] = "0" * 64
    three[1].write_text(json.dumps(other))
    page = project.path / "whole.md"
    status, told = combine(*three, "--markdown", page)
    assert status == 4
    assert "no shards of one batch: another plan" in told
    assert page.read_text().startswith("**Not green:** `` output/small.shard-2-of-3/")
    assert combine()[0] == 4
    assert combine(project.path / "nowhere.json")[0] == 4
    assert combine(*three, "-o", three[0])[0] == 4
    assert three[0].exists()


def test_a_run_that_moves_makes_one_shard_red_and_the_whole(project, three):
    shard = next(shard for shard in ("1/3", "2/3", "3/3") if "d" in names(project, shard))
    project.compared(RUNS.replace("AAA: 0.2", "AAA: 0.25"))
    result = project.pytest("--finbot-shard", shard)
    assert result.ret == 1
    # The file is another one now: the others have to be run on it as well.
    assert combine(*three)[0] == 4
    for other in {"1/3", "2/3", "3/3"} - {shard}:
        assert project.pytest("--finbot-shard", other).ret == 0
    whole = project.path / "whole.json"
    status, told = combine(*three, "-o", whole)
    assert status == 1
    assert "moved: d: moved: final NAV" in told
    [moved] = json.loads(whole.read_text())["changed"]
    assert moved["run"] == "d"
    assert moved["comparison"]["causes"][0]["part"] == "config"


def test_a_baseline_without_a_run_is_told_by_every_shard_and_once_by_all(project):
    project.gated(RUNS)
    project.compared(RUNS.replace("id: e", "id: f"))
    for shard in ("1/2", "2/2"):
        result = project.pytest("--finbot-shard", shard, "--finbot-baseline", "baselines")
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*missing: e has a baseline*"])
        assert "missing: a" not in result.stdout.str(), "it is in the other shard"
    status, told = combine(report(project, "1/2"), report(project, "2/2"))
    assert status == 1
    assert told.count("missing: e") == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_without_a_run_says_so_and_breaks_no_job(project, workers):
    project.batch("- {id: a}\n")
    result = project.pytest("--finbot-shard", "2/2", "-n", str(workers))
    assert result.ret == 0
    result.stdout.fnmatch_lines(["small: nothing to run", "*none of the batch's 1 runs*"])
    assert json.loads(report(project, "2/2").read_text())["batch"]["empty_share"] is True
    assert combine(report(project, "2/2"))[0] == 1, "the whole is not green without the other"


def test_what_is_asked_for_is_looked_for_in_the_share_alone(project, three):
    mine = next(shard for shard in ("1/3", "2/3", "3/3") if "b" in names(project, shard))
    other = next(shard for shard in ("1/3", "2/3", "3/3") if "b" not in names(project, shard))
    there = names(project, other)[0]
    asked = ("finbot.yaml::b", f"finbot.yaml::{there}")
    for workers in ("0", "1"):
        result = project.pytest(*asked, "--finbot-shard", mine, "-n", workers, batch=None)
        assert result.ret == 0
        assert names(project, mine) == ["b"]
    # Of the session's own share nothing is selected: that is no success.
    assert project.pytest("finbot.yaml::b", "--finbot-shard", other, batch=None).ret == 5
    assert project.pytest("-m", "core", "--finbot-shard", other).ret == 5
    assert project.pytest("finbot.yaml::nowhere", "--finbot-shard", mine, batch=None).ret == 4


def test_a_shard_is_gone_on_with_as_the_same_shard(project):
    project.batch(RUNS)
    assert project.pytest("--finbot-shard", "2/3").ret == 0
    result = project.pytest("--finbot-resume", "last", "--finbot-shard", "2/3")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["resumed: 2 done before, 0 executed now"])
    for options in (("--finbot-shard", "1/3"), ()):
        refused = project.refused("--finbot-resume", "last", *options)
        refused.stderr.fnmatch_lines(["*is shard 2/3; to go on with it, give --finbot-shard=2/3*"])


def test_slices_of_a_run_are_in_one_shard_whatever_day_is_aimed_at(project):
    project.batch("- {id: a}\n- {id: b}\n- {id: c}\n")
    for shard in ("1/2", "2/2"):
        result = project.pytest("--finbot-shard", shard, "--finbot-chunk-days", "4")
        assert result.ret == 0, result.stdout.str()
        assert "stitched" in {path.name for path in folder(project, shard).iterdir()}
    both = [names(project, shard) for shard in ("1/2", "2/2")]
    assert len(both[0]) + len(both[1]) == 6
    aimed = ("--finbot-shard", "1/2", "--finbot-chunk-days", "4", "--finbot-target-date", "2020-01-08")
    assert project.pytest(*aimed).ret == 0
    assert set(names(project, "1/2")) < set(both[0])


@pytest.mark.parametrize("value", ["0/3", "4/3", "x", "1", "2/", "1/1001", "-1/2"])
def test_what_is_no_shard_is_told(project, value):
    project.batch("- {id: a}\n")
    result = project.refused(f"--finbot-shard={value}")
    result.stderr.fnmatch_lines([f"*--finbot-shard: '{value}' is no shard; expected K/N as in 2/8*"])
