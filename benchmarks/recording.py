"""5,000 items recorded by 4 processes: the registry, bare files, one file rewritten per item, MLflow.

Every way writes the same 1.2 KB a run. Rates count from the moment all processes are ready until
the last has ended, so that imports and connections are not in them. The slow ways write fewer items;
the rewritten file's time for all of them is then reckoned from its cost per item already in it, and
measured in full with ``--full`` (minutes).
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import filelock
from measuring import Figure, report

from pytest_finbot.registry import BatchRegistry
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.ids import new_batch_id

PROCESSES = 4
ITEMS = 5_000
ROUNDS = 3
Way = Callable[[Path, int, int, int, Barrier], float]


def record(number: int) -> dict[str, Any]:
    """What a run leaves, without its series: about 1.2 KB of JSON."""
    digest = f"{number:064x}"
    return {
        "run_id": f"batch/run_{number:05d}",
        "batch_id": "batch",
        "name": f"run_{number:05d}",
        "status": "success",
        "attempt": 1,
        "started_at": "2026-11-21T09:15:02.000+00:00",
        "finished_at": "2026-11-21T09:15:03.000+00:00",
        "seconds": 1.0,
        "worker": "gw0",
        "fingerprint": {"config": digest, "data": {"hash": digest}, "code": {"hash": digest}},
        "metrics": {f"metric_{n}": 0.1234567 * n + number for n in range(20)},
        "params": {f"param_{n}": n for n in range(10)},
        "series": digest,
        "marks": digest,
    }


def mine(items: int, process: int) -> range:
    return range(process, items, PROCESSES)


def segments(folder: Path, items: int, process: int, ready: Barrier, durability: Any) -> float:
    registry = FilesRegistry(folder / "registry", durability)
    [batch_id] = registry.batch_ids()
    writer = registry.open_writer(batch_id, f"gw{process}")
    payloads = [record(number) for number in mine(items, process)]
    ready.wait()
    began = time.monotonic()
    for payload in payloads:
        writer.append("run", payload)
    writer.close()
    return began


def segments_item(folder: Path, items: int, process: int, ready: Barrier) -> float:
    return segments(folder, items, process, ready, "item")


def segments_second(folder: Path, items: int, process: int, ready: Barrier) -> float:
    return segments(folder, items, process, ready, "second")


def bare(folder: Path, items: int, process: int, ready: Barrier, *, sync: bool) -> float:
    """The least that can be done: encode, write, and sync or not."""
    payloads = [record(number) for number in mine(items, process)]
    descriptor = os.open(folder / f"bare-{process}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    ready.wait()
    began = time.monotonic()
    for payload in payloads:
        os.write(descriptor, json.dumps(payload).encode() + b"\n")
        if sync:
            os.fdatasync(descriptor)
    os.fdatasync(descriptor)
    os.close(descriptor)
    return began


def bare_synced(folder: Path, items: int, process: int, ready: Barrier) -> float:
    return bare(folder, items, process, ready, sync=True)


def bare_unsynced(folder: Path, items: int, process: int, ready: Barrier) -> float:
    return bare(folder, items, process, ready, sync=False)


def public_class(folder: Path, items: int, process: int, ready: Barrier) -> float:
    """``BatchRegistry.add_item_result``, as a script calls it."""
    with BatchRegistry(folder / "registry") as registry:
        batch_id = registry.list_batches()[0].batch_id
        payloads = []
        for number in mine(items, process):
            payload = {**record(number), "batch_id": batch_id}
            del payload["series"], payload["marks"]  # it looks whether they are there
            payloads.append(payload)
        ready.wait()
        began = time.monotonic()
        for payload in payloads:
            registry.add_item_result(batch_id, payload)
    return began


def rewritten(folder: Path, items: int, process: int, ready: Barrier) -> float:
    """One JSON file of the batch, read and written anew for every item, under a lock."""
    path, lock = folder / "batch.json", filelock.FileLock(folder / "batch.lock")
    payloads = [record(number) for number in mine(items, process)]
    ready.wait()
    began = time.monotonic()
    for payload in payloads:
        with lock:
            batch = json.loads(path.read_text()) if path.exists() else {"runs": []}
            batch["runs"].append(payload)
            path.write_text(json.dumps(batch))
    return began


def mlflow_sqlite(folder: Path, items: int, process: int, ready: Barrier) -> float:
    """``log_params`` and ``log_metrics`` of the same content into MLflow's SQLite store."""
    os.environ["MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"] = "false"
    logging.disable(logging.WARNING)
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("bench")
    payloads = [record(number) for number in mine(items, process)]
    ready.wait()
    began = time.monotonic()
    for payload in payloads:
        with mlflow.start_run(run_name=payload["name"]):
            mlflow.log_params(payload["params"])
            mlflow.log_metrics(payload["metrics"])
    return began


