"""Parse, validate and expand a batch file of 10,000 runs."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from measuring import Figure, report

from pytest_finbot.config.expand import load_batch
from pytest_finbot.session.inspect import inspect_run

RUNS = 10_000


def as_yaml() -> str:
    lines = [
        "batch_name: big",
        "defaults:",
        "  data: {path: prices.csv}",
        "  strategy: fixed_weights",
        "runs:",
    ]
    for number in range(RUNS):
        lines += [
            f"  - id: run_{number:05d}",
            "    symbols: [AAPL, XOM]",
            f"    params: {{weights: {{AAPL: 0.{number % 90 + 10}, XOM: 0.1}}}}",
            "    start_date: 2015-01-02",
            "    end_date: 2022-12-28",
            "    start_capital: 100000",
            "    tags: [core]",
        ]
    return "\n".join(lines) + "\n"


def as_json() -> str:
    runs = [
        {
            "id": f"run_{number:05d}",
            "symbols": ["AAPL", "XOM"],
            "params": {"weights": {"AAPL": number % 90 / 100 + 0.1, "XOM": 0.1}},
            "start_date": "2015-01-02",
            "end_date": "2022-12-28",
            "start_capital": 100000,
            "tags": ["core"],
        }
        for number in range(RUNS)
    ]
    defaults = {"data": {"path": "prices.csv"}, "strategy": "fixed_weights"}
    return json.dumps({"batch_name": "big", "defaults": defaults, "runs": runs})


def main() -> int:
    figures = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "prices.csv").write_text("Date,AAPL,XOM\n2015-01-02,1,1\n")
        for suffix, text in (("yaml", as_yaml()), ("json", as_json())):
            path = folder / f"finbot.{suffix}"
            path.write_text(text)
            seconds = []
            for _ in range(5):
                began = time.perf_counter()
                batch = load_batch(path, inspect=inspect_run)
                seconds.append(time.perf_counter() - began)
            if len(batch.runs) != RUNS:
                raise SystemExit(f"{len(batch.runs)} runs instead of {RUNS}")
            note = f"{len(text) / 1e6:.1f} MB"
            figures.append(
                Figure(f"{RUNS:,} runs in {suffix.upper()}", statistics.median(seconds), 2.0, "s", note=note)
            )
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
