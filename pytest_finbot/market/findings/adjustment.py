"""Do adjusted closes contain just the dividends and splits that their files state?

An adjusted close is the close times a factor that steps on ex-dates: from the session before to
the ex-date it grows by 1 / (1 - D / C), with the dividend D and the close C of the session before
(the convention of CRSP and Yahoo), or by 1 + D / C, with the close C of the ex-date (dividends
bought back in at that close). Either is taken as the stated dividend. A split of s for 1 that
the close has not been adjusted for multiplies the step by s.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, IntArray
from pytest_finbot.market.findings.rounding import tick_of
from pytest_finbot.market.findings.words import count
from pytest_finbot.market.table_file import some
from pytest_finbot.market.window import Window

EXACT = 2e-6
"""What four prices, each a float of 32 bits, put into a step (fraction)."""
RESTATED = 0.005
"""A dividend that differs by less of itself is a rounded one."""

_FINEST = 1e-6
"""Last decimal of prices that are not seen to be rounded (currency)."""
_BLOCK = 32_768


def adjustment_findings(window: Window) -> Iterator[DataFinding]:
    """Steps of adjusted over raw close that the files' dividends and splits do not make (odd)."""
    table = window.table
    if table.field != "adj_close" or table.raw is None or table.raw is table.close or table.dividends is None:
        return
    adjusted, raw, dividends = (window.part(values) for values in (table.close, table.raw, table.dividends))
    splits = None if table.splits is None else window.part(table.splits)
    for column in _suspects(adjusted, raw, dividends).tolist():
        if table.without.get("Dividends") and not dividends[:, column].any():
            continue  # its file may be one that does not say
        own = None if splits is None else splits[:, column]
        factor = _Factor(window, adjusted[:, column], raw[:, column], dividends[:, column], own)
        yield from factor.findings(window.symbols[column])


def _suspects(adjusted: FloatArray, raw: FloatArray, dividends: FloatArray) -> IntArray:
    """Columns with a step of the factor or a dividend."""
    sessions, symbols = raw.shape
    height = max(1, _BLOCK // max(symbols, 1))
    wanted = np.zeros(symbols, np.bool_)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for first in range(0, sessions, height):
            factor = adjusted[first : first + height + 1] / raw[first : first + height + 1]
            step = factor[:-1] / factor[1:]
            if step.size and not (step.min() >= 1.0 - EXACT and step.max() <= 1.0 + EXACT):
                wanted |= (np.abs(step - 1.0) > EXACT).any(axis=0)
            wanted |= dividends[first : first + height].any(axis=0)
    found: IntArray = np.flatnonzero(wanted)
    return found


class _Factor:
    """Adjusted over raw close of one symbol, on the sessions [T] that have both."""

    def __init__(
        self,
        window: Window,
        adjusted: FloatArray,
        raw: FloatArray,
        dividends: FloatArray,
        splits: FloatArray | None,
    ) -> None:
        with np.errstate(invalid="ignore"):
            there = (adjusted > 0.0) & (adjusted < np.inf) & (raw > 0.0) & (raw < np.inf)
        self.rows = np.flatnonzero(there)
        self.adjusted, self.raw = adjusted[there], raw[there]
        paid = np.cumsum(dividends)
        self.stated = paid[self.rows[1:]] - paid[self.rows[:-1]]
        self.units = np.ones(len(self.stated)) if splits is None else splits[self.rows[1:]]

        self.days = window.sessions[self.rows[1:]]
        # What was paid on sessions that a policy left out is not in the table.
        dropped = window.table.dropped
        self.known = np.ones(len(self.days), np.bool_)
        if dropped is not None:
            after = np.searchsorted(self.days, dropped)
            self.known[after[after < len(self.days)]] = False

    def findings(self, symbol: str) -> Iterator[DataFinding]:
        if len(self.rows) < 2:
            return
        implied, wrong = self._implied()
        places = np.flatnonzero(wrong & self.known)
        if not len(places):
            return
        days = self.days
        told = some(
            f"a dividend of {_amount(float(implied[place]))} on {days[place]}, where the file states "
            f"{_amount(float(self.stated[place]))}"
            for place in places.tolist()
        )
        steps = f"{count(len(places), 'step')} that the stated dividends do not make"
        message = f"{symbol} (adj_close over close): {steps}: {told}"
        yield DataFinding("dividend_restated", "odd", message, symbol, str(days[places[0]]), len(places))

    def _implied(self) -> tuple[FloatArray, BoolArray]:
        """The dividend (currency a unit) that each step implies, and where it is not the stated one."""
        factor = self.adjusted / self.raw
        step = factor[:-1] / factor[1:]
        before, now = self.raw[:-1], self.raw[1:]
        # As stated splits say, whether or not the close has been adjusted for them.
        ways = [(1.0 - one) * before for one in (step, step * self.units)]
        ways += [(1.0 / one - 1.0) * now for one in (step, step * self.units)]
        off = np.abs(np.stack(ways) - self.stated)
        best = np.argmin(off, axis=0)
        places = np.arange(len(step))
        room = self._room() * np.maximum(before, now) + RESTATED * self.stated
        return np.stack(ways)[best, places], off[best, places] > room

    def _room(self) -> FloatArray:
        """How far rounding alone may move a step (fraction)."""
        room = np.full(len(self.stated), EXACT)
        for prices in (self.adjusted, self.raw):
            half = 0.5 * (tick_of(prices) or _FINEST)
            room += half / prices[:-1] + half / prices[1:]
        return room


def _amount(amount: float) -> str:
    return f"{amount:.4g}" if abs(amount) > _FINEST else "none"
