"""Do open, high, low and close of a session go together?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray
from pytest_finbot.market.findings.words import at, count
from pytest_finbot.market.window import Window

ROUNDING = 0.001
"""What open and close may lie outside of low and high (fraction): prices are rounded apart."""

_MANY = 5
_DENSE = 0.4
"""Of the sessions from the first to the last bar that is wrong, those that are: that often, columns
are exchanged. A single wrong bar says nothing about the close."""
_BLOCK = 32_768


def bar_findings(window: Window) -> Iterator[DataFinding]:
    """Bars with a high below the low, or an open or close outside of them.

    ``column_swapped`` (error) where there are many of them close together, ``bar_inconsistent``
    (odd) where there are few. Values that are missing, zero or below are not looked at. Which two
    columns are exchanged cannot always be told, and open for close, or high for close on a few
    sessions, may not show at all.
    """
    table = window.table
    if table.raw is None or table.high is None or table.low is None:
        return
    close, high, low = (window.part(values) for values in (table.raw, table.high, table.low))
    opens = None
    if table.open is not None:
        opens = window.part(table.open)
        if table.open_observed is not None:
            # One that was put in is of another session, and need not lie within this one's bar.
            opens = np.where(window.part(table.open_observed), opens, np.nan)
    adjusted = None if table.raw is table.close or opens is None else window.part(table.close)
    bad = _suspects(close, high, low, opens, adjusted)
    for column in bad:
        own = _Bars(
            close[:, column],
            high[:, column],
            low[:, column],
            None if opens is None else _raw_open(opens[:, column], close[:, column],
                                                 None if adjusted is None else adjusted[:, column]),
        )  # fmt: skip
        yield from own.findings(window, window.symbols[column])


def _raw_open(opens: FloatArray, close: FloatArray, adjusted: FloatArray | None) -> FloatArray:
    """Opens on the basis of the bars: a table has them on that of its field."""
    if adjusted is None:
        return opens
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return opens * close / adjusted


def _suspects(
    close: FloatArray,
    high: FloatArray,
    low: FloatArray,
    opens: FloatArray | None,
    adjusted: FloatArray | None,
) -> list[int]:
    """Columns with a bar that does not fit, block by block: most have none."""
    sessions, symbols = close.shape
    height = max(1, _BLOCK // max(symbols, 1))
    wrong = np.zeros(symbols, np.bool_)
    up, down = 1.0 + ROUNDING, 1.0 - ROUNDING
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for first in range(0, sessions, height):
            part = slice(first, first + height)
            top, bottom = high[part] * up, low[part] * down
            inside = [close[part]]
            if opens is not None:
                inside.append(
                    _raw_open(opens[part], close[part], None if adjusted is None else adjusted[part])
                )
            bad = high[part] * up < low[part]
            for values in inside:
                bad |= values > top
                bad |= values < bottom
            if bad.any():
                wrong |= bad.any(axis=0)
    return [int(column) for column in np.flatnonzero(wrong)]


class _Bars:
    """One symbol's bars [T]; what is no price is not looked at."""

    def __init__(
        self, close: FloatArray, high: FloatArray, low: FloatArray, opens: FloatArray | None
    ) -> None:
        self.high, self.low = _priced(high), _priced(low)
        self.inside = [("close", _priced(close))]
        if opens is not None:
            self.inside.append(("open", _priced(opens)))

    def findings(self, window: Window, symbol: str) -> Iterator[DataFinding]:
        wrong = self._crossed()
        said = ["high below low"] if wrong.any() else []
        for name, prices in self.inside:
            outside = ((prices > self.high * (1.0 + ROUNDING)) | (prices < self.low * (1.0 - ROUNDING))) & (
                ~self._crossed()
            )
            if outside.any():
                said.append(f"{name} outside of low and high")
            wrong = wrong | outside
        rows = np.flatnonzero(wrong)
        if not len(rows):
            return
        days = window.sessions
        what = f"{' and '.join(said)} on {count(len(rows), 'session')}"
        if len(rows) >= _MANY and len(rows) >= _DENSE * (rows[-1] - rows[0] + 1):
            message = f"{symbol}: {what}, from {days[rows[0]]} to {days[rows[-1]]}: are columns exchanged?"
            yield DataFinding("column_swapped", "error", message, symbol, str(days[rows[0]]), len(rows))
        else:
            message = f"{symbol}: {what}: {at(days, rows)}"
            yield DataFinding("bar_inconsistent", "odd", message, symbol, str(days[rows[0]]), len(rows))

    def _crossed(self) -> BoolArray:
        crossed: BoolArray = self.high * (1.0 + ROUNDING) < self.low
        return crossed


def _priced(values: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return np.where((values > 0.0) & (values < np.inf), values, np.nan)
