"""Performance metrics on NumPy, each with its formula and source.

Conventions, for all of them: 252 sessions a year; sample standard deviation (ddof 1); risk-free
rate and required return 0; losses are negative; returns as in ``returns.py``. What does not
exist is :class:`Undefined` with its reason: never NaN, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import PERIODS_PER_YEAR, EngineResult, FloatArray
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.drawdowns import worst_drawdowns
from pytest_finbot.valuation.returns import returns_of, wealth
from pytest_finbot.valuation.undefined import NOT_FINITE, Figure, Undefined, figure

NO_DISPERSION = 1e-12
"""A standard deviation per session below this is rounding: the series is flat."""

DAYS_PER_YEAR = 365.25

MetricValue = float | int | str | None

_TOO_SHORT = Undefined("fewer than 2 sessions")
_NEVER_FELL = Undefined("wealth never fell below an earlier peak")


@dataclass(frozen=True, slots=True)
class Metrics:
    """``values`` by name, plain Python; where one is ``None``, ``undefined`` says why."""

    values: Mapping[str, MetricValue]
    undefined: Mapping[str, str]


def compute_metrics(result: EngineResult, books: Books) -> Metrics:
    """Every metric of ``metric_kinds.METRIC_KINDS``, in that order."""
    with np.errstate(all="ignore"):  # what is not finite is caught one by one, and said
        found = _compute(result, books)
    values: dict[str, MetricValue] = {}
    undefined: dict[str, str] = {}
    for name, value in found.items():
        if isinstance(value, float) and not math.isfinite(value):
            value = NOT_FINITE
        if isinstance(value, Undefined):
            values[name] = None
            undefined[name] = value.reason
        else:
            values[name] = value
    return Metrics(values, undefined)


def _compute(result: EngineResult, books: Books) -> dict[str, Figure | int | str]:
    fees, slippage = books.fees, books.slippage
    found: dict[str, Figure | int | str] = {
        "final_nav": figure(result.nav[-1]) if len(result.nav) else Undefined("there are no sessions")
    }
    grown = wealth(result)
    found |= _of_wealth(grown, result)
    traded = float(np.abs(books.fill_value).sum())
    found["turnover"] = turnover(traded, result.nav)
    found["trades"] = len(result.fills)
    found["costs"] = float(fees.sum() + slippage.sum())
    found["exposure_gross"] = mean_share(books.gross_market_value, result)
    found["cash_share"] = mean_share(result.cash, result)
    return found


_OF_WEALTH = (
    "total_return",
    "cagr",
    "cagr_calendar",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "max_drawdown_peak",
    "max_drawdown_trough",
    "max_drawdown_recovery",
    "calmar",
    "var_5",
    "cvar_5",
)


def _of_wealth(grown: FloatArray | Undefined, result: EngineResult) -> dict[str, Figure | int | str]:
    if isinstance(grown, Undefined):
        return dict.fromkeys(_OF_WEALTH, grown)
    returns = returns_of(grown)
    total = float(grown[-1] / grown[0]) - 1.0
    growth = cagr(total, len(returns))
    days = int((result.sessions[-1] - result.sessions[0]).astype(np.int64))
    deviation = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    var, cvar = historical_var(returns, 0.05)
    deepest = next(iter(worst_drawdowns(grown, result.sessions, 1, result.start_session)), None)
    depth = 0.0 if deepest is None else deepest.depth
    return {
        "total_return": total,
        "cagr": growth,
        "cagr_calendar": cagr_calendar(total, days),
        "volatility": volatility(deviation, len(returns)),
        "sharpe": sharpe(returns, deviation),
        "sortino": sortino(returns),
        "max_drawdown": depth,
        "max_drawdown_peak": _NEVER_FELL if deepest is None else deepest.peak,
        "max_drawdown_trough": _NEVER_FELL if deepest is None else deepest.trough,
        "max_drawdown_recovery": _NEVER_FELL
        if deepest is None
        else deepest.recovery or Undefined("not recovered by the last session"),
        "calmar": calmar(growth, depth),
        "var_5": var,
        "cvar_5": cvar,
    }


def cagr(total_return: float, periods: int) -> Figure:
    """Compound annual growth rate by sessions: ``(1 + R) ** (252 / n) - 1`` for n returns."""
    if periods < 2:
        return _TOO_SHORT
    return _annual(total_return, PERIODS_PER_YEAR / periods)


def cagr_calendar(total_return: float, days: int) -> Figure:
    """Compound annual growth rate by the calendar: ``(1 + R) ** (365.25 / days) - 1``.

    ``days`` are those from the first session to the last.
    """
    return _TOO_SHORT if days < 1 else _annual(total_return, DAYS_PER_YEAR / days)


def _annual(total_return: float, exponent: float) -> Figure:
    try:
        return math.pow(1.0 + total_return, exponent) - 1.0
    except (OverflowError, ValueError):
        return Undefined(f"a return of {total_return:g} has no finite annual rate at so short a length")


def volatility(deviation: float, periods: int) -> Figure:
    """Annualised volatility: ``s * sqrt(252)``, s the sample standard deviation of returns."""
    return _TOO_SHORT if periods < 2 else deviation * math.sqrt(PERIODS_PER_YEAR)


def sharpe(returns: FloatArray, deviation: float) -> Figure:
    """Sharpe ratio: ``mean(r) / s * sqrt(252)``, risk-free rate 0.

    Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21(1), 1994.
    """
    if len(returns) < 2:
        return _TOO_SHORT
    if deviation <= NO_DISPERSION:
        return Undefined("volatility is zero")
    return float(returns.mean()) / deviation * math.sqrt(PERIODS_PER_YEAR)


def sortino(returns: FloatArray) -> Figure:
    """Sortino ratio: ``mean(r) * 252 / (d * sqrt(252))``, required return 0.

    d is the root of the mean of ``min(r, 0) ** 2`` over *all* sessions. Sortino & Price,
    Performance Measurement in a Downside Risk Framework, Journal of Investing 3(3), 1994.
    """
    if len(returns) < 2:
        return _TOO_SHORT
    losses = np.minimum(returns, 0.0)
    downside = math.sqrt(float((losses * losses).mean()))
    if downside <= NO_DISPERSION:
        return Undefined("no session had a loss")
    return float(returns.mean()) / downside * math.sqrt(PERIODS_PER_YEAR)


def calmar(growth: Figure, depth: float) -> Figure:
    """Calmar ratio: CAGR (by sessions) over the size of the largest drawdown.

    Young, Calmar Ratio: A Smoother Tool, Futures, October 1991; here over the whole window,
    not its last 36 months.
    """
    if isinstance(growth, Undefined):
        return growth
    return _NEVER_FELL if depth == 0.0 else figure(growth / abs(depth))


def historical_var(returns: FloatArray, level: float) -> tuple[Figure, Figure]:
    """Value at risk and expected shortfall of one session, both negative for a loss.

    VaR is the ``level`` quantile of ``returns`` [T], interpolated linearly between order
    statistics (type 7 of Hyndman & Fan, Sample Quantiles in Statistical Packages, American
    Statistician 50(4), 1996: NumPy's default). CVaR is the mean of the
    ``int((T - 1) * level) + 1`` worst returns (Acerbi & Tasche, On the Coherence of Expected
    Shortfall, Journal of Banking & Finance 26(7), 2002, eq. 9, as empyrical counts the tail).
    """
    if not len(returns):
        return _TOO_SHORT, _TOO_SHORT
    position = (len(returns) - 1) * level
    low = int(position)
    high = min(low + 1, len(returns) - 1)
    parted = np.partition(returns, (low, high))
    lower, upper = float(parted[low]), float(parted[high])
    # Sorted, so that the order of the sum does not depend on how this build partitions.
    tail = np.sort(parted[: low + 1])
    return figure(lower + (upper - lower) * (position - low)), figure(tail.mean())


def turnover(traded: float, nav: FloatArray) -> Figure:
    """One-way turnover a year: ``sum(|fill value|) / 2 / mean(NAV) / years``, years = T / 252.

    1.0 means that the portfolio was replaced once a year (buying it counts half).
    """
    base = mean_nav(nav)
    if isinstance(base, Undefined):
        return base
    return figure(traded / 2.0 / base / (len(nav) / PERIODS_PER_YEAR))


def mean_nav(nav: FloatArray) -> Figure:
    """Mean NAV over sessions, where it is above zero and so can be divided by."""
    mean = float(np.mean(nav)) if len(nav) else 0.0
    if 0.0 < mean < math.inf:
        return mean
    return Undefined(f"mean NAV is {mean:,.2f}: a share of it needs one above zero")


def mean_share(series: FloatArray, result: EngineResult) -> Figure:
    """Mean over sessions of ``series`` [T] as a fraction of NAV."""
    shares = nav_shares(series, result)
    return shares if isinstance(shares, Undefined) else figure(shares.mean())


def nav_shares(series: FloatArray, result: EngineResult) -> FloatArray | Undefined:
    """``series`` [T] as a fraction of NAV; undefined where a NAV is not above zero."""
    nav = np.asarray(result.nav, np.float64)
    if not len(nav):
        return Undefined("there are no sessions")
    above = nav > 0.0
    if not above.all():
        row = int(np.argmin(above))
        return Undefined(
            f"NAV is {nav[row]:,.2f} on {result.sessions[row]}: a share of it needs one above zero"
        )
    shares: FloatArray = series / nav
    if not np.isfinite(shares).all():
        row = int(np.argmin(np.isfinite(shares)))
        return Undefined(
            f"a value on {result.sessions[row]} is not a finite number (a held asset without a mark?)"
        )
    return shares
