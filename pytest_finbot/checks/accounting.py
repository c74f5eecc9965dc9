"""The identities that every result must satisfy, whatever engine it came from.

Each compares what the engine says with what follows from its own positions, fills and flows
(:mod:`~pytest_finbot.checks.identities`), to ``1e-9 * max(|NAV|, capital)`` in currency, plus
``cent`` for each fill that enters the figure (those of the session, or all so far where the
identity adds up). A residual that is not a number is broken.

``nav_identity``, ``quantity_roll`` and ``cash_roll`` are the ground; a fault there shows in the
others as well. Those find what drifts by less than a session's tolerance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_finbot.checks.identities import IdentityResiduals, residuals, unmarked_cells
from pytest_finbot.contracts import CheckResult, EngineResult, RunSpec, Verdict
from pytest_finbot.valuation.books import Books


def check_books(
    result: EngineResult,
    spec: RunSpec,
    books: Books | None = None,
    identities: Sequence[IdentityResiduals] | None = None,
) -> tuple[CheckResult, ...]:
    """Every identity, in order from the ground up.

    ``result`` has passed ``checks.contract.check_result``; ``books`` are its books and
    ``identities`` their residuals, where they have been computed already.
    """
    books = Books(result) if books is None else books
    if identities is None:
        identities = residuals(result, spec.start_capital, books)
    with np.errstate(all="ignore"):
        return tuple(_verdict(identity, books) for identity in identities)


def cents_needed(identities: Sequence[IdentityResiduals], result: EngineResult) -> tuple[str, ...]:
    """Told where identities hold only because ``result`` books in cents; nothing where none does."""
    needed = {each.name: rows for each in identities if (rows := each.needed_cents).any()}
    if not needed:
        return ()
    first = min(int(rows.argmax()) for rows in needed.values())
    of_each = ", ".join(f"{name} ({int(rows.sum()):,})" for name, rows in needed.items())
    return (
        f"the books hold only because a cent of {result.cent:g} a fill is allowed: needed by {of_each} "
        f"sessions, the first on {result.sessions[first]}",
    )


def _verdict(identity: IdentityResiduals, books: Books) -> CheckResult:
    """``value`` is the residual that is worst against its limit, which stands beside it."""
    if identity.name == "market_value_finite":
        return _market_value_finite(identity, books)
    size, broken, worst = np.abs(identity.residual), identity.broken, identity.worst()
    value, bound = plain(size[worst]), plain(identity.limit[worst])
    if not broken.any():
        verdict = Verdict.WITHIN if size.any() else Verdict.IDENTICAL
        return CheckResult(identity.name, verdict, identity.holds, value, bound)
    row = int(broken.argmax())
    message = identity.words(row) + _and_more(int(broken.sum()) - 1)
    return CheckResult(
        identity.name,
        Verdict.ERROR,
        message,
        value,
        bound,
        str(books.result.sessions[row]),
        asset_at(identity, row, books.result),
    )


def _market_value_finite(identity: IdentityResiduals, books: Books) -> CheckResult:
    """Its ``value`` counts the positions without a market value: there is no residual to tell."""
    cells = unmarked_cells(books)
    if cells is None:
        return CheckResult(identity.name, Verdict.IDENTICAL, identity.holds, 0.0, 0.0)
    row, count = int(identity.broken.argmax()), int(cells.sum())
    message = identity.words(row)
    if count > 1:
        message += f"; {count:,} positions in all"
    return CheckResult(
        identity.name,
        Verdict.ERROR,
        message,
        float(count),
        0.0,
        str(books.result.sessions[row]),
        asset_at(identity, row, books.result),
    )


def asset_at(identity: IdentityResiduals, row: int, result: EngineResult) -> str | None:
    """The asset whose residual ``identity`` tells at ``row``; ``None`` where it is of no single one."""
    if identity.column is None or identity.column[row] < 0:
        return None
    return result.assets[int(identity.column[row])]


def plain(value: float) -> float | None:
    """A Python float for the record, ``None`` for what JSON has no word for."""
    number = float(value)
    return number if math.isfinite(number) else None


def _and_more(count: int) -> str:
    if not count:
        return ""
    return f"; and {count:,} more time{'s' if count > 1 else ''}"
