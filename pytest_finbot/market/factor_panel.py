"""Local factor panels: values of named factors per date and symbol, long or wide.

A panel is one of

- a long file with columns ``date``, ``symbol`` and one column per factor,
- a long file with columns ``date``, ``symbol``, ``factor`` and ``value``,
- a folder with one wide date x symbol file per factor, named after it,
- one wide date x symbol file, named after its factor.

A value belongs to the date it stands at and to no other: nothing is carried forward, and a
date that is not a session of the run is not used. Carry a monthly factor forward when the panel
is made, where it can be seen which day's value was known when.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pytest_finbot.arrow import from_arrow
from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import DataError, did_you_mean
from pytest_finbot.market.cells import read_days, read_numbers
from pytest_finbot.market.table_file import (
    TableFile,
    folded,
    read_table_file,
    require_exists,
    some,
    stem_of,
    suffix_of,
)
from pytest_finbot.market.wide import WideTable, read_only, wide_table


class FactorPanel(Protocol):
    """What a panel can tell: its factors' ``names``, and each as a date x symbol table."""

    source: str
    names: tuple[str, ...]
    """Sorted."""

    def read(self, name: str) -> WideTable:
        """Values of one of ``names``."""
        ...


def open_panel(path: Path) -> FactorPanel:
    """Recognise the form of a panel. Raises DataError where it has none of them."""
    require_exists(path, "factors_path")
    if path.is_dir():
        return _WideFolder(path)
    table = read_table_file(path)
    if _is_long(table):
        return _LongFile(table)
    return _WideFile(path, table)


def panel_factor_names(path: Path) -> tuple[str, ...]:
    """Names of the factors a panel has, sorted."""
    return open_panel(path).names


def read_panel(
    path: Path, names: Sequence[str], symbols: Sequence[str], sessions: SessionArray
) -> dict[str, FloatArray]:
    """Factors ``names`` of the panel at ``path``, each [T, N] on ``sessions`` and ``symbols``."""
    panel = open_panel(path)
    require_factors(panel, names)
    return {name: align(panel.read(name), name, symbols, sessions) for name in names}


def require_factors(panel: FactorPanel, names: Sequence[str]) -> None:
    """Raise one DataError that names every factor of ``names`` the panel lacks."""
    missing = [name for name in names if name not in panel.names]
    if missing:
        named = ", ".join(f"'{name}'{did_you_mean(name, panel.names)}" for name in missing)
        raise DataError(
            f"{panel.source}: factors that are neither computed from prices nor in the panel: {named} "
            f"(the panel has {some(panel.names, 12)})"
        )


def align(table: WideTable, name: str, symbols: Sequence[str], sessions: SessionArray) -> FloatArray:
    """Values [T, N] of ``table`` on ``sessions`` and ``symbols``, NaN where it has none; read-only.

    Raises DataError for an infinite value, and where there is no value at all: every later
    step would take that for a factor nobody knows.
    """
    infinite = np.argwhere(np.isinf(table.values))
    if len(infinite):
        where = some(f"{table.symbols[column]} on {table.sessions[row]}" for row, column in infinite)
        raise DataError(f"{table.source}: factor '{name}' is infinite for {where}")
    aligned = np.full((len(sessions), len(symbols)), np.nan)
    common, to, of = np.intersect1d(sessions, table.sessions, assume_unique=True, return_indices=True)
    places = {symbol: place for place, symbol in enumerate(table.symbols)}
    for column, symbol in enumerate(symbols):
        if symbol in places:
            aligned[to, column] = table.values[of, places[symbol]]
    if np.isnan(aligned).all():
        raise DataError(
            f"{table.source}: factor '{name}' has no value for the run's symbols ({some(symbols)}) "
            f"on its sessions, {sessions[0]} to {sessions[-1]}; {len(common)} of the factor's dates are "
            f"such sessions, and it is from {table.sessions[0]} to {table.sessions[-1]}, "
            f"for {some(table.symbols)}"
        )
    read_only(aligned)
    return aligned


def _is_long(table: TableFile) -> bool:
    return {"date", "symbol"} <= {folded(name) for name in table.names}


class _WideFile:
    """One wide file; its name is the factor's."""

    def __init__(self, path: Path, table: TableFile) -> None:
        self.source = str(path)
        self.names: tuple[str, ...] = (stem_of(path.name),)
        self._table = wide_table(table)

    def read(self, name: str) -> WideTable:
        return self._table


