"""All checks of prices: everything that can be wrong or odd about a window, its calendar built already."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import date

import numpy as np
from measuring import Figure, report

from pytest_finbot.contracts import DataFinding
from pytest_finbot.market.calendars import sessions_between
from pytest_finbot.market.prices import PriceTable
from pytest_finbot.market.quality import Window, findings_of, window_of

SMALL, LARGE = 2.0, 100.0
"""Milliseconds for 13 years x 10 shares and for 30 years x 500."""


def a_table(years: int, symbols: int, far: float, *, bars: bool = False) -> PriceTable:
    """Random prices on the sessions of XNYS, each symbol with so many steps of 30 to 40 % a year.

    With ``bars``, adjusted closes with raw ones, highs, lows and four dividends a year beside.
    """
    sessions = sessions_between("XNYS", date(1993, 1, 1), date(1992 + years, 12, 31))
    random = np.random.default_rng(7)
    shape = (len(sessions), symbols)
    returns = random.normal(0.0003, 0.01, shape)
    jumps = random.random(shape) < far / 252
    returns[jumps] = random.choice([-0.3, 0.4], int(jumps.sum()))
    close = np.ascontiguousarray(50.0 * np.cumprod(1.0 + returns, axis=0))
    names = tuple(f"S{number:03d}" for number in range(symbols))
    if not bars:
        return PriceTable(sessions, names, close, None, "adj_close", "random")
    dividends = np.zeros(shape)
    dividends[40::63] = 0.005 * close[39:-1:63]
    growth = np.ones(shape)
    growth[1:] = 1.0 / (1.0 - dividends[1:] / close[:-1])
    factor = np.cumprod(growth, axis=0)
    adjusted = close * factor / factor[-1]
    return PriceTable(
        sessions, names, adjusted, adjusted, "adj_close", "random",
        raw=close, high=close * 1.01, low=close * 0.99, dividends=dividends, splits=np.ones(shape),
    )  # fmt: skip


def whole(table: PriceTable) -> Window:
    first, last = table.sessions[[0, -1]].tolist()
    return window_of(table, table.symbols, first, last)


def milliseconds(asked: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Least and median of ``rounds``, after one that does not count."""
    asked()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        asked()
        times.append((time.perf_counter() - began) * 1e3)
    return min(times), statistics.median(times)


def main() -> int:
    figures = []
    for name, years, symbols, limit, rounds in (
        ("13 years x 10", 13, 10, SMALL, 100),
        ("30 years x 500", 30, 500, LARGE, 15),
    ):
        for what, table in (
            ("clean closes", a_table(years, symbols, 0.0)),
            ("a far step a year and symbol", a_table(years, symbols, 1.0)),
        ):
            figures.append(_figure(f"{name}, {what}", whole(table), limit, rounds))
    # With all that bars say besides, five times as many values.
    for name, years, symbols, limit, rounds in (
        ("13 years x 10", 13, 10, SMALL, 50),
        ("30 years x 500", 30, 500, LARGE, 10),
    ):
        table = a_table(years, symbols, 0.0, bars=True)
        figures.append(_figure(f"{name}, adjusted and raw bars with dividends", whole(table), limit, rounds))
    return report(figures)


def _figure(name: str, window: Window, limit: float, rounds: int) -> Figure:
    def asked() -> tuple[DataFinding, ...]:
        return findings_of(window, "XNYS", opens=False)

    found = asked()
    if any(one.severity == "error" for one in found):
        raise SystemExit(f"{name}: errors in prices that have none: {found[0].message}")
    least, median = milliseconds(asked, rounds)
    return Figure(name, least, limit, "ms", note=f"median {median:.2f} ms, {len(found)} odd")


if __name__ == "__main__":
    sys.exit(main())
