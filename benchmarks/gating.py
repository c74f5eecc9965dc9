"""1,000 runs compared with their baselines against the same 1,000 runs with nothing to compare with."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from measuring import Figure, pytest_in, report

RUNS = 1_000
ROUNDS = 4
PRICES = Path(__file__).resolve().parents[1] / "examples" / "data" / "prices.csv.gz"
FILES = ("gated.yaml", "alone.yaml")


def prepare(folder: Path) -> None:
    """The same runs of two years and ten shares, twice: with and without ``baseline:``."""
    shutil.copy(PRICES, folder / "prices.csv.gz")
    lines = [
        "batch_name: many",
        "defaults:",
        "  data: {path: prices.csv.gz, field: adj_close, calendar: XNYS}",
        "  strategy: fixed_weights",
        "  rebalance_freq: M",
        "  symbols: [AAPL, BAC, CVX, GE, HD, JNJ, JPM, KO, MSFT, XOM]",
        "  start_date: 2015-01-02",
        "  end_date: 2016-12-30",
        "  outputs: []",
        "runs:",
        *(f"  - {{id: run_{n:04d}, start_capital: {100_000 + n}}}" for n in range(RUNS)),
    ]
    (folder / "alone.yaml").write_text("\n".join(lines) + "\n")
    (folder / "gated.yaml").write_text("\n".join([lines[0], "baseline: baselines", *lines[1:]]) + "\n")


def run(folder: Path, file: str, *options: str) -> float:
    """Seconds of one whole pytest process and its two workers."""
    for left in (".finbot", "output"):
        shutil.rmtree(folder / left, ignore_errors=True)
    began = time.perf_counter()
    pytest_in(folder, "--finbot-batch", file, "-n", "2", *options)
    return time.perf_counter() - began


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        run(folder, "gated.yaml", "--finbot-accept", "--finbot-reason=measured", "--finbot-accept-in-ci")
        times: dict[str, list[float]] = {file: [] for file in FILES}
        for number in range(ROUNDS):
            for file in FILES if number % 2 else reversed(FILES):
                times[file].append(run(folder, file))
    gated, alone = (min(times[file]) for file in FILES)
    each = (gated - alone) / RUNS * 1e3
    note = f"{gated:.1f} s against {alone:.1f} s, best of {ROUNDS}: {each:.1f} ms a run of two workers"
    return report([Figure(f"{RUNS:,} gated runs -n 2 / not gated", gated / alone, 1.5, note=note)])


if __name__ == "__main__":
    sys.exit(main())
