"""Two sets of data, source by source and symbol by symbol: what differs, and what may be the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pytest_finbot.contracts import SessionArray
from pytest_finbot.market.snapshots.patterns import FieldChange, Pair, changed_in, explain
from pytest_finbot.market.snapshots.reading import common_end
from pytest_finbot.market.snapshots.sources import PRICE, Column, Source, SymbolData
from pytest_finbot.market.table_file import folded

Side = Literal["A", "B"]
_DAY = np.timedelta64(1, "D")


@dataclass(frozen=True, slots=True)
class OnlySessions:
    """``count`` sessions that only one side has, for each of ``symbols``, as ranges of ISO dates."""

    side: Side
    symbols: tuple[str, ...]
    count: int
    ranges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SourceDifference:
    """What differs between the source ``a`` of A and its counterpart ``b`` in B."""

    a: str
    b: str
    symbols_only_in_a: tuple[str, ...]
    symbols_only_in_b: tuple[str, ...]
    fields_only_in_a: Mapping[str, tuple[str, ...]]
    """Field -> symbols."""
    fields_only_in_b: Mapping[str, tuple[str, ...]]
    sessions: tuple[OnlySessions, ...]
    changes: tuple[FieldChange, ...]
    symbols: int
    """How many both have."""

    @property
    def differs(self) -> bool:
        return bool(
            self.symbols_only_in_a
            or self.symbols_only_in_b
            or self.fields_only_in_a
            or self.fields_only_in_b
            or self.sessions
            or self.changes
        )


@dataclass(frozen=True, slots=True)
class DataDifference:
    """What differs between A and B: pairs of sources, and sources that only one has."""

    sources: tuple[SourceDifference, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return bool(self.only_in_a or self.only_in_b or any(source.differs for source in self.sources))


def compare(a: Sequence[Source], b: Sequence[Source], *, limit: int = 10) -> DataDifference:
    """Compare the sources of two sets of data. ``limit``: unexplained changes told of each field.

    Sources belong together whose paths end alike; where each side has one source of prices, those do.
    """
    pairs = _pairs(a, b)
    mine = {id(source) for source, _ in pairs}
    theirs = {id(source) for _, source in pairs}
    return DataDifference(
        tuple(_compared(one, other, limit) for one, other in pairs),
        tuple(source.path for source in a if id(source) not in mine),
        tuple(source.path for source in b if id(source) not in theirs),
    )


def _pairs(a: Sequence[Source], b: Sequence[Source]) -> list[tuple[Source, Source]]:
    left, right = ([source for source in side if source.kind != "panel"] for side in (a, b))
    if len(left) == len(right) == 1:
        pairs = [(left[0], right[0])]
        rest = [[source for source in side if source.kind == "panel"] for side in (a, b)]
    else:
        pairs, rest = [], [list(a), list(b)]
    likeness = sorted(
        (-common_end(one.path, other.path), one.path, other.path, number, place)
        for number, one in enumerate(rest[0])
        for place, other in enumerate(rest[1])
        if common_end(one.path, other.path) and (one.kind == "panel") == (other.kind == "panel")
    )
    taken: set[tuple[str, int]] = set()
    for _, _, _, number, place in likeness:
        if ("a", number) not in taken and ("b", place) not in taken:
            taken.update((("a", number), ("b", place)))
            pairs.append((rest[0][number], rest[1][place]))
    return sorted(pairs, key=lambda pair: pair[0].path)


def _compared(a: Source, b: Source, limit: int) -> SourceDifference:
    both_wide = a.kind == b.kind == "wide"
    field = _field_of(a) or _field_of(b)
    mine, theirs = _by_symbol(a, both_wide, field), _by_symbol(b, both_wide, field)
    common = sorted(mine.keys() & theirs.keys())
    only_fields: tuple[dict[str, list[str]], dict[str, list[str]]] = ({}, {})
    sessions: dict[tuple[Side, tuple[tuple[str, str], ...], int], list[str]] = {}
    pairs: list[Pair] = []
    moved: list[FieldChange] = []
    for symbol in common:
        one, other = mine[symbol], theirs[symbol]
        for number, names in enumerate(
            (one.columns.keys() - other.columns, other.columns.keys() - one.columns)
        ):
            for name in names:
                only_fields[number].setdefault(name, []).append(symbol)
        shifted = _shifted_days(symbol, one, other)
        if shifted:
            moved += shifted
            continue
        for side, ranges, count in _only_sessions(one.sessions, other.sessions):
            sessions.setdefault((side, ranges, count), []).append(symbol)
        pairs += _field_pairs(symbol, one, other, a, b)
    exchanged = _exchanged([pair for pair in pairs if changed_in(pair).any()])
    told = [exchanged.get((pair.symbol, pair.field)) or explain(pair, limit) for pair in pairs]
    return SourceDifference(
        a=a.path,
        b=b.path,
        symbols_only_in_a=tuple(sorted(mine.keys() - theirs.keys())),
        symbols_only_in_b=tuple(sorted(theirs.keys() - mine.keys())),
        fields_only_in_a={name: tuple(symbols) for name, symbols in sorted(only_fields[0].items())},
        fields_only_in_b={name: tuple(symbols) for name, symbols in sorted(only_fields[1].items())},
        sessions=tuple(
            OnlySessions(side, tuple(symbols), count, ranges)
            for (side, ranges, count), symbols in sessions.items()
        ),
        changes=tuple(
            sorted(
                (*moved, *(change for change in told if change is not None)),
                key=lambda change: (change.symbol, change.field),
            )
        ),
        symbols=len(common),
    )


def _field_of(source: Source) -> str | None:
    """Which field a wide file holds, where its runs agree."""
    return source.fields[0] if source.kind == "wide" and len(source.fields) == 1 else None


def _by_symbol(source: Source, both_wide: bool, field: str | None) -> dict[str, SymbolData]:
    """Each symbol's columns under names that mean the same on either side, on days that have a value."""
    merged: dict[str, SymbolData] = {}
    for table in source.tables:
        for symbol, data in table.symbols.items():
            if source.kind == "wide":
                name = (field if both_wide else _field_of(source)) or PRICE
                columns: dict[str, Column] = {name: data.columns[PRICE]}
            elif source.kind == "bars":
                columns = {
                    _SPELLED.get(folded(name), folded(name)): rows for name, rows in data.columns.items()
                }
            else:
                columns = dict(data.columns)
            there = _with_values(SymbolData(data.sessions, columns))
            merged[symbol] = _merged(merged[symbol], there) if symbol in merged else there
    return merged


