"""Time-weighted wealth and returns of a result: the series every return metric starts from.

Conventions, stated once:

* The first return is that of the first session, on the start capital: T sessions give T
  returns, and what opening the positions cost is part of the performance.
* External flows come at the *end* of their session and earn nothing in it:
  ``r[t] = (NAV[t] - flow[t]) / NAV[t-1] - 1`` (the true time-weighted return of GIPS, where
  the portfolio is valued at every flow).
"""

from __future__ import annotations

import numpy as np

from pytest_finbot.contracts import EngineResult, FloatArray
from pytest_finbot.valuation.undefined import Undefined


def wealth(result: EngineResult) -> FloatArray | Undefined:
    """What the start capital became [T + 1], flows taken out; element 0 is before session 0.

    Without flows this is NAV itself. Undefined where start capital or a NAV is zero, negative
    or not finite: no return exists on such a base.
    """
    nav = np.asarray(result.nav, np.float64)
    start = float(result.start_cash)
    if not len(nav):
        return Undefined("there are no sessions")
    if not 0.0 < start < np.inf:
        return Undefined(f"start capital is {start:,.2f}: a return needs one above zero")
    series = np.empty(len(nav) + 1)
    series[0], series[1:] = start, nav
    reason = _not_positive(series[1:], result, "NAV")
    if reason is not None:
        return reason
    flows = np.asarray(result.flows, np.float64)
    if not flows.any():
        return series
    before_flow = nav - flows
    reason = _not_positive(before_flow, result, "NAV before the session's flow")
    if reason is not None:
        return reason
    grown = np.empty_like(series)
    grown[0] = start
    grown[1:] = start * np.cumprod(before_flow / series[:-1])
    return _not_positive(grown[1:], result, "time-weighted wealth") or grown


def returns_of(wealth: FloatArray) -> FloatArray:
    """Simple returns [T] of ``wealth`` [T + 1], fractions."""
    returns: FloatArray = wealth[1:] / wealth[:-1]
    returns -= 1.0
    return returns


def _not_positive(series: FloatArray, result: EngineResult, name: str) -> Undefined | None:
    good = (series > 0.0) & (series < np.inf)
    if good.all():
        return None
    row = int(np.argmin(good))
    return Undefined(f"{name} is {series[row]:,.2f} on {result.sessions[row]}: a return needs one above zero")