class _WideFolder:
    """A folder of wide files, each read when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self.source = str(folder)
        self._files: dict[str, str] = {}
        self._tables: dict[str, WideTable] = {}
        for file in sorted(os.listdir(folder)):
            if suffix_of(file) is None or file.startswith("."):
                continue
            name = stem_of(file)
            if name in self._files:
                raise DataError(
                    f"{folder}: two files for factor '{name}': {self._files[name]}, {file}; keep one"
                )
            self._files[name] = file
        if not self._files:
            raise DataError(f"{folder}: no factor files; expected <factor>.csv, .csv.gz or .parquet")
        self.names = tuple(sorted(self._files))

    def read(self, name: str) -> WideTable:
        if name not in self._tables:
            table = read_table_file(Path(self.source) / self._files[name])
            if _is_long(table):
                raise DataError(
                    f"{table.path}: a long table (date, symbol, …); in a folder of factors each file is "
                    "date x symbol. Give this file itself as factors_path"
                )
            self._tables[name] = wide_table(table)
        return self._tables[name]


class _LongFile:
    """One long file; each factor is spread over dates and symbols when it is first asked for."""

    def __init__(self, table: TableFile) -> None:
        self.source = table.path
        self._file = table
        self._tables: dict[str, WideTable] = {}
        places = {folded(name): place for place, name in enumerate(table.names)}
        days = read_days(table, places["date"])
        self._days, self._day_of = np.unique(days, return_inverse=True)
        self._symbols, self._symbol_of = _words(table, places["symbol"])
        read_only(self._days)
        rest = {
            name: place for place, name in enumerate(table.names) if folded(name) not in ("date", "symbol")
        }
        self._columns: dict[str, int] = {}
        self._stacked: tuple[tuple[str, ...], Any, int] | None = None
        if {folded(name) for name in rest} == {"factor", "value"}:
            names, factor_of = _words(table, places["factor"])
            self._stacked = (names, factor_of, places["value"])
            self._require_once(factor_of, names)
            self.names = names
        else:
            self._columns = rest
            self._require_once(None, ())
            self.names = tuple(sorted(rest))
        if not self.names:
            raise DataError(f"{table.path}: no factor; expected columns after date and symbol")

    def _require_once(self, factor_of: Any, names: Sequence[str]) -> None:
        cell = self._day_of.astype(np.int64) * len(self._symbols) + self._symbol_of
        if factor_of is not None:
            cell = cell * len(names) + factor_of
        _, first, counts = np.unique(cell, return_index=True, return_counts=True)
        if len(first) == len(cell):
            return
        repeated = [
            f"{self._symbols[self._symbol_of[row]]} on {self._days[self._day_of[row]]}"
            + (f" ({names[factor_of[row]]})" if factor_of is not None else "")
            for row in first[counts > 1]
        ]
        raise DataError(f"{self.source}: more than one row for {some(repeated)}")

    def read(self, name: str) -> WideTable:
        if name not in self._tables:
            self._tables[name] = self._spread(name)
        return self._tables[name]

    def _spread(self, name: str) -> WideTable:
        values = np.full((len(self._days), len(self._symbols)), np.nan)
        if self._stacked is None:
            numbers = read_numbers(self._file, [self._columns[name]])[:, 0]
            values[self._day_of, self._symbol_of] = numbers
        else:
            names, factor_of, column = self._stacked
            rows = np.flatnonzero(factor_of == names.index(name))
            numbers = read_numbers(self._file, [column])[rows, 0]
            values[self._day_of[rows], self._symbol_of[rows]] = numbers
        read_only(values)
        return WideTable(self._days, self._symbols, values, self.source)


def _words(table: TableFile, column: int) -> tuple[tuple[str, ...], Any]:
    """Sorted distinct texts of a column, and for each row [rows] the number of its text."""
    import pyarrow as pa
    import pyarrow.compute as compute

    texts = compute.cast(table.columns[column], pa.string())
    if texts.null_count:
        texts = compute.fill_null(texts, "")
    coded = compute.utf8_trim_whitespace(texts).combine_chunks().dictionary_encode()
    words = coded.dictionary.to_pylist()
    codes = from_arrow(coded.indices)
    if "" in words:
        row = int(np.flatnonzero(codes == words.index(""))[0])
        raise DataError(f"{table.path}: {table.where(row)}: no {table.names[column]}")
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words), np.int64)
    rank[order] = np.arange(len(words))
    return tuple(words[number] for number in order), rank[codes]
