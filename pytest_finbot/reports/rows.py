"""One line of the batch summary: what every format says of a run."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_finbot.baselines.facts import with_defaults
from pytest_finbot.reports.report import CauseFact
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
    verdict: str = ""
    """Of the comparison with the baseline; empty where nothing is gated."""
    first_session: str = ""
    largest_bp: float | None = None
    """Largest difference in NAV, basis points of the baseline's, with its sign."""
    largest_session: str = ""
    final_nav_change: float | None = None
    """Currency; now less baseline."""
    causes: str = ""
    text: bytes | None = None
    """The record as it is to be written into a summary, where that is known without encoding it."""

    @property
    def changed(self) -> bool:
        """Whether the comparison has something to tell: reports list these runs first."""
        return self.status != "not_run" and self.verdict in CHANGED

    @property
    def own_from(self) -> str:
        """First day (ISO) of a part's own sessions, which its metrics are of; empty where all are its own."""
        part = None if self.record is None else self.record.get("part")
        return (part or {}).get("own_from") or ""

    @property
    def largest_bp_size(self) -> float:
        return 0.0 if self.largest_bp is None else abs(self.largest_bp)

    @property
    def comparison(self) -> Mapping[str, Any]:
        """The facts of the comparison; every key is there, empty where there was none."""
        return with_defaults({} if self.record is None else self.record.get("comparison") or {})

    @classmethod
    def of_record(cls, record: Mapping[str, Any], text: bytes | None = None) -> SummaryRow:
        """The row of a recorded run, from the registry's JSON of it; ``text`` is that without tables."""
        error = record.get("error") or {}
        comparison = record.get("comparison") or {}
        largest, final = comparison.get("largest") or {}, comparison.get("final") or {}
        relative = largest.get("relative")
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
            verdict=record.get("verdict") or "",
            first_session=comparison.get("first_session") or "",
            largest_bp=None if relative is None else relative * 1e4,
            largest_session=largest.get("session") or "",
            final_nav_change=final.get("change"),
            causes="; ".join(causes_in_words(comparison)),
            text=text,
        )

    @classmethod
    def missing(cls, batch_id: str, name: str) -> SummaryRow:
        """The row of a baseline whose run is no longer in the batch file."""
        row = cls.not_run(batch_id, name)
        why = "its baseline is there, the run is not in the batch file; remove one or restore the other"
        return dataclasses.replace(row, status="missing", verdict="missing", error=why)

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


CHANGED = ("moved", "new", "not_comparable", "waived")


def causes_in_words(comparison: Mapping[str, Any]) -> list[str]:
    """``code changed: strategies.momentum``, ``data changed: AAPL 2018``, a line a cause."""
    return [CauseFact(cause["part"], cause["detail"]).words for cause in comparison.get("causes", ())]


_ROW_COLUMNS = tuple(
    column.name
    for column in dataclasses.fields(SummaryRow)
    if column.name not in ("metrics", "record", "error", "text")
)
_OF_ROW = operator.attrgetter(*_ROW_COLUMNS)
CSV_COLUMNS = (*_ROW_COLUMNS, *METRICS, "error")


_CONTROL = {number: repr(chr(number))[1:-1] for number in (*range(32), *range(127, 160))}
"""Control characters, as a backslash and what Python calls them."""


def csv_values(row: SummaryRow) -> list[Any]:
    """The row's cells in the order of :data:`CSV_COLUMNS`; undefined metrics are empty.

    Text is nothing that a spreadsheet computes: an apostrophe stands before a ``=``, ``+``, ``-`` or
    ``@`` at its beginning (https://owasp.org/www-community/attacks/CSV_Injection), and control
    characters are escaped, so that a run is a line.
    """
    metrics = row.metrics
    return [
        _cell(value) if type(value) is str else "" if value is None else value
        for value in (*_OF_ROW(row), *map(metrics.get, METRICS), row.error)
    ]


def _cell(text: str) -> str:
    if not text.isprintable():
        text = text.translate(_CONTROL)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def json_value(row: SummaryRow) -> dict[str, Any]:
    """The row as strict JSON: the record without its tables, or what is known of a run without one."""
    if row.record is not None:
        return {key: value for key, value in row.record.items() if key != "tables"}
    return {"run_id": row.run_id, "name": row.run, "status": row.status, "reason": row.error}
