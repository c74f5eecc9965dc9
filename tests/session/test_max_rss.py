"""``--finbot-max-rss``: an engine that leaks costs no more memory than was said, and no run."""

from __future__ import annotations

import os
import re

import pytest

from pytest_finbot.config.attempts import read_size
from pytest_finbot.session.max_rss import MemoryNotes, MemoryWatch, in_words, resident

MIB = 2**20
LEAK = """
    import os
    import numpy as np
    from pytest_finbot.engines.portfolio import PortfolioEngine

    KEPT = []

    def run(spec, market):
        KEPT.append(np.ones(32 * 2**17))  # 32 MiB, and they are touched
        with open("memory.txt", "a") as file:
            with open("/proc/self/statm") as statm:
                pages = int(statm.read().split()[1])
            file.write(f"{os.getpid()} {pages * os.sysconf('SC_PAGE_SIZE') // 2**20} {len(KEPT)}\\n")
        return PortfolioEngine().run(spec, market)
"""
RUNS = "".join(
    f"- {{id: run_{number}, engine: 'leaking:run', params: {{weights: {{AAA: 0.{number + 1}}}}}}}\n"
    for number in range(8)
)
OWN = "".join(
    f"- {{id: own_{number}, params: {{weights: {{AAA: 0.{number + 1}}}}}}}\n" for number in range(3)
)
GROWN = """
    import numpy as np
    KEPT = np.ones({mib} * 2**17)  # the process of pytest, and of each worker, has them from its start
"""
pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")


def memory(project):
    """Of each execution: process, MiB it had, how often it had leaked by then."""
    return [tuple(map(int, line.split())) for line in (project.path / "memory.txt").read_text().splitlines()]


def notes(project):
    return [note for note in project.summary()["notes"] if "memory" in note]


def told(project):
    [folder] = (project.path / ".finbot").glob("batches/*/*/*")
    lines = [line for path in folder.rglob("*.jsonl") for line in project.lines(path)]
    return [line for line in lines if line.get("kind") == "memory"]


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_an_engine_that_leaks_is_given_a_new_process_and_no_run_is_lost(project, workers):
    project.write("leaking.py", LEAK)
    project.batch(RUNS)
    result = project.pytest(workers, "--finbot-max-rss", "200 MiB")
    assert result.ret == 0, result.stdout.str()
    assert project.statuses() == {f"run_{number}": "success" for number in range(8)}
    runs = [line for line in project.recorded() if line.get("kind") == "run"]
    assert sorted(run["name"] for run in runs) == sorted(f"run_{number}" for number in range(8))
    executed = memory(project)
    assert len(executed) == 8
    # Beyond the limit by what one run takes, and no more: looked at after each.
    assert max(mib for _, mib, _ in executed) < 200 + 2 * 32
    assert len({pid for pid, _, _ in executed}) > 2
    done = told(project)
    assert {line["done"] for line in done} == {"replaced"}
    assert all(line["rss"] > line["limit"] == 200 * MIB for line in done)
    [note] = notes(project)
    words = (
        "1 process was replaced because its"
        if len(done) == 1
        else f"{len(done)} processes were replaced because their"
    )
    assert note == f"{words} memory passed 200 MiB"
    assert note in (project.output / "batch_summary.md").read_text()


def test_without_a_limit_it_grows(project):
    project.write("leaking.py", LEAK)
    project.batch(RUNS)
    assert project.pytest().ret == 0
    assert [leaks for _, _, leaks in memory(project)] == list(range(1, 9))
    assert max(mib for _, mib, _ in memory(project)) > 8 * 32
    assert notes(project) == []


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_worker_that_has_grown_executes_its_runs_in_children(project, workers):
    project.write("conftest.py", GROWN.format(mib=300))
    project.gated(OWN)
    result = project.pytest(workers, "--finbot-max-rss=200MiB")
    assert result.ret == 0, result.stdout.str()
    assert project.verdicts() == dict.fromkeys(("own_0", "own_1", "own_2"), "identical")
    assert notes(project) == [
        "3 attempts were executed in a process of their own because the memory of the one that executes "
        "runs had passed 200 MiB"
    ]