_SPELLED = {"adjclose": "adj_close", "stocksplits": "stock_splits", "capitalgains": "capital_gains"}
_ADJUSTED = {"adj_close": True, "price": None}
"""Whether a field is adjusted for dividends; what is not here is not."""


def _with_values(data: SymbolData) -> SymbolData:
    there = np.zeros(len(data.sessions), dtype=bool)
    for column in data.columns.values():
        there |= column != None if column.dtype == object else ~np.isnan(column)  # noqa: E711 - by element
    return SymbolData(data.sessions[there], {name: column[there] for name, column in data.columns.items()})


def _merged(one: SymbolData, other: SymbolData) -> SymbolData:
    """Factors of one symbol that stand at different sessions, side by side."""
    sessions = np.union1d(one.sessions, other.sessions)
    columns: dict[str, Column] = {}
    for data in (one, other):
        rows = np.searchsorted(sessions, data.sessions)
        for name, column in data.columns.items():
            columns[name] = np.full(len(sessions), np.nan)
            columns[name][rows] = column
    return SymbolData(sessions, columns)


def _shifted_days(symbol: str, one: SymbolData, other: SymbolData) -> list[FieldChange]:
    """Every field, where all of B's dates are A's a day earlier or later and the values are the same."""
    if len(one.sessions) != len(other.sessions) or not len(one.sessions):
        return []
    distances = np.unique(other.sessions - one.sessions)
    if len(distances) != 1 or abs(distances[0]) != _DAY or one.columns.keys() != other.columns.keys():
        return []
    where = "later" if distances[0] == _DAY else "earlier"
    found = []
    for field, values in one.columns.items():
        pair = Pair(symbol, field, one.sessions, values, other.columns[field])
        if changed_in(pair).any():
            return []
        found.append(
            FieldChange(
                symbol,
                field,
                "shifted",
                f"B has every value of A on the date a day {where}",
                cells=len(values),
                compared=len(values),
                first=str(one.sessions[0]),
                last=str(one.sessions[-1]),
            )
        )
    return found


