"""What data is made of, wherever it is kept: sources, their tables, and a symbol's rows in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import SessionArray

Kind = Literal["wide", "bars", "panel"]
Role = Literal["prices", "opens", "factors"]
Column = npt.NDArray[Any]
"""One-dimensional: float64 (NaN: no value) or objects, each a text or ``None``."""

PRICE = "price"
"""Name of the only column that a symbol has in a wide file."""


@dataclass(frozen=True, slots=True, eq=False)
class SymbolData:
    """Rows of one symbol: rising ``sessions`` [T], and ``columns`` [T] in the order of its table."""

    sessions: SessionArray
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What came out of one file, or factors of one panel that stand at the same sessions.

    ``names`` are the names of the columns as the file has them, the date's (at place ``date``)
    among them; of a wide file it is the date's alone, its others are the ``symbols``, in file
    order. ``file`` is the name of the file in the folder that is its source, or empty.
    """

    names: tuple[str, ...]
    date: int
    symbols: Mapping[str, SymbolData]
    file: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A file or folder that runs name, as far as they use it.

    ``path`` is relative to the batch file's folder, with ``/``. ``fields``: which closing prices
    the runs take a wide file's to be, sorted; empty where nobody says.
    """

    path: str
    kind: Kind
    roles: tuple[Role, ...]
    fields: tuple[str, ...]
    tables: tuple[Table, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Sorted."""
        return tuple(sorted({symbol for table in self.tables for symbol in table.symbols}))


def years_of(data: SymbolData) -> dict[str, SymbolData]:
    """``data`` cut at the turns of the years: ``{"2020": rows of 2020, …}``, in order."""
    years = data.sessions.astype("datetime64[Y]").astype(np.int64) + 1970
    starts = np.flatnonzero(np.r_[True, years[1:] != years[:-1]]) if len(years) else np.empty(0, np.int64)
    ends = [*starts[1:].tolist(), len(years)]
    return {
        f"{years[begin]:04d}": SymbolData(
            data.sessions[begin:end], {name: column[begin:end] for name, column in data.columns.items()}
        )
        for begin, end in zip(starts.tolist(), ends, strict=True)
    }


def joined(years: list[SymbolData], names: tuple[str, ...]) -> SymbolData:
    """The rows of several years, one after the other; ``names`` are the columns of each."""
    return SymbolData(
        np.concatenate([year.sessions for year in years]),
        {name: np.concatenate([year.columns[name] for year in years]) for name in names},
    )


def only_symbols(source: Source, wanted: frozenset[str]) -> Source:
    """``source`` without the symbols that are not ``wanted``, and without tables that are left empty."""
    tables = (
        replace(table, symbols={symbol: data for symbol, data in table.symbols.items() if symbol in wanted})
        for table in source.tables
    )
    return replace(source, tables=tuple(table for table in tables if table.symbols))
