"""What a run is held to, and what excuses it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

PresetName = Literal["exact", "refactor", "rounding", "parity", "cross_engine"]

SERIES_CHECKS = ("nav", "cash", "market_values", "quantity", "fills")
"""Checks of daily series and fills that take a limit; ``metrics.<name>`` take one each."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a value may be from its baseline: ``|now - baseline| <= atol + rtol * scale``.

    ``scale`` is what the check measures by (see ``tolerances.py``); ``rtol`` is a fraction of
    it, ``atol`` is in the value's own unit. Of a daily series, at least the fraction
    ``share`` of the sessions must be that near, and none further than the fraction
    ``none_beyond`` of the scale.
    """

    rtol: float = 0.0
    atol: float = 0.0
    share: float = 1.0
    none_beyond: float | None = None


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """A preset, and what the batch file says otherwise.

    ``limits`` maps a check (``nav``, ``fills``, ``metrics.sharpe`` …) to its limit in place
    of the preset's, or to ``None`` where the check is switched off. ``informational`` runs
    are compared and reported, and fail nothing; ``None`` leaves that to the preset.
    """

    preset: PresetName = "refactor"
    limits: Mapping[str, Limit | None] = dataclasses.field(default_factory=dict)
    informational: bool | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A move somebody answers for until a day: that check of that run does not fail.

    ``run`` and ``check`` are names or shell patterns (``momentum_*``, ``metrics.*``).
    ``expires`` is the last day on which it holds. ``file`` and ``line`` say where it stands.
    """

    run: str
    check: str
    reason: str
    reviewer: str
    expires: date
    link: str = ""
    file: str = ""
    line: int = 0


CausePart = Literal["config", "data", "code", "environment", "not deterministic", "unknown"]


@dataclass(frozen=True, slots=True)
class Cause:
    """One difference between what two results depended on.

    ``detail`` is the address: ``params.fast 50 → 49``, ``AAPL 2018``, ``strategies/x.py``,
    ``pandas 2.3.3 → 3.1.1``; for ``unknown``, why it cannot be told.
    """

    part: CausePart
    detail: str
