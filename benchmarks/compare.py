"""A result against its baseline: the comparison alone, and reading what was accepted."""

from __future__ import annotations

import copy
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from measuring import Figure, report

from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.baselines.store import Baseline, read_baseline, write_baseline
from pytest_finbot.contracts import CheckSpec, Verdict
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.tolerances import METRIC_UNITS, tolerances_of

SIZES = ((3_300, 10, 20.0, 15), (7_500, 500, 300.0, 5))
"""Sessions, assets, limit (ms), rounds."""


def result(sessions: int, assets: int) -> RunResult:
    """A book that trades every 21st session, with all that can be compared."""
    rng = np.random.default_rng(7)
    days = np.busday_offset("1996-01-02", np.arange(sessions)).astype("datetime64[D]")
    price = 50.0 * np.cumprod(1.0 + rng.normal(0.0003, 0.01, (sessions, assets)), axis=0)
    rows = np.arange(0, sessions, 21)
    wanted = 1000.0 + rng.integers(-50, 50, (len(rows), assets)).cumsum(axis=0)
    quantity = np.repeat(wanted, 21, axis=0)[:sessions]
    traded = np.diff(wanted, axis=0, prepend=0.0)
    cash = 1e6 - np.repeat((traded * price[rows]).sum(axis=1).cumsum(), 21)[:sessions]
    values = quantity * price
    fills = FillTable(
        session=np.repeat(days[rows], assets),
        asset=np.tile(np.arange(assets), len(rows)),
        quantity=traded.ravel(),
        price=price[rows].ravel(),
        fee=np.abs(traded * price[rows]).ravel() * 1e-3,
    )
    numbers = [name for name, unit in METRIC_UNITS.items() if unit != "date"]
    return RunResult(
        sessions=days,
        nav=cash + values.sum(axis=1),
        assets=tuple(f"S{n:03d}" for n in range(assets)),
        cash=cash,
        quantity=quantity,
        market_values=values,
        fills=fills,
        metrics={name: 1.0 + n / 7 for n, name in enumerate(numbers)},
    )


def times(base: RunResult, factor: float) -> RunResult:
    """Every value of ``base`` times ``factor``."""
    fills = base.fills
    return dataclasses.replace(
        base,
        nav=base.nav * factor,
        cash=base.cash * factor,
        quantity=base.quantity * factor,
        market_values=base.market_values * factor,
        fills=dataclasses.replace(
            fills, quantity=fills.quantity * factor, price=fills.price * factor, fee=fills.fee * factor
        ),
        metrics={name: value * factor for name, value in base.metrics.items()},
    )


def plain_pass(now: RunResult, base: RunResult) -> bool:
    """What NumPy itself needs to hold both matrices to a limit: the least a comparison can cost."""
    scale = 1e-9 * np.abs(base.nav)[:, np.newaxis]
    far = np.abs(now.market_values - base.market_values) > scale
    other = np.abs(now.quantity - base.quantity) > 1e-9 * np.abs(base.quantity).max(axis=0)
    return bool(far.any() or other.any())


def best(action: Callable[[], object], rounds: int) -> float:
    """Least milliseconds of several: what else runs on the machine only adds."""
    action()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return min(found) * 1e3


def best_of_pair(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Least milliseconds of each, measured in turn."""
    found = [(best(first, 1), best(second, 1)) for _ in range(rounds)]
    return min(a for a, _ in found), min(b for _, b in found)


def main() -> int:
    tolerances = tolerances_of(CheckSpec("refactor"))
    figures = []
    for sessions, assets, limit, rounds in SIZES:
        size = f"{sessions:,} x {assets}"
        base = result(sessions, assets)
        moved = times(base, 1.001)
        plain = best(lambda base=base, moved=moved: plain_pass(moved, base), rounds)
        for name, now, verdict in (
            ("moved everywhere", moved, Verdict.MOVED),
            ("within", times(base, 1.0 + 1e-12), Verdict.WITHIN),
            ("identical", copy.deepcopy(base), Verdict.IDENTICAL),
        ):
            found = compare(now, base, tolerances).verdict
            if found is not verdict:
                raise SystemExit(f"{size}, {name}: the verdict is {found}")
            took = best(lambda base=base, now=now: compare(now, base, tolerances), rounds)
            note = f"{took / plain:.1f} x a plain pass of NumPy over both matrices, {plain:.1f} ms"
            figures.append(Figure(f"compare {size}, {name}", took, limit, "ms", note=note))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            years = np.unique(base.sessions.astype("datetime64[Y]")).astype(str).tolist()
            parts = {asset: dict.fromkeys(years, "0" * 32) for asset in base.assets}
            fingerprint = {
                "config": {"hash": "0" * 64, "settings": {}},
                "data": {"hash": sha256_of_json(parts), "parts": parts},
            }
            by = Acceptance("2026-11-21T09:15:02Z", "benchmark", "measured", "none")
            paths = write_baseline(folder, Baseline("size", "run", base, fingerprint, by, "", ""))
            took, plain = best_of_pair(
                lambda folder=folder: read_baseline(folder, "run"),
                lambda path=paths[1]: pq.read_table(path, use_threads=False),
                rounds,
            )
            size_on_disk = sum(path.stat().st_size for path in paths) / 1e3
            note = f"{took:.1f} ms against {plain:.1f} ms, {size_on_disk:,.0f} kB on disk"
            figures.append(
                Figure(f"read a baseline {size} / read its Parquet alone", took / plain, 4.0, note=note)
            )
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
