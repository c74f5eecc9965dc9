"""The index of a registry of 100,000 runs: rebuild, refresh, questions; against reading everything."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measuring import Figure, report

from pytest_finbot.contracts import BatchStatus, ErrorCategory, RunStatus
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index
from pytest_finbot.registry.index.fill import Filling
from pytest_finbot.registry.index.rows import IndexedBatch
from pytest_finbot.registry.queries import BatchFilter, RunFilter

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
WRITERS = 4
COLD = """
import sys
from pathlib import Path
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.index import Index
with Index.of(FilesRegistry(Path(sys.argv[1])), Path(sys.argv[2])) as index:
    assert len(index.runs(limit=50)) == 50
"""


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def batch_id_of(number: int) -> tuple[str, datetime]:
    began = BEGAN + timedelta(minutes=30 * number)
    return f"batch-{began:%Y%m%dT%H%M%S}Z-{number % 0xFFFFFF:06x}", began


def record(batch_id: str, batch: int, number: int, began: datetime, writer: str) -> dict[str, object]:
    """As the session writes it, without the small tables: about 1.2 KB."""
    name = f"strategy_{number:05d}"
    failed = (batch * 31 + number) % 97 == 0
    at = began + timedelta(milliseconds=200 * number)
    moved = batch // 10 if number % 10 == 0 else 0
    return {
        "run_id": f"{batch_id}/{name}",
        "batch_id": batch_id,
        "name": name,
        "status": "failed" if failed else "success",
        "attempt": 1,
        "finished_at": stamp(at + timedelta(milliseconds=180)),
        "compared_at": "",
        "verdict": None if failed else "moved" if number % 50 == 0 else "identical",
        "error": {"category": "timeout" if number % 2 else "data_error", "message": "it failed"}
        if failed
        else None,
        "started_at": stamp(at),
        "seconds": 0.18,
        "worker": writer,
        "fingerprint": {
            "environment": {"python": "3.11.7", "numpy": "2.4.6", "pandas": "3.1.1", "platform": "Linux"},
            "config": digest("config", number),
            "data": {"hash": digest("data", number % 20), "field": "close"},
            "code": {"hash": digest("code", batch), "scope": "import closure"},
        },
        "metrics": {
            "final_nav": 110000.0 + number + moved / 7,
            "total_return": 0.1 + number / 3e5,
            "cagr": 0.07 + number / 7e5,
            "volatility": 0.15881589811706,
            "sharpe": 0.9 + number / 9e4,
            "sortino": 1.2 + number / 9e4,
            "max_drawdown": -0.2 - number / 9e5,
            "calmar": 0.35,
            "trades": 40 + number % 7,
            "costs": 123.45,
        },
        "counts": {"sessions": 756, "positions": 7560, "fills": 40},
        "series": digest("series", number, moved),
        "fills": digest("fills", number, moved),
        "engine": "portfolio",
        "strategy": "fixed_weights" if number % 3 else "momentum",
        "tags": ["core"] if number % 4 == 0 else [],
    }


def fill(root: Path, batches: int, runs: int) -> tuple[FilesRegistry, int]:
    """A registry, written by its own writers; and the bytes of its segments."""
    registry = FilesRegistry(root, "second")
    registry._durable = False
    for batch in range(batches):
        batch_id, began = batch_id_of(batch)
        registry.create_batch(
            {
                "batch_id": batch_id,
                "batch_name": "core",
                "created_at": stamp(began),
                "provenance": {"git commit": digest("commit", batch)[:40]},
            }
        )
        main = registry.open_writer(batch_id, "main")
        main.append(
            "begin",
            {"at": stamp(began), "expected": [f"strategy_{n:05d}" for n in range(runs)], "deselected": 0},
        )
        writers = [registry.open_writer(batch_id, f"gw{n}") for n in range(WRITERS)]
        for number in range(runs):
            writer = writers[number % WRITERS]
            value = record(batch_id, batch, number, began, f"gw{number % WRITERS}")
            writer.append(
                "start", {"name": value["name"], "attempt": 1, "at": value["started_at"]}, sync=False
            )
            writer.append("run", value, sync=False)
        main.append("end", {"at": stamp(began + timedelta(milliseconds=200 * runs)), "exitstatus": 0})
        for writer in (*writers, main):
            writer.close()
    # Files of a registry are older than a few seconds; those just written would not be trusted yet.
    for folder in root.glob("batches/*/*/batch-*"):
        os.utime(folder, (1e9, 1e9))
    return registry, sum(path.stat().st_size for path in root.glob("batches/*/*/*/*.jsonl"))


def milliseconds(ask: Callable[[], object], rounds: int = 9) -> float:
    """The best of several after a warm-up: what else the machine does only ever adds."""
    times = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        ask()
        if number:
            times.append(time.perf_counter() - began)
    return 1e3 * min(times)


def rebuild(registry: FilesRegistry, path: Path, total: int, label: str) -> Figure:
    """The best of three, each from no file at all."""
    best = alone = float("inf")
    for _ in range(3):
        shutil.rmtree(path.parent, ignore_errors=True)
        began, worked = time.perf_counter(), time.process_time()
        with Index.of(registry, path) as index:
            best = min(best, time.perf_counter() - began)
            alone = min(alone, time.process_time() - worked)
            assert index.count_runs() == total
            assert not index.problems(), index.problems()[:3]
    note = f"{best:.1f} s; {total / alone:,.0f} /s of processor time"
    return Figure(f"{label}: rebuild", total / best, 20_000, "/s", at_least=True, note=note)


def scan_everything(registry: FilesRegistry, wanted: Callable[[dict[str, object]], bool]) -> int:
    """The same question without an index: every batch folded, every record read."""
    return sum(
        wanted(value) for batch_id in registry.batch_ids() for value in registry.fold(batch_id).records()
    )


def cold(root: Path, path: Path) -> float:
    """Milliseconds of a process that opens the index and lists 50 runs, beyond Python's own."""
    with_index, without = [], []
    for _ in range(5):
        for times, words in (
            (without, ["-c", "pass"]),
            (with_index, ["-c", COLD, str(root), str(path)]),
        ):
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True)
            times.append(time.perf_counter() - began)
    return 1e3 * (min(with_index) - min(without))


