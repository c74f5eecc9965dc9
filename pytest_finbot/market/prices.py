"""Prices of some symbols, whatever files they came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import BoolArray, FloatArray, SessionArray
from pytest_finbot.errors import DataError, did_you_mean
from pytest_finbot.market.ohlcv import SymbolBars, closes_and_opens
from pytest_finbot.market.table_file import some
from pytest_finbot.market.wide import WideTable, read_only


@dataclass(frozen=True, slots=True, eq=False)
class PriceTable:
    """All that a source holds: rising ``sessions`` [T], ``close`` and ``open`` [T, N].

    NaN: no price. ``open`` is on the same adjustment basis, or ``None`` where the source has
    none for every symbol. Arrays are read-only. Nothing is checked yet but that the file is a
    table of numbers with rising dates; a window is checked where it is cut out.

    ``raw`` is the unadjusted close (``close`` itself where that is the field), ``high`` and
    ``low`` are on its basis; each is ``None`` unless every symbol's file of bars has it.
    ``dividends`` (currency a unit, 0: none) and ``splits`` (factor, 1: none) are ``None`` where
    no file has the column; ``without`` names, by column, the files that lack it, whose symbols
    have none in the array. ``adjusted`` is the adjusted close beside ``close`` where that is the
    raw one, NaN for symbols whose file has none; ``None`` where no file has one.

    ``observed`` is False where the file has no close and a policy for missing data put one
    there, ``open_observed`` the same of opens; ``None``: all that is there is the file's own.
    ``dropped`` are the sessions the policy ``drop`` left out: the file has them, so against a
    calendar they are not missing.
    """

    sessions: SessionArray
    symbols: tuple[str, ...]
    close: FloatArray
    open: FloatArray | None
    field: str
    source: str
    observed: BoolArray | None = None
    open_observed: BoolArray | None = None
    raw: FloatArray | None = None
    adjusted: FloatArray | None = None
    high: FloatArray | None = None
    low: FloatArray | None = None
    dividends: FloatArray | None = None
    splits: FloatArray | None = None
    without: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    dropped: SessionArray | None = None

    def of(self, columns: Sequence[int]) -> PriceTable:
        """These columns alone, in this order."""
        if list(columns) == list(range(len(self.symbols))):
            return self
        arrays = {name: _frozen(np.take(array, columns, axis=1)) for name, array in self._arrays()}
        symbols = tuple(self.symbols[column] for column in columns)
        return dataclasses.replace(self, symbols=symbols, **arrays)

    def at(self, keep: BoolArray) -> PriceTable:
        """The sessions alone where ``keep`` [T] is true."""
        arrays = {name: _frozen(array[keep]) for name, array in self._arrays()}
        return dataclasses.replace(self, sessions=_frozen(self.sessions[keep]), **arrays)

    def _arrays(self) -> Iterator[tuple[str, Any]]:
        """What there is of [T, N], by the name of its field."""
        for name in (
            "close", "open", "observed", "open_observed", "raw", "adjusted", "high", "low", "dividends",
            "splits",
        ):  # fmt: skip
            array = getattr(self, name)
            if array is not None:
                yield name, array


def _frozen(array: Any) -> Any:
    read_only(array)
    return array


def prices_of_wide(closes: WideTable, opens: WideTable | None, field: str) -> PriceTable:
    """One wide file of closes and perhaps one of opens.

    Raises DataError where the two do not have the same sessions and symbols.
    """
    if opens is None:
        return PriceTable(closes.sessions, closes.symbols, closes.values, None, field, closes.source)
    if closes.symbols == opens.symbols and np.array_equal(closes.sessions, opens.sessions):
        return PriceTable(closes.sessions, closes.symbols, closes.values, opens.values, field, closes.source)
    differences = [
        *_only_in(closes.source, closes.symbols, opens.symbols, "symbols"),
        *_only_in(opens.source, opens.symbols, closes.symbols, "symbols"),
        *_only_in(closes.source, _words(closes.sessions), _words(opens.sessions), "sessions"),
        *_only_in(opens.source, _words(opens.sessions), _words(closes.sessions), "sessions"),
    ]
    if differences:
        raise DataError(
            "opens and closes do not cover the same prices:\n"
            + "\n".join(f"  {line}" for line in differences)
        )
    values = np.take(opens.values, [opens.symbols.index(symbol) for symbol in closes.symbols], axis=1)
    read_only(values)
    return PriceTable(closes.sessions, closes.symbols, closes.values, values, field, closes.source)


def _words(sessions: SessionArray) -> tuple[str, ...]:
    return tuple(np.datetime_as_string(sessions).tolist())


def _only_in(source: str, names: Sequence[str], others: Collection[str], what: str) -> list[str]:
    known = set(others)
    only = [name for name in names if name not in known]
    return [f"{what} only in {source}: {some(only)}"] if only else []


def prices_of_bars(bars: dict[str, SymbolBars], field: str, source: str) -> PriceTable:
    """Symbols with a file each, side by side on the union of their sessions.

    Where a symbol has no bar on another's session its prices are NaN. Raises DataError where
    a file has no column for ``field``.
    """
    series = {symbol: closes_and_opens(one, field) for symbol, one in bars.items()}
    sessions = np.unique(np.concatenate([one.sessions for one in bars.values()]))
    read_only(sessions)
    rows = [np.searchsorted(sessions, one.sessions) for one in bars.values()]

    def beside(columns: Sequence[FloatArray | None], nothing: float = np.nan) -> FloatArray:
        table = np.full((len(sessions), len(bars)), nothing)
        for place, column in enumerate(columns):
            if column is not None:
                table[rows[place], place] = column
        read_only(table)
        return table

    def of_all(columns: Sequence[FloatArray | None]) -> FloatArray | None:
        return None if any(column is None for column in columns) else beside(columns)

    def of_any(columns: Sequence[FloatArray | None], nothing: float) -> FloatArray | None:
        return None if all(column is None for column in columns) else beside(columns, nothing)

    files = tuple(bars.values())
    close = beside([closes for closes, _ in series.values()])
    return PriceTable(
        sessions,
        tuple(bars),
        close,
        of_all([opens for _, opens in series.values()]),
        field,
        source,
        raw=close if field == "close" else of_all([one.close for one in files]),
        adjusted=of_any([one.adj_close for one in files], np.nan) if field == "close" else None,
        high=of_all([one.high for one in files]),
        low=of_all([one.low for one in files]),
        dividends=of_any([one.dividends for one in files], 0.0),
        splits=of_any([one.splits for one in files], 1.0),
        without={
            "Dividends": tuple(one.source for one in files if one.dividends is None),
            "Stock Splits": tuple(one.source for one in files if one.splits is None),
        },
    )


def require_symbols(wanted: Sequence[str], known: Collection[str], source: str) -> None:
    """Raise one DataError that names every symbol of ``wanted`` that ``source`` lacks."""
    missing = [symbol for symbol in wanted if symbol not in known]
    if not missing:
        return
    named = [f"'{symbol}'{_near(symbol, known)}" for symbol in missing]
    raise DataError(
        f"{source}: {len(missing)} of {len(wanted)} symbols are not there (it has {len(known)}; "
        "names are matched exactly):\n" + "\n".join(f"  {line}" for line in named)
    )


def _near(symbol: str, known: Collection[str]) -> str:
    if symbol.upper() in known:
        return f"; did you mean '{symbol.upper()}'?"
    return did_you_mean(symbol, known)
