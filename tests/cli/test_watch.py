"""finbot watch: a batch as it runs, told from its files alone."""

import subprocess
import sys
import threading
import time

import pytest

from pytest_finbot.cli.progress import Progress
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.layout import segments

ALWAYS = float("inf")
"""Cores that counting may cost: every look counts."""


def at(second):
    return f"2026-01-01T00:00:{second:02}.000+00:00"


def begun(root, *names):
    """A batch that somebody is at work on, its writer, and the lock that is held meanwhile."""
    registry = FilesRegistry(root)
    batch_id = registry.create_batch(
        {
            "batch_id": "batch-20260101T000000Z-aaaaaa",
            "batch_name": "core",
            "created_at": at(0),
            "provenance": {},
        }
    )
    hold = registry.hold(batch_id)
    writer = registry.open_writer(batch_id, "main")
    writer.append("begin", {"at": at(0), "expected": list(names), "deselected": 0})
    return registry, batch_id, hold, writer


def run(name, second, status="success", attempt=1, **more):
    finished = {"started_at": at(second), "finished_at": at(second), **more}
    return {"name": name, "status": status, "attempt": attempt, **finished}


def test_a_batch_that_has_ended_is_told_at_once(ask, record):
    record(a="success", b="success")
    for options in ([], ["--once"]):
        asked = ask("watch", *options)
        assert asked.status == 0
        assert "completed: 2 of 2 done, 0 failed, 0 not run" in asked.out
    error = {"category": "data_error", "type": "DataError", "message": "no [TLT]\nat all"}
    batch_id = record(a="success", b={"status": "failed", "error": error}, c=None)
    asked = ask("watch")
    assert asked.status == 1
    assert f"core {batch_id} partial: 2 of 3 done, 1 failed, 1 not run" in asked.out
    assert "  failed: b: data_error: DataError: no [TLT]…" in asked.out


def test_the_newest_running_batch_is_watched_before_a_newer_one_that_is_over(ask, record):
    running = record(a="success", b=None, end=False)
    ended = record(a="success")
    assert ask("watch", "--once", "--json").document["batch_id"] == running
    assert ask("watch", ended, "--once", "--json").document["batch_id"] == ended
    assert ask("watch", "--once").status == 1  # not completed yet


def test_without_any_batch_it_says_so(ask, registry):
    asked = ask("watch")
    assert asked.status == 4
    assert "there is no batch in" in asked.err


def test_what_is_under_way_failed_and_left_is_told_as_it_comes(root):
    registry, batch_id, hold, _ = begun(root, "a", "b", "c", "d")
    progress = Progress(registry, batch_id, ALWAYS)
    seen = progress.look()
    assert (seen.status, seen.over, seen.rate, seen.under_way) == ("running", False, None, ())
    worker = registry.open_writer(batch_id, "gw0")
    worker.append("start", {"name": "a", "attempt": 1, "at": at(1)})
    worker.append("start", {"name": "b", "attempt": 1, "at": at(2)})
    seen = progress.look()
    assert [name for name, _ in seen.under_way] == ["a", "b"]
    assert seen.under_way[0][1] > seen.under_way[1][1]
    worker.append("run", run("a", 3))
    worker.append("run", run("b", 4, "failed", error={"category": "timeout", "type": "T", "message": "slow"}))
    seen = progress.look()
    assert (seen.recorded, seen.success, seen.failed, seen.not_run) == (2, 1, 1, 2)
    assert seen.last_failures == (("b", "timeout", "T: slow"),)
    assert seen.rate is not None
    assert seen.rate > 0
    assert seen.seconds_left == pytest.approx(2 / seen.rate)
    # Tried again: no failure any more, and what is started counts as under way.
    worker.append("start", {"name": "b", "attempt": 2, "at": at(5)})
    assert [name for name, _ in progress.look().under_way] == ["b"]
    worker.append("run", run("b", 6, attempt=2))
    worker.append("start", {"name": "c", "attempt": 1, "at": at(7)})
    hold.release()  # the controller was killed
    seen = progress.look()
    assert (seen.status, seen.over, seen.left, seen.under_way) == ("partial", True, ("c",), ())
    assert seen.last_failures == ()