def _process(way: Way, folder: Path, items: int, process: int, ready: Barrier, told: Any) -> None:
    began = way(folder, items, process, ready)
    told.put((began, time.monotonic()))


def seconds(way: Way, items: int, prepare: Callable[[Path], None]) -> float:
    """Wall time of ``items`` from 4 processes, from the first that begins to the last that ends."""
    context = multiprocessing.get_context("spawn")
    folder = Path(tempfile.mkdtemp(prefix="finbot-recording-"))
    try:
        prepare(folder)
        ready, told = context.Barrier(PROCESSES), context.Queue()
        processes = [
            context.Process(target=_process, args=(way, folder, items, number, ready, told))
            for number in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        for process in processes:
            while process.is_alive() and told.qsize() < PROCESSES:
                process.join(0.2)
            if process.exitcode:
                raise SystemExit(f"{way.__name__}: a process ended with {process.exitcode}")
        times = [told.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
        check(way, folder, items)
    finally:
        shutil.rmtree(folder)
    return max(ended for _, ended in times) - min(began for began, _ in times)


def check(way: Way, folder: Path, items: int) -> None:
    """None lost: what was recorded is there, once."""
    if way in (segments_item, segments_second, public_class):
        registry = FilesRegistry(folder / "registry")
        [batch_id] = registry.batch_ids()
        fold = registry.fold(batch_id)
        assert (fold.success, fold.problems, fold.notes) == (items, (), ()), fold
    elif way is rewritten:
        assert len(json.loads((folder / "batch.json").read_text())["runs"]) == items


def with_batch(items: int) -> Callable[[Path], None]:
    def prepare(folder: Path) -> None:
        from datetime import UTC, datetime

        registry = FilesRegistry(folder / "registry")
        batch_id = new_batch_id(datetime.now(UTC))
        registry.create_batch(
            {"batch_id": batch_id, "batch_name": "bench", "created_at": datetime.now(UTC).isoformat()}
        )
        writer = registry.open_writer(batch_id, "main")
        names = [record(number)["name"] for number in range(items)]
        writer.append("begin", {"at": "2026-11-21T09:15:02.000+00:00", "expected": names, "deselected": 0})
        writer.close()

    return prepare


def nothing(folder: Path) -> None:
    """There is nothing to prepare."""


def mlflow_database(folder: Path) -> None:
    """The database made and migrated by one process, before four use it."""
    logging.disable(logging.WARNING)
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment("bench")


def best(way: Way, items: int, prepare: Callable[[Path], None], rounds: int = ROUNDS) -> float:
    """Items a second, the best of several rounds."""
    return items / min(seconds(way, items, prepare) for _ in range(rounds))


def reckoned(full: bool) -> tuple[float, str]:
    """Seconds of all items by the rewritten file: each costs what is in the file already."""
    if full:
        return seconds(rewritten, ITEMS, nothing), "measured"
    some, more = ITEMS // 10, ITEMS // 5
    first, second = seconds(rewritten, some, nothing), seconds(rewritten, more, nothing)
    # seconds(n) = a n + b n^2 through the two measured points.
    quadratic = (second / more - first / some) / (more - some)
    linear = first / some - quadratic * some
    return linear * ITEMS + quadratic * ITEMS**2, f"reckoned from {some} and {more} items"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="measure the rewritten file with all items")
    options = parser.parse_args()
    prepare = with_batch(ITEMS)
    rates = {
        "segments, durability item": best(segments_item, ITEMS, prepare),
        "bare files, fdatasync for each": best(bare_synced, ITEMS, nothing),
        "segments, durability second": best(segments_second, ITEMS, prepare),
        "bare files, fdatasync at the end": best(bare_unsynced, ITEMS, nothing),
        "BatchRegistry.add_item_result, durability item": best(public_class, ITEMS, prepare),
    }
    for name, rate in rates.items():
        print(f"{name:<58} {rate:9,.0f} records/s")
    item = rates["segments, durability item"]
    figures = [
        Figure("records/s, durability item", item, 8_000, "/s", at_least=True),
        Figure(
            "bare file writes / registry, durability item", rates["bare files, fdatasync for each"] / item, 2
        ),
    ]
    took, how = reckoned(options.full)
    print(f"{'one file rewritten for each item':<58} {took:9,.0f} s for {ITEMS:,} ({how})")
    figures.append(
        Figure("one rewritten file / registry", took / (ITEMS / item), 300, at_least=True, note=how)
    )
    try:
        import mlflow
    except ImportError:
        print("MLflow is not installed: not measured (pip install -e '.[bench]')")
    else:
        rate = best(mlflow_sqlite, 200, mlflow_database, rounds=1)
        print(f"{f'MLflow {mlflow.__version__}, SQLite store':<58} {rate:9,.0f} records/s")
        figures.append(Figure("registry / MLflow's SQLite store", item / rate, 100, at_least=True))
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
