"""Sessions killed at random, and gone on with until they are through: the same results as undisturbed.

What is killed, and when, comes from seeds. Most moments are told by progress (so many lines are
recorded), not by time, so that a slow machine is hit at work as a fast one is.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.registry import BatchRegistry, open_registry
from pytest_finbot.registry.upkeep.prune import prune
from pytest_finbot.registry.upkeep.verify import verify

PATIENCE = 120.0
SYMBOLS = ("AAA", "BBB", "CCC")
SESSIONS = 160
HEAD = """\
batch_name: {name}
durability: {durability}
defaults:
  data: {{path: prices.csv}}
  strategy: fixed_weights
  symbols: [AAA, BBB, CCC]
  start_date: 2020-01-01
  end_date: 2020-08-10
  start_capital: 100000
runs:
"""
OURS = """\
import time

import numpy as np


def leaning(spec, market):
    time.sleep(spec.params["seconds"])
    weights = np.full(market.close.shape, 0.2)
    weights[:, spec.params["favourite"]] = 0.5
    return weights
"""
WAIT = """

def wait():
    from pathlib import Path

    Path("waiting").touch()
    for _ in range(12000):
        if Path("go on").exists():
            return
        time.sleep(0.01)
"""
OF_THE_OCCASION = {
    *("run_id", "batch_id", "started_at", "finished_at", "seconds", "runtime_seconds"),
    *("attempt", "worker", "peak_rss", "phases", "timings", "counted_against"),
}
"""What a summary says of when, where and how often a run was executed, not of what it came to."""


def run_lines() -> list[str]:
    """30 runs: built-in strategies, own ones that take their time, some in a child process."""
    lines = []
    for number in range(14):
        how = ("D", "W", "M", "none")[number % 4]
        outputs = ", outputs: [parquet]" if number % 5 == 0 else ""
        isolation = ", isolation: process" if number % 7 == 3 else ""
        costs = f", costs: {{commission_bps: {number}}}"
        lines.append(f"- {{id: built-{number:02}, rebalance_freq: {how}{costs}{outputs}{isolation}}}")
    for number in range(16):
        seconds = 0.05 + 0.01 * (number % 6)
        params = f"{{favourite: {number % 3}, seconds: {seconds:.2f}}}"
        isolation = "process" if number % 2 else "inline"
        reports = ", outputs: [parquet, csv], reports: [summary]" if number % 4 == 0 else ""
        lines.append(
            f"- {{id: own-{number:02}, strategy: 'ours:leaning', params: {params}, "
            f"isolation: {isolation}, costs: {{commission_bps: {number}}}{reports}}}"
        )
    return lines


class Story:
    """A project's folder, and the sessions that are started in it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        folder.mkdir(exist_ok=True)
        chance = np.random.default_rng(7)
        days = np.arange("2020-01-01", SESSIONS * 2, dtype="datetime64[D]")
        days = days[np.is_busday(days)][:SESSIONS]
        steps = chance.integers(-9, 11, size=(len(days), len(SYMBOLS)))
        closes = 1000 + np.cumsum(steps, axis=0)
        rows = [f"{day},{','.join(map(str, row))}" for day, row in zip(days, closes.tolist(), strict=True)]
        (folder / "prices.csv").write_text("\n".join([f"Date,{','.join(SYMBOLS)}", *rows]) + "\n")
        (folder / "ours.py").write_text(OURS)

    def batch(self, name: str = "tortured", lines: list[str] | None = None, durability: str = "item") -> None:
        text = HEAD.format(name=name, durability=durability)
        text += "".join(f"  {line}\n" for line in (run_lines() if lines is None else lines))
        (self.folder / f"{name}.yaml").write_text(text)

    def wait_in_own_strategies(self) -> None:
        """From now on runs with a strategy of the project's wait for a file called ``go on``."""
        waits = OURS.replace("    time.sleep(", "    wait()\n    time.sleep(") + WAIT
        (self.folder / "ours.py").write_text(waits)

    def start(self, *options: str, name: str = "tortured") -> subprocess.Popen[str]:
        """A session in a process group of its own, whose output goes to a file."""
        plain = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        command = [sys.executable, "-m", "pytest", *plain, "--finbot-batch", f"{name}.yaml", *options]
        number = len(list(self.folder.glob("session-*.txt")))
        with (self.folder / f"session-{number:02}.txt").open("w") as said:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    def run(self, *options: str, name: str = "tortured") -> int:
        return self.start(*options, name=name).wait(PATIENCE)

    def said(self) -> str:
        """What the sessions wrote, the last at the end: for whoever reads why a test failed."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text()[-4000:]}"
            for path in sorted(self.folder.glob("session-*.txt"))
        )

    @property
    def registry(self):
        return open_registry(self.folder / ".finbot")

    def batches(self) -> list[str]:
        return list(self.registry.batch_ids()) if (self.folder / ".finbot/batches").is_dir() else []

    def lines(self) -> int:
        """Lines in all segments: how far the batch is, attempts included."""
        return sum(
            path.read_bytes().count(b"\n") for path in self.folder.glob(".finbot/batches/*/*/*/*.jsonl")
        )

    def results(self, name: str = "tortured") -> dict:
        """What the summary says the runs came to; their daily series by hash."""
        summary = json.loads((self.folder / "output" / name / "batch_summary.json").read_text())
        runs = {}
        for run in summary["runs"]:
            runs[run["run"] if "run" in run else run["name"]] = without_occasion(run)
        return {
            "status": summary["status"],
            "counts": [summary[key] for key in ("expected", "recorded", "success", "failed", "not_run")],
            "runs": runs,
        }

    def files(self, name: str = "tortured") -> dict[str, bytes]:
        """Every file that the runs were asked to leave."""
        root = self.folder / "output" / name / "runs"
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    def faults(self) -> list[str]:
        return [str(finding) for finding in verify(self.registry) if finding.level == "fault"]


def without_occasion(value):
    """``value`` without what differs from session to session, at any depth."""
    if isinstance(value, dict):
        return {key: without_occasion(inner) for key, inner in value.items() if key not in OF_THE_OCCASION}
    return [without_occasion(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, surroundings_of):
    """Results and files of a session that nobody disturbs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    environment = surroundings_of(folder).environment
    story = Story(folder / "project", environment)
    story.batch()
    assert story.run("-n", "0") == 0, story.said()
    results = story.results()
    assert results["status"] == "completed"
    assert results["counts"] == [30, 30, 30, 0, 0]
    assert len({json.dumps(run["metrics"], sort_keys=True) for run in results["runs"].values()}) == 30
    return results, story.files()


