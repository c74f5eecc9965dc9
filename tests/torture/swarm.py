"""Writers and readers of a registry, forked on request: one that is killed is replaced at once.

Jobs come as JSON lines on stdin, each is forked and answered with its process number. A writer
appends to a file of its own what was acknowledged: what it recorded, after that returned. What
goes wrong in a job is in ``<its file>.error``.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas  # noqa: F401 - pyarrow looks for it at its first array
import pyarrow.parquet  # noqa: F401 - imported once, before there is anything to fork

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.registry import BatchRegistry, open_registry
from pytest_finbot.registry.index import Index  # noqa: F401

DAYS = np.arange(300).astype("datetime64[D]")


def table(number: int) -> dict[str, Any]:
    """The daily series of an item; every third one has those of its neighbour."""
    start = float(number - number % 3)
    return {"session": DAYS, "nav": start + np.arange(300) / 7, "cash": np.full(300, start)}


def item(number: int, batch: str, series: str | None) -> dict[str, Any]:
    """What is recorded of an item. Some are long: a line of many pages can be cut in between."""
    failed = batch == "mixed" and number % 7 == 0
    return {
        "name": f"item-{number:04}",
        "status": "failed" if failed else "success",
        "metrics": {"final_nav": 1000 + number / 7},
        "warnings": [f"{number} " * 12_000] if number % 20 == 0 else [],
        "series": series,
        **({"error": {"message": f"no {number}", "category": "data_error"}} if failed else {}),
    }


class Acknowledged:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def __call__(self, line: str) -> None:
        os.write(self._file, line.encode() + b"\n")


def write(job: dict[str, Any]) -> None:
    """Record items in the batches they belong to; every second one with its series as an object."""
    acknowledge, chance = Acknowledged(job["file"]), random.Random(job["seed"])
    objects = open_registry(job["root"]).objects
    with BatchRegistry(job["root"]) as registry:
        for number, batch in job["items"]:
            series = objects.put_table(table(number)) if number % 2 else None
            registry.add_item_result(job["batches"][batch], item(number, batch, series))
            acknowledge(str(number))
            time.sleep(chance.uniform(0, 0.004))


def put(job: dict[str, Any]) -> None:
    """Store objects, each one new."""
    acknowledge, objects = Acknowledged(job["file"]), open_registry(job["root"]).objects
    for number in range(job["first"], 10**6, 3):
        acknowledge(f"{number} {objects.put_table(table(number))}")


def create(job: dict[str, Any]) -> None:
    """Create batches, one after another."""
    acknowledge = Acknowledged(job["file"])
    with BatchRegistry(job["root"]) as registry:
        while True:
            acknowledge(registry.create_batch("made", ["a", "b"], {"as": "is"}))


def read(job: dict[str, Any]) -> None:
    """Ask again and again until there is a file ``stop``; what was seen must never go back."""
    looks, most = 0, {}
    files = open_registry(job["root"])
    with BatchRegistry(job["root"]) as registry:
        while looks < 3 or not Path(job["stop"]).exists():
            for name, batch_id in job["batches"].items():
                fold = files.fold(batch_id)
                _look(("fold", name), (fold.recorded, fold.success, fold.failed), fold.status, most)
                for record in fold.records():
                    number = int(record["name"].removeprefix("item-"))
                    expected = item(number, name, record["series"])
                    for key in ("status", "metrics", "warnings"):
                        if record[key] != expected[key]:
                            raise AssertionError(f"{record['name']}: its {key} are not what was recorded")
                row = registry.get_batch(batch_id)
                _look(("batch", name), (row.recorded, row.success, row.failed), row.status, most)
            for row in registry.list_batches():
                _look(("list", row.name), (row.recorded, row.success, row.failed), row.status, most)
            if len(registry.list_batches()) != len(job["batches"]):
                raise AssertionError("a batch is not listed")
            looks += 1
    Acknowledged(job["file"])(str(looks))


def _look(
    what: tuple[str, str], counts: tuple[int, int, int], status: BatchStatus, most: dict[Any, Any]
) -> None:
    before = most.setdefault(what, (0, 0, 0))
    if any(now < then for now, then in zip(counts, before, strict=True)):
        raise AssertionError(f"{what}: counts went down, {before} to {counts}")
    most[what] = counts
    allowed = {
        "whole": {BatchStatus.COMPLETED if counts[1] == EXPECTED["whole"] else BatchStatus.RUNNING},
        "mixed": {BatchStatus.RUNNING},
        "cancelled": {BatchStatus.CANCELLED},
    }
    if status not in allowed[what[1]]:
        raise AssertionError(f"{what}: {status} with {counts}")


EXPECTED: dict[str, int] = {}
JOBS = {"write": write, "put": put, "create": create, "read": read}


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who ends is put away by the system
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        EXPECTED.update(job.get("expected", {}))
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        status = 1
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            JOBS[job["do"]](job)
            status = 0
        except BaseException:  # noqa: BLE001 - told in a file: nothing may go on here as a copy of the parent
            Path(job["file"] + ".error").write_text(traceback.format_exc())
        finally:
            os._exit(status)


main()
