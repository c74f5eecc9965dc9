"""What the page's scripts read: a row a run, and the points of the charts."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pytest_finbot.contracts import SessionArray
from pytest_finbot.reports.html.charts import Chart, Curve, RunCharts
from pytest_finbot.reports.report import RunFacts
from pytest_finbot.reports.words import cut, shown

_LONGEST_WHY: Final = 200
_STATES: Final = {
    **dict.fromkeys(("moved", "not_comparable", "missing", "failed", "not_run", "error"), "bad"),
    **dict.fromkeys(("identical", "within", "success"), "good"),
}
"""Verdicts by their colour; all others are to be looked at."""

COLUMNS: Final = (
    ("run", "run", "text"),
    ("verdict", "verdict", "text"),
    ("strategy", "strategy", "text"),
    ("final_nav", "final NAV", "money"),
    ("change", "change", "change"),
    ("bp", "furthest, bp", "bp"),
    ("furthest", "on", "text"),
    ("first", "first session", "text"),
    ("sharpe", "Sharpe", "ratio"),
    ("drawdown", "max drawdown", "percent"),
    ("trades", "trades", "count"),
    ("seconds", "seconds", "seconds"),
    ("spark", "NAV", "spark"),
    ("why", "why", "text"),
)
"""Key, heading and kind of each column of the table of runs; a row ends with its colour."""


def row_of(run: RunFacts, spark: str) -> list[Any]:
    """A run as the table has it."""
    c = run.comparison
    largest, final = (None, None) if c is None else (c.largest, c.final)
    relative = None if largest is None else largest.relative
    verdict = run.verdict or run.category or run.status
    why = run.error if run.status != "success" and run.category != "regression" else "; ".join(run.causes)
    if not why and c is not None:
        why = c.reason or ""
    return [
        shown(run.run),
        shown(verdict.replace("_", " ")),
        shown(run.bundle or run.strategy or run.engine),
        _number(run.metrics.get("final_nav")),
        None if final is None else _number(final.change),
        None if relative is None else _number(relative * 1e4),
        "" if largest is None else shown(largest.session),
        shown((c.first_session if c is not None else None) or ""),
        *(_number(run.metrics.get(name)) for name in ("sharpe", "max_drawdown", "trades")),
        _number(run.seconds),
        spark,
        shown(cut(why or run.error, _LONGEST_WHY)),
        _STATES.get(verdict, "warn"),
    ]


def charts_json(charts: RunCharts) -> dict[str, Any]:
    """Points as base64: days since 1970 as int32, values as float32; tables as text."""
    tables = [chart.table for chart in charts.charts if chart.table is not None]
    return {
        "first": _day(charts.first),
        "sessions": tables[0].sessions if tables else [],
        "charts": [_chart(chart) for chart in charts.charts],
    }


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "kind": chart.kind,
        "curves": [_curve(curve) for curve in chart.curves],
        "marks": None if chart.marks is None else _curve(chart.marks),
        "cells": [] if chart.table is None else [[shown(name), cells] for name, cells in chart.table.columns],
    }


def _curve(curve: Curve) -> dict[str, Any]:
    with np.errstate(over="ignore"):
        values = curve.values.astype("<f4")
    return {
        "name": shown(curve.name),
        "colour": curve.colour,
        "baseline": curve.baseline,
        "x": _base64(_days(curve.sessions)),
        "y": _base64(values),
    }


def _days(sessions: SessionArray) -> Any:
    return sessions.astype("datetime64[D]").astype(np.int64).astype("<i4")


def _base64(values: Any) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _day(iso: str) -> int | None:
    try:
        return int(np.datetime64(iso, "D").astype(np.int64)) if iso else None
    except ValueError:
        return None


def _number(value: Any) -> float | int | None:
    """``value`` where it is one that JSON has a word for."""
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if known and (isinstance(value, int) or math.isfinite(value)) else None


def counted(rows: Sequence[list[Any]]) -> list[tuple[str, int]]:
    """Each verdict in the table with how many rows have it, in the order in which they come."""
    numbers: dict[str, int] = {}
    for row in rows:
        numbers[row[1]] = numbers.get(row[1], 0) + 1
    return list(numbers.items())
