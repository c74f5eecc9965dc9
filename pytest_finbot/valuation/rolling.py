"""Volatility and Sharpe ratio over the sessions just past, with the conventions of ``metrics.py``.

Each window is computed from its own returns alone, its mean first and then the squares around
it. Running sums over the whole series would be quicker, and after one very large return they
would give every later window its rounding.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import PERIODS_PER_YEAR, FloatArray, SessionArray
from pytest_finbot.valuation.chart_columns import days
from pytest_finbot.valuation.extremes import Extremes, extremes
from pytest_finbot.valuation.metrics import NO_DISPERSION
from pytest_finbot.valuation.undefined import NOT_FINITE, Figure, Undefined, value_of

WINDOWS = (63, 252)
"""Sessions: a quarter and a year."""

_AT_ONCE = 256
"""Windows whose deviations are held at a time: no more than stays in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Rolling:
    """Per session [T], over the ``window`` sessions that end with it; NaN where undefined.

    ``volatility`` is annualised (fraction), ``sharpe`` is annualised at a risk-free rate of 0.
    ``volatility_gaps`` and ``sharpe_gaps`` say why there are NaN, ``None`` where there are none.
    """

    window: int
    volatility: FloatArray
    sharpe: FloatArray
    volatility_gaps: str | None
    sharpe_gaps: str | None


@dataclass(frozen=True, slots=True)
class RollingFacts:
    """One window's figures: at the last session, and their extremes by last day of the window."""

    window: int
    volatility_last: float | None
    volatility: Extremes | None
    sharpe_last: float | None
    sharpe: Extremes | None

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


def rolling(returns: FloatArray, sessions: SessionArray, window: int) -> Rolling:
    """Rolling volatility and Sharpe ratio of ``returns`` [T], fractions.

    Volatility is ``s * sqrt(252)``, Sharpe ``mean / s * sqrt(252)``, s the sample standard
    deviation (ddof 1) of the window's returns. Before a window is full there is neither; where
    s is zero but for rounding there is no Sharpe ratio. Raises ValueError for a window below 2.
    """
    if window < 2:
        raise ValueError(f"a window of {window} sessions has no standard deviation; expected 2 or more")
    total = len(returns)
    volatility, sharpe = np.full(total, np.nan), np.full(total, np.nan)
    if total < window:
        short = f"fewer than {window} sessions: there are {total}"
        return Rolling(window, volatility, sharpe, short, short)
    with np.errstate(all="ignore"):
        mean, deviation = _moments(returns, window)
        year = math.sqrt(PERIODS_PER_YEAR)
        volatility[window - 1 :] = deviation * year
        flat = deviation <= NO_DISPERSION
        sharpe[window - 1 :] = np.where(flat, np.nan, mean / deviation * year)
    gaps = [f"the window of {window} sessions is not full before {sessions[window - 1]}"]
    beyond = ~np.isfinite(deviation)
    if beyond.any():
        volatility[window - 1 :][beyond] = sharpe[window - 1 :][beyond] = np.nan
        gaps.append(f"{NOT_FINITE.reason} on {days(beyond, sessions[window - 1 :])}")
    zero = (
        [f"volatility is zero, so there is no ratio, on {days(flat, sessions[window - 1 :])}"]
        if flat.any()
        else []
    )
    return Rolling(window, volatility, sharpe, "; ".join(gaps), "; ".join(gaps + zero))


def rolling_facts(found: Rolling, sessions: SessionArray, undefined: dict[str, str]) -> RollingFacts:
    """The figures of ``found``; the reason for each ``None`` goes into ``undefined``."""

    def told(name: str, series: FloatArray, gaps: str | None) -> tuple[float | None, Extremes | None]:
        key = f"rolling_{name}_{found.window}"
        over = extremes(series, sessions, gaps or NOT_FINITE.reason)
        if isinstance(over, Undefined):
            undefined[key] = undefined[f"{key}.last"] = over.reason
            return None, None
        last = float(series[-1])
        latest: Figure = last if math.isfinite(last) else Undefined(gaps or NOT_FINITE.reason)
        return value_of(latest, f"{key}.last", undefined), over

    volatility_last, volatility = told("volatility", found.volatility, found.volatility_gaps)
    sharpe_last, sharpe = told("sharpe", found.sharpe, found.sharpe_gaps)
    return RollingFacts(found.window, volatility_last, volatility, sharpe_last, sharpe)


def _moments(returns: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Mean and sample standard deviation of every full window [T - window + 1]."""
    windows = np.lib.stride_tricks.sliding_window_view(returns, window)
    mean: FloatArray = windows.mean(axis=1)
    squares = np.empty_like(mean)
    for row in range(0, len(windows), _AT_ONCE):
        rows = slice(row, row + _AT_ONCE)
        around = windows[rows] - mean[rows, None]
        squares[rows] = np.einsum("ij,ij->i", around, around)
    return mean, np.sqrt(squares / (window - 1))
