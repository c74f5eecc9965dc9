"""One file per symbol: its daily bars, open and close, raw or adjusted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import DataError
from pytest_finbot.market.cells import read_days, read_numbers, require_rising
from pytest_finbot.market.table_file import SUFFIXES, TableFile, folded, some, stem_of, suffix_of
from pytest_finbot.market.wide import read_only

_HISTORY = "_history_1d.parquet"
_FIELDS = ("open", "high", "low", "close", "adjclose", "dividends", "stocksplits")
"""What is read of a file, as :func:`table_file.folded` spells it."""


@dataclass(frozen=True, slots=True, eq=False)
class SymbolBars:
    """Bars of one symbol as its file has them, each [T] or ``None`` where there is no such
    column. NaN: no price. Sessions rise; arrays are read-only.

    ``dividends`` is currency a unit (0: none), ``splits`` the factor by which units multiply
    (1: none), from the columns ``Dividends`` and ``Stock Splits``, in which an empty cell or a
    zero means that there was none.
    """

    sessions: SessionArray
    open: FloatArray | None
    close: FloatArray | None
    adj_close: FloatArray | None
    source: str
    columns: tuple[str, ...]
    high: FloatArray | None = None
    low: FloatArray | None = None
    dividends: FloatArray | None = None
    splits: FloatArray | None = None


def looks_like_bars(table: TableFile) -> bool:
    """Whether a table holds one symbol's bars rather than one field of many symbols."""
    return {"open", "high", "low", "close"} <= {folded(name) for name in table.names}


def symbol_bars(table: TableFile) -> SymbolBars:
    """Read a table with the columns of one symbol.

    Names are matched without case, spaces and underscores. The date is the column of that
    name, or the first one. Columns that no run uses are not looked into. Raises DataError as
    :func:`wide.wide_table` does.
    """
    places: dict[str, int] = {}
    for place, name in enumerate(table.names):
        if folded(name) in places:
            raise DataError(
                f"{table.path}: columns '{table.names[places[folded(name)]]}' and '{name}' are one"
            )
        places[folded(name)] = place
    sessions = read_days(table, places.get("date", 0))
    require_rising(table, sessions)
    read_only(sessions)
    wanted = [name for name in _FIELDS if name in places]
    matrix = read_numbers(table, [places[name] for name in wanted])
    fields = {name: np.ascontiguousarray(matrix[:, number]) for number, name in enumerate(wanted)}
    for name, none in (("dividends", 0.0), ("stocksplits", 1.0)):
        if name in fields:
            told = fields[name]
            told[np.isnan(told) | (told == 0.0)] = none
    read_only(*fields.values())
    return SymbolBars(
        sessions,
        fields.get("open"),
        fields.get("close"),
        fields.get("adjclose"),
        table.path,
        table.names,
        high=fields.get("high"),
        low=fields.get("low"),
        dividends=fields.get("dividends"),
        splits=fields.get("stocksplits"),
    )


def closes_and_opens(bars: SymbolBars, field: str) -> tuple[FloatArray, FloatArray | None]:
    """Closing price in ``field`` and the open on the same basis, each [T].

    Under ``adj_close`` the open is Open * Adj Close / Close: what adjusts a session's close
    adjusts its open. Raises DataError where the file lacks a column that this needs.
    """
    closes = bars.close if field == "close" else bars.adj_close
    if closes is None:
        raise DataError(f"{bars.source}: no column for field '{field}'; it has {some(bars.columns, 12)}")
    if field == "close" or bars.open is None or bars.close is None:
        return closes, bars.open if field == "close" else None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return closes, bars.open * closes / bars.close


def symbol_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """Symbol -> names of its files in ``folder``: ``<symbol>.csv``, ``.csv.gz``, ``.parquet``
    or ``<symbol>_history_1d.parquet``.
    """
    found: dict[str, list[str]] = {}
    for name in sorted(os.listdir(folder)):
        suffix = suffix_of(name)
        if suffix is None or name.startswith("."):
            continue
        found.setdefault(stem_of(name), []).append(name)
        if name.endswith(_HISTORY):
            found.setdefault(name.removesuffix(_HISTORY), []).append(name)
    return {symbol: tuple(names) for symbol, names in sorted(found.items())}


def no_symbol_files(folder: Path) -> DataError:
    return DataError(f"{folder}: no price files; expected <SYMBOL> with one of {', '.join(SUFFIXES)}")


def is_file_of(symbol: str, path: Path) -> bool:
    """Whether a file's name says that it holds ``symbol``: ``SPY.csv``, ``SPY_history_1d.parquet``."""
    stem = stem_of(path.name)
    return stem == symbol or stem.startswith(f"{symbol}_")
