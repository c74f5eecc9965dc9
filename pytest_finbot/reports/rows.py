"""One line of the batch summary: what every format says of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_finbot.valuation.metric_kinds import METRIC_KINDS, Unit

METRICS = tuple(name for name, kind in METRIC_KINDS.items() if kind.unit is not Unit.DATE)
"""Metrics with a column of their own, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A run in the summary. ``status`` is success, failed or not_run; never blank."""

    run_id: str
    run: str
    engine: str
    strategy: str
    bundle: str
    start_date: str
    end_date: str
    status: str
    error_category: str
    error_phase: str
    error: str
    runtime_seconds: float | None
    attempt: int | None
    worker: str
    metrics: Mapping[str, Any]
    record: Mapping[str, Any] | None

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> SummaryRow:
        """The row of a recorded run, from the registry's JSON of it."""
        error = record.get("error") or {}
        return cls(
            run_id=record["run_id"],
            run=record["name"],
            engine=record.get("engine", ""),
            strategy=record.get("strategy", ""),
            bundle=record.get("bundle") or "",
            start_date=record.get("start_date", ""),
            end_date=record.get("end_date", ""),
            status=record["status"],
            error_category=error.get("category", "") or ("unknown" if record["status"] == "failed" else ""),
            error_phase=error.get("phase", ""),
            error=error.get("message", ""),
            runtime_seconds=record.get("seconds"),
            attempt=record.get("attempt"),
            worker=record.get("worker", ""),
            metrics=record.get("metrics") or {},
            record=record,
        )

    @classmethod
    def not_run(cls, batch_id: str, name: str) -> SummaryRow:
        """The row of a run that was expected and left no record."""
        return cls(
            run_id=f"{batch_id}/{name}",
            run=name,
            engine="",
            strategy="",
            bundle="",
            start_date="",
            end_date="",
            status="not_run",
            error_category="",
            error_phase="",
            error="no record: the run was expected and did not end",
            runtime_seconds=None,
            attempt=None,
            worker="",
            metrics={},
            record=None,
        )


CSV_COLUMNS = (
    *(
        column.name
        for column in dataclasses.fields(SummaryRow)
        if column.name not in ("metrics", "record", "error")
    ),
    *METRICS,
    "error",
)


def csv_values(row: SummaryRow) -> list[Any]:
    """The row's cells in the order of :data:`CSV_COLUMNS`; undefined metrics are empty."""
    cells: list[Any] = []
    for column in CSV_COLUMNS:
        value = row.metrics.get(column) if column in METRICS else getattr(row, column)
        cells.append("" if value is None else value)
    return cells


def json_value(row: SummaryRow) -> dict[str, Any]:
    """The row as strict JSON: the record without its tables, or what is known of a run without one."""
    if row.record is not None:
        return {key: value for key, value in row.record.items() if key != "tables"}
    return {"run_id": row.run_id, "name": row.run, "status": row.status, "reason": row.error}
