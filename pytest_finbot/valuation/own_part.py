"""The sessions of a result that count, where the run began earlier to carry what came before."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np

from pytest_finbot.contracts import EngineResult, Fills
from pytest_finbot.errors import DataError


def own_part(result: EngineResult, own_from: date) -> EngineResult:
    """The sessions of ``result`` from ``own_from`` on, for metrics and reports only.

    Its ``start_cash`` is the NAV of the session before, so that the first return is on what the
    account was worth then, and the returns of consecutive parts link to those of the whole; its
    ``start_session`` is that session, to which a fall from there is dated.
    Where no session comes before, it is ``result`` itself.

    It is not proven by the identities, and would not pass them: it begins with positions whose
    fills are not in it, so quantities and cash do not roll forward from its start, and realised
    P&L knows nothing of what those positions cost. Prove the whole result; measure the part.

    Raises DataError where ``own_from`` is after the last session.
    """
    day = np.datetime64(own_from, "D")
    row = int(np.searchsorted(result.sessions, day))
    if row == len(result.sessions):
        last = f"the last session is {result.sessions[-1]}" if row else "there are no sessions"
        raise DataError(f"no session is on or after {day}, where the run's own part begins: {last}")
    if row == 0:
        return result
    fills = result.fills
    first = int(np.searchsorted(fills.session, row))
    columns = {column.name: getattr(fills, column.name)[first:] for column in dataclasses.fields(Fills)}
    columns["session"] = columns["session"] - row
    daily = ("sessions", "nav", "cash", "quantity", "mark", "flows", "income", "splits")
    cut = {name: getattr(result, name)[row:] for name in daily}
    return dataclasses.replace(
        result,
        **cut,
        start_cash=float(result.nav[row - 1]),
        start_session=result.sessions[row - 1].astype(object),
        fills=Fills(**columns),
        decisions=None,  # of rows that are no longer these
        rejected_orders=tuple(
            dataclasses.replace(order, session=order.session - row)
            for order in result.rejected_orders
            if order.session >= row
        ),
    )
