"""What was held, as fractions: exposure of NAV, and how few positions carry it.

Concentration is of gross market value. The Herfindahl index is the sum of the squared shares of
all positions (Herfindahl 1950, Hirschman 1964); its inverse is the effective number of positions:
the number of equal ones that would be as concentrated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import BoolArray, EngineResult, FloatArray
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.chart_columns import days
from pytest_finbot.valuation.extremes import Extremes, extremes
from pytest_finbot.valuation.metrics import nav_shares
from pytest_finbot.valuation.undefined import Undefined

_UNMARKED = "a held asset has no mark"

KINDS = ("gross", "net", "long", "short", "cash")


@dataclass(frozen=True, slots=True)
class Concentration:
    """Over the ``sessions_held`` sessions on which something was held.

    ``largest`` is the largest position's fraction of gross market value, ``largest_asset`` the
    asset it was in when it was largest.
    """

    sessions_held: int
    largest: Extremes
    largest_asset: str
    herfindahl: Extremes
    effective_positions: Extremes


@dataclass(frozen=True, slots=True, eq=False)
class ConcentrationSeries:
    """Per session [T]; NaN where nothing is held. ``gaps`` says where that is, ``None``: nowhere."""

    largest: FloatArray
    herfindahl: FloatArray
    gaps: str | None


def exposures(result: EngineResult, books: Books) -> dict[str, Extremes | Undefined]:
    """Exposure by kind of :data:`KINDS`, fractions of NAV.

    ``short`` is the size of the short positions, so that gross = long + short and
    net = long - short.
    """
    found: dict[str, Extremes | Undefined] = {}
    for kind, amount in _amounts(result, books).items():
        shares = nav_shares(amount, result)
        found[kind] = (
            shares
            if isinstance(shares, Undefined)
            else extremes(shares, result.sessions, "there are no sessions")
        )
    return found


def exposure_series(amount: FloatArray, result: EngineResult) -> tuple[FloatArray, str | None]:
    """``amount`` [T] (currency) as a fraction of NAV; NaN where NAV is not above zero, and why."""
    nav = np.asarray(result.nav, np.float64)
    above = nav > 0.0
    shares = np.full(len(nav), np.nan)
    np.divide(amount, nav, out=shares, where=above)
    reasons = {"NAV is not above zero": ~above, _UNMARKED: above & np.isnan(amount)}
    return shares, _gaps(reasons, result)


def concentration_series(result: EngineResult, books: Books) -> ConcentrationSeries:
    """Largest position and Herfindahl index of each session."""
    size = np.abs(books.market_values)
    gross = books.gross_market_value
    held = gross > 0.0
    shares = np.full(size.shape, np.nan)
    np.divide(size, gross[:, None], out=shares, where=held[:, None])
    largest = shares.max(axis=1, initial=-np.inf)
    largest[~held] = np.nan
    herfindahl = np.einsum("ij,ij->i", shares, shares)
    herfindahl[~held] = np.nan
    unmarked = np.isnan(gross)
    reasons = {"nothing is held": ~held & ~unmarked, _UNMARKED: unmarked}
    return ConcentrationSeries(largest, herfindahl, _gaps(reasons, result))


def concentration(
    series: ConcentrationSeries, result: EngineResult, books: Books
) -> Concentration | Undefined:
    """The figures of ``series``; undefined where nothing is ever held, or a market value is unknown."""
    gross = books.gross_market_value
    if not np.isfinite(gross).all():
        row = int(np.argmin(np.isfinite(gross)))
        return Undefined(
            f"a market value on {result.sessions[row]} is not a finite number (a held asset without a mark?)"
        )
    nothing = "nothing was held on any session"
    found = [
        extremes(column, result.sessions, nothing)
        for column in (series.largest, series.herfindahl, 1.0 / series.herfindahl)
    ]
    largest, herfindahl, effective = found
    for each in found:
        if isinstance(each, Undefined):
            return each
    assert not isinstance(largest, Undefined)
    assert not isinstance(herfindahl, Undefined)
    assert not isinstance(effective, Undefined)
    row = int(np.searchsorted(result.sessions, np.datetime64(largest.max_on)))
    return Concentration(
        sessions_held=int(np.count_nonzero(gross > 0.0)),
        largest=largest,
        largest_asset=result.assets[int(np.argmax(np.abs(books.market_values[row])))],
        herfindahl=herfindahl,
        effective_positions=effective,
    )


def _gaps(reasons: Mapping[str, BoolArray], result: EngineResult) -> str | None:
    """On how many sessions each reason holds [T], and since when; ``None`` where none does."""
    told = [f"{why} on {days(rows, result.sessions)}" for why, rows in reasons.items() if rows.any()]
    return "; ".join(told) or None


def _amounts(result: EngineResult, books: Books) -> dict[str, FloatArray]:
    """Amounts [T] (currency) by kind, in the order of :data:`KINDS`."""
    long = np.maximum(books.market_values, 0.0).sum(axis=1)
    short = -np.minimum(books.market_values, 0.0).sum(axis=1)
    return {
        "gross": books.gross_market_value,
        "net": books.market_value,
        "long": long,
        "short": short + 0.0,
        "cash": np.asarray(result.cash, np.float64),
    }
