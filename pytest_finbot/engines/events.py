"""What happens to the account between decisions: splits, dividends, deposits and withdrawals.

The order within one session, from its open to its close:

1. A **split** multiplies the quantity that was held before. With whole units, the fraction that it
   may leave is kept, without cash in lieu, until the asset is next traded.
2. A **dividend** pays its amount for each unit held when the session began, which is before that
   session's split, times the contract's multiplier, to cash, as income. A short position pays it.
3. Orders for the **open** are filled (``fill: next_open``).
4. With ``booking: reinvest``, what a long position was paid buys the same asset at the close, as a
   fill without costs; in whole units where the run trades those, the rest stays in cash. What a
   short position paid is gone, and what was paid for a position sold at the open stays in cash.
5. A **flow** enters or leaves cash, and with it the session's NAV: it earns nothing in its session
   (see ``valuation.returns``). Several on one day add up.
6. Orders for the **close** are sized, with the flow in NAV, and filled.

A withdrawal may take cash below zero: positions are not sold for it before the next decision. That
is told as a warning, with its day. One that takes NAV below zero ends as every lost account does.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from pytest_finbot.contracts import Fills, FloatArray, IntArray, MarketData, RunSpec, SessionArray
from pytest_finbot.engines.sizing import total, whole_units
from pytest_finbot.errors import ParameterError, did_you_mean

_OVERDRAWN = 1e-9
"""Fraction of the start capital: less than that below zero is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What happens to a run's account; ``None`` for a kind that does not happen at all.

    ``rows`` are the sessions on which anything does. ``flows`` [T] in currency; ``dividends``
    [T, N] in currency a unit, multiplier included; ``splits`` [T, N] factors.
    """

    rows: tuple[int, ...]
    flows: FloatArray | None
    dividends: FloatArray | None
    splits: FloatArray | None

    @classmethod
    def of(cls, spec: RunSpec, market: MarketData, multiplier: FloatArray | None) -> Events:
        """Those of ``spec`` and ``market``; raises ParameterError for a flow on no session."""
        flows = _flows(spec, market)
        dividends = _unless_all(market.dividends, 0.0)
        splits = _unless_all(market.splits, 1.0)
        happens = np.zeros(len(market.sessions), np.bool_)
        if flows is not None:
            happens |= flows != 0.0
        if dividends is not None:
            happens |= (dividends != 0.0).any(axis=1)
            if multiplier is not None:
                dividends = dividends * multiplier
        if splits is not None:
            happens |= (splits != 1.0).any(axis=1)
        return cls(tuple(np.flatnonzero(happens).tolist()), flows, dividends, splits)


def multipliers(spec: RunSpec, symbols: tuple[str, ...]) -> FloatArray | None:
    """Currency that a unit's price stands for [N]; ``None`` where it is 1 for all.

    Raises ParameterError for a symbol that the run does not trade, and for what is not above zero.
    """
    if not spec.multipliers:
        return None
    values = np.ones(len(symbols))
    for symbol, value in spec.multipliers.items():
        if symbol not in symbols:
            raise ParameterError(
                f"multipliers: {symbol!r} is not a symbol of the run{did_you_mean(symbol, symbols)} "
                f"(its symbols: {', '.join(symbols)})"
            )
        if not 0.0 < value < math.inf:
            raise ParameterError(f"multipliers: {symbol} has {value}, expected a number above zero")
        values[symbols.index(symbol)] = value
    return None if (values == 1.0).all() else values


class EventBook:
    """Books the events of one account; ``income`` [T, N] is what was paid on positions (currency).

    ``unit_values`` [T, N] is what a unit is worth at each close, multiplier included.
    """

    def __init__(self, events: Events, spec: RunSpec, unit_values: FloatArray) -> None:
        self._events = events
        self._spec = spec
        self._unit_values = unit_values
        self._reinvests = spec.actions.booking == "reinvest"
        self._paid: FloatArray | None = None
        self._bought: list[tuple[int, FloatArray]] = []
        self._overdrawn: list[int] = []
        self.income = None if events.dividends is None else np.zeros(events.dividends.shape)

    def begin(self, row: int, cash: float, quantity: FloatArray) -> tuple[float, FloatArray]:
        """Cash and quantity [N] after the session's splits and dividends."""
        if self.income is not None:
            assert self._events.dividends is not None, "there is income where there are dividends"
            self._paid = np.multiply(self._events.dividends[row], quantity, out=self.income[row])
            cash += float(total(self._paid))
        if self._events.splits is not None:
            quantity = quantity * self._events.splits[row]
        return cash, quantity

    def end(self, row: int, cash: float, quantity: FloatArray) -> tuple[float, FloatArray]:
        """Cash and quantity [N] at the close: dividends are reinvested, then the flow comes."""
        if self._reinvests and self._paid is not None:
            buying = (self._paid > 0.0) & (quantity > 0.0)
            if buying.any():
                unit_value = self._unit_values[row]
                units = np.where(buying, self._paid / unit_value, 0.0)
                if self._spec.units == "whole":
                    units = whole_units(units)
                self._bought.append((row, units))
                quantity = quantity + units
                cash -= float(total(units * unit_value))
        if self._events.flows is not None:
            flow = float(self._events.flows[row])
            least = -_OVERDRAWN * self._spec.start_capital
            if cash >= least > cash + flow:
                self._overdrawn.append(row)
            cash += flow
        return cash, quantity

    def with_reinvested(self, fills: Fills, close: FloatArray) -> Fills:
        """``fills`` and those of reinvested dividends at ``close`` [T, N], in order of session.

        Within a session they come before fills at the close, and after those at the open.
        """
        if not self._bought:
            return fills
        units = np.stack([bought for _, bought in self._bought])
        number, asset = np.nonzero(units)
        session: IntArray = np.array([row for row, _ in self._bought], np.int64)[number]
        free = np.zeros(len(session))
        bought = Fills(
            session, asset.astype(np.int64), units[number, asset], close[session, asset], free, free
        )
        first, second = (fills, bought) if self._spec.fill == "next_open" else (bought, fills)
        order = np.argsort(np.concatenate((first.session, second.session)), kind="stable")
        return Fills(
            *(
                np.concatenate((getattr(first, column), getattr(second, column)))[order]
                for column in ("session", "asset", "quantity", "price", "fee", "slippage")
            )
        )

    def warnings(self, sessions: SessionArray, cash: FloatArray) -> list[str]:
        """Withdrawals that took ``cash`` [T] below zero and were not made good by that session's trades."""
        least = -_OVERDRAWN * self._spec.start_capital
        rows = [row for row in self._overdrawn if cash[row] < least]
        if not rows:
            return []
        more = f"; so it is after {len(rows) - 1:,} more" if len(rows) > 1 else ""
        return [
            f"cash is {cash[rows[0]]:,.2f} after the withdrawal of {sessions[rows[0]]}: positions are not "
            f"sold for it before the next decision{more}"
        ]


