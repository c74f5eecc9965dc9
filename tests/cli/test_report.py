"""``finbot report``: a report made again from what is recorded, and two batches held against each other."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.upkeep.prune import prune
from pytest_finbot.reports.reading import read_report
from pytest_finbot.reports.session_facts import SessionFacts, keep_session, kept_session

OURS = """\
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

PART = 0.5


def half(spec, market):
    return np.full(market.close.shape, PART)


def waiting(spec, market):
    Path("started").touch()
    time.sleep(90)
    return half(spec, market)


def broken(spec, market):
    raise RuntimeError("::error::out of paper\\n\\x1b[2J")
"""
RUNS = (
    "{id: kept}",
    "{id: own, strategy: 'ours:half'}",
    "{id: broken, strategy: 'ours:broken'}",
)


def run(folder, *options):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml"]
    return folder.nursery.run([*command, *options], folder.path, folder.environment())


def begin(folder, *runs):
    """A batch file with a baseline, and a strategy of one's own."""
    folder.batch(*runs)
    text = (folder.path / "finbot.yaml").read_text()
    folder.write("finbot.yaml", f"baseline: baselines\n{text}")
    folder.write("ours.py", OURS)
    return folder


@pytest.fixture(scope="module")
def story(tmp_path_factory, make_folder):
    """Accepted results, of which one has no run any more; then a run moved, one failed, a waiver is over."""
    folder = begin(make_folder(tmp_path_factory.mktemp("story")), *RUNS[:2], "{id: gone}")
    assert run(folder, "--finbot-accept", "--finbot-reason", "as it should be").returncode == 0
    begin(folder, *RUNS)
    folder.write("ours.py", OURS.replace("PART = 0.5", "PART = 0.4"))
    folder.write(
        "waivers.yaml",
        "waivers:\n  - {run: own, check: nav, reason: a reason, reviewer: Ada, expires: 2020-01-01}\n",
    )
    done = run(folder)
    assert done.returncode == 1
    folder.session = done.stdout
    folder.left = {path.name: path.read_text() for path in (folder.path / "output/small").glob("batch_*")}
    return folder


