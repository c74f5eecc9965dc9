"""The built-in engine against the least NumPy that computes the same NAV."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from datetime import date

import numpy as np
from measuring import Figure, paired, report

from pytest_finbot.contracts import CostSpec, DataSpec, MarketData, RunSpec
from pytest_finbot.engines.portfolio import PortfolioEngine
from pytest_finbot.strategies.schedule import decision_rows


def a_market(years: int, assets: int) -> MarketData:
    first = np.datetime64("1993-01-04")
    days = first + np.arange(years * 366)
    sessions = days[np.is_busday(days)][: years * 252]
    returns = np.random.default_rng(7).normal(0.0003, 0.015, (len(sessions), assets))
    return MarketData(
        sessions=sessions,
        symbols=tuple(f"S{number:03d}" for number in range(assets)),
        close=np.ascontiguousarray(50.0 * np.cumprod(1.0 + returns, axis=0)),
        field="close",
        source="random",
    )


def a_spec(market: MarketData) -> RunSpec:
    return RunSpec(
        name="run",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=market.symbols,
        start_date=date(1993, 1, 4),
        end_date=date(2030, 1, 1),
        start_capital=100_000.0,
        data=DataSpec("random"),
        costs=CostSpec(commission_bps=10),
        rebalance_freq="M",
    )


def bare_loop(market: MarketData, rows: np.ndarray) -> np.ndarray:
    """Monthly equal weights with 10 bp, costs targeted by fixed-point steps; NAV only."""
    prices, cost = market.close, 1e-3
    sessions, assets = prices.shape
    weight = np.full(assets, 1.0 / assets)
    nav = np.empty(sessions)
    cash, quantity = 100_000.0, np.zeros(assets)
    bounds = [*rows.tolist(), sessions]
    for begin, end in itertools.pairwise(bounds):
        price = prices[begin]
        before = cash + (quantity * price).sum()
        after = before
        for _ in range(4):
            after = before - cost * (np.abs(weight * after / price - quantity) * price).sum()
        target = weight * after / price
        traded = target - quantity
        cash -= (traded * price).sum() + cost * (np.abs(traded) * price).sum()
        quantity = target
        nav[begin:end] = cash + (prices[begin:end] * quantity).sum(axis=1)
    return nav


def dense_pass(market: MarketData, held: np.ndarray) -> np.ndarray:
    """One product and one sum over all prices."""
    return (market.close * held).sum(axis=1)


def main() -> int:
    engine = PortfolioEngine()
    small, large = a_market(13, 10), a_market(30, 500)
    spec, large_spec = a_spec(small), a_spec(large)
    rows = decision_rows(small.sessions, "M")
    ours, bare = engine.run(spec, small).nav, bare_loop(small, rows)
    if not np.allclose(ours, bare, rtol=1e-9, atol=0):
        raise SystemExit("the bare loop computes something else; the comparison is void")
    held = engine.run(large_spec, large).quantity
    a, b, small_ratio = paired(lambda: engine.run(spec, small), lambda: bare_loop(small, rows), 60)
    c, d, large_ratio = paired(lambda: engine.run(large_spec, large), lambda: dense_pass(large, held), 20)
    whole = dataclasses.replace(spec, units="whole")
    e, _, _ = paired(lambda: engine.run(whole, small), lambda: None, 20)
    return report(
        [
            Figure(
                "13 years x 10 shares monthly / bare NumPy loop",
                small_ratio,
                2.0,
                note=f"{a * 1e3:.2f} ms against {b * 1e3:.2f} ms; whole units {e * 1e3:.2f} ms",
            ),
            Figure(
                "30 years x 500 shares monthly / one dense pass",
                large_ratio,
                4.0,
                note=f"{c * 1e3:.1f} ms against {d * 1e3:.1f} ms",
            ),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
