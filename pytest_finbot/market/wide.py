"""A wide table: one field, sessions down, symbols across."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import DataError
from pytest_finbot.market.cells import read_days, read_numbers, require_rising
from pytest_finbot.market.table_file import TableFile


@dataclass(frozen=True, slots=True, eq=False)
class WideTable:
    """``values`` [T, N] of rising ``sessions`` [T] and ``symbols`` [N], read-only.

    NaN: the file has no value there.
    """

    sessions: SessionArray
    symbols: tuple[str, ...]
    values: FloatArray
    source: str


def read_only(*arrays: np.ndarray) -> None:
    """What is shared between runs, no run may change."""
    for array in arrays:
        array.setflags(write=False)


def wide_table(table: TableFile) -> WideTable:
    """Read ``table`` as date x symbol: the first column is the date, each other a symbol.

    Raises DataError for dates that do not parse, do not rise or repeat, and for cells that
    hold no number.
    """
    if len(table.names) < 2:
        raise DataError(
            f"{table.path}: only one column, '{table.names[0]}'; "
            "expected a date and one column per symbol, with commas between them"
        )
    sessions = read_days(table, 0)
    require_rising(table, sessions)
    values = read_numbers(table, range(1, len(table.names)))
    read_only(sessions, values)
    return WideTable(sessions, table.names[1:], values, table.path)
