"""What each metric is measured in, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Unit(StrEnum):
    CURRENCY = "currency"
    FRACTION = "fraction"
    RATIO = "ratio"
    COUNT = "count"
    DATE = "date"


class Direction(StrEnum):
    """Which way is better. Better or worse, a move is a move: this is for words, not verdicts."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class MetricKind:
    unit: Unit
    direction: Direction


METRIC_KINDS: Mapping[str, MetricKind] = MappingProxyType(
    {
        "final_nav": MetricKind(Unit.CURRENCY, Direction.HIGHER),
        "total_return": MetricKind(Unit.FRACTION, Direction.HIGHER),
        "cagr": MetricKind(Unit.FRACTION, Direction.HIGHER),
        "cagr_calendar": MetricKind(Unit.FRACTION, Direction.HIGHER),
        "volatility": MetricKind(Unit.FRACTION, Direction.LOWER),
        "sharpe": MetricKind(Unit.RATIO, Direction.HIGHER),
        "sortino": MetricKind(Unit.RATIO, Direction.HIGHER),
        "max_drawdown": MetricKind(Unit.FRACTION, Direction.HIGHER),  # negative: nearer to 0 is better
        "max_drawdown_peak": MetricKind(Unit.DATE, Direction.NONE),
        "max_drawdown_trough": MetricKind(Unit.DATE, Direction.NONE),
        "max_drawdown_recovery": MetricKind(Unit.DATE, Direction.NONE),
        "calmar": MetricKind(Unit.RATIO, Direction.HIGHER),
        "var_5": MetricKind(Unit.FRACTION, Direction.HIGHER),
        "cvar_5": MetricKind(Unit.FRACTION, Direction.HIGHER),
        "turnover": MetricKind(Unit.RATIO, Direction.LOWER),
        "trades": MetricKind(Unit.COUNT, Direction.NONE),
        "costs": MetricKind(Unit.CURRENCY, Direction.LOWER),
        "exposure_gross": MetricKind(Unit.FRACTION, Direction.NONE),
        "cash_share": MetricKind(Unit.FRACTION, Direction.NONE),
    }
)
"""Every metric that ``metrics.compute_metrics`` gives, in its order."""
