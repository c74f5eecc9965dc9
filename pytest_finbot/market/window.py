"""The part of a price table that a run uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar, cast

import numpy as np

from pytest_finbot.contracts import BoolArray, FloatArray, SessionArray
from pytest_finbot.market.prices import PriceTable

Array = TypeVar("Array", FloatArray, BoolArray, SessionArray)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Which part of a table a run uses: rows ``first`` to ``last`` (exclusive) and ``columns``."""

    table: PriceTable
    start: date
    end: date
    first: int
    last: int
    columns: Sequence[int]

    @property
    def sessions(self) -> SessionArray:
        return self.table.sessions[self.first : self.last]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the window's columns, in the run's order."""
        return tuple(self.table.symbols[column] for column in self.columns)

    def cut(self, values: Array) -> Array:
        """Rows and columns of the window, C-contiguous, read-only for good."""
        return immutable(np.take(values[self.first : self.last], self.columns, axis=1))

    def part(self, values: Array) -> Array:
        """The same values for looking at: not copied where the window has every column, in order."""
        rows: Any = values[self.first : self.last]
        whole = len(self.columns) == rows.shape[1] and all(
            place == column for place, column in enumerate(self.columns)
        )
        return cast(Array, rows if whole else np.take(rows, self.columns, axis=1))


def immutable(values: Array) -> Array:
    """A C-contiguous copy over memory that nobody can make writable again.

    Windows are shared by runs: a strategy that could write into one would change the prices
    of its neighbours under an unchanged fingerprint.
    """
    return cast(Array, np.frombuffer(values.tobytes(), dtype=values.dtype).reshape(values.shape))


def window_of(table: PriceTable, symbols: Sequence[str], start: date, end: date) -> Window:
    """The part of ``table`` from ``start`` to ``end``, both included. Symbols have to be there."""
    # Not the day after ``end``: the last day that there is has none.
    first = int(np.searchsorted(table.sessions, np.datetime64(start, "D"), side="left"))
    last = int(np.searchsorted(table.sessions, np.datetime64(end, "D"), side="right"))
    places = {symbol: place for place, symbol in enumerate(table.symbols)}
    return Window(table, start, end, first, last, [places[symbol] for symbol in symbols])
