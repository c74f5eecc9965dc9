"""From files: the data that the runs of a batch use, or all that one price file or folder has."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import DataError
from pytest_finbot.market.cells import read_days, read_numbers, require_rising
from pytest_finbot.market.factor_panel import open_panel
from pytest_finbot.market.ohlcv import is_file_of, looks_like_bars, no_symbol_files, symbol_files
from pytest_finbot.market.snapshots.reading import Snapshot, open_snapshot
from pytest_finbot.market.snapshots.sources import (
    PRICE,
    Column,
    Role,
    Source,
    SymbolData,
    Table,
    only_symbols,
)
from pytest_finbot.market.table_file import TableFile, folded, read_table_file, require_exists, stem_of
from pytest_finbot.market.wide import WideTable, wide_table

Use = tuple[RunSpec, Sequence[str]]
"""A run, and the factors that it takes from its panel."""


def gather(folder: Path, runs: Iterable[Use]) -> tuple[Source, ...]:
    """The data that ``runs`` use: all columns and the whole history of their symbols, by path.

    Paths are told relative to ``folder``, that of the batch file. A symbol that a source does not
    have is left out: its runs are refused when they are loaded. A run that replays a snapshot
    uses that one's data. Raises DataError where a file cannot be read as what it is used for.
    """
    wanted: dict[str, _Wanted] = {}
    opened: dict[tuple[str, str], Snapshot] = {}
    recorded: dict[tuple[str, str, str], set[str]] = {}
    for spec, factors in runs:
        for path, role in _paths(spec, factors):
            if spec.data.snapshot is not None:
                # One source may be meant by several paths, and by none.
                key = (spec.data.snapshots, spec.data.snapshot)
                snapshot = opened[key] = opened.get(key) or open_snapshot(Path(key[0]), key[1])
                name = snapshot.named(path, role)["path"]
                recorded.setdefault((*key, name), set()).update(spec.symbols)
                continue
            use = wanted.setdefault(path, _Wanted())
            use.symbols.update(spec.symbols)
            use.roles.add(role)
            if role != "factors":
                use.fields.add(spec.data.field)
    found = [_read(Path(path), _relative(path, folder), use) for path, use in sorted(wanted.items())]
    for (snapshots, identity, name), symbols in sorted(recorded.items()):
        found.append(_recorded(opened[snapshots, identity], name, symbols))
    sources: dict[str, Source] = {}
    for source in found:
        if source.path in sources:
            raise DataError(
                f"{source.path}: some runs take it from a snapshot and some do not, or from another one; "
                "give them batch files of their own"
            )
        if source.tables:
            sources[source.path] = source
    return tuple(sources[path] for path in sorted(sources))


def source_of_path(path: Path) -> Source:
    """All that a price file, or a folder with a file per symbol, has. Raises DataError."""
    require_exists(path, "prices")
    if path.is_dir():
        files = symbol_files(path)
        if not files:
            raise no_symbol_files(path)
        # SPY_history_1d.parquet is listed under its whole name, too.
        whole = {
            stem_of(name) for symbol, names in files.items() for name in names if stem_of(name) != symbol
        }
        symbols = sorted(files.keys() - whole)
        return _read(path, path.name, _Wanted({*symbols}, {"prices"}))
    table = read_table_file(path)
    if looks_like_bars(table):
        symbol = stem_of(path.name).partition("_")[0]
        return Source(path.name, "bars", ("prices",), (), (_bars(table, symbol, ""),))
    return Source(path.name, "wide", ("prices",), (), (_wide(table, None),))


@dataclass(slots=True)
class _Wanted:
    symbols: set[str] = field(default_factory=set)
    roles: set[Role] = field(default_factory=set)
    fields: set[str] = field(default_factory=set)


def _paths(spec: RunSpec, factors: Sequence[str]) -> Iterable[tuple[str, Role]]:
    yield spec.data.path, "prices"
    if spec.data.open_path is not None:
        yield spec.data.open_path, "opens"
    if factors and spec.factors_path is not None:
        yield spec.factors_path, "factors"


def _relative(path: str, folder: Path) -> str:
    try:
        relative = Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        relative = Path(path).as_posix()
    try:
        relative.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{path!r}: a name that is no Unicode cannot be kept: {error.reason}") from error
    return relative


def _recorded(snapshot: Snapshot, name: str, symbols: set[str]) -> Source:
    source = next(source for source in snapshot.document["sources"] if source["path"] == name)
    return only_symbols(snapshot.source_data(source), frozenset(symbols))


def _read(path: Path, told: str, use: _Wanted) -> Source:
    roles, fields = tuple(sorted(use.roles)), tuple(sorted(use.fields))
    if "factors" in use.roles:
        if len(use.roles) > 1:
            raise DataError(f"{path}: it is used for prices and for factors; expected a file for each")
        return Source(told, "panel", roles, (), _panel_tables(path, use.symbols))
    require_exists(path, "data.path")
    if path.is_dir():
        files = symbol_files(path)
        if not files:
            raise no_symbol_files(path)
        tables = tuple(
            _bars(read_table_file(path / files[symbol][0]), symbol, files[symbol][0])
            for symbol in sorted(use.symbols)
            if len(files.get(symbol, ())) == 1
        )
        return Source(told, "bars", roles, fields, tables)
    table = read_table_file(path)
    if looks_like_bars(table):
        meant = (symbol for symbol in sorted(use.symbols) if is_file_of(symbol, path))
        return Source(told, "bars", roles, fields, tuple(_bars(table, symbol, "") for symbol in meant))
    kept = _wide(table, use.symbols)
    return Source(told, "wide", roles, fields, (kept,) if kept.symbols else ())


def _wide(table: TableFile, wanted: set[str] | None) -> Table:
    prices = wide_table(table)
    return Table((table.names[0],), 0, _spread(prices, wanted, PRICE))


def _spread(prices: WideTable, wanted: set[str] | None, name: str) -> dict[str, SymbolData]:
    return {
        symbol: SymbolData(prices.sessions, {name: prices.values[:, place]})
        for place, symbol in enumerate(prices.symbols)
        if wanted is None or symbol in wanted
    }


def _bars(table: TableFile, symbol: str, file: str) -> Table:
    """All columns: numbers as such, any other as the text that stands there."""
    date = next((place for place, name in enumerate(table.names) if folded(name) == "date"), 0)
    sessions = read_days(table, date)
    require_rising(table, sessions)
    columns = {name: _column(table, place) for place, name in enumerate(table.names) if place != date}
    return Table(table.names, date, {symbol: SymbolData(sessions, columns)}, file)


def _column(table: TableFile, place: int) -> Column:
    import pyarrow as pa
    import pyarrow.compute as compute

    try:
        return read_numbers(table, [place])[:, 0]
    except DataError:
        # Whoever needs a number there is told so when it is read, from a file or a snapshot.
        texts: Column = np.empty(table.rows, dtype=object)
        try:
            texts[:] = compute.cast(table.columns[place], pa.string()).to_pylist()
        except pa.ArrowException as error:
            kind = table.columns[place].type
            raise DataError(
                f"{table.path}: column '{table.names[place]}' holds {kind}; expected numbers or text"
            ) from error
        return texts


def _panel_tables(path: Path, wanted: set[str]) -> tuple[Table, ...]:
    """Every factor of the panel; those that stand at the same sessions share a table."""
    panel = open_panel(path)
    groups: dict[tuple[bytes, tuple[str, ...]], list[tuple[str, WideTable]]] = {}
    for name in panel.names:
        values = panel.read(name)
        if not wanted.isdisjoint(values.symbols):
            groups.setdefault((values.sessions.tobytes(), values.symbols), []).append((name, values))
    tables = []
    for members in groups.values():
        names = tuple(name for name, _ in members)
        spread = [_spread(values, wanted, name) for name, values in members]
        symbols = {
            symbol: SymbolData(
                data.sessions, {name: value for one in spread for name, value in one[symbol].columns.items()}
            )
            for symbol, data in spread[0].items()
        }
        tables.append(Table(names, -1, symbols))
    return tuple(tables)
