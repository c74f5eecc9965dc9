"""Marks, every identity of the books, and what the batch and the market know: what proving a result costs."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from datetime import date

import numpy as np
from measuring import Figure, report

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market, distant_fills
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import beyond_declared, check_declared
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
    wanted = 100.0 + 1.1 * (rng.integers(-50, 50, (len(rows), assets)) + 0.5).cumsum(axis=0)
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


def with_own_arrays(result: EngineResult, market: MarketData) -> tuple[EngineResult, MarketData]:
    """The same account with declared dividends, four a year, from an engine that has marks of its own."""
    dividends = np.where(np.random.default_rng(9).random(market.close.shape) < 4 / 252, 0.5, 0.0)
    income = np.zeros(dividends.shape)
    income[1:] = result.quantity[:-1] * dividends[1:]
    received = income.sum(axis=1).cumsum()
    own = dataclasses.replace(
        result,
        mark=market.close * (1.0 + 1e-6),
        income=income,
        splits=np.ones(dividends.shape),
        cash=result.cash + received,
        nav=result.cash + received + (result.quantity * market.close * (1.0 + 1e-6)).sum(axis=1),
    )
    return own, dataclasses.replace(market, dividends=dividends, splits=np.ones(dividends.shape))


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
        own_result, own_market = with_own_arrays(result, market)
        for account_of, prices in ((result, market), (own_result, own_market)):
            found = (
                *check_books(account_of, spec),
                check_declared(account_of, spec, prices),
                check_marks_at_market(account_of, prices, MarkSpec()),
            )
            if broken := [check for check in found if check.failed]:
                raise SystemExit(f"the account does not add up: {broken[0].message}")

        def prove(market: MarketData = market, result: EngineResult = result, spec: RunSpec = spec) -> None:
            check_result(result, spec, market)
            beyond_declared(result, spec, market)
            distant_fills(result, market)
            check_marks(value_marks(result, market, MarkSpec()), MarkSpec())
            check_books(result, spec, Books(result))
            check_declared(result, spec, market)
            check_marks_at_market(result, market, MarkSpec())

        def plain(result: EngineResult = result) -> None:
            float((result.quantity * result.mark).sum())

        size = f"{years} years x {assets}"
        one_pass = best(plain, rounds)
        for name, prices, account_of in (
            ("every price there", market, result),
            ("one price in 100 carried forward", with_gaps(market), result),
            ("dividends, marks of the engine's own", own_market, own_result),
        ):
            took = best(lambda prices=prices, result=account_of: prove(prices, result), rounds)
            note = f"{took / one_pass:.0f} x market values alone, {len(result.fills):,} fills"
            figures.append(Figure(f"marks and books {size}, {name}", took, limit, "ms", note=note))
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
