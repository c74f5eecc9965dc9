"""Reconciling a result: every figure that is said against what it follows from, session by session.

The same identities as a run's own checks (:mod:`~pytest_finbot.checks.identities`), to a threshold
of the asker's, and every break of them instead of the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from pytest_finbot.checks.accounting import asset_at, plain
from pytest_finbot.checks.identities import (
    RELATIVE_TOLERANCE,
    IdentityResiduals,
    cash_from_equity,
    equity,
    long_and_short,
    residuals,
)
from pytest_finbot.contracts import EngineResult, FloatArray
from pytest_finbot.errors import ParameterError
from pytest_finbot.valuation.books import Books

NAMED = 200
"""Breaks that are named each; their count is whole."""

_ROUNDING = 1e-6
"""Of what is equal: a fault of 12.34 differs by rounding from identity to identity."""


@dataclass(frozen=True, slots=True)
class Break:
    """One residual beyond its limit.

    ``session`` is an ISO date; ``said`` and ``follows`` are both sides, in currency or, of
    quantities, in units of ``asset`` (``sides`` says which). ``residual`` and ``limit`` are in
    currency, ``relative`` is the residual's size as a fraction of max(\\|NAV\\|, capital). What
    is not a number is ``None``, and always a break.
    """

    session: str
    identity: str
    asset: str | None
    said: float | None
    follows: float | None
    sides: str
    residual: float | None
    relative: float | None
    limit: float | None
    message: str


@dataclass(frozen=True, slots=True)
class IdentityOutcome:
    """What one identity came to over the sessions looked at: its breaks, and its worst residual.

    The worst is the one largest in terms of its limit; ``residual`` (currency) and ``relative``
    are its size, ``None`` where it is not a number.
    """

    name: str
    breaks: int
    residual: float | None
    relative: float | None
    limit: float | None
    session: str
    asset: str | None


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """An account on one session, in currency; ``None`` for what is not a number.

    ``short_market_value`` is zero or below. ``derived_cash`` is equity - long market value +
    short proceeds, below zero where money is borrowed; ``pnl`` is that of the session.
    """

    session: str
    nav: float | None
    cash: float | None
    long_market_value: float | None
    short_market_value: float | None
    market_value: float | None
    equity: float | None
    derived_cash: float | None
    pnl: float | None
    flows: float | None


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One result reconciled: ``sessions`` looked at, what each identity came to, the breaks.

    ``breaks`` are the first :data:`NAMED`, by session and then in order of the identities;
    ``figures`` are there where one session was asked for.
    """

    sessions: int
    identities: tuple[IdentityOutcome, ...]
    breaks: tuple[Break, ...]
    figures: AccountFigures | None = None

    @property
    def break_count(self) -> int:
        return sum(identity.breaks for identity in self.identities)

    @property
    def clean(self) -> bool:
        return self.break_count == 0

    @property
    def worst(self) -> IdentityOutcome:
        """The identity whose worst residual is largest in terms of its limit.

        The first of equals: one fault shows in several, and in the later ones as a consequence.
        """
        largest = max(_badness(identity) for identity in self.identities)
        return next(each for each in self.identities if _badness(each) >= largest * (1.0 - _ROUNDING))

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "sessions": self.sessions,
            "clean": self.clean,
            "break_count": self.break_count,
            "worst": dataclasses.asdict(self.worst),
            "identities": [dataclasses.asdict(identity) for identity in self.identities],
            "breaks": [dataclasses.asdict(each) for each in self.breaks],
            "figures": None if self.figures is None else dataclasses.asdict(self.figures),
        }


def reconcile(
    result: EngineResult,
    capital: float,
    *,
    absolute: float = 0.0,
    relative: float = RELATIVE_TOLERANCE,
    session: date | None = None,
    books: Books | None = None,
) -> Reconciliation:
    """Reconcile ``result`` at every session, or at one.

    A residual is a break beyond ``absolute`` (currency) + ``relative`` (fraction) *
    max(\\|NAV\\|, ``capital``) + ``result.cent`` for each fill that enters the figure. Raises
    ParameterError where ``session`` is none of the result's.
    """
    rows = slice(0, len(result.sessions)) if session is None else _row_of(result, session)
    with np.errstate(all="ignore"):  # what is not a number is told as a break
        books = Books(result) if books is None else books
        found = residuals(result, capital, books, absolute=absolute, relative=relative)
        base = np.fmax(np.abs(np.asarray(result.nav, np.float64)), capital)
        return Reconciliation(
            sessions=rows.stop - rows.start,
            identities=tuple(_outcome(identity, rows, base, result) for identity in found),
            breaks=_breaks(found, rows, base, result),
            figures=None if session is None else _figures(result, books, rows.start),
        )


def _row_of(result: EngineResult, session: date) -> slice:
    row = int(np.searchsorted(result.sessions, np.datetime64(session, "D")))
    if row == len(result.sessions) or result.sessions[row] != np.datetime64(session, "D"):
        raise ParameterError(
            f"{session} is none of its {len(result.sessions):,} sessions, {result.sessions[0]} to "
            f"{result.sessions[-1]}"
        )
    return slice(row, row + 1)


def _outcome(
    identity: IdentityResiduals, rows: slice, base: FloatArray, result: EngineResult
) -> IdentityOutcome:
    row = rows.start + identity.worst(rows)
    size = abs(float(identity.residual[row]))
    return IdentityOutcome(
        name=identity.name,
        breaks=int(identity.broken[rows].sum()),
        residual=plain(size),
        relative=plain(size / base[row]),
        limit=plain(identity.limit[row]),
        session=str(result.sessions[row]),
        asset=asset_at(identity, row, result),
    )


def _breaks(
    found: Sequence[IdentityResiduals], rows: slice, base: FloatArray, result: EngineResult
) -> tuple[Break, ...]:
    broken = np.column_stack([identity.broken[rows] for identity in found])
    first = np.argwhere(broken)[:NAMED].tolist()  # by session, then by identity
    return tuple(_break(found[number], rows.start + row, base, result) for row, number in first)


def _break(identity: IdentityResiduals, row: int, base: FloatArray, result: EngineResult) -> Break:
    residual = float(identity.residual[row])
    return Break(
        session=str(result.sessions[row]),
        identity=identity.name,
        asset=asset_at(identity, row, result),
        said=plain(identity.said[row]),
        follows=plain(identity.follows[row]),
        sides=identity.sides,
        residual=plain(residual),
        relative=plain(abs(residual) / base[row]),
        limit=plain(identity.limit[row]),
        message=identity.words(row),
    )


def _figures(result: EngineResult, books: Books, row: int) -> AccountFigures:
    long, short = long_and_short(books)
    return AccountFigures(
        session=str(result.sessions[row]),
        nav=plain(result.nav[row]),
        cash=plain(result.cash[row]),
        long_market_value=plain(long[row]),
        short_market_value=plain(short[row]),
        market_value=plain(books.market_value[row]),
        equity=plain(equity(result, books)[row]),
        derived_cash=plain(cash_from_equity(result, books)[row]),
        pnl=plain(books.pnl[row]),
        flows=plain(result.flows[row]),
    )


def _badness(identity: IdentityOutcome) -> float:
    if identity.residual is None:
        return float("inf")
    return identity.residual / max(identity.limit or 0.0, float(np.finfo(np.float64).tiny))
