"""A recorded run's result as it is in the registry now, whether or not it is as it was recorded.

Elsewhere what is not as its hash says is refused. Who judges the books of a recorded run wants
to see what was changed as well: here it is read all the same, and told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import EngineResult, Fills, IntArray, SessionArray
from pytest_finbot.errors import RegistryError, did_you_mean
from pytest_finbot.registry.objects import Column, table_hash
from pytest_finbot.registry.protocol import Objects
from pytest_finbot.registry.small_tables import get_table
from pytest_finbot.registry.tables import series_of

_PARTS: Final = ("series", "marks", "fills")


@dataclass(frozen=True, slots=True, eq=False)
class RecordedTables:
    """Columns of a run's tables; those of ``fills`` are ``{}`` where it had none.

    ``altered`` names the tables whose values are not those of the hash that the record names.
    """

    series: Mapping[str, Column]
    marks: Mapping[str, Column]
    fills: Mapping[str, Column]
    altered: tuple[str, ...] = ()


class TableReader:
    """Reads runs' tables, one run in memory at a time; marks that runs share are read once."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._marks: tuple[str, Mapping[str, Column], bool] | None = None

    def read(self, record: Mapping[str, Any]) -> RecordedTables:
        """The tables that ``record`` (its JSON) names, unverified.

        Raises RegistryError where it names no series, or a table is missing or unreadable.
        """
        found = {part: self._table(record, part) for part in _PARTS if part != "fills" or record.get("fills")}
        columns = {part: table for part, (table, _) in found.items()}
        return RecordedTables(
            columns["series"],
            columns["marks"],
            columns.get("fills", {}),
            tuple(part for part, (_, as_recorded) in found.items() if not as_recorded),
        )

    def _table(self, record: Mapping[str, Any], part: str) -> tuple[Mapping[str, Column], bool]:
        named = str(record.get(part))
        if part == "marks" and self._marks is not None and self._marks[0] == named:
            return self._marks[1:]
        columns = get_table(self._objects, record, part)
        try:
            as_recorded = table_hash(columns) == named
        except RegistryError:  # columns that no run records
            as_recorded = False
        if part == "marks":
            self._marks = (named, columns, as_recorded)
        return columns, as_recorded


def engine_result_of(
    objects: Objects,
    record: Mapping[str, Any],
    start_cash: float,
    cent: float = 0.0,
    *,
    tables: RecordedTables | None = None,
) -> EngineResult:
    """The result of ``record`` (its JSON) as its engine gave it, from its tables as they are now.

    ``start_cash`` and ``cent`` (currency) are not in the tables; ``tables`` are those of the
    record, where they have been read already. What was rejected, warnings and the engine's own
    names are not in it. Raises RegistryError where it recorded no series, or they are missing,
    unreadable, or make no result: sessions that do not rise, fills of unknown assets or sessions,
    another length or kind of values.
    """
    if tables is None:
        tables = TableReader(objects).read(record)
    run = record.get("run_id")
    for part in _PARTS:
        lengths = {len(column) for column in getattr(tables, part).values()}
        if len(lengths) > 1:
            raise RegistryError(f"run {run}: columns of its {part} differ in length: {sorted(lengths)}")
    try:
        series = series_of(
            {**tables.series, "session": _days(tables.series["session"])},
            {**tables.marks, "session": _days(tables.marks["session"])},
            record,
        )
        sessions = series.sessions
        if not len(sessions) or not (sessions[1:] > sessions[:-1]).all():
            raise RegistryError(f"run {run}: the sessions of its series do not rise, or there are none")
        return EngineResult.of(
            sessions=sessions,
            assets=series.assets,
            nav=_reals(series.nav),
            cash=_reals(series.cash),
            flows=_reals(series.flows),
            quantity=series.quantity,
            mark=series.mark,
            multiplier=series.multiplier,
            # What no asset has stays one number, however many sessions.
            income=series.income if _has(tables.series, "income:") else None,
            splits=series.splits if _has(tables.series, "splits:") else None,
            fills=_fills(tables.fills, sessions, series.assets, run),
            start_cash=start_cash,
            cent=cent,
        )
    except KeyError as error:
        raise RegistryError(f"run {run}: {error} is not a column of what it recorded") from error
    except (TypeError, ValueError) as error:
        raise RegistryError(f"run {run}: what it recorded makes no result: {error}") from error


def _fills(columns: Mapping[str, Column], sessions: SessionArray, assets: tuple[str, ...], run: Any) -> Fills:
    if not columns:
        return Fills.none()
    days = _days(columns["session"])
    row = np.minimum(np.searchsorted(sessions, days), len(sessions) - 1)
    strange = sessions[row] != days
    if strange.any():
        raise RegistryError(
            f"run {run}: it has a fill on {days[strange.argmax()]}, which is no session of its series"
        )
    if (row[1:] < row[:-1]).any():
        raise RegistryError(f"run {run}: its fills are not in order of session")
    number = {name: n for n, name in enumerate(assets)}
    try:
        column: IntArray = np.array([number[name] for name in columns["asset"].tolist()], np.int64)
    except KeyError as error:
        name = str(error.args[0])
        near = did_you_mean(name, assets)
        raise RegistryError(
            f"run {run}: it has a fill of {name!r}, which is no asset of its series{near}"
        ) from error
    return Fills(
        row,
        column,
        *(_reals(columns[name]) for name in ("quantity", "price", "fee", "slippage")),
    )


def _days(values: Column) -> SessionArray:
    days: SessionArray = np.asarray(values).astype("datetime64[D]")
    if np.isnat(days).any():
        raise ValueError("a session is no date")
    return days


def _reals(values: Column) -> npt.NDArray[np.float64]:
    return np.asarray(values, np.float64)


def _has(columns: Mapping[str, Column], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in columns)