@pytest.fixture
def story(surroundings):
    return Story(surroundings.folder / "project", surroundings.environment)


# ---------------------------------------------------------------------------------- killing


def kill(process, target, surroundings, chance):
    """End by SIGKILL the session's own process, one that works for it, or all at once."""
    if target == "worker":
        others = sorted(set(surroundings.processes()) - {process.pid})
        if others:
            victim = chance.choice(others)
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(victim, signal.SIGKILL)
            return
    if target == "everything":
        for pid in (process.pid, *surroundings.processes()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()


def wait_for_progress(story, process, more, chance):
    """Until ``more`` lines are recorded than now, or the session is over; then some milliseconds."""
    until, known = time.monotonic() + PATIENCE, story.lines()
    while process.poll() is None and story.lines() < known + more and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(chance.uniform(0, 0.08))


def round_of(story, surroundings, chance, workers):
    """One session, killed at a random point."""
    resume = ("--finbot-resume", "last") if story.batches() else ()
    process = story.start("-n", str(chance.choice(workers)), *resume)
    if chance.random() < 0.25:
        time.sleep(chance.uniform(0, 1.5))  # while it starts: nothing is recorded, or not even begun
    else:
        wait_for_progress(story, process, chance.randint(1, 14), chance)
    target = chance.choice(("worker", "controller", "everything"))
    kill(process, target, surroundings, chance)
    status = process.wait(PATIENCE)
    # 3: xdist gives up where a worker dies before it can talk. Never 4 or 5, as if nothing were there to do.
    assert status in (0, 1, 3, -signal.SIGKILL), f"{target} killed, exit status {status}\n{story.said()}"
    if status == 0:  # it was through by then
        assert story.registry.fold(story.batches()[0]).status is BatchStatus.COMPLETED


@pytest.mark.parametrize(("seed", "workers"), [(1, (2,)), (3, (0,)), (4, (0, 2))])
def test_sessions_killed_at_random_and_resumed_give_what_an_undisturbed_one_gives(
    story, surroundings, undisturbed, seed, workers
):
    chance = random.Random(seed)
    story.batch()
    for _ in range(6):
        round_of(story, surroundings, chance, workers)
    assert surroundings.left() == {}, "processes of killed sessions live on"
    options = ("--finbot-resume", "last") if story.batches() else ()
    assert story.run("-n", "2" if 2 in workers else "0", *options) == 0, story.said()
    assert surroundings.left() == {}
    results, files = undisturbed
    assert story.results() == results
    assert story.files() == files
    assert story.faults() == []
    fold = story.registry.fold(story.batches()[0])
    assert (fold.status, fold.success, fold.unfinished) == (BatchStatus.COMPLETED, 30, ())
    # Nothing is left to do: going on once more executes nothing and is green.
    before = sum(fold.attempts.values())
    assert story.run("-n", "0", "--finbot-resume", "last") == 0, story.said()
    assert sum(story.registry.fold(story.batches()[0]).attempts.values()) == before
    assert story.results() == results


def test_a_batch_killed_before_its_first_record_is_gone_on_with(story, surroundings, undisturbed):
    story.batch()
    process = story.start("-n", "2")
    until = time.monotonic() + PATIENCE
    while not list(story.folder.glob(".finbot/batches/*/*/*/.alive")) and time.monotonic() < until:
        time.sleep(0.002)
    kill(process, "everything", surroundings, random.Random(0))
    process.wait(PATIENCE)
    assert surroundings.left() == {}
    [batch_id] = story.batches()
    assert story.lines() == 0, "it was to be killed before anything was recorded"
    assert story.registry.fold(batch_id).status is BatchStatus.PENDING
    assert story.faults() == []
    assert story.run("-n", "2", "--finbot-resume", "last") == 0, story.said()
    assert story.batches() == [batch_id]
    assert (story.results(), story.files()) == undisturbed
    assert story.faults() == []


# ---------------------------------------------------------------------------- side by side


def finbot(story, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pytest_finbot.cli.main", *arguments],
        cwd=story.folder,
        env=story.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_two_sessions_and_those_who_look_and_prune_meanwhile_do_each_other_no_harm(story, surroundings):
    few = run_lines()[::2]
    for name in ("former", "kept", "first", "second"):
        story.batch(name, few)
    (story.folder / "go on").touch()
    story.wait_in_own_strategies()
    for name in ("former", "kept"):
        assert story.run("-n", "0", name=name) == 0, story.said()
    (story.folder / "go on").unlink()
    kept, former = story.batches()
    # Objects that nobody used for long, and that both sessions are about to find: equal runs share them.
    for path in (story.folder / ".finbot/series").rglob("*.*"):
        os.utime(path, (0, 0))
    began, until = datetime.now(UTC), time.monotonic() + PATIENCE
    sessions = [story.start("-n", "2", name="first"), story.start("-n", "0", name="second")]
    seen, removed, lists, rounds = {}, [], [], 0
    with BatchRegistry(story.folder / ".finbot") as registry:
        while any(session.poll() is None for session in sessions):
            waiting = not (story.folder / "go on").exists()
            # While both wait, only that they run protects them. Later they are too young to go.
            plan = prune(
                story.registry,
                older_than=timedelta(0),
                keep={kept: "somebody accepted results of it"},
                now=None if waiting else began,
                apply=True,
            )
            removed += [removal.batch_id for removal in plan.removed]
            for row in registry.list_batches():
                assert row.recorded >= seen.get(row.batch_id, 0), f"{row.batch_id} lost records"
                seen[row.batch_id] = row.recorded
                assert row.problems == ()
            assert registry.problems() == ()
            rounds += sum(row.status is BatchStatus.RUNNING for row in registry.list_batches()) == 2
            if waiting and (rounds >= 10 or time.monotonic() > until):
                lists.append(finbot(story, "batches", "list", "--json"))
                lists.append(finbot(story, "watch", "--once", "--json", "last"))
                (story.folder / "go on").touch()
    assert [session.returncode for session in sessions] == [0, 0], story.said()
    assert removed == [former]
    (status, listed, _), (watched, snapshot, _) = lists
    assert (status, watched) == (0, 1), "there are batches, and the last one was not completed"
    assert json.loads(listed)["problems"] == json.loads(snapshot)["problems"] == []
    assert [row["status"] for row in json.loads(listed)["batches"]] == ["running", "running", "completed"]
    assert len(story.batches()) == 3
    assert all(story.registry.fold(batch).status is BatchStatus.COMPLETED for batch in story.batches())
    assert story.results("first") == story.results("second") == story.results("kept")
    assert story.faults() == []
    assert surroundings.left() == {}


def test_of_two_that_go_on_with_one_batch_the_second_is_refused_and_the_first_unharmed(story, surroundings):
    line = (
        "- {{id: run-{}, strategy: 'ours:leaning', params: {{favourite: 0, seconds: {}}}, isolation: inline}}"
    )
    story.batch("long", [line.format(number, 0.05) for number in range(6)])
    assert story.run("-n", "0", "-k", "run-0", name="long") == 0, story.said()
    [batch_id] = story.batches()
    # It waits in its last run until the second one has had its answer.
    story.wait_in_own_strategies()
    first = story.start("-n", "0", "--finbot-resume", batch_id, name="long")
    until = time.monotonic() + PATIENCE
    while not (story.folder / "waiting").exists() and first.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    before = story.lines()
    second = story.run("-n", "0", "--finbot-resume", "last", name="long")
    assert second == 4, story.said()
    words = story.said().rpartition("--- ")[2]
    assert batch_id in words
    assert "is being run by another session" in words
    assert story.lines() == before
    (story.folder / "go on").touch()
    assert first.wait(PATIENCE) == 0, story.said()
    assert story.registry.fold(batch_id).status is BatchStatus.COMPLETED
    assert story.faults() == []
    assert story.results("long")["counts"] == [6, 6, 6, 0, 0]
    assert surroundings.left() == {}
