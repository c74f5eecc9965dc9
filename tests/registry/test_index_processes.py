"""Several processes ask while others record: no answer is half a one, and none fails."""

import os
import subprocess
import sys
import time

from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index

BATCHES = [f"batch-20261121T09150{number}Z-3f9c1a" for number in range(4)]
RECORDS = 400
RECORDING = """
import sys, pathlib
from pytest_finbot.registry.files import FilesRegistry
root, batch, records = sys.argv[1:]
out = FilesRegistry(pathlib.Path(root), "second").open_writer(batch, "gw0")
for number in range(int(records)):
    at = f"2026-11-21T09:15:{number % 60:02d}.{number:03d}+00:00"
    out.append("run", {
        "name": f"run_{number}", "status": "success", "attempt": 1, "started_at": at, "finished_at": at,
        "seconds": 0.5, "number": number, "padding": "x" * (20_000 if number % 50 == 0 else 500),
    })
out.close()
"""
ASKING = """
import sys, pathlib
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index
root, path, stop, expected = sys.argv[1:]
index = Index.of(FilesRegistry(pathlib.Path(root)), pathlib.Path(path))
last = rounds = 0
while True:
    over = pathlib.Path(stop).exists()
    index.refresh()
    told = index.statistics()
    assert told.runs >= last, (told.runs, last)
    last = told.runs
    assert (told.runs, told.failed, told.batches) == (told.success, 0, 4)
    runs = index.runs()
    later = sum(batch.recorded for batch in index.batches())
    assert told.runs <= len(runs) <= later  # the others refresh it, too
    assert len({run.run_id for run in runs}) == len(runs)
    assert all(run.seconds == 0.5 and run.status == "success" for run in runs)
    if runs:
        picked = runs[(rounds * 31) % len(runs)]
        assert index.record(picked.run_id)["name"] == picked.name
    rounds += 1
    if over:
        break
assert last == int(expected), (last, expected)
assert not index.where.startswith("in memory"), index.where
assert index.problems() == (), index.problems()
print(rounds)
"""
MAKING = """
import sys, pathlib
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index, rows
registry = FilesRegistry(pathlib.Path(sys.argv[1]))
read, reads = rows.read_batch, []
def reading(files, folder):
    reads.append(folder)
    return read(files, folder)
rows.read_batch = reading
print("ready", flush=True)
sys.stdin.readline()
index = Index.of(registry, pathlib.Path(sys.argv[2]))
print(index.count_runs(), len(reads), index.where)
"""


def start(code, *words):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def begin(tmp_path):
    registry = FilesRegistry(tmp_path / ".finbot", "second")
    for batch_id in BATCHES:
        registry.create_batch(
            {"batch_id": batch_id, "batch_name": "core", "created_at": "2026-11-21T09:15:02"}
        )
        main = registry.open_writer(batch_id, "main")
        expected = [f"run_{number}" for number in range(RECORDS)]
        main.append("begin", {"at": "2026-11-21T09:15:02", "expected": expected, "deselected": 0})
        main.close()
    return registry


def ended(process):
    out, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    return out


def test_answers_are_whole_and_only_grow_while_others_record(tmp_path):
    registry = begin(tmp_path)
    path, stop = tmp_path / "cache" / "index.sqlite", tmp_path / "stop"
    asking = [start(ASKING, registry.root, path, stop, RECORDS * len(BATCHES)) for _ in range(3)]
    recording = [start(RECORDING, registry.root, batch_id, RECORDS) for batch_id in BATCHES]
    for process in recording:
        ended(process)
    stop.touch()
    assert all(int(ended(process)) >= 1 for process in asking)


def test_two_that_make_the_index_at_once_read_each_batch_once(tmp_path):
    registry = begin(tmp_path)
    for batch_id in BATCHES:
        ended(start(RECORDING, registry.root, batch_id, RECORDS))
    path = tmp_path / "cache" / "index.sqlite"
    making = [start(MAKING, registry.root, path) for _ in range(3)]
    for process in making:
        assert process.stdout.readline() == "ready\n"
    for process in making:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [ended(process).split() for process in making]
    assert {(runs, where) for runs, _, where in told} == {(str(RECORDS * len(BATCHES)), str(path))}
    assert sorted(int(reads) for _, reads, _ in told) == [0, 0, len(BATCHES)]


def test_a_process_killed_while_it_makes_the_index_holds_up_nobody(tmp_path):
    registry = begin(tmp_path)
    for batch_id in BATCHES:
        ended(start(RECORDING, registry.root, batch_id, RECORDS))
    path = tmp_path / "cache" / "index.sqlite"
    for number in range(6):
        process = start(MAKING, registry.root, path)
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(0.01 * number)
        process.kill()
        process.communicate()
    with Index.of(registry, path) as index:
        assert index.where == str(path)
        assert index.count_runs() == RECORDS * len(BATCHES)
