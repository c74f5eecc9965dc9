"""Facts of a risk report: drawdowns, value at risk, calendar returns, extreme days, exposure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import EngineResult, FloatArray, SessionArray
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.drawdowns import Drawdown, worst_drawdowns
from pytest_finbot.valuation.metrics import historical_var, nav_shares
from pytest_finbot.valuation.returns import returns_of, wealth
from pytest_finbot.valuation.undefined import Undefined, figure, value_of


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


@dataclass(frozen=True, slots=True)
class RiskAnalysis:
    """Risk of one run in fractions; ``undefined`` gives the reason for each ``None``.

    VaR and CVaR are historical, of one session, negative for a loss. Where the run has no
    returns, the tables are empty and ``undefined["returns"]`` says why. Exposure is market
    value, gross or net of short positions, as a fraction of NAV.
    """

    drawdowns: tuple[Drawdown, ...]
    var_5: float | None
    cvar_5: float | None
    var_1: float | None
    cvar_1: float | None
    years: tuple[YearReturns, ...]
    best_day: DayReturn | None
    worst_day: DayReturn | None
    exposure_gross_mean: float | None
    exposure_gross_max: float | None
    exposure_net_mean: float | None
    cash_share_mean: float | None
    cash_share_min: float | None
    undefined: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {
            **asdict(self),
            "drawdowns": [asdict(drawdown) for drawdown in self.drawdowns],
            "years": [{**asdict(year), "months": list(year.months)} for year in self.years],
        }


def analyse_risk(result: EngineResult, books: Books) -> RiskAnalysis:
    """Risk figures of ``result``: of its returns and of what was held."""
    undefined: dict[str, str] = {}
    with np.errstate(all="ignore"):  # what is not finite is caught one by one, and said
        returns_part = _of_returns(result, undefined)
        exposure_part = _of_exposure(result, books, undefined)
    return RiskAnalysis(**returns_part, **exposure_part, undefined=undefined)


def _of_returns(result: EngineResult, undefined: dict[str, str]) -> dict[str, Any]:
    grown = wealth(result)
    names = ("var_5", "cvar_5", "var_1", "cvar_1", "best_day", "worst_day")
    if isinstance(grown, Undefined):
        undefined.update(dict.fromkeys(("returns", *names), grown.reason))
        return {**dict.fromkeys(names), "drawdowns": (), "years": ()}
    returns = returns_of(grown)
    var_5, cvar_5 = historical_var(returns, 0.05)
    var_1, cvar_1 = historical_var(returns, 0.01)
    return {
        "drawdowns": worst_drawdowns(grown, result.sessions),
        "var_5": value_of(var_5, "var_5", undefined),
        "cvar_5": value_of(cvar_5, "cvar_5", undefined),
        "var_1": value_of(var_1, "var_1", undefined),
        "cvar_1": value_of(cvar_1, "cvar_1", undefined),
        "years": calendar_returns(grown, result.sessions),
        "best_day": _day(result.sessions, returns, int(np.argmax(returns))),
        "worst_day": _day(result.sessions, returns, int(np.argmin(returns))),
    }


def _of_exposure(result: EngineResult, books: Books, undefined: dict[str, str]) -> dict[str, Any]:
    gross = nav_shares(books.gross_market_value, result)
    net = nav_shares(books.market_value, result)
    cash = nav_shares(result.cash, result)

    def fact(name: str, shares: FloatArray | Undefined, of: Any) -> float | None:
        found = shares if isinstance(shares, Undefined) else figure(of(shares))
        return value_of(found, name, undefined)

    return {
        "exposure_gross_mean": fact("exposure_gross_mean", gross, np.mean),
        "exposure_gross_max": fact("exposure_gross_max", gross, np.max),
        "exposure_net_mean": fact("exposure_net_mean", net, np.mean),
        "cash_share_mean": fact("cash_share_mean", cash, np.mean),
        "cash_share_min": fact("cash_share_min", cash, np.min),
    }


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