def test_half_a_line_is_no_line_until_its_end_is_there(root):
    registry, batch_id, hold, _ = begun(root, "a")
    (path,) = segments(registry.batch_folder(batch_id))
    progress = Progress(registry, batch_id, ALWAYS)
    progress.look()
    line = b'{"v":1,"kind":"start","name":"a","attempt":1,"at":"2026-01-01T00:00:01.000+00:00"}\n'
    with path.open("ab") as file:
        file.write(line[:40])
        file.flush()
        assert progress.look().under_way == ()
        file.write(line[40:])
    assert [name for name, _ in progress.look().under_way] == ["a"]
    hold.release()


def test_each_line_counts_once_and_nothing_is_written(root):
    registry, batch_id, hold, writer = begun(root, "a", "b")
    writer.append("run", run("a", 1))
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    progress = Progress(registry, batch_id)
    first = progress.look()
    again = progress.look()
    assert (first.recorded, again.recorded) == (1, 1)
    assert again.rate <= first.rate  # twice as many records would be faster
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    hold.release()


def test_a_resumed_batch_is_as_fast_as_its_last_session(root):
    registry, batch_id, hold, writer = begun(root, "a", "b", "c")
    for name in "ab":
        writer.append("run", run(name, 1))
    later = registry.open_writer(batch_id, "again")
    later.append("begin", {"at": at(30), "expected": ["a", "b", "c"], "deselected": 0})
    assert Progress(registry, batch_id).look().rate is None  # nothing of this session is recorded
    later.append("run", {**run("a", 1), "compared_at": at(31)})  # compared anew, not executed
    progress = Progress(registry, batch_id)
    assert progress.look().rate is None
    hold.release()


@pytest.mark.parametrize(("last", "status"), [("success", 0), ("failed", 1)])
def test_another_process_follows_until_the_end(root, registry, record, last, status):
    batch_id = record(a="success", b=None, end=False)
    command = [
        sys.executable,
        "-m",
        "pytest_finbot.cli.main",
        "watch",
        "--every",
        "0.1",
        "--registry",
        str(root),
    ]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = watching.stdout.readline()
        assert "core" in first
        assert "running: 1 of 2 done" in first
        registry.add_item_result(batch_id, {"name": "b", "status": last})
        time.sleep(0.3)
        registry.complete_batch(batch_id)
        out, err = watching.communicate(timeout=60)
    finally:
        watching.kill()
    assert (watching.returncode, err) == (status, "")
    assert "2 of 2 done" in out.splitlines()[-1] or "failed: b" in out.splitlines()[-1]


def test_on_a_terminal_the_picture_has_names_as_they_are(root, ask, record):
    from rich.console import Console

    from pytest_finbot.cli.watch import _picture

    batch_id = record(**{"[red]x": "failed", "b": "success"})
    snapshot = Progress(FilesRegistry(root), batch_id).look()
    console = Console(width=80, record=True, file=open("/dev/null", "w"), force_terminal=True)  # noqa: SIM115
    console.print(_picture(snapshot, "co[bold]re"))
    told = console.export_text()
    console.file.close()
    assert "co[bold]re" in told
    assert "[red]x" in told
    assert "2 of 2 done, 1 succeeded, 1 failed, 0 not run" in told


def test_a_batch_that_is_gone_meanwhile_is_told(root, ask, record, registry):
    batch_id = record(a="success")
    opened = open_registry(root)
    progress = Progress(opened, batch_id)
    progress.look()
    registry.delete(batch_id)
    asked = ask("watch", batch_id)
    assert asked.status == 4
    assert f"there is no batch {batch_id}" in asked.err


def test_when_all_is_recorded_no_time_is_left_and_the_end_is_not_waited_for(root):
    registry, batch_id, hold, writer = begun(root, "a")
    progress = Progress(registry, batch_id, ALWAYS)
    writer.append("run", run("a", 3))
    seen = progress.look()
    assert (seen.over, seen.not_run, seen.seconds_left) == (False, 0, None)
    writer.append("end", {"at": at(4), "exitstatus": 0})
    threading.Timer(0.2, hold.release).start()
    progress.wait(3600)  # comes back as soon as nobody is at work any more
    assert progress.look().over
