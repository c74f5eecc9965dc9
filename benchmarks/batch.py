"""10,000 trivial runs, recorded, against 10,000 trivial tests; and what the controller holds."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import Figure, paired, peak_rss_of, pytest_in, report

RUNS = 10_000
FEW = 500


def prepare(folder: Path, runs: int) -> None:
    """A batch of buy-and-hold runs on a short price file, and as many trivial tests."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    days = np.datetime64("2020-01-01") + np.arange(20)
    closes = 50 + np.cumsum(rng.normal(0, 1, (20, 2)), axis=0)
    rows = [f"{day},{a:.2f},{b:.2f}" for day, (a, b) in zip(days, closes, strict=True)]
    (folder / "prices.csv").write_text("\n".join(["Date,A,B", *rows]) + "\n")
    lines = [
        "batch_name: trivial",
        "defaults:",
        "  data: {path: prices.csv}",
        "  strategy: fixed_weights",
        "  rebalance_freq: none",
        "  symbols: [A, B]",
        "  start_date: 2020-01-01",
        "  end_date: 2020-01-20",
        "runs:",
        *(f"  - {{id: run_{n:05d}, start_capital: {1000 + n}}}" for n in range(runs)),
    ]
    (folder / "finbot.yaml").write_text("\n".join(lines) + "\n")
    (folder / "test_trivial.py").write_text(
        "import pytest\n\n\n"
        f"@pytest.mark.parametrize('n', range({runs}))\n"
        "def test_trivial(n):\n    assert n >= 0\n"
    )


def run_batch(folder: Path) -> None:
    for left in (".finbot", "output"):
        shutil.rmtree(folder / left, ignore_errors=True)
    pytest_in(folder, "--finbot-batch", "finbot.yaml", "-n", "2")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        many, few = Path(name, "many"), Path(name, "few")
        prepare(many, RUNS)
        prepare(few, FEW)
        ours, trivial, ratio = paired(
            lambda: run_batch(many), lambda: pytest_in(many, "test_trivial.py", "-n", "2"), 3
        )
        memory = {}
        for folder in (many, few):
            shutil.rmtree(folder / ".finbot", ignore_errors=True)
            batch = peak_rss_of(folder, "--finbot-batch", "finbot.yaml", "-n", "2")
            memory[folder] = batch, peak_rss_of(folder, "test_trivial.py", "-n", "2")
    (many_batch, many_tests), (few_batch, few_tests) = memory[many], memory[few]
    per_run = ((many_batch - many_tests) - (few_batch - few_tests)) / (RUNS - FEW)
    note = f"peak {many_batch / 2**20:.0f} MiB against {many_tests / 2**20:.0f} MiB at {RUNS:,}; {few_batch / 2**20:.0f} against {few_tests / 2**20:.0f} at {FEW}"
    return report(
        [
            Figure(
                f"{RUNS:,} trivial runs -n 2 / {RUNS:,} trivial tests -n 2",
                ratio,
                1.5,
                note=f"{ours:.1f} s against {trivial:.1f} s",
            ),
            Figure("controller's memory a run above pytest's own", per_run / 1024, 1.0, "KiB", note=note),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
