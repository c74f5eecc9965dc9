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
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from measuring import Figure, report

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import DataSpec, MarketData, MarkSpec, RunSpec
from pytest_finbot.engines.adapting import bars
from pytest_finbot.engines.decisions import decide
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
    "nautilus": ("pytest_finbot.engines.nautilus.account", "Backtest.execute"),
}
"""Where each engine's own time begins and ends."""
ROUNDS = {"vectorbt": 30, "bt": 7}
FASTER = {"bt": 100.0}
"""How often the built-in engine runs while the other runs once, at the least."""
OVERHEAD = {"bt": 0.10, "zipline": 0.10}
"""Adapter and identities, as a fraction of the engine's own time, at the most."""
OVERHEAD_MS = 30.0
"""The same of vectorbt, in milliseconds: its own time is shorter than that."""


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


@dataclass(frozen=True)
class Measured:
    """Seconds of one strategy: the built-in engine's run, a proven run, and the engine's own part of it."""

    strategy: str
    built_in: float
    whole: float
    own: float
    first: float
    as_users_do: float | None


def measured(name: str) -> list[Measured]:
    """The strategies that the engine can express, each the median of several rounds in turn."""
    engine, built_in = resolve_engine(name), resolve_engine("portfolio")
    found = []
    for strategy, params, symbols in STRATEGIES:
        spec = settings(name, strategy, params, symbols)
        if list(engine.problems(spec)):
            continue
        market = load_market(spec)
        first = seconds_of(functools.partial(proven, engine, spec, market))  # imports, compiles
        entry = Entry(name)
        reference = settings("portfolio", strategy, params, symbols)
        proven(built_in, reference, market)
        prove = functools.partial(proven, engine, spec, market)
        run_built_in = functools.partial(built_in.run, reference, market)
        by_hand = as_users_do(spec, market) if name == "vectorbt" else None
        rounds = []
        for _ in range(ROUNDS.get(name, 3)):
            entry.seconds = 0.0
            with entry.timed():
                whole = seconds_of(prove)
            least = min(seconds_of(run_built_in) for _ in range(20))
            rounds.append((least, whole, entry.seconds, 0.0 if by_hand is None else seconds_of(by_hand)))
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        found.append(Measured(strategy, *medians[:3], first, None if by_hand is None else medians[3]))
    return found


def as_users_do(spec: RunSpec, market: MarketData) -> Callable[[], object]:
    """vectorbt as it is used by hand: NAV, cash and positions by its own accessors."""
    import vectorbt

    closes = bars.closes(market)
    decisions = decide(spec, market)
    size = np.full(market.close.shape, np.nan)
    size[decisions.fill_rows] = decisions.weights

    def run() -> object:
        portfolio = vectorbt.Portfolio.from_orders(
            closes,
            size=size,
            size_type="targetpercent",
            group_by=True,
            cash_sharing=True,
            call_seq="auto",
            init_cash=spec.start_capital,
        )
        return (
            portfolio.value(),
            portfolio.cash(),
            portfolio.assets(),
            portfolio.asset_value(group_by=False),
            portfolio.orders.records,
        )

    run()
    return run


def compared(name: str) -> list[Figure]:
    """Figures of one engine over all strategies together; of its overhead, where it is largest."""
    found = measured(name)
    built_in = sum(each.built_in for each in found)
    note = ", ".join(
        f"{each.strategy} {each.whole * 1e3:.1f} ms, {each.own / each.built_in:.0f} x (first {each.first:.1f} s)"
        for each in found
    )
    own = sum(each.own for each in found) / built_in
    by_hand = sum(each.as_users_do or 0.0 for each in found) / built_in
    rest = max(each.whole - each.own for each in found) * 1e3
    if name == "vectorbt":
        return [
            Figure("vectorbt by hand, with its accessors / the built-in engine", by_hand, 10.0, "x", True),
            Figure("vectorbt through its adapter: its own time / built-in", own, 1.0, "x", True, note),
            Figure("vectorbt: adapter and identities", rest, OVERHEAD_MS, "ms"),
        ]
    share = max((each.whole - each.own) / each.own for each in found)
    return [
        Figure(f"{name}: its own time / the built-in engine's", own, FASTER.get(name, 1.0), "x", True, note),
        Figure(
            f"{name}: adapter and identities / its own time",
            share,
            OVERHEAD.get(name, 1.0),
            "x",
            note=f"{rest:.1f} ms",
        ),
    ]


def main() -> int:
    unknown = [name for name in sys.argv[1:] if name not in ENTRY]
    if unknown or not sys.argv[1:]:
        raise SystemExit(f"expected engines that are installed here, of: {', '.join(ENTRY)}")
    return report([figure for name in sys.argv[1:] for figure in compared(name)])


if __name__ == "__main__":
    sys.exit(main())
