"""A run's result as tables of the registry, and back.

Market values are not stored: they are quantity * mark * multiplier, and marks are one table
for all runs of the same assets in the same window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import EngineResult, FloatArray, SessionArray
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import Column
from pytest_finbot.registry.protocol import Objects
from pytest_finbot.registry.small_tables import get_table


def series_columns(result: EngineResult) -> dict[str, Column]:
    """Daily series of a run: session, nav, cash, flows, then ``quantity:<asset>`` each.

    ``income:<asset>``, ``splits:<asset>`` and ``multiplier:<asset>`` follow only for assets
    where they say something (not all 0, not all 1, not 1).
    """
    columns: dict[str, Column] = {
        "session": _sessions(result),
        "nav": _float64(result.nav),
        "cash": _float64(result.cash),
        "flows": _float64(result.flows),
    }
    columns |= _per_asset("quantity", result, result.quantity)
    for name, values, neutral in (("income", result.income, 0.0), ("splits", result.splits, 1.0)):
        telling = (values != neutral).any(axis=0)
        for n in np.flatnonzero(telling).tolist():
            columns[f"{name}:{result.assets[n]}"] = _float64(values[:, n])
    for n in np.flatnonzero(result.multiplier != 1.0).tolist():
        columns[f"multiplier:{result.assets[n]}"] = np.full(len(result.sessions), float(result.multiplier[n]))
    return columns


def marks_columns(result: EngineResult) -> dict[str, Column]:
    """What each session's positions are valued at: session, then ``mark:<asset>`` each."""
    return {"session": _sessions(result), **_per_asset("mark", result, result.mark)}


def fills_columns(result: EngineResult) -> dict[str, Column]:
    """Executed trades in order: session (date), asset (name), quantity, price, fee, slippage."""
    fills = result.fills
    return {
        "session": _sessions(result)[fills.session],
        "asset": np.asarray(result.assets, dtype=object)[fills.asset],
        "quantity": _float64(fills.quantity),
        "price": _float64(fills.price),
        "fee": _float64(fills.fee),
        "slippage": _float64(fills.slippage),
    }


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSeries:
    """A recorded run's daily series, T sessions x N assets, float64 in currency of the run.

    As in :class:`~pytest_finbot.contracts.EngineResult`. ``market_values`` is 0 where
    nothing is held, NaN where what is held has no mark.
    """

    sessions: SessionArray
    assets: tuple[str, ...]
    nav: FloatArray
    cash: FloatArray
    flows: FloatArray
    quantity: FloatArray
    mark: FloatArray
    multiplier: FloatArray
    income: FloatArray
    splits: FloatArray
    market_values: FloatArray


def read_series(objects: Objects, record: Mapping[str, Any], *, verify: bool = False) -> RecordedSeries:
    """The daily series that ``record`` (its JSON) refers to.

    Raises RegistryError where the run recorded none, or its series and marks are missing,
    damaged, or not of the same sessions and assets.
    """
    series = get_table(objects, record, "series", verify=verify)
    marks = get_table(objects, record, "marks", verify=verify)
    return series_of(series, marks, record)


def series_of(
    series: Mapping[str, Column], marks: Mapping[str, Column], record: Mapping[str, Any]
) -> RecordedSeries:
    """The daily series in the columns of two tables. Raises RegistryError as :func:`read_series` does."""
    run, named = record.get("run_id"), {part: record.get(part) for part in ("series", "marks")}
    try:
        sessions, nav, cash, flows = (series[name] for name in ("session", "nav", "cash", "flows"))
        assets = _assets(series, "quantity:")
        if assets != _assets(marks, "mark:") or not np.array_equal(sessions, marks["session"]):
            raise RegistryError(
                f"run {run}: series {named['series']} and marks {named['marks']} differ in sessions or assets"
            )
    except KeyError as error:
        raise RegistryError(f"run {run}: {error} is not a column of series {named['series']}") from error
    length = len(sessions)
    quantity = _matrix(series, "quantity:", assets, length, 0.0)
    mark = _matrix(marks, "mark:", assets, length, np.nan)
    multiplier = _matrix(series, "multiplier:", assets, 1, 1.0)[0]
    priced = np.where(~np.isfinite(mark) & (quantity == 0), 0.0, mark)
    return RecordedSeries(
        sessions=sessions,
        assets=assets,
        nav=nav,
        cash=cash,
        flows=flows,
        quantity=quantity,
        mark=mark,
        multiplier=multiplier,
        income=_matrix(series, "income:", assets, length, 0.0),
        splits=_matrix(series, "splits:", assets, length, 1.0),
        market_values=quantity * priced * multiplier,
    )


def _sessions(result: EngineResult) -> SessionArray:
    days: SessionArray = result.sessions.astype("datetime64[D]", copy=False)
    return days


def _float64(values: Column) -> FloatArray:
    """An engine may use a narrower dtype; what is recorded does not depend on it."""
    return np.asarray(values, np.float64)


def _per_asset(name: str, result: EngineResult, values: FloatArray) -> dict[str, Column]:
    columns: dict[str, Column] = {
        f"{name}:{asset}": _float64(values[:, n]) for n, asset in enumerate(result.assets)
    }
    if len(columns) != len(result.assets):
        twice = sorted({asset for asset in result.assets if result.assets.count(asset) > 1})
        raise RegistryError(f"the result names assets twice: {', '.join(twice)}")
    return columns


def _assets(columns: Mapping[str, Column], prefix: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(prefix) for name in columns if name.startswith(prefix))


def _matrix(
    columns: Mapping[str, Column], prefix: str, assets: tuple[str, ...], length: int, missing: float
) -> FloatArray:
    """Columns of ``assets`` side by side, their first ``length`` rows; ``missing`` where there is none."""
    matrix = np.full((length, len(assets)), missing)
    for n, asset in enumerate(assets):
        column = columns.get(prefix + asset)
        if column is not None:
            matrix[: len(column), n] = column[:length]
    return matrix
