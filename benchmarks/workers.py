"""100 runs of 200 ms of CPU each, in a user's engine: two workers against none."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from measuring import Figure, paired, pytest_in, report

ENGINE = """
import time

import numpy as np

from pytest_finbot.contracts import EngineResult


def busy(spec, market):
    until = time.process_time() + 0.2
    while time.process_time() < until:
        sum(range(1000))
    shape = market.close.shape
    flat = np.full(shape[0], spec.start_capital)
    return EngineResult.of(
        sessions=market.sessions, assets=market.symbols, nav=flat, cash=flat.copy(),
        quantity=np.zeros(shape), mark=market.close, start_cash=spec.start_capital,
    )
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "engines_of_ours.py").write_text(ENGINE)
        rows = [f"2020-01-{day:02d},{10 + day}" for day in range(1, 21)]
        (folder / "prices.csv").write_text("\n".join(["Date,A", *rows]) + "\n")
        lines = [
            "batch_name: busy",
            "engine: engines_of_ours:busy",
            "defaults: {data: {path: prices.csv}, symbols: [A], start_date: 2020-01-01, end_date: 2020-01-20}",
            "runs:",
            *(f"  - {{id: run_{n:03d}}}" for n in range(100)),
        ]
        (folder / "finbot.yaml").write_text("\n".join(lines) + "\n")
        alone, two, ratio = paired(
            lambda: pytest_in(folder, "--finbot-batch", "finbot.yaml", "-n", "0"),
            lambda: pytest_in(folder, "--finbot-batch", "finbot.yaml", "-n", "2"),
            3,
        )
    return report(
        [
            Figure(
                "100 busy runs: -n 0 / -n 2",
                ratio,
                1.7,
                at_least=True,
                note=f"{alone:.1f} s against {two:.1f} s",
            )
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
