"""Many processes record at once, and some are killed: nothing acknowledged is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.registry import open_registry

BATCH = "batch-20261121T091502Z-3f9c1a"
RECORDS, WRITERS = 500, 4
RECORDING = """
import sys
import numpy as np
from pytest_finbot.registry import open_registry
root, batch, writer, records, durability = sys.argv[1:]
registry = open_registry(root, durability=durability)
out = registry.open_writer(batch, writer)
days = np.arange(60).astype("datetime64[D]")
for number in range(int(records)):
    name = f"{writer}-{number}"
    out.append("start", {"name": name, "attempt": 1, "at": "2"}, sync=False)
    shared = registry.objects.put_table({"session": days, "nav": np.full(60, float(number % 25))})
    out.append("run", {
        "name": name, "status": "success", "attempt": 1, "finished_at": "3",
        "series": shared, "padding": "x" * 1000,
    })
    sys.stdout.write(name + "\\n")
    sys.stdout.flush()
out.close()
"""


@pytest.fixture
def registry(tmp_path):
    registry = open_registry(tmp_path / ".finbot")
    registry.create_batch({"batch_id": BATCH})
    return registry


def recording(registry, writer, records, durability="item"):
    return subprocess.Popen(
        [sys.executable, "-c", RECORDING, str(registry.root), BATCH, writer, str(records), durability],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def expect(registry, names):
    main = registry.open_writer(BATCH, "main")
    main.append("begin", {"at": "1", "expected": names, "deselected": 0})
    main.close()


def test_four_processes_record_and_everything_is_there_exactly_once(registry):
    writers = [f"gw{number}" for number in range(WRITERS)]
    names = [f"{writer}-{number}" for writer in writers for number in range(RECORDS)]
    expect(registry, names)
    processes = [recording(registry, writer, RECORDS) for writer in writers]
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert (process.returncode, said) == (0, "")
    fold = registry.fold(BATCH)
    assert (fold.status, fold.success, fold.problems) == (BatchStatus.COMPLETED, len(names), ())
    recorded = list(fold.records())
    assert [record["name"] for record in recorded] == names
    lines = [
        json.loads(line)
        for path in registry.logs_folder(BATCH).parent.glob("gw*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert sum(line["kind"] == "run" for line in lines) == len(names)
    hashes = {record["series"] for record in recorded}
    assert len(hashes) == 25
    assert sorted(path.stem for path in (registry.root / "series").rglob("*") if path.is_file()) == sorted(
        hashes
    )
    for digest in hashes:
        registry.objects.get_table(digest, verify=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
@pytest.mark.parametrize("durability", ["item", "second"])
def test_a_killed_writer_loses_nothing_it_acknowledged(registry, durability):
    chance = random.Random(20261121)
    writers = [f"gw{number}" for number in range(3)]
    processes = [recording(registry, writer, 10**6, durability) for writer in writers]
    acknowledged = []
    for process in processes:
        acknowledged.append(process.stdout.readline().strip())
        time.sleep(chance.uniform(0.02, 0.25))
        process.send_signal(signal.SIGKILL)
        acknowledged += process.stdout.read().split("\n")[:-1]
        process.communicate(timeout=30)
    assert len(acknowledged) > len(writers)
    expect(registry, acknowledged)
    fold = registry.fold(BATCH, writer_alive=False)
    assert fold.not_run == ()
    for digest in {record["series"] for record in fold.records()}:
        registry.objects.get_table(digest, verify=True)