def test_what_is_inline_by_word_stays_and_is_warned_of(project):
    project.write("conftest.py", GROWN.format(mib=300))
    project.batch(OWN)
    result = project.pytest("--finbot-max-rss=200MiB", "--finbot-isolation", "inline")
    assert result.ret == 0, result.stdout.str()
    assert notes(project) == []
    assert [line["done"] for line in told(project)] == ["nothing"] * 3
    warnings = [line["warnings"] for line in project.recorded() if line.get("kind") == "run"]
    for [warning] in warnings:
        assert re.fullmatch(
            r"it was executed in a process whose memory \([\d,.]+ MiB\) had passed the 200 MiB of "
            r"--finbot-max-rss, and cannot be replaced: isolation: inline is asked for",
            warning,
        )
    assert len(warnings) == 3


LOUD = """
    from pytest_finbot.engines.portfolio import PortfolioEngine

    quiet = PortfolioEngine.run

    def run(self, spec, market):
        print("here is", spec.name)
        return quiet(self, spec, market)

    PortfolioEngine.run = run
"""


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_what_a_moved_run_writes_is_kept_once(project, workers):
    project.write("conftest.py", GROWN.format(mib=300) + LOUD)
    project.batch(OWN)
    assert project.pytest("--finbot-max-rss=200MiB", workers).ret == 0
    [folder] = (project.path / ".finbot").glob("batches/*/*/*")
    lines = [line for path in folder.rglob("*.jsonl") for line in project.lines(path)]
    assert [line["done"] for line in lines if line.get("kind") == "memory"] == ["moved"] * 3
    said = [line["stdout"] for line in lines if line.get("kind") == "output"]
    assert said == [f"here is own_{number}\n" for number in range(3)]


# -------------------------------------------------------------------------------- in small


@pytest.mark.parametrize(
    ("text", "size"),
    [("2 GiB", 2**31), ("512mib", 2**29), ("1.5 GB", 1_500_000_000), ("2147483648", 2**31)],
)
def test_sizes_are_those_of_memory_limit_or_bytes(text, size):
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["much", "", "none", "-1", "10", "2 GiBB", "1 KiB"])
def test_what_is_no_size_is_refused_before_anything_runs(project, text):
    project.batch(OWN)
    result = project.pytest(f"--finbot-max-rss={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*argument --finbot-max-rss: *"])
    assert not (project.path / ".finbot").exists()


def test_words_for_sizes():
    assert in_words(2**31) == "2 GiB"
    assert in_words(300 * MIB) == "300 MiB"
    assert in_words(1_500_000_000) == "1,430.5 MiB"


def test_memory_is_read_of_this_process_and_of_none_that_is_gone():
    here = resident(os.getpid())
    assert here is not None
    assert 10 * MIB < here < 2**40
    assert resident(2**30) is None
    assert MemoryWatch(here // 2).passed(os.getpid()) > here // 2
    assert MemoryWatch(2**50).passed(os.getpid()) is None
    assert MemoryWatch(None).passed(os.getpid()) is None


def test_where_memory_cannot_be_told_the_summary_says_so_once(monkeypatch):
    monkeypatch.setattr("pytest_finbot.session.max_rss.resident", lambda pid: None)
    assert MemoryWatch(1).passed(os.getpid()) is None
    assert MemoryNotes(2**31).of("finbot.yaml::") == (
        "--finbot-max-rss 2 GiB had no effect: the memory of a process cannot be told here",
    )
    assert MemoryNotes(None).of("finbot.yaml::") == ()


def test_counts_are_kept_by_batch():
    kept = MemoryNotes(2**31)
    kept.hear("finbot.yaml::a", (1, 0))
    kept.hear("finbot.yaml::b", [0, 1])
    kept.hear("other.yaml::a", [2, 0])
    assert kept.of("finbot.yaml::") == (
        "1 process was replaced because its memory passed 2 GiB",
        "1 attempt was executed in a process of its own because the memory of the one that executes runs "
        "had passed 2 GiB",
    )
    assert kept.of("other.yaml::") == ("2 processes were replaced because their memory passed 2 GiB",)