def differing(one, other, path=""):
    """Paths at which two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from differing(one.get(key), other.get(key), f"{path}.{key}")
    elif one != other:
        yield path


def timeless(markdown):
    """Without how long it took to sum up."""
    return re.sub(r"summing up \| [^|]+", "", markdown)


def test_every_format_says_what_the_session_said(story):
    wanted = [word for name in ("md", "json", "csv", "text") for word in ("--format", name)]
    asked = story.finbot("report", "last", "--output", "again", *wanted)
    assert asked.status == 1, asked.err
    made = {path.name: path.read_text() for path in (story.path / "again").iterdir()}
    assert made["batch_summary.csv"] == story.left["batch_summary.csv"]
    for name in ("batch_report.json", "batch_summary.json"):
        assert set(differing(json.loads(made[name]), json.loads(story.left[name]))) <= {".batch.summing_up"}
    assert timeless(made["batch_summary.md"]) == timeless(story.left["batch_summary.md"])
    assert asked.out.split() == [f"again/{name}" for name in _order(made)]


def _order(made):
    known = ("batch_summary.md", "batch_summary.txt", "batch_summary.csv", "batch_summary.json")
    return (*known, "batch_report.json") if set(made) == {*known, "batch_report.json"} else ()


def test_on_a_terminal_it_is_what_the_session_printed(story):
    asked = story.finbot("report", "last")
    assert asked.status == 1
    lines = asked.out.splitlines()
    printed = story.session.splitlines()
    assert [line for line in lines[:-1] if line not in printed] == []
    assert "  missing: gone has a baseline in baselines/small and is not in the batch file; " in asked.out
    assert "  waiver expired: own nav, until 2020-01-01, by Ada" in asked.out
    (head, row, failed) = lines[lines.index(next(one for one in lines if one.startswith("  RUN"))) :][:3]
    assert head.split() == ["RUN", "WHAT", "NAV", "CHANGE", "FURTHEST", "SINCE"]
    assert row.split()[:2] == ["own", "moved"]
    assert failed.startswith("  broken  engine_error in simulate: ")


def test_one_format_is_printed_and_several_want_a_folder(story):
    document = story.finbot("report", "last", "--format", "json")
    report = read_report(document.out.encode())
    assert (report.verdict, report.green, document.status) == ("failed", False, 1)
    markdown = story.finbot("report", "last", "--format", "md").out
    assert timeless(markdown) == timeless(story.left["batch_summary.md"])
    assert story.finbot("report", "last", "--format", "md", "--format", "csv").status == 2
    assert story.finbot("report", "nothing-like-it").status == 4


def test_a_green_batch_has_status_0_and_one_of_an_older_version_is_never_green(tmp_path, make_folder):
    folder = begin(make_folder(tmp_path), "{id: kept}")
    run(folder, "--finbot-accept", "--finbot-reason", "as it should be")
    assert run(folder).returncode == 0
    assert folder.finbot("report", "last").status == 0
    assert folder.finbot("registry", "verify").status == 0
    (segment,) = _newest(folder).glob("facts-*.jsonl")
    line = json.loads(segment.read_text())
    (found,) = (folder.path / ".finbot/series").glob(f"*/{line['facts']}.json")
    found.rename(tmp_path / "aside")
    damaged = folder.finbot("report", "last")
    assert (damaged.status, "what the session knew when it ended cannot be read" in damaged.out) == (1, True)
    told = json.loads(json.loads((tmp_path / "aside").read_text()))
    found.write_text(json.dumps(json.dumps({**told, "notes": ["all is well"]})))
    changed = folder.finbot("report", "last")
    assert (changed.status, "what the session knew when it ended cannot be read" in changed.out) == (1, True)
    found.unlink()
    verified = folder.finbot("registry", "verify")
    assert "holds what the session knew when it ended" in verified.out + verified.err
    segment.unlink()
    older = folder.finbot("report", "last")
    assert older.status == 1
    assert "what its session knew when it ended is not recorded: missing baselines and expired" in older.out


def _newest(folder):
    return max((folder.path / ".finbot").glob("batches/*/*/*"), key=lambda path: path.stat().st_mtime_ns)


def test_a_controller_that_is_killed_leaves_a_report_that_says_what_is_missing(tmp_path, make_folder):
    folder = begin(
        make_folder(tmp_path), "{id: before}", "{id: slow, strategy: 'ours:waiting'}", "{id: later}"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml"]
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen(
            [*command, "-n", "0"],
            cwd=tmp_path,
            env=folder.environment(),
            stdout=nothing,
            stderr=nothing,
            start_new_session=True,
        )
        until = time.monotonic() + 90
        while not Path(tmp_path, "started").exists():
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.02)
        running = folder.finbot("report", "last")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert running.status == 1
    assert "problem: the batch is running" in running.out
    asked = folder.finbot("report", "last")
    assert asked.status == 1
    assert "problem: the session that ran it did not end: missing baselines and expired waivers" in asked.out
    assert "  Compared with baselines/small: 1 new." in asked.out
    for run_name in ("slow", "later"):
        assert any(line.split()[:3] == [run_name, "not", "run:"] for line in asked.out.splitlines()), (
            asked.out
        )
    report = read_report(folder.finbot("report", "last", "--format", "json").out.encode())
    assert (report.verdict, report.green) == ("incomplete", False)
    assert {run.run: run.status for run in report.failed} == {"slow": "not_run", "later": "not_run"}
    assert report.batch.status not in ("completed", "running")
    markdown = folder.finbot("report", "last", "--format", "md").out
    assert "did not end" in markdown
    assert "slow" in markdown


def test_a_later_session_that_is_killed_takes_nothing_over_from_the_first(registry, ask, root):
    files = FilesRegistry(root)
    batch_id = "batch-20261121T000000Z-aaaaaa"
    files.create_batch({"batch_id": batch_id, "batch_name": "core", "created_at": "2026", "runs": []})
    for at in ("2026-11-21T00:00:01", "2026-11-21T00:00:02"):
        writer = files.open_writer(batch_id, "main")
        writer.append("begin", {"at": at, "expected": ["one"], "deselected": 0})
        writer.close()
        if at.endswith("1"):
            keep_session(files, batch_id, at, "2026-11-21T00:00:03", SessionFacts("2026", 1.5, notes=("n",)))
            first = kept_session(files, files.fold(batch_id))
            assert (first.seconds, first.notes, first.problems) == (1.5, ("n",), ())
    second = kept_session(files, files.fold(batch_id))
    assert second.problems
    assert second.notes == ()


def test_what_the_session_knew_survives_a_merge_and_a_prune(tmp_path, make_folder):
    folder = begin(make_folder(tmp_path), "{id: kept}", "{id: other}")
    run(folder, "--finbot-accept", "--finbot-reason", "as it should be")
    assert folder.finbot("registry", "merge", ".finbot", "--registry", "united").status == 0
    later = datetime.now(UTC) + timedelta(days=30)
    assert prune(FilesRegistry(tmp_path / "united"), keep_last=5, apply=True, now=later).not_swept is None
    merged = folder.finbot("report", "last", "--registry", "united")
    assert (merged.status, "  accepted kept" in merged.out) == (0, True), merged.out

    # Without its failed runs it would be green, and somebody may delete those.
    assert folder.finbot("runs", "delete", "last/other", "--yes", "--registry", "united").status == 0
    less = folder.finbot("report", "last", "--registry", "united")
    said = "problem: 1 run was deleted from the record, and counted nowhere: other"
    assert (less.status, said in less.out) == (1, True), less.out


def test_a_batch_that_no_session_recorded_is_reported_and_not_green(ask, record):
    record(one="success", two={"status": "failed"}, three=None)
    asked = ask("report", "last")
    assert asked.status == 1
    assert "core: 1 of 3 runs succeeded, 1 failed (1 unknown), 1 not run: partial" in asked.out
    assert "problem: what its session knew when it ended is not recorded" in asked.out


# ---------------------------------------------------------------------------------- against


@pytest.fixture(scope="module")
def two(tmp_path_factory, make_folder):
    """Two batches of no baseline: one run is the same, one moved, one failed, one is only in each."""
    folder = make_folder(tmp_path_factory.mktemp("two"))
    for part, last in (("0.5", "old"), ("0.4", "young")):
        folder.batch(*RUNS, f"{{id: {last}}}")
        folder.write("ours.py", OURS.replace("PART = 0.5", f"PART = {part}"))
        run(folder)
    folder.first, folder.second = sorted(
        path.name for path in (folder.path / ".finbot").glob("batches/*/*/*")
    )
    return folder


def test_two_batches_are_held_against_each_other_run_by_run(two):
    asked = two.finbot("report", two.second, "--against", two.first, "--format", "json")
    assert asked.status == 1, asked.err
    report = read_report(asked.out.encode())
    gate = report.batch.gate
    assert gate.source == f"batch:{two.first}"
    assert gate.missing == ("old",)
    assert dict(gate.verdicts) == {"identical": 1, "moved": 1, "new": 1}
    assert {run.run: run.verdict for run in report.changed} == {"own": "moved", "young": "new"}
    assert {run.run: run.category for run in report.failed} == {"broken": "engine_error", "old": ""}
    (own,) = (run for run in report.changed if run.run == "own")
    assert own.comparison.causes[0].part == "code"
    assert own.comparison.final.change != 0
    assert report.batch.error_categories == {"engine_error": 1, "regression": 2}
    assert (report.batch.success, report.batch.failed) == (1, 3)
    told = two.finbot("report", two.second, "--against", two.first).out
    assert f"missing: old is in batch:{two.first}, and not here" in told
    assert "accept" not in told


def test_nothing_is_recorded_by_a_comparison_and_a_batch_is_not_its_own(two):
    def files():
        return sorted(str(path) for path in (two.path / ".finbot").rglob("*"))

    before = files()
    two.finbot("report", two.second, "--against", two.first, "--output", "against", "--format", "csv")
    assert files() == before
    itself = two.finbot("report", two.first, "--against", two.first)
    assert (itself.status, "is the batch itself" in itself.err) == (4, True)


def test_the_page_of_two_batches_draws_both(two):
    pytest.importorskip("bokeh")
    page = two.finbot("report", two.second, "--against", two.first, "--format", "html").out
    assert "own" in page
    assert "was not kept" not in page


def test_batches_of_equal_runs_are_green(tmp_path, make_folder):
    folder = make_folder(tmp_path)
    folder.batch("{id: kept}", "{id: other, params: {weights: {AAA: 1.0}}}")
    run(folder)
    run(folder)
    first, second = sorted(path.name for path in (tmp_path / ".finbot").glob("batches/*/*/*"))
    asked = folder.finbot("report", second, "--against", first)
    assert (asked.status, "2 identical" in asked.out) == (0, True), asked.out
    files = FilesRegistry(tmp_path / ".finbot")
    for at, problem, status in (("2099", "files of 1 run are gone", 1), ("2100", None, 0)):
        (begin,) = (json.loads(line) for line in _main(files, second) if '"kind":"begin"' in line)
        told = SessionFacts(at, 1.0, problems=() if problem is None else (problem,))
        keep_session(files, second, begin["at"], at, told)
        asked = folder.finbot("report", second, "--against", first)
        assert (asked.status, "problem: files of 1 run are gone" in asked.out) == (status, status == 1)
    # Without the run that failed it is as green as a share is the whole: not at all.
    folder.batch("{id: kept}", "{id: other, params: {weights: {AAA: 1.0}}}", "{id: bad, symbols: [ZZZ]}")
    run(folder)
    assert folder.finbot("runs", "delete", "last/bad", "--yes").status == 0
    asked = folder.finbot("report", "last", "--against", first)
    assert (asked.status, "problem: 1 run was deleted" in asked.out) == (1, True), asked.out


def _main(files, batch_id):
    (segment,) = files.root.glob(f"batches/*/*/{batch_id}/main-*.jsonl")
    return segment.read_text().splitlines()


def test_a_share_is_not_the_whole_alone_nor_against_another(tmp_path, make_folder):
    folder = make_folder(tmp_path)
    folder.batch("{id: kept}", "{id: other, params: {weights: {AAA: 1.0}}}")
    for _ in range(2):
        printed = run(folder, "--finbot-shard", "1/2").stdout
    first, second = sorted(path.name for path in (tmp_path / ".finbot").glob("batches/*/*/*"))
    for more in ((), ("--against", first)):
        asked = folder.finbot("report", second, *more)
        assert (asked.status, "1 of 1 runs succeeded" in asked.out) == (1, True), asked.out
        for line in asked.out.splitlines()[1:3]:
            assert line in printed
        assert "not the whole: the reports of 1 other shard are needed" in asked.out
