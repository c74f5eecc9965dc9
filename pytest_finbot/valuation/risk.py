"""Facts of a risk report: drawdowns, rolling figures, value at risk, calendar returns, what was held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import EngineResult, FloatArray, SessionArray
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.chart_columns import ChartColumns
from pytest_finbot.valuation.drawdowns import NOT_RECOVERED, Drawdown, depths, worst_drawdowns
from pytest_finbot.valuation.exposure import (
    Concentration,
    concentration,
    concentration_series,
    exposure_series,
    exposures,
)
from pytest_finbot.valuation.extremes import Extremes
from pytest_finbot.valuation.metrics import historical_var
from pytest_finbot.valuation.returns import returns_of, wealth
from pytest_finbot.valuation.rolling import WINDOWS, RollingFacts, rolling, rolling_facts
from pytest_finbot.valuation.undefined import Undefined, value_of

MOST_DRAWDOWNS = 10


@dataclass(frozen=True, slots=True)
class YearReturns:
    """Returns of one calendar year: ``months`` has 12, ``None`` where there was no session."""

    year: int
    months: tuple[float | None, ...]
    total: float


@dataclass(frozen=True, slots=True)
class DayReturn:
    """One session's return; ``session`` is its ISO date."""

    session: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class RiskAnalysis:
    """Risk of one run in fractions; ``undefined`` gives the reason for each ``None`` by its path.

    Returns are time-weighted: deposits and withdrawals are no performance. VaR and CVaR are
    historical, of one session, negative for a loss. Where the run has no returns, the tables are
    empty and ``undefined["returns"]`` says why. ``exposure`` (fractions of NAV) is by kind:
    gross, net, long, short, cash. ``series`` are the columns for charts, by session: ``nav`` and
    ``wealth`` (NAV with the flows taken out) in currency, ``rolling_sharpe_*`` ratios, the others
    fractions.
    """

    sessions: int
    first_session: str
    last_session: str
    drawdowns: tuple[Drawdown, ...]
    var_5: float | None
    cvar_5: float | None
    var_1: float | None
    cvar_1: float | None
    best_day: DayReturn | None
    worst_day: DayReturn | None
    rolling: tuple[RollingFacts, ...]
    years: tuple[YearReturns, ...]
    exposure: Mapping[str, Extremes | None]
    concentration: Concentration | None
    undefined: Mapping[str, str]
    series: ChartColumns

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, without ``series``."""
        return {
            "sessions": self.sessions,
            "first_session": self.first_session,
            "last_session": self.last_session,
            "drawdowns": [asdict(drawdown) for drawdown in self.drawdowns],
            "var_5": self.var_5,
            "cvar_5": self.cvar_5,
            "var_1": self.var_1,
            "cvar_1": self.cvar_1,
            "best_day": None if self.best_day is None else asdict(self.best_day),
            "worst_day": None if self.worst_day is None else asdict(self.worst_day),
            "rolling": [facts.to_json() for facts in self.rolling],
            "years": [{**asdict(year), "months": list(year.months)} for year in self.years],
            "exposure": {
                kind: None if facts is None else asdict(facts) for kind, facts in self.exposure.items()
            },
            "concentration": None if self.concentration is None else asdict(self.concentration),
            "undefined": dict(self.undefined),
        }


def analyse_risk(result: EngineResult, books: Books) -> RiskAnalysis:
    """Risk figures of ``result``, which has at least one session: of its returns and of what was held."""
    undefined: dict[str, str] = {}
    columns: dict[str, FloatArray] = {"nav": np.asarray(result.nav, np.float64)}
    gaps: dict[str, str] = {}
    with np.errstate(all="ignore"):  # what is not finite is caught one by one, and said
        of_returns = _of_returns(result, undefined, columns, gaps)
        of_holdings = _of_holdings(result, books, undefined, columns, gaps)
    return RiskAnalysis(
        sessions=len(result.sessions),
        first_session=str(result.sessions[0]),
        last_session=str(result.sessions[-1]),
        **of_returns,
        **of_holdings,
        undefined=undefined,
        series=ChartColumns("session", result.sessions, columns, gaps),
    )


_FIGURES = ("var_5", "cvar_5", "var_1", "cvar_1", "best_day", "worst_day")
_ROLLING = tuple(f"rolling_{name}_{window}" for name in ("volatility", "sharpe") for window in WINDOWS)


def _of_returns(
    result: EngineResult, undefined: dict[str, str], columns: dict[str, FloatArray], gaps: dict[str, str]
) -> dict[str, Any]:
    grown = _finite(wealth(result))
    if isinstance(grown, Undefined):
        for name in ("wealth", "drawdown", *_ROLLING):
            columns[name], gaps[name] = np.full(len(result.sessions), np.nan), grown.reason
        undefined.update(dict.fromkeys(("returns", *_FIGURES), grown.reason))
        return {**dict.fromkeys(_FIGURES), "drawdowns": (), "rolling": (), "years": ()}
    returns = returns_of(grown)
    columns["wealth"], columns["drawdown"] = grown[1:], depths(grown)[1:]
    facts = []
    for window in WINDOWS:
        found = rolling(returns, result.sessions, window)
        facts.append(rolling_facts(found, result.sessions, undefined))
        for name, series, gap in (
            ("volatility", found.volatility, found.volatility_gaps),
            ("sharpe", found.sharpe, found.sharpe_gaps),
        ):
            columns[f"rolling_{name}_{window}"] = series
            if gap is not None:
                gaps[f"rolling_{name}_{window}"] = gap
    var_5, cvar_5 = historical_var(returns, 0.05)
    var_1, cvar_1 = historical_var(returns, 0.01)
    drawdowns = worst_drawdowns(grown, result.sessions, MOST_DRAWDOWNS, result.start_session)
    for number, drawdown in enumerate(drawdowns):
        if drawdown.recovery is None:
            for name in ("recovery", "to_recover"):
                undefined[f"drawdowns[{number}].{name}"] = NOT_RECOVERED
    years = calendar_returns(grown, result.sessions)
    for number, year in enumerate(years):
        if None in year.months:
            undefined[f"years[{number}].months"] = "no session in the months without a return"
    return {
        "drawdowns": drawdowns,
        "var_5": value_of(var_5, "var_5", undefined),
        "cvar_5": value_of(cvar_5, "cvar_5", undefined),
        "var_1": value_of(var_1, "var_1", undefined),
        "cvar_1": value_of(cvar_1, "cvar_1", undefined),
        "best_day": _day(result.sessions, returns, int(np.argmax(returns))),
        "worst_day": _day(result.sessions, returns, int(np.argmin(returns))),
        "rolling": tuple(facts),
        "years": years,
    }


def _finite(grown: FloatArray | Undefined) -> FloatArray | Undefined:
    """``grown``, unless it spans so much that a return over some of its sessions is no number."""
    if isinstance(grown, Undefined):
        return grown
    low, high = float(grown.min()), float(grown.max())
    if np.isfinite(grown.max() / grown.min()):
        return grown
    return Undefined(f"wealth is between {low:g} and {high:g}: the return from one to the other is no number")


def _of_holdings(
    result: EngineResult,
    books: Books,
    undefined: dict[str, str],
    columns: dict[str, FloatArray],
    gaps: dict[str, str],
) -> dict[str, Any]:
    exposure: dict[str, Extremes | None] = {}
    for kind, facts in exposures(result, books).items():
        if isinstance(facts, Undefined):
            exposure[kind], undefined[f"exposure.{kind}"] = None, facts.reason
        else:
            exposure[kind] = facts
    by_session = concentration_series(result, books)
    for name, series, gap in (
        ("exposure_gross", *exposure_series(books.gross_market_value, result)),
        ("exposure_net", *exposure_series(books.market_value, result)),
        ("largest_position", by_session.largest, by_session.gaps),
    ):
        columns[name] = series
        if gap is not None:
            gaps[name] = gap
    concentrated = concentration(by_session, result, books)
    if isinstance(concentrated, Undefined):
        undefined["concentration"] = concentrated.reason
        return {"exposure": exposure, "concentration": None}
    return {"exposure": exposure, "concentration": concentrated}


def calendar_returns(wealth: FloatArray, sessions: SessionArray) -> tuple[YearReturns, ...]:
    """Return of each month and year of ``wealth`` [T + 1] over ``sessions`` [T].

    A period's return is from the last session before it (the start capital, for the first)
    to its last session; the first and the last may be cut short by the window.
    """
    by_month = _by_period(wealth, sessions.astype("datetime64[M]"))
    by_year = _by_period(wealth, sessions.astype("datetime64[Y]"))
    months: dict[int, list[float | None]] = {}
    for number, value in by_month.items():
        months.setdefault(1970 + number // 12, [None] * 12)[number % 12] = value
    return tuple(
        YearReturns(year, tuple(months[year]), total)
        for year, total in ((1970 + number, total) for number, total in by_year.items())
    )


def _by_period(wealth: FloatArray, periods: SessionArray) -> dict[int, float]:
    """Return by period, counted from January 1970."""
    numbers = periods.astype(np.int64)
    last = np.append(np.flatnonzero(numbers[1:] != numbers[:-1]), len(numbers) - 1)
    levels = np.concatenate((wealth[:1], wealth[last + 1]))
    return dict(zip(numbers[last].tolist(), returns_of(levels).tolist(), strict=True))


def _day(sessions: SessionArray, returns: FloatArray, row: int) -> DayReturn:
    return DayReturn(str(sessions[row]), float(returns[row]))
