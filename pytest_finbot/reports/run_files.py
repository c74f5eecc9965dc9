"""A run's own folder: its daily series and fills as tables, and the reports asked for."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.arrow import to_arrow
from pytest_finbot.contracts import EngineResult, FloatArray, OutputFormat, RunSpec
from pytest_finbot.registry.tables import fills_columns, series_columns
from pytest_finbot.reports.templates import render
from pytest_finbot.valuation.own_part import own_part

if TYPE_CHECKING:
    from pytest_finbot.valuation.chart_columns import ChartColumns
    from pytest_finbot.valuation.costs import CostAnalysis
    from pytest_finbot.valuation.risk import RiskAnalysis

Columns = Mapping[str, Any]
_ERRORS = "backslashreplace"
"""A lone surrogate in somebody's symbol must not cost the report."""


def write_run_files(
    folder: Path,
    spec: RunSpec,
    *,
    result: EngineResult | None,
    market_values: FloatArray | None,
    metrics: Mapping[str, Any],
    undefined: Mapping[str, str],
    risk: RiskAnalysis | None,
    costs: CostAnalysis | None,
) -> list[str]:
    """Write what there is of a run into ``folder``, replacing what an earlier attempt left.

    Nothing is made for a run that asks for no ``outputs`` and no ``reports``: its series are
    in the registry. Returns the names of the files written, relative to ``folder``. Raises OSError where it
    cannot be written.
    """
    if folder.exists():
        shutil.rmtree(folder)
    written: list[str] = []
    if not spec.outputs and not spec.reports:
        return written
    folder.mkdir(parents=True)
    if result is not None:
        written += _write_table(folder / "series", _daily(result, market_values), spec.outputs)
        written += _write_table(folder / "fills", fills_columns(result), spec.outputs)
    also = [f"{name}_report.md" for name, facts in (("risk", risk), ("tca", costs)) if facts is not None]
    head = {"run": spec, "metrics": metrics, "undefined": undefined, "also": also}
    if metrics and "summary" in spec.reports:
        account = None if result is None else _account(spec, result)
        facts = {
            "run": spec.name,
            "account": account,
            "metrics": dict(metrics),
            "undefined": dict(undefined),
        }
        written += _write_report(folder, "summary", {**head, "account": account}, facts)
    if risk is not None:
        plain = {"run": spec.name, **risk.to_json()}
        written += _write_report(folder, "risk", {**head, "risk": risk}, plain)
        written += _write_series(folder, "risk", spec, {"by_session": risk.series})
    if costs is not None:
        plain = {"run": spec.name, **costs.to_json()}
        written += _write_report(folder, "tca", {**head, "costs": costs}, plain)
        tables = {"by_session": costs.cumulative, "by_month": costs.by_month}
        written += _write_series(folder, "tca", spec, tables)
    return written


def _account(spec: RunSpec, result: EngineResult) -> dict[str, float] | None:
    """What the run's own sessions began with, what came and went, and what was left (currency).

    ``gains`` are the rest: changes of price less what trading cost. ``None`` where a sum is beyond
    what a float64 holds.
    """
    own = result if spec.part is None or spec.part.own_from is None else own_part(result, spec.part.own_from)
    with np.errstate(over="ignore", invalid="ignore"):
        deposits, withdrawals = (float(np.sum(side(own.flows, 0.0))) for side in (np.maximum, np.minimum))
        income = float(np.sum(own.income))
    start, final = float(own.start_cash), float(own.nav[-1])
    found = {
        "start": start,
        "deposits": deposits,
        "withdrawals": withdrawals,
        "income": income,
        "gains": final - start - deposits - withdrawals - income,
        "final_nav": final,
    }
    return found if all(map(math.isfinite, found.values())) else None


def _write_report(folder: Path, name: str, facts: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    markdown, data = folder / f"{name}_report.md", folder / f"{name}_report.json"
    markdown.write_text(render(f"{name}_report.md.j2", facts), encoding="utf-8", errors=_ERRORS)
    _write_json(data, json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2))
    return [markdown.name, data.name]


def _write_series(folder: Path, name: str, spec: RunSpec, tables: Mapping[str, ChartColumns]) -> list[str]:
    """What charts are drawn from: tables of columns, and under ``undefined`` why there are gaps."""
    path = folder / f"{name}_series.json"
    undefined = {
        f"{table}.{column}": reason
        for table, columns in tables.items()
        for column, reason in columns.reasons().items()
    }
    plain = {table: columns.to_json() for table, columns in tables.items()}
    _write_json(path, _line_a_column({"run": spec.name, **plain, "undefined": undefined}))
    return [path.name]


def _line_a_column(value: Any, indent: str = "") -> str:
    """``value`` as JSON with a line for each member of an object; lists stay on one line."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    inner = indent + "  "
    members = [
        f"{inner}{json.dumps(key, ensure_ascii=False)}: {_line_a_column(member, inner)}"
        for key, member in value.items()
    ]
    return "{\n" + ",\n".join(members) + f"\n{indent}}}"


def _write_json(path: Path, text: str) -> None:
    # In a JSON string a lone surrogate's backslash form is the escape of the same character.
    path.write_text(text + "\n", encoding="utf-8", errors=_ERRORS)


def _daily(result: EngineResult, market_values: FloatArray | None) -> Columns:
    """NAV and cash, then per asset market value, quantity and mark; a row a session.

    Flows, and an asset's income, splits and multiplier, only where they say something: with the
    fills, cash and quantities roll from each row to the next.
    """
    recorded = series_columns(result)
    columns: dict[str, Any] = {name: recorded[name] for name in ("session", "nav", "cash")}
    if result.flows.any():
        columns["flows"] = recorded["flows"]
    for number, asset in enumerate(result.assets):
        if market_values is not None:
            columns[f"market_value:{asset}"] = market_values[:, number]
        columns[f"quantity:{asset}"] = recorded[f"quantity:{asset}"]
        columns[f"mark:{asset}"] = result.mark[:, number]
        for name in ("income", "splits", "multiplier"):
            if f"{name}:{asset}" in recorded:
                columns[f"{name}:{asset}"] = recorded[f"{name}:{asset}"]
    return columns


def _write_table(stem: Path, columns: Columns, formats: Iterable[OutputFormat]) -> list[str]:
    written = []
    for name in formats:
        path = stem.with_suffix(f".{name}")
        if name == "parquet":
            _write_parquet(path, columns)
        else:
            _write_csv(path, columns)
        written.append(path.name)
    return written


def _write_parquet(path: Path, columns: Columns) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [to_arrow(np.asarray(values)) for values in columns.values()]
    pq.write_table(pa.table(arrays, names=list(columns)), path, compression="zstd", use_dictionary=["asset"])


def _write_csv(path: Path, columns: Columns) -> None:
    # Python's own float spelling reads back bit for bit.
    plain = [
        values.astype(str).tolist() if values.dtype.kind == "M" else values.tolist()
        for values in (np.asarray(column) for column in columns.values())
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*plain, strict=True))
