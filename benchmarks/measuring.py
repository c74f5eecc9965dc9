"""Measuring two things in turn, so that a machine that slows down slows both."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured value, its limit, and whether more or less is better."""

    name: str
    value: float
    limit: float
    unit: str = "x"
    at_least: bool = False
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "kept" if self.kept else "PASSED"
        note = f"  ({self.note})" if self.note else ""
        return (
            f"{self.name:<58} {self.value:9.3f} {self.unit:<3} limit {sign} {self.limit:g}: {verdict}{note}"
        )


def report(figures: Sequence[Figure]) -> int:
    """Print the figures; 1 where one is beyond its limit."""
    for figure in figures:
        print(figure, flush=True)
    return 0 if all(figure.kept for figure in figures) else 1


def paired(
    first: Callable[[], object], second: Callable[[], object], rounds: int
) -> tuple[float, float, float]:
    """Median seconds of each, and the median of the ratios pair by pair, after one warm-up."""
    times: list[tuple[float, float]] = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        first()
        between = time.perf_counter()
        second()
        ended = time.perf_counter()
        if number:
            times.append((between - began, ended - between))
    return (
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(a / b for a, b in times),
    )


def pytest_in(folder: Path, *options: str, expect: tuple[int, ...] = (0,)) -> None:
    """Run this interpreter's pytest in ``folder``, quietly; other exit statuses are an error."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    if done.returncode not in expect:
        raise SystemExit(
            f"pytest {' '.join(options)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )


def peak_rss_of(folder: Path, *options: str) -> int:
    """Peak resident bytes of pytest's own process (not its workers')."""
    code = (
        "import resource, sys, pytest\n"
        "status = pytest.main(sys.argv[1:])\n"
        "print('PEAK', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)\n"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(
            f"pytest {' '.join(options)} ended with {done.returncode}\n{done.stdout}{done.stderr}"
        )
    return int(done.stdout.rsplit("PEAK", 1)[1])
