"""How memory grows with the runs of one process: by itself, by an engine's leak, and with a limit.

Each of three sessions executes the same runs with the same engine: one that keeps nothing, one that
keeps LEAK bytes of every run, and the latter with ``--finbot-max-rss``. The engine writes down what its
process has after each run; growth is the slope over all runs but the first, which load libraries.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from pytest_finbot.session.max_rss import resident

RUNS = 60
LEAK = 4 * 2**20
LIMIT = "256 MiB"
ENGINE = """
import os
import numpy as np
from pytest_finbot.engines.portfolio import PortfolioEngine
from pytest_finbot.session.max_rss import resident

KEPT = []


def run(spec, market):
    result = PortfolioEngine().run(spec, market)
    KEPT.append(np.ones(int(os.environ["LEAK"]) // 8))
    with open("memory.txt", "a") as file:
        file.write(f"{os.getpid()} {resident(os.getpid())}\\n")
    return result
"""
HEAD = """\
batch_name: memory
defaults:
  engine: leaking:run
  strategy: fixed_weights
  data: {path: prices.csv}
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-12-31
  start_capital: 1000
runs:
"""


def measure(leak: int, *options: str) -> tuple[float, float, int]:
    """Bytes a run of growth (the steepest process), the most bytes of any, and how many processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        days = np.arange("2020-01-02", "2021-01-01", dtype="datetime64[D]")
        rows = [f"{day},{10 + number % 7},{20 - number % 5}" for number, day in enumerate(days)]
        (folder / "prices.csv").write_text("\n".join(["Date,AAA,BBB", *rows]) + "\n")
        (folder / "leaking.py").write_text(ENGINE)
        runs = [f"  - {{id: run_{n:03d}, params: {{weights: {{AAA: 0.{n + 100}}}}}}}\n" for n in range(RUNS)]
        (folder / "finbot.yaml").write_text(HEAD + "".join(runs))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--finbot-batch",
            "finbot.yaml",
        ]
        environment = {"LEAK": str(leak), "PYTHONPATH": str(folder)}
        done = subprocess.run(
            ["env", *(f"{key}={value}" for key, value in environment.items()), *command, *options],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        had: dict[str, list[int]] = {}
        for line in (folder / "memory.txt").read_text().splitlines():
            process, size = line.split()
            had.setdefault(process, []).append(int(size))
    if sum(map(len, had.values())) != RUNS:
        raise SystemExit(f"{sum(map(len, had.values()))} executions of {RUNS} runs")
    slopes = [np.polyfit(np.arange(len(each) - 1), each[1:], 1)[0] for each in had.values() if len(each) > 3]
    return float(max(slopes)), float(max(max(each) for each in had.values())), len(had)


def main() -> int:
    import os

    if resident(os.getpid()) is None:
        print("the memory of a process cannot be told here")
        return 0
    sound, most_sound, _ = measure(8)
    leaking, most_leaking, _ = measure(LEAK)
    _, most_bounded, processes = measure(LEAK, "--finbot-max-rss", LIMIT)
    mib = 2**20
    print(f"{RUNS} runs in one process; a leak of {LEAK / mib:.0f} MiB a run")
    print(f"{'':34}growth a run      most")
    print(f"an engine that keeps nothing      {sound / mib:8.3f} MiB  {most_sound / mib:6.0f} MiB")
    print(f"one that leaks                    {leaking / mib:8.3f} MiB  {most_leaking / mib:6.0f} MiB")
    print(f"it, with --finbot-max-rss {LIMIT}  {'':10}  {most_bounded / mib:6.0f} MiB, {processes} processes")
    own = sound / leaking
    print(f"growth that is not the engine's: {own:.4f} of the leak (limit 0.02)")
    bounded = most_bounded <= 256 * mib + 2 * LEAK
    return 0 if own < 0.02 and bounded else 1


if __name__ == "__main__":
    sys.exit(main())
