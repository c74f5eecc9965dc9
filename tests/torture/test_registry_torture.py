"""Many processes record, some are killed at any moment, others read: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.registry import BatchRegistry, open_registry
from pytest_finbot.registry.layout import segments
from pytest_finbot.registry.segments import read_segment
from pytest_finbot.registry.upkeep.verify import verify

PATIENCE = 120.0
ITEMS, WRITERS, READERS, KILLS = 2000, 8, 2, 40


class Swarm:
    """Processes forked by ``swarm.py``, each known by the file it acknowledges in."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._jobs = 0
        self._pids: list[int] = []
        self._nursery = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("swarm.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._nursery.stdout.readline() == "ready\n"

    def start(self, do: str, **job) -> tuple[int, Path]:
        self._jobs += 1
        file = self._folder / f"{do}-{self._jobs:03}.txt"
        print(json.dumps({"do": do, "file": str(file), **job}), file=self._nursery.stdin, flush=True)
        self._pids.append(int(self._nursery.stdout.readline()))
        return self._pids[-1], file

    def close(self) -> None:
        for pid in self._pids:
            kill(pid)  # readers of a test that failed go on for ever
        self._nursery.communicate(timeout=PATIENCE)

    def errors(self) -> list[str]:
        return [path.read_text() for path in sorted(self._folder.glob("*.error"))]


@pytest.fixture
def swarm(tmp_path, surroundings):
    folder = tmp_path / "acknowledged"
    folder.mkdir()
    made = Swarm(folder, surroundings.environment)
    yield made
    made.close()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def kill(pid: int) -> None:
    """End a process and wait until it is gone: a write it was in may be finished meanwhile."""
    if lives(pid):
        os.kill(pid, signal.SIGKILL)
    wait_for([pid])


def wait_for(pids: list[int]) -> None:
    until = time.monotonic() + PATIENCE
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < until, "a process does not end"
        time.sleep(0.002)


def acknowledged(file: Path) -> list[str]:
    """Whole lines of a file; nothing while there is none."""
    return file.read_text().split("\n")[:-1] if file.exists() else []


def wait_for_lines(file: Path, count: int, pid: int) -> None:
    while len(acknowledged(file)) < count and lives(pid):
        time.sleep(0.001)


def faults(root: Path) -> list[str]:
    return [str(finding) for finding in verify(open_registry(root)) if finding.level == "fault"]


def daily(number: int) -> dict:
    """The series that ``swarm.py`` records of an item: those of three neighbours are one object."""
    start = float(number - number % 3)
    days = np.arange(300).astype("datetime64[D]")
    return {"session": days, "nav": start + np.arange(300) / 7, "cash": np.full(300, start)}


def names(numbers) -> list[str]:
    return [f"item-{number:04}" for number in numbers]


def record_through_kills(swarm, root, batches, members, chance) -> tuple[list[int], int]:
    """Have 8 writers record every item but the last while one after another is killed and replaced.

    Returns the acknowledged items and how many writers were killed.
    """
    batch_of = {number: name for name, numbers in members.items() for number in numbers}
    shares = {writer: set(range(ITEMS - 1)[writer::WRITERS]) for writer in range(WRITERS)}
    running, files, done = {}, [], {writer: set() for writer in shares}

    def begin(writer: int) -> None:
        left = sorted(shares[writer] - done[writer])
        items = [(number, batch_of[number]) for number in left]
        running[writer] = swarm.start(
            "write", root=str(root), batches=batches, items=items, seed=chance.random()
        )
        files.append(running[writer][1])

    for writer in shares:
        begin(writer)
    kills = sorted(chance.sample(range(20, ITEMS - 40), KILLS))
    until, killed = time.monotonic() + PATIENCE, 0
    while running:
        assert time.monotonic() < until, swarm.errors()
        counted = sum(len(acknowledged(file)) for file in files)
        if kills and counted >= kills[0]:
            kills.pop(0)
            time.sleep(chance.uniform(0, 0.01))
            writer = chance.choice(sorted(running))
            kill(running[writer][0])
            killed += 1
            done[writer] |= set(map(int, acknowledged(running[writer][1])))
            begin(writer)
        for writer, (pid, file) in list(running.items()):
            if not lives(pid):
                done[writer] |= set(map(int, acknowledged(file)))
                assert done[writer] == shares[writer], swarm.errors()
                del running[writer]
        time.sleep(0.002)
    return [int(line) for file in files for line in acknowledged(file)], killed


def test_writers_killed_at_random_lose_nothing_acknowledged_and_readers_see_no_half_record(swarm, tmp_path):
    root, chance = tmp_path / ".finbot", random.Random(20261121)
    kinds = ("mixed", "whole", "cancelled")
    members = {name: range(ITEMS)[number :: len(kinds)] for number, name in enumerate(kinds)}
    with BatchRegistry(root) as registry:
        batches = {name: registry.create_batch(name, names(numbers)) for name, numbers in members.items()}
        registry.update_status(batches["cancelled"], "cancelled", "somebody asked")
        stop, expected = tmp_path / "stop", {name: len(numbers) for name, numbers in members.items()}
        readers = [
            swarm.start("read", root=str(root), batches=batches, stop=str(stop), expected=expected)
            for _ in range(READERS)
        ]
        told, killed = record_through_kills(swarm, root, batches, members, chance)
        stop.touch()
        wait_for([pid for pid, _ in readers])
        assert swarm.errors() == []
        assert all(int(acknowledged(file)[0]) >= 3 for _, file in readers)
        assert killed == KILLS
        # A killed writer's replacement records again what was not acknowledged, and nothing else.
        assert sorted(told) == list(range(ITEMS - 1))
        assert faults(root) == []

        last = ITEMS - 1
        assert last in members["whole"]
        assert registry.get_batch(batches["whole"]).status is BatchStatus.RUNNING, "one is still missing"
        series = open_registry(root).objects.put_table(daily(last))
        final = {"name": names([last])[0], "status": "success", "metrics": {"final_nav": 1000 + last / 7}}
        registry.add_item_result(batches["whole"], final | {"series": series})
        assert registry.get_batch(batches["whole"]).status is BatchStatus.COMPLETED
        assert registry.get_batch(batches["mixed"]).status is BatchStatus.RUNNING
        ends = {name: registry.complete_batch(batch_id) for name, batch_id in batches.items()}
        assert ends == {
            "whole": BatchStatus.COMPLETED,
            "mixed": BatchStatus.PARTIAL,
            "cancelled": BatchStatus.CANCELLED,
        }
        failed = [number for number in members["mixed"] if number % 7 == 0]
        assert [record.name for record in registry.get_failed_items(batches["mixed"])] == names(failed)
        assert registry.get_error_summary(batches["mixed"]) == {"data_error": len(failed)}

    twice = 0
    for name, numbers in members.items():
        check_records(open_registry(root), batches[name], name, numbers)
        twice += lines_more_than_one(open_registry(root).batch_folder(batches[name]))
    assert twice <= killed, "an item is recorded twice only where a writer was killed before it could say so"
    assert faults(root) == []


def check_records(registry, batch_id, name, numbers):
    """Each item there once, in order, with what was recorded of it."""
    fold = registry.fold(batch_id)
    assert (fold.recorded, fold.not_run) == (len(numbers), ())
    assert fold.problems == ()
    for number, record in zip(numbers, fold.records(), strict=True):
        failed = name == "mixed" and number % 7 == 0
        assert record["name"] == f"item-{number:04}"
        assert record["status"] == ("failed" if failed else "success")
        assert record["metrics"] == {"final_nav": 1000 + number / 7}
        assert record["warnings"] == ([f"{number} " * 12_000] if number % 20 == 0 else [])
        if number % 2:
            columns = registry.objects.get_table(record["series"], verify=True)
            assert all(np.array_equal(columns[key], values) for key, values in daily(number).items())


def lines_more_than_one(folder):
    """How many records there are beyond one for each item; attempts of one item are numbered."""
    attempts = {}
    for path in segments(folder):
        for line in read_segment(path, []):
            if line.value["kind"] == "run":
                attempts.setdefault(line.value["name"], []).append(line.value["attempt"])
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in attempts.values())
    return sum(len(found) - 1 for found in attempts.values())


