"""Columns of equal length that a chart is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_finbot.contracts import BoolArray, FloatArray, SessionArray
from pytest_finbot.valuation.undefined import NOT_FINITE


@dataclass(frozen=True, slots=True, eq=False)
class ChartColumns:
    """``values`` by name, each as long as ``periods``, the days or months they belong to.

    ``index`` is what the periods are called. A value that is not finite is undefined, and
    ``undefined`` says for its column why and on which sessions.
    """

    index: str
    periods: SessionArray
    values: Mapping[str, FloatArray]
    undefined: Mapping[str, str] = field(default_factory=dict)

    def reasons(self) -> dict[str, str]:
        """Why there are gaps, for each column that has some."""
        return {
            name: self.undefined.get(name, NOT_FINITE.reason)
            for name, column in self.values.items()
            if not np.isfinite(column).all()
        }

    def to_json(self) -> dict[str, list[Any]]:
        """Lists by column, the periods first (ISO); ``None`` for what is undefined."""
        columns: dict[str, list[Any]] = {self.index: self.periods.astype(str).tolist()}
        for name, column in self.values.items():
            plain: list[Any] = column.tolist()
            for row in np.flatnonzero(~np.isfinite(column)).tolist():
                plain[row] = None
            columns[name] = plain
        return columns


def days(rows: BoolArray, sessions: SessionArray) -> str:
    """``3 of 250 sessions, the first 2020-01-02``: those whose ``rows`` [T] are true, at least one."""
    first = sessions[int(np.argmax(rows))]
    return f"{int(np.count_nonzero(rows)):,} of {len(sessions):,} sessions, the first {first}"