def _only_sessions(
    one: SessionArray, other: SessionArray
) -> list[tuple[Side, tuple[tuple[str, str], ...], int]]:
    every = np.union1d(one, other)
    sides: tuple[tuple[Side, SessionArray], ...] = (("A", other), ("B", one))
    found = []
    for side, lacking in sides:
        places = np.flatnonzero(~np.isin(every, lacking))
        if len(places):
            breaks = np.flatnonzero(np.diff(places) > 1) + 1
            runs = [(every[run[0]], every[run[-1]]) for run in np.split(places, breaks)]
            found.append((side, tuple((str(begin), str(end)) for begin, end in runs), len(places)))
    return found


def _field_pairs(symbol: str, one: SymbolData, other: SymbolData, a: Source, b: Source) -> list[Pair]:
    days, mine, theirs = np.intersect1d(one.sessions, other.sessions, assume_unique=True, return_indices=True)
    if not len(days):
        return []
    goes_on = bool(max(one.sessions[-1], other.sessions[-1]) > days[-1])
    panel = a.kind == "panel" or b.kind == "panel"
    return [
        Pair(
            symbol,
            field,
            days,
            one.columns[field][mine],
            other.columns[field][theirs],
            adjusted=False if panel else _ADJUSTED.get(field, False),
            goes_on=goes_on,
        )
        for field in sorted(one.columns.keys() & other.columns.keys())
    ]


def _exchanged(changed: list[Pair]) -> dict[tuple[str, str], FieldChange]:
    """Pairs of symbols of which each has in B what the other has in A, on all days that both have."""
    by_field: dict[str, list[Pair]] = {}
    for pair in changed:
        if pair.a.dtype != object and pair.b.dtype != object:
            by_field.setdefault(pair.field, []).append(pair)
    found: dict[tuple[str, str], FieldChange] = {}
    for field, pairs in by_field.items():
        was: dict[tuple[bytes, bytes], Pair] = {_key(pair.sessions, pair.a): pair for pair in pairs}
        for pair in pairs:
            partner = was.get(_key(pair.sessions, pair.b))
            if partner is None or partner.symbol == pair.symbol:
                continue
            if _key(partner.sessions, partner.b) == _key(pair.sessions, pair.a):
                rows = np.flatnonzero(changed_in(pair))
                told = f"B has here what A has for {partner.symbol}, and the other way round"
                found[pair.symbol, field] = FieldChange(
                    pair.symbol,
                    field,
                    "exchanged",
                    told,
                    cells=len(rows),
                    compared=len(pair.sessions),
                    first=str(pair.sessions[rows[0]]),
                    last=str(pair.sessions[rows[-1]]),
                )
    return found


def _key(sessions: SessionArray, values: Column) -> tuple[bytes, bytes]:
    """Equal only for the same sessions and values; all NaN and both zeros are one."""
    plain = np.array(values, np.float64) + 0.0
    plain[np.isnan(plain)] = np.nan
    return sessions.tobytes(), plain.tobytes()
