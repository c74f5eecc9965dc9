"""Prices and factors of a run, from a snapshot instead of files.

A source is given out as the same table of columns that its file was read as, so that whatever
makes prices of files makes the same prices of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pytest_finbot.contracts import FloatArray, SessionArray
from pytest_finbot.errors import DataError, did_you_mean
from pytest_finbot.market.prices import require_symbols
from pytest_finbot.market.snapshots.manifest import is_snapshot_id, unseal
from pytest_finbot.market.snapshots.objects import object_path, read_object
from pytest_finbot.market.snapshots.sources import PRICE, Role, Source, SymbolData, Table, joined
from pytest_finbot.market.table_file import TableFile, some
from pytest_finbot.market.wide import WideTable, read_only


def manifest_path(snapshots: Path, identity: str) -> Path:
    """``<snapshots>/<id>.json``. Raises DataError for what is no id of a snapshot."""
    if not is_snapshot_id(identity):
        raise DataError(
            f"no such snapshot in {snapshots}: {identity!r} is no id of a snapshot, which is snap- and 12 "
            f"hexadecimal digits{_known(snapshots, identity)}"
        )
    return snapshots / f"{identity}.json"


def snapshot_ids(snapshots: Path) -> list[str]:
    """Ids of the snapshots in the folder, sorted."""
    if not snapshots.is_dir():
        return []
    names = (name.removesuffix(".json") for name in os.listdir(snapshots) if name.endswith(".json"))
    return sorted(name for name in names if is_snapshot_id(name))


def open_snapshot(snapshots: Path, identity: str) -> Snapshot:
    """The snapshot ``identity`` of the folder ``snapshots``; its objects are read when they are asked for.

    Raises DataError where it is not there or its manifest is not as it was written.
    """
    path = manifest_path(snapshots, identity)
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"no snapshot {identity} in {snapshots}{_known(snapshots, identity)}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    return Snapshot(snapshots, unseal(raw, identity, str(path)))


def _known(snapshots: Path, identity: str) -> str:
    """The nearest id, and those that there are, as the end of a message."""
    known = snapshot_ids(snapshots)
    there = f"there are {some(known)}" if known else "there is none"
    return f"{did_you_mean(identity, known)} ({there})"


class Snapshot:
    """A snapshot whose manifest was read and found whole. ``document`` is the manifest."""

    def __init__(self, snapshots: Path, document: Mapping[str, Any]) -> None:
        self.folder = snapshots
        self.document = document
        self.id: str = document["id"]

    @property
    def paths(self) -> tuple[str, ...]:
        """Names of its sources: their paths, relative to the folder of the batch file."""
        return tuple(source["path"] for source in self.document["sources"])

    @property
    def digests(self) -> frozenset[str]:
        """Digests of the data of every run that it was taken for."""
        return frozenset(digest for taken in self.document["taken"] for digest in taken["digests"].values())

    def object_hashes(self) -> Iterator[str]:
        """Hashes of its objects; one may come more than once."""
        for digest, _ in self.objects():
            yield digest

    def objects(self) -> Iterator[tuple[str, str]]:
        """Hash of each object, and whose rows it holds, as messages say it."""
        for source in self.document["sources"]:
            for table in source["tables"]:
                for symbol, years in table["symbols"].items():
                    for year, digest in years.items():
                        yield digest, self._what(source, symbol, year)

    def named(self, path: str | None, role: Role) -> Mapping[str, Any]:
        """The source with ``role`` that ``path`` means: the one whose own path ends most like it.

        An empty ``path`` means the only one there is. Raises DataError, with the names there are,
        where it means none or more than one.
        """
        sources: list[Mapping[str, Any]] = [
            source for source in self.document["sources"] if role in source["roles"]
        ]
        names = [source["path"] for source in sources]
        there = f"it has {some(names)}" if names else f"it has no {role}"
        if not path or not _parts(path):
            if not sources:
                raise DataError(f"snapshot {self.id} has no {role}")
            if len(sources) != 1:
                raise DataError(f"snapshot {self.id}: which of its {role} is meant? Name one; {there}")
            return sources[0]
        alike = [common_end(path, name) for name in names]
        most = max(alike, default=0)
        if most == 0:
            near = did_you_mean(PurePath(path).name, [PurePath(name).name for name in names])
            raise DataError(f"snapshot {self.id} has no {role} of {path}{near} ({there})")
        if alike.count(most) > 1:
            raise DataError(f"snapshot {self.id}: {path} may mean more than one of its {role} ({there})")
        return sources[alike.index(most)]

    def label(self, source: Mapping[str, Any]) -> str:
        """``data/prices.csv (snapshot snap-…)``: where its values come from, as messages say it."""
        return f"{source['path']} (snapshot {self.id})"

    def source_data(self, source: Mapping[str, Any]) -> Source:
        """All of a source. Raises DataError for objects that are missing or damaged."""
        tables = [
            Table(
                tuple(table["names"]),
                table["date"],
                {symbol: self._rows(source, table, symbol) for symbol in table["order"]},
                table["file"],
            )
            for table in source["tables"]
        ]
        return Source(
            source["path"], source["kind"], tuple(source["roles"]), tuple(source["fields"]), tuple(tables)
        )

    def bars_file(self, source: Mapping[str, Any], symbol: str) -> TableFile:
        """The file of one ``symbol`` of bars. Raises DataError where there is none."""
        known = {name: table for table in source["tables"] for name in table["order"]}
        require_symbols([symbol], known, self.label(source))
        table = known[symbol]
        rows = self._rows(source, table, symbol)
        columns: list[Any] = [_arrow(rows.columns[name]) for name in table["columns"]]
        columns.insert(table["date"], _arrow(rows.sessions))
        label = f"{source['path']}/{table['file']}" if table["file"] else source["path"]
        return TableFile(
            f"{label} (snapshot {self.id})", tuple(table["names"]), tuple(columns), len(rows.sessions), None
        )

    def wide_file(self, source: Mapping[str, Any]) -> TableFile:
        """A file of date x symbol, with the symbols that were kept of it."""
        (table,) = source["tables"]
        rows = self._side_by_side(source, table)
        sessions = rows[0].sessions
        columns = (_arrow(sessions), *(_arrow(one.columns[PRICE]) for one in rows))
        names = (*table["names"], *table["order"])
        return TableFile(self.label(source), names, columns, len(sessions), None)

    def panel(self, source: Mapping[str, Any]) -> RecordedPanel:
        """A panel of factors, each read when it is first asked for."""
        return RecordedPanel(self, source)

    def factor(self, source: Mapping[str, Any], name: str) -> WideTable:
        """Values of one factor of a panel, for the symbols that were kept of it."""
        table = next(table for table in source["tables"] if name in table["columns"])
        rows = self._side_by_side(source, table)
        values: FloatArray = np.stack([one.columns[name] for one in rows], axis=1)
        sessions: SessionArray = rows[0].sessions
        read_only(sessions, values)
        return WideTable(sessions, tuple(table["order"]), values, self.label(source))

    def _side_by_side(self, source: Mapping[str, Any], table: Mapping[str, Any]) -> list[SymbolData]:
        rows = [self._rows(source, table, symbol) for symbol in table["order"]]
        if not all(np.array_equal(one.sessions, rows[0].sessions) for one in rows):
            raise DataError(f"{self.label(source)}: its symbols do not stand at the same sessions")
        return rows

    def _what(self, source: Mapping[str, Any], symbol: str, year: str) -> str:
        return f"{self.label(source)}: {symbol}, {year}"

    def _rows(self, source: Mapping[str, Any], table: Mapping[str, Any], symbol: str) -> SymbolData:
        names = tuple(table["columns"])
        years = []
        for year, digest in sorted(table["symbols"][symbol].items()):
            what = self._what(source, symbol, year)
            data = read_object(self.folder, digest, what)
            if tuple(data.columns) != names:
                path = object_path(self.folder, digest)
                raise DataError(f"{what}: object {path} has columns {some(data.columns)}, not {some(names)}")
            years.append(data)
        return joined(years, names)


class RecordedPanel:
    """The factors of a snapshot's panel, as :class:`factor_panel.FactorPanel` has it."""

    def __init__(self, snapshot: Snapshot, source: Mapping[str, Any]) -> None:
        self.source = snapshot.label(source)
        self.names: tuple[str, ...] = tuple(
            sorted(name for table in source["tables"] for name in table["columns"])
        )
        self._snapshot = snapshot
        self._of = source
        self._tables: dict[str, WideTable] = {}

    def read(self, name: str) -> WideTable:
        if name not in self._tables:
            self._tables[name] = self._snapshot.factor(self._of, name)
        return self._tables[name]


def common_end(path: str, other: str) -> int:
    """How many parts the two paths have in common, counted from their ends."""
    parts = zip(_parts(path), _parts(other), strict=False)
    return next((number for number, (one, two) in enumerate(parts) if one != two), _shorter(path, other))


def _shorter(path: str, other: str) -> int:
    return min(len(_parts(path)), len(_parts(other)))


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.replace(os.sep, "/").split("/")) if part not in ("", ".")]


def _arrow(values: Any) -> Any:
    import pyarrow as pa

    return pa.chunked_array([pa.array(values.tolist() if values.dtype == object else values)])
