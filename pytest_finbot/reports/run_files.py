"""A run's own folder: its daily series and fills as tables, and the reports asked for."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.contracts import EngineResult, FloatArray, OutputFormat, RunSpec
from pytest_finbot.registry.tables import fills_columns
from pytest_finbot.reports.templates import render

if TYPE_CHECKING:
    from pytest_finbot.valuation.costs import CostAnalysis
    from pytest_finbot.valuation.risk import RiskAnalysis

Columns = Mapping[str, Any]


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
    head = {"run": spec, "metrics": metrics, "undefined": undefined}
    if metrics and "summary" in spec.reports:
        facts = {"run": spec.name, "metrics": dict(metrics), "undefined": dict(undefined)}
        written += _write_report(folder, "summary", head, facts)
    if risk is not None:
        written += _write_report(folder, "risk", {**head, "risk": risk}, risk.to_json())
    if costs is not None:
        written += _write_report(folder, "tca", {**head, "costs": costs}, costs.to_json())
    return written


def _write_report(folder: Path, name: str, facts: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    markdown, data = folder / f"{name}_report.md", folder / f"{name}_report.json"
    markdown.write_text(render(f"{name}_report.md.j2", facts), encoding="utf-8")
    data.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False, indent=2) + "\n", encoding="utf-8")
    return [markdown.name, data.name]


def _daily(result: EngineResult, market_values: FloatArray | None) -> Columns:
    """NAV and cash, then per asset market value, quantity and mark; a row a session."""
    columns: dict[str, Any] = {"session": result.sessions, "nav": result.nav, "cash": result.cash}
    if result.flows.any():
        columns["flows"] = result.flows
    for number, asset in enumerate(result.assets):
        if market_values is not None:
            columns[f"market_value:{asset}"] = market_values[:, number]
        columns[f"quantity:{asset}"] = result.quantity[:, number]
        columns[f"mark:{asset}"] = result.mark[:, number]
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

    arrays = [pa.array(np.ascontiguousarray(values)) for values in columns.values()]
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
