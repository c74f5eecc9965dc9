"""Marks and every identity of the books: what proving a result costs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import date

import numpy as np
from measuring import Figure, report

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.marks import check_marks
from pytest_finbot.contracts import (
    DataSpec,
    EngineResult,
    Fills,
    MarketData,
    MarkSpec,
    MissingPrices,
    RunSpec,
)
from pytest_finbot.market.calendars import sessions_between
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.marks import value_marks

CAPITAL = 1e8
SIZES = ((13, 10, 3.0, 60), (30, 500, 120.0, 7))
"""Years, assets, limit (ms), rounds."""


def account(years: int, assets: int) -> tuple[EngineResult, MarketData]:
    """A long-short book that trades everything every 21st session, and its prices."""
    rng = np.random.default_rng(7)
    days = sessions_between("XNYS", date(2023 - years, 1, 1), date(2022, 12, 31))
    sessions = len(days)
    price = 50.0 * np.cumprod(1.0 + rng.normal(0.0003, 0.01, (sessions, assets)), axis=0)
    rows = np.arange(0, sessions, 21)
    wanted = 100.0 + 1.1 * rng.integers(-50, 50, (len(rows), assets)).cumsum(axis=0)
    quantity = np.repeat(wanted, 21, axis=0)[:sessions]
    traded = np.diff(wanted, axis=0, prepend=0.0)
    fee = np.abs(traded * price[rows]) * 1e-3
    paid = (traded * price[rows] + fee).sum(axis=1).cumsum()
    cash = CAPITAL - np.repeat(paid, 21)[:sessions]
    fills = Fills(
        np.repeat(rows, assets),
        np.tile(np.arange(assets), len(rows)),
        traded.ravel(),
        price[rows].ravel(),
        fee.ravel(),
        np.zeros(traded.size),
    )
    names = tuple(f"S{n:03d}" for n in range(assets))
    result = EngineResult.of(
        sessions=days,
        assets=names,
        nav=cash + (quantity * price).sum(axis=1),
        cash=cash,
        quantity=quantity,
        mark=price,
        start_cash=CAPITAL,
        fills=fills,
    )
    return result, MarketData(days, names, price, "close", "prices.csv", calendar="XNYS")


def with_gaps(market: MarketData) -> MarketData:
    """The same prices, of which one in a hundred was carried forward."""
    observed = np.random.default_rng(8).random(market.close.shape) >= 0.01
    return MarketData(
        market.sessions,
        market.symbols,
        market.close,
        "close",
        "prices.csv",
        calendar="XNYS",
        observed=observed,
        missing=MissingPrices("forward_fill", {}),
    )


def best(action: Callable[[], object], rounds: int) -> float:
    """Least milliseconds of several: what else runs on the machine only adds."""
    action()
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return min(found) * 1e3


def main() -> int:
    figures = []
    for years, assets, limit, rounds in SIZES:
        result, market = account(years, assets)
        spec = RunSpec(
            "run",
            "mine",
            "s",
            {},
            market.symbols,
            date(2000, 1, 1),
            date(2022, 12, 31),
            CAPITAL,
            DataSpec("x"),
        )
        broken = [check for check in check_books(result, spec) if check.failed]
        if broken:
            raise SystemExit(f"the account does not add up: {broken[0].message}")

        def prove(market: MarketData = market, result: EngineResult = result, spec: RunSpec = spec) -> None:
            check_marks(value_marks(result, market, MarkSpec()), MarkSpec())
            check_books(result, spec, Books(result))

        def plain(result: EngineResult = result) -> None:
            float((result.quantity * result.mark).sum())

        size = f"{years} years x {assets}"
        one_pass = best(plain, rounds)
        for name, prices in (
            ("every price there", market),
            ("one price in 100 carried forward", with_gaps(market)),
        ):
            took = best(lambda prices=prices: prove(prices), rounds)
            note = f"{took / one_pass:.0f} x market values alone, {len(result.fills):,} fills"
            figures.append(Figure(f"marks and books {size}, {name}", took, limit, "ms", note=note))
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
