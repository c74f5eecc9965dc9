"""All reports of a recorded batch, the HTML page among them: time, memory, size."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from gating import PRICES
from measuring import Figure, pytest_in, report

from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.ids import new_batch_id

RUNS, MOVED = 50, 5
MOST = 10_000
KINDS = 2_000
"""Different series among the runs of the largest batch: as many as a page draws."""
ROUNDS = 5
FORMATS = [word for name in ("csv", "json", "md", "html") for word in ("--format", name)]
TIMED = """
import resource, sys, time
began = time.perf_counter()
from pytest_finbot.cli.main import main
try:
    main()
finally:
    print("TOOK", time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def batch(folder: Path, runs: int, moved: int) -> None:
    """Thirteen years of ten shares; ``moved`` runs are not as they were accepted."""
    folder.mkdir()
    shutil.copy(PRICES, folder / "prices.csv.gz")
    head = [
        "batch_name: many",
        "baseline: baselines",
        "defaults:",
        "  data: {path: prices.csv.gz, field: adj_close, calendar: XNYS}",
        "  strategy: fixed_weights",
        "  symbols: [AAPL, BAC, CVX, GE, HD, JNJ, JPM, KO, MSFT, XOM]",
        "  start_date: 2010-01-04",
        "  end_date: 2022-12-28",
        "  outputs: []",
        "runs:",
    ]
    names = [f"run_{n:04d}" for n in range(runs)]

    def write(every: list[str]) -> None:
        lines = [
            f"  - {{id: {name}, start_capital: {100_000 + n}, rebalance_freq: {freq}}}"
            for n, (name, freq) in enumerate(zip(names, every, strict=True))
        ]
        (folder / "finbot.yaml").write_text("\n".join([*head, *lines]) + "\n")

    write(["M"] * runs)
    reason = "--finbot-reason=measured"
    pytest_in(
        folder, "--finbot-batch", "finbot.yaml", "-n", "2", "--finbot-accept", reason, "--finbot-accept-in-ci"
    )
    write(["Q"] * moved + ["M"] * (runs - moved))
    pytest_in(folder, "--finbot-batch", "finbot.yaml", "-n", "2", expect=(1,))


def unchanged(source: Path, target: Path) -> None:
    """A registry of :data:`MOST` runs that did not move, each as a run of ``source`` recorded it."""
    registry = FilesRegistry(source / ".finbot")
    taken = next(registry.batch_ids())
    record = next(
        one
        for one in registry.fold(taken).records()
        if (one.get("comparison") or {}).get("verdict") == "identical"
    )
    manifest = registry.manifest(taken)
    series, marks = (registry.objects.get_table(record[name]) for name in ("series", "marks"))
    fills = registry.objects.get_table(record["fills"])
    written = FilesRegistry(target / ".finbot", durability="second")
    batch_id = new_batch_id(datetime.now(UTC))
    run = manifest["runs"][-1]
    names = [f"run_{n:05d}" for n in range(MOST)]
    manifest |= {"batch_id": batch_id, "runs": [{**run, "name": name} for name in names]}
    written.create_batch(manifest)
    written.objects.put_table(marks)
    written.objects.put_table(fills)
    objects = []
    for n in range(KINDS):
        scaled = {
            name: values * (1 + n / KINDS) if name == "nav" else values for name, values in series.items()
        }
        objects.append(written.objects.put_table(scaled))
    writer = written.open_writer(batch_id, "main")
    at = manifest["created_at"]
    writer.append("begin", {"at": at, "expected": names, "deselected": 0})
    for n, name in enumerate(names):
        own = {
            "run_id": f"{batch_id}/{name}",
            "batch_id": batch_id,
            "name": name,
            "series": objects[n % KINDS],
        }
        writer.append("run", {**record, **own}, sync=False)
    writer.append("end", {"at": at, "exitstatus": 0})
    writer.close()


def made(folder: Path, rounds: int = ROUNDS) -> tuple[float, float, int]:
    """Seconds (the best) and peak MiB of ``finbot report``, and the bytes of its page."""
    took = []
    peak = 0.0
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", TIMED, "report", "last", *FORMATS, "--output", "made"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if "TOOK" not in done.stdout:
            raise SystemExit(f"finbot report ended with {done.returncode}\n{done.stdout}{done.stderr}")
        seconds, memory = map(float, done.stdout.rsplit("TOOK", 1)[1].split())
        took.append(seconds)
        peak = max(peak, memory)
    return min(took), peak, (folder / "made" / "batch_summary.html").stat().st_size


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        few, most = (Path(name, one) for one in ("few", "most"))
        batch(few, RUNS, MOVED)
        most.mkdir()
        unchanged(few, most)
        figures = []
        for folder, words, seconds_most, megabytes_most in (
            (few, f"{RUNS} runs, {MOVED} moved", 2.0, 2.0),
            (most, f"{MOST:,} runs, unchanged", 3.0, 6.0),
        ):
            seconds, peak, size = made(folder)
            figures += [
                Figure(f"{words}: all reports", seconds, seconds_most, "s"),
                Figure(f"{words}: memory of the process", peak, 300, "MiB"),
                Figure(f"{words}: the page", size / 1e6, megabytes_most, "MB"),
            ]
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