def test_objects_whose_writers_are_killed_are_whole_or_not_there(swarm, tmp_path):
    root, chance = tmp_path / ".finbot", random.Random(7)
    open_registry(root)
    stored = {}
    for trial in range(15):
        pid, file = swarm.start("put", root=str(root), first=trial * 3000)
        wait_for_lines(file, chance.randint(1, 12), pid)
        time.sleep(chance.uniform(0, 0.003))
        kill(pid)
        stored |= dict(line.split() for line in acknowledged(file))
    assert swarm.errors() == []
    objects = open_registry(root).objects
    for number, digest in stored.items():
        assert np.array_equal(objects.get_table(digest, verify=True)["cash"], np.full(300, float(number)))
    assert faults(root) == []
    # A draft is nothing yet: of all files only whole objects count.
    whole = [path for path in (root / "series").rglob("*.parquet") if not path.name.startswith(".")]
    assert len(whole) - len(stored) in range(16)


def test_batches_whose_creators_are_killed_are_there_or_not_and_those_told_are(swarm, tmp_path):
    root, chance = tmp_path / ".finbot", random.Random(11)
    created = []
    for trial in range(20):
        # The first ones race for the registry itself, which is not there yet.
        started = [swarm.start("create", root=str(root)) for _ in range(2 if trial < 5 else 1)]
        if trial >= 5:
            wait_for_lines(started[0][1], chance.randint(1, 8), started[0][0])
        time.sleep(chance.uniform(0, 0.006))
        for pid, file in started:
            kill(pid)
            created += acknowledged(file)
    assert swarm.errors() == []
    with BatchRegistry(root) as registry:
        assert registry.problems() == ()
        listed = {row.batch_id: row for row in registry.list_batches()}
        assert set(created) <= set(listed)
        for batch_id in created:
            assert (listed[batch_id].status, listed[batch_id].expected) == (BatchStatus.RUNNING, 2)
            assert registry.get_config(batch_id) == {"as": "is"}
        for batch_id in sorted(set(listed) - set(created)):
            # Killed between the manifest, the begin line and the answer.
            row = listed[batch_id]
            assert row.status in (BatchStatus.PENDING, BatchStatus.RUNNING)
        for batch_id in created[:3]:
            for name in ("a", "b"):
                registry.add_item_result(batch_id, {"name": name, "status": "success"})
            assert registry.complete_batch(batch_id) is BatchStatus.COMPLETED
    assert faults(root) == []
