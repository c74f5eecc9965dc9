"""How far a result may be from its baseline before it counts as moved: presets and their rules.

By what a difference is measured (its scale):

- ``nav``, ``cash``, ``market_values``: the baseline's NAV of the session, in absolute value, but
  never less than 1 % of the baseline's first NAV: a position of 0, or a NAV at or below 0, has
  no relative size of its own.
- ``quantity``: the largest quantity of that asset, in absolute value, that the baseline ever
  holds; an asset it never holds has scale 0, so that any holding of it counts.
- ``fills``: same number, sessions, assets and order; then the quantity by the scale of
  ``quantity``, the price by the baseline's price, the fee by the scale of ``nav``.
- ``metrics.<name>``: the baseline's value, in absolute value. At 0 only ``atol`` counts.
- sessions are equal, or they have moved: there is no limit to set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from pytest_finbot.contracts import SERIES_CHECKS, CheckSpec, Limit

BP: Final = 1e-4
"""One basis point, as a fraction."""

SCALE_FLOOR: Final = 0.01
"""Least scale of NAV, cash and market values, as a fraction of the baseline's first NAV."""

DEFAULT_PRESET: Final = "refactor"

MetricUnit = Literal["currency", "fraction", "ratio", "count", "date"]

METRIC_UNITS: Final[Mapping[str, MetricUnit]] = MappingProxyType(
    {
        "final_nav": "currency",
        "total_return": "fraction",
        "cagr": "fraction",
        "cagr_calendar": "fraction",
        "volatility": "fraction",
        "sharpe": "ratio",
        "sortino": "ratio",
        "max_drawdown": "fraction",
        "max_drawdown_peak": "date",
        "max_drawdown_trough": "date",
        "max_drawdown_recovery": "date",
        "calmar": "ratio",
        "var_5": "fraction",
        "cvar_5": "fraction",
        "turnover": "ratio",
        "trades": "count",
        "costs": "currency",
        "exposure_gross": "fraction",
        "cash_share": "fraction",
    }
)
"""Metrics that take a limit, and what each is measured in: a limit is read by it.

The names and units are those of ``valuation.metric_kinds``, in its order. They stand here too,
because a batch file is read below the floor where metrics are computed.
"""


@dataclass(frozen=True, slots=True)
class Preset:
    """Limits by name. ``every_metric`` holds for metrics without one of their own.

    ``dates`` says whether metrics that are dates must be equal: the day of the deepest
    drawdown may jump by years where NAV moves by one unit in the last place.
    """

    says: str
    series: Mapping[str, Limit]
    metrics: Mapping[str, Limit]
    every_metric: Limit | None = None
    dates: bool = False
    informational: bool = False


def _everywhere(limit: Limit) -> dict[str, Limit]:
    return dict.fromkeys(SERIES_CHECKS, limit)


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "exact": Preset(
            "bit for bit",
            _everywhere(Limit()),
            {},
            every_metric=Limit(),
            dates=True,
        ),
        "refactor": Preset(
            "series and fills to 1e-9, metrics to 1e-6",
            _everywhere(Limit(rtol=1e-9)),
            {},
            # A metric divides small differences by small dispersions.
            every_metric=Limit(rtol=1e-6, atol=1e-6),
        ),
        "rounding": Preset(
            "series and fills to 1e-6, metrics to 1e-4",
            _everywhere(Limit(rtol=1e-6)),
            {},
            every_metric=Limit(rtol=1e-4, atol=1e-4),
        ),
        "parity": Preset(
            "NAV within 25 bp on 99 % of sessions and 1 % on all; final NAV 10 bp, CAGR 15 bp, "
            "drawdown 20 bp, Sharpe 0.05, trades 1",
            {"nav": Limit(rtol=25 * BP, share=0.99, none_beyond=0.01)},
            {
                "final_nav": Limit(rtol=10 * BP),
                "cagr": Limit(atol=15 * BP),
                "max_drawdown": Limit(atol=20 * BP),
                "sharpe": Limit(atol=0.05),
                "trades": Limit(atol=1.0),
            },
        ),
        "cross_engine": Preset(
            "final NAV 8 %, CAGR 1.2 pp, drawdown 3 pp; informational",
            {},
            {
                "final_nav": Limit(rtol=0.08),
                "cagr": Limit(atol=0.012),
                "max_drawdown": Limit(atol=0.03),
            },
            informational=True,
        ),
    }
)
"""By name, from the strictest on. ``refactor`` is what a batch gets that says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Tolerances:
    """The limits one run is held to: the preset's, and in their place what the file says."""

    spec: CheckSpec
    preset: Preset

    @property
    def informational(self) -> bool:
        """Whether a move is shown and fails nothing."""
        said = self.spec.informational
        return self.preset.informational if said is None else said

    def of_series(self, check: str) -> Limit | None:
        """Limit of ``nav``, ``cash``, ``market_values``, ``quantity`` or ``fills``; None: not held."""
        if check in self.spec.limits:
            return self.spec.limits[check]
        return self.preset.series.get(check)

    def of_metric(self, name: str, *, is_date: bool = False) -> Limit | None:
        """Limit of the metric ``name``; ``None`` where it is not held to its baseline."""
        key = f"metrics.{name}"
        if key in self.spec.limits:
            return self.spec.limits[key]
        if is_date:
            return Limit() if self.preset.dates else None
        return self.preset.metrics.get(name, self.preset.every_metric)

    def why_not_held(self, check: str) -> str:
        """Why there is no limit for ``check`` (``nav``, ``metrics.sharpe`` …), in words."""
        if check in self.spec.limits:
            return f"switched off (checks.{check})"
        return f"preset {self.spec.preset} sets no limit for it"


def tolerances_of(spec: CheckSpec) -> Tolerances:
    """The limits of ``spec``. Its preset is known: a batch file with another is refused."""
    return Tolerances(spec, PRESETS[spec.preset])


def allowed(limit: Limit, scale: float) -> float:
    """Largest difference within ``limit``, in the value's own unit."""
    return limit.atol + limit.rtol * abs(scale)
