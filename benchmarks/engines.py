"""A third-party engine beside the built-in one, and what its adapter takes beyond the engine itself.

    python benchmarks/engines.py bt [vectorbt …]

For each engine named, which must be installed here: the three reference strategies on thirteen years
of ten shares, run in turn with the built-in engine's. The engine's own time is what its entry point
takes; the adapter's is all the rest of a run, from target weights to a result whose every identity
was proven.
"""

from __future__ import annotations

import functools
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from measuring import Figure, report

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import DataSpec, MarketData, MarkSpec, RunSpec
from pytest_finbot.engines.resolve import resolve_engine
from pytest_finbot.market.store import load_market

PRICES = Path(__file__).parents[1] / "examples" / "data" / "prices.csv.gz"
TEN = ("AAPL", "BAC", "CVX", "GE", "HD", "JNJ", "JPM", "KO", "MSFT", "XOM")
STRATEGIES = (
    ("fixed_weights", {}, TEN),
    ("sma_crossover", {"fast": 50, "slow": 200}, ("AAPL",)),
    ("momentum_rotation", {"top": 3, "lookback": 126}, TEN),
)
ENTRY = {
    "bt": ("bt", "Backtest.run"),
    "vectorbt": ("vectorbt", "Portfolio.from_orders"),
    "backtrader": ("backtrader", "Cerebro.run"),
    "backtesting": ("backtesting.backtesting", "Backtest.run"),
    "zipline": ("zipline", "TradingAlgorithm.run"),
    "nautilus": ("nautilus_trader.backtest.engine", "BacktestEngine.run"),
}
"""Where each engine's own time begins and ends."""
ROUNDS = {"vectorbt": 30, "bt": 7}
FASTER = {"vectorbt": 10.0, "bt": 100.0}
"""How often the built-in engine runs while the other runs once, at the least."""
OVERHEAD = {"bt": 0.10, "zipline": 0.10}
"""Adapter and identities, as a fraction of the engine's own time, at the most."""
OVERHEAD_MS = {"vectorbt": 30.0}


def settings(engine: str, strategy: str, params: dict[str, Any], symbols: tuple[str, ...]) -> RunSpec:
    """The run as ``engine`` can express it."""
    able = resolve_engine(engine).abilities if engine != "portfolio" else None
    return RunSpec(
        name=f"{engine}_{strategy}",
        engine=engine,
        strategy=strategy,
        params=params,
        symbols=symbols,
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(str(PRICES), field="adj_close", calendar="XNYS"),
        fill="close" if able is None or "close" in able.fills else "next_close",
        units="fractional" if able is None or "fractional" in able.units else "whole",
        cash_buffer=0.02 if engine in ("backtrader", "backtesting", "nautilus") else 0.0,
        rejected_orders="allow",
    )


class Entry:
    """Seconds spent in an engine's entry point since it was last asked."""

    def __init__(self, engine: str) -> None:
        module, path = ENTRY[engine]
        owner: Any = importlib.import_module(module)
        *outer, self._name = path.split(".")
        for step in outer:
            owner = getattr(owner, step)
        self._owner, self.seconds = owner, 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        raw = self._owner.__dict__[self._name]
        inner = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw

        def timing(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        setattr(self._owner, self._name, type(raw)(timing) if inner is not raw else timing)
        try:
            yield
        finally:
            setattr(self._owner, self._name, raw)


def proven(engine: Any, spec: RunSpec, market: MarketData) -> None:
    """One run and its proof; SystemExit where it does not add up."""
    result = engine.run(spec, market)
    check_result(result, spec, market)
    found = (
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, MarkSpec()),
    )
    if broken := [check for check in found if check.failed]:
        raise SystemExit(f"{spec.name}: {broken[0].name}: {broken[0].message}")


def seconds_of(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def compared(name: str) -> list[Figure]:
    """Figures of one engine, of the strategy where each is worst."""
    engine, own = resolve_engine(name), resolve_engine("portfolio")
    faster, overhead, overhead_ms, told = [], [], [], []
    for strategy, params, symbols in STRATEGIES:
        spec = settings(name, strategy, params, symbols)
        if list(engine.problems(spec)):
            continue
        market = load_market(spec)
        began = time.perf_counter()
        proven(engine, spec, market)  # imports, compiles
        first = time.perf_counter() - began
        entry = Entry(name)
        reference = settings("portfolio", strategy, params, symbols)
        proven(own, reference, market)
        ratios, shares, rest, whole = [], [], [], []
        prove = functools.partial(proven, engine, spec, market)
        run_own = functools.partial(own.run, reference, market)
        for _ in range(ROUNDS.get(name, 3)):
            entry.seconds = 0.0
            with entry.timed():
                total = seconds_of(prove)
            built_in = min(seconds_of(run_own) for _ in range(5))
            ratios.append(entry.seconds / built_in)
            shares.append((total - entry.seconds) / entry.seconds)
            rest.append((total - entry.seconds) * 1e3)
            whole.append(total)
        faster.append(statistics.median(ratios))
        overhead.append(statistics.median(shares))
        overhead_ms.append(statistics.median(rest))
        told.append(f"{strategy} {statistics.median(whole):.3f} s (first {first:.1f} s)")
    note = ", ".join(told)
    found = [
        Figure(
            f"{name}: its own time / the built-in engine's",
            min(faster),
            FASTER.get(name, 1.0),
            "x",
            True,
            note,
        )
    ]
    if name in OVERHEAD_MS:
        found.append(Figure(f"{name}: adapter and identities", max(overhead_ms), OVERHEAD_MS[name], "ms"))
    else:
        limit = OVERHEAD.get(name, 1.0)
        found.append(
            Figure(
                f"{name}: adapter and identities / its own time",
                max(overhead),
                limit,
                "x",
                note=f"{max(overhead_ms):.1f} ms",
            )
        )
    return found


def main() -> int:
    unknown = [name for name in sys.argv[1:] if name not in ENTRY]
    if unknown or not sys.argv[1:]:
        raise SystemExit(f"expected engines that are installed here, of: {', '.join(ENTRY)}")
    return report([figure for name in sys.argv[1:] for figure in compared(name)])


if __name__ == "__main__":
    sys.exit(main())
