"""Prices that are not there, or are none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray
from pytest_finbot.market.findings.steps import LEAST, MOST, fit_prices
from pytest_finbot.market.findings.words import at, count
from pytest_finbot.market.table_file import some
from pytest_finbot.market.window import Window


def unpriced(
    window: Window, prices: FloatArray, history: FloatArray, field: str, fit: BoolArray
) -> Iterator[DataFinding]:
    """Every price of ``prices`` [T, N] that is missing, infinite, zero or below, or absurd.

    ``history`` is the whole column that ``prices`` was cut from; ``fit`` [T, N] says which
    prices can be used. A symbol lists and delists on the day of its first and last price.
    """
    for place in np.flatnonzero(~fit.all(axis=0)).tolist():
        yield from _OfSymbol(
            window, window.symbols[place], field, prices[:, place], history[:, window.columns[place]]
        ).findings()


def opens_put_in(window: Window, observed: BoolArray) -> Iterator[DataFinding]:
    """Sessions with a close of their own and an open that a policy put there (odd).

    ``observed`` [T, N] is False where an open was put in. Where the close was too, that is
    counted with the closes.
    """
    put = ~observed
    if window.table.observed is not None:
        put &= window.part(window.table.observed)
    for place in np.flatnonzero(put.any(axis=0)).tolist():
        rows, symbol = np.flatnonzero(put[:, place]), window.symbols[place]
        message = (
            f"{symbol} (open): no open on {count(len(rows), 'session')}: {at(window.sessions, rows)}; "
            "data.missing puts in the close of the session before"
        )
        yield DataFinding("open_put_in", "odd", message, symbol, str(window.sessions[rows[0]]), len(rows))


class _OfSymbol:
    def __init__(
        self, window: Window, symbol: str, field: str, prices: FloatArray, history: FloatArray
    ) -> None:
        self._window = window
        self._sessions = window.sessions
        self._symbol = symbol
        self._name = f"{symbol} ({field})"
        self._prices = prices
        self._history = history

    def findings(self) -> Iterator[DataFinding]:
        missing = np.isnan(self._prices)
        if missing.all():
            message = f"no price in the window{self._elsewhere()}"
            yield self._found("no_price", message, 0, len(missing))
            return
        priced = np.flatnonzero(~missing)
        first, last = int(priced[0]), int(priced[-1])
        sessions = self._sessions
        if first > 0:
            message = (
                f"no price on the first {count(first, 'session')}, from {sessions[0]}; "
                f"listed on {sessions[first]}?"
            )
            yield self._found("lists_late", message, first, first)
        gaps = np.flatnonzero(missing[first:last]) + first
        if len(gaps):
            message = f"no price on {count(len(gaps), 'session')}: {at(sessions, gaps)}"
            yield self._found("missing_price", message, int(gaps[0]), len(gaps))
        if last < len(missing) - 1:
            after = len(missing) - 1 - last
            message = f"last price on {sessions[last]}, none on the {count(after, 'session')} after it"
            yield self._found("delists", message, last, after)
        infinite = np.flatnonzero(np.isinf(self._prices))
        if len(infinite):
            message = f"infinite on {count(len(infinite), 'session')}: {at(sessions, infinite)}"
            yield self._found("infinite_price", message, int(infinite[0]), len(infinite))
        for kind, wrong in (
            ("zero_price", self._prices == 0.0),
            ("negative_price", (self._prices < 0.0) & np.isfinite(self._prices)),
            ("absurd_price", (self._prices > 0.0) & np.isfinite(self._prices) & ~fit_prices(self._prices)),
        ):
            rows = np.flatnonzero(wrong)
            if len(rows):
                where = some(f"{self._prices[row]} on {sessions[row]}" for row in rows)
                expected = (
                    f"lie between {LEAST:g} and {MOST:g}" if kind == "absurd_price" else "be above zero"
                )
                message = f"prices have to {expected}: {where}"
                yield self._found(kind, message, int(rows[0]), len(rows))

    def _elsewhere(self) -> str:
        ever = np.flatnonzero(~np.isnan(self._history))
        days = self._window.table.sessions
        return f"; its prices are from {days[ever[0]]} to {days[ever[-1]]}" if len(ever) else " or elsewhere"

    def _found(self, kind: str, message: str, row: int, number: int) -> DataFinding:
        day = str(self._sessions[row])
        return DataFinding(kind, "error", f"{self._name}: {message}", self._symbol, day, number)