def questions(root: Path, registry: FilesRegistry, batches: int, runs: int, written: int) -> list[Figure]:
    total = batches * runs
    label = f"{batches:,} x {runs:,} runs"
    path = root.parent / f"index-{batches}" / "index.sqlite"
    rebuilt = rebuild(registry, path, total, label)
    kept = sum(file.stat().st_size for file in path.parent.glob("index.sqlite*"))
    index = Index.of(registry, path)
    print(f"{label}: {written / total:,.0f} bytes a run in the registry", flush=True)
    files = sum(1 for _ in registry.root.glob("batches/*/*/*/*.json*"))
    figures = [
        rebuilt,
        Figure(f"{label}: bytes of the index a run", kept / total, 600, "B"),
        Figure(
            f"{label}: refresh with nothing new",
            milliseconds(index.refresh),
            max(15, 5e-3 * files),
            "ms",
            note=f"{files:,} files",
        ),
    ]
    rare = RunFilter(status=RunStatus.FAILED, category=ErrorCategory.TIMEOUT, name="strategy_00??1", tag=None)
    asked: dict[str, Callable[[], object]] = {
        "page of 50 runs": lambda: index.runs(limit=50),
        "page of 50 runs: status, verdict, tag, strategy": lambda: index.runs(
            RunFilter(status=RunStatus.SUCCESS, verdict="moved", tag="core", strategy="momentum"), limit=50
        ),
        "page of 50 runs: few match": lambda: index.runs(rare, limit=50),
        "page of 50 runs: none match": lambda: index.runs(RunFilter(verdict="waived"), limit=50),
        "page of 50 runs of a month": lambda: index.runs(
            RunFilter(since=BEGAN, until=BEGAN + timedelta(days=1)), limit=50, offset=50
        ),
        "count runs: status, category": lambda: index.count_runs(rare),
        "page of 50 batches": lambda: index.batches(BatchFilter(status=BatchStatus.PARTIAL), limit=50),
        "by hash (configuration, 8 digits)": lambda: index.by_hash(digest("config", 7)[:8]),
        "latest per run name": index.latest,
        "history of a run": lambda: index.history("strategy_00007"),
        "one record": lambda: index.record(f"{batch_id_of(batches // 2)[0]}/strategy_00005"),
        "statistics": index.statistics,
    }
    figures += [Figure(f"{label}: {what}", milliseconds(ask), 50, "ms") for what, ask in asked.items()]
    figures.append(Figure(f"{label}: start, open, list 50 (beyond python)", cold(root, path), 300, "ms"))
    began = time.perf_counter()
    found = scan_everything(registry, lambda value: value["verdict"] == "moved")
    full = time.perf_counter() - began
    assert found == index.count_runs(RunFilter(verdict="moved"))
    listed = milliseconds(lambda: index.count_runs(RunFilter(verdict="moved")))
    figures.append(
        Figure(
            f"{label}: count by reading everything / by index",
            1e3 * full / listed,
            20,
            at_least=True,
            note=f"{full:.2f} s against {listed:.1f} ms",
        )
    )
    index.close()
    return figures


def roll_up(folder: Path) -> list[Figure]:
    """Statistics over 1,000,000 runs: 1,000 batches' counts, put straight into an index."""
    registry = FilesRegistry(folder / "roll_up", "second")
    index = Index.of(registry, folder / "roll_up_index" / "index.sqlite")
    filling = Filling(index._database.connection)
    sample = IndexedBatch(
        batch_id="",
        name="core",
        created_at="",
        ended_at=None,
        revision=digest("commit")[:40],
        status=BatchStatus.PARTIAL,
        status_if_dead=BatchStatus.PARTIAL,
        expected=1000,
        recorded=998,
        success=980,
        failed=18,
        not_run=2,
        deselected=0,
        error_categories={},
        verdicts={},
        cancel_reason=None,
        problems=(),
    )
    with index._database.transaction("IMMEDIATE"):
        for number in range(1000):
            batch_id, began = batch_id_of(number)
            failures = {"timeout": number % 19, "data_error": 18 - number % 19}
            verdicts = {"identical": 980 - number % 300, "moved": number % 300}
            filling.put(
                dataclasses.replace(
                    sample,
                    batch_id=batch_id,
                    created_at=stamp(began),
                    error_categories=failures,
                    verdicts=verdicts,
                ),
                b"0",
            )
    found = index.statistics()
    assert (found.batches, found.runs, sum(found.verdicts.values())) == (1000, 998_000, 980_000)
    note = "batch rows put straight into the index, no files"
    figures = [Figure("1,000,000 runs: statistics", milliseconds(index.statistics), 20, "ms", note=note)]
    index.close()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=100_000, help="runs of the registry (default: %(default)s)"
    )
    runs = parser.parse_args().runs
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for batches, each in ((max(runs // 1000, 1), min(runs, 1000)), (max(runs // 100, 1), min(runs, 100))):
            root = folder / f"registry-{batches}"
            registry, written = fill(root, batches, each)
            figures += questions(root, registry, batches, each, written)
        figures += roll_up(folder)
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