def _flows(spec: RunSpec, market: MarketData) -> FloatArray | None:
    """Flows by session [T] (currency), those of one day added up; ``None`` where there are none."""
    if not spec.flows:
        return None
    sessions = market.sessions
    dropped = () if market.missing is None else market.missing.dropped
    flows = np.zeros(len(sessions))
    for flow in spec.flows:
        day = np.datetime64(flow.date, "D")
        row = int(np.searchsorted(sessions, day))
        if str(day) in dropped:
            near = (
                f"the next one is {sessions[row]}" if row < len(sessions) else f"the last is {sessions[-1]}"
            )
            raise ParameterError(
                f"flows: {day} is a session that data.missing: drop left out, as a symbol has no close "
                f"on it; expected one that is kept: {near}"
            )
        if row == len(sessions):
            raise ParameterError(
                f"flows: {day} is after the run's last session {sessions[-1]}, expected a session of the run"
            )
        if sessions[row] != day:
            raise ParameterError(
                f"flows: {day} is not a session of the run, expected one; the next session is {sessions[row]}"
            )
        if not math.isfinite(flow.amount):
            raise ParameterError(f"flows: the amount of {day} is {flow.amount}, expected a finite number")
        flows[row] += flow.amount
    return flows


def _unless_all(values: FloatArray | None, nothing: float) -> FloatArray | None:
    """``values``, or ``None`` where all of them say that nothing happened."""
    return None if values is None or bool((values == nothing).all()) else values


def steps(rows: IntArray, events: Events, sessions: int) -> tuple[list[int], list[int]]:
    """Bounds of the stretches in which quantities stand still, and each one's decision, -1 for none.

    ``rows`` [K] are the sessions on which decisions are filled. The last bound is ``sessions``.
    """
    trades = rows.tolist()
    if not events.rows:
        return [*trades, sessions], list(range(len(trades)))
    bounds = sorted({*trades, *events.rows})
    numbers = itertools.count()
    at_trades = set(trades)
    return [*bounds, sessions], [next(numbers) if row in at_trades else -1 for row in bounds]
