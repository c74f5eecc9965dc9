"""The adapter of backtrader (GPL-3, an optional extra): its broker, its orders, its cash check.

Nothing of backtrader is imported here; the classes that it makes us derive from are in ``account``.
"""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np

from pytest_finbot.contracts import (
    Conventions,
    Decisions,
    EngineResult,
    Fills,
    FloatArray,
    MarketData,
    RunSpec,
)
from pytest_finbot.engines.adapting.adapter import Abilities, Adapter, KeyPath
from pytest_finbot.engines.adapting.bars import MADE_OF
from pytest_finbot.engines.backtrader.orders import OrderLog
from pytest_finbot.engines.decisions import decide
from pytest_finbot.errors import EngineError, ParameterError, did_you_mean

_DEFAULTS = MappingProxyType(
    {
        "checksubmit": "orders of a session are checked one after the other, each at the close it was sized "
        "at, against the cash that those before it would leave, and again when it is filled",
        "leverage": "1: cash is never borrowed to buy; a short sale adds to cash",
        "coc, coo": "False: nothing is filled in the session in which it was decided",
        "filler": "none: every order is filled whole, whatever the volume",
        "interest": "none",
    }
)
"""What a record says of settings that are backtrader's own."""


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class BacktraderEngine(Adapter):
    """Market orders sized at the decision's close, rejected where cash does not pay for them."""

    name = "backtrader"
    module = "backtrader"
    distribution = "backtrader"
    abilities = Abilities(
        fills=("next_open", "next_close"),
        units=("fractional", "whole"),
        costs=frozenset({"commission_bps", "commission_per_share", "slippage_bps"}),
    )

    def problems(self, spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
        for key, words in super().problems(spec):
            if key == ("fill",):
                # Cheat-on-close fills at the decision's close, but books it in the session after:
                # NAV, cash and quantities of the session itself are those before the order.
                words += ": what its cheat-on-close fills is booked one session late"
            yield key, words

    def imported(self) -> Any:
        import backtrader

        return backtrader

    def conventions(self, spec: RunSpec) -> Conventions:
        own = self.own_strategy(spec) is not None
        change = "of the change, rounded towards zero" if spec.units == "whole" else "and their fractions"
        return Conventions(
            fill=spec.fill,
            sized_at="decision",
            units=spec.units,
            costs="from_cash: orders are sized before costs, and cash pays commission on top of the price; "
            "slippage is in the price, up for a purchase and down for a sale",
            cash_buffer=spec.cash_buffer,
            short_of_cash="rejects",
            notes=(
                "the strategy places its own orders, of whatever kind"
                if own
                else "what a decision sells is ordered before what it buys, each in the order of symbols",
                "an order that fails the check of cash leaves it below zero for those ordered after it in "
                "the session",
                f"order_target_percent and its like order units {change}",
                "market orders fill at the next open"
                if spec.fill == "next_open"
                else "market orders fill at the next close: the bars' opens are the closes",
            ),
        )

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        opens = _opens(spec, market)
        with warnings.catch_warnings():
            # Its sources are old: escapes in plain strings.
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            library = self.library()
            from pytest_finbot.engines.backtrader import account

        own = self.own_strategy(spec)
        if own is not None:
            if not issubclass(own, library.Strategy):
                raise self.not_its_kind(spec, "a subclass of backtrader.Strategy")
            _require_its_own(spec, own, library.Strategy)
        decisions = decide(spec, market) if own is None else None
        log = OrderLog(spec, library.Order)
        book = account.Book(len(market.sessions), len(market.symbols))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"backtrader(\.|$)")
            if own is not None:
                account.execute(spec, market, opens, own, dict(spec.params), log, book)
            elif decisions is not None:
                account.follow(spec, market, opens, decisions, log, book)
        if book.rows != len(market.sessions):
            ended = f"after {market.sessions[book.rows - 1]}" if book.rows else "before the first session"
            raise EngineError(
                f"engine 'backtrader' stopped {ended}, expected sessions up to {market.sessions[-1]}; "
                "does the strategy call runstop(), or raise StrategySkipError?"
            )
        return self._result(spec, market, decisions, log, book)

    def _result(
        self, spec: RunSpec, market: MarketData, decisions: Decisions | None, log: OrderLog, book: Any
    ) -> EngineResult:
        fills = log.fills()
        if spec.units == "whole":
            _require_whole(spec, market, fills)
        warned = [*log.charged_otherwise(market), *log.open_at_end(market)]
        native: dict[str, Any] = {"sized_by": "the strategy itself"}
        if decisions is not None:
            warned = [*decisions.warnings, *warned]
            native = {
                "decisions": decisions.made,
                "scaled_decisions": decisions.scaled,
                "sized_by": "order_target_percent",
            }
            if book.lost is not None:
                row, nav = book.lost
                warned.append(
                    f"NAV was {nav:,.2f} on {market.sessions[row]}: "
                    "decisions from then on only close what is held"
                )
                decisions = _up_to(decisions, row)
        if not len(fills):
            warned.append("no order was filled: NAV is the start capital throughout")
        return EngineResult.of(
            sessions=market.sessions,
            assets=market.symbols,
            nav=book.nav,
            cash=book.cash,
            quantity=book.quantity,
            mark=market.close,
            start_cash=float(spec.start_capital),
            fills=fills,
            rejected_orders=log.rejected,
            warnings=warned,
            native={
                **native,
                "conventions": self.conventions(spec).to_json(),
                "orders": log.counts(),
                "engine_defaults": dict(_DEFAULTS),
                "bars": MADE_OF,
                "derived": [
                    "mark: the closes it was fed, by which its broker values positions",
                    "slippage of a fill: from its price and slippage_bps",
                ],
            },
            decisions=decisions,
        )


def _up_to(decisions: Decisions, row: int) -> Decisions:
    """``decisions`` before that of ``row``, at which there was no NAV left to follow one with."""
    count = int(np.searchsorted(decisions.rows, row))
    return dataclasses.replace(
        decisions,
        rows=decisions.rows[:count],
        weights=decisions.weights[:count],
        fill_rows=decisions.fill_rows[:count],
    )


def _opens(spec: RunSpec, market: MarketData) -> FloatArray:
    """Prices [T, N] at which market orders of the session before are filled."""
    if spec.fill == "next_close":
        # An order of backtrader's kind Close gives the same fills, and is not slipped.
        return market.close
    if market.open is None:
        raise ParameterError(
            f"fill: next_open needs opening prices and {market.source} has none; expected one OHLCV file "
            "per symbol, or data.open_path beside the closes; or fill: next_close"
        )
    return market.open


def _require_its_own(spec: RunSpec, own: type[Any], base: type[Any]) -> None:
    """Raise ParameterError where a strategy of backtrader's kind is told what it would not hear."""
    for key, given in (
        ("cash_buffer", bool(spec.cash_buffer)),
        ("max_gross_exposure", spec.max_gross_exposure is not None),
    ):
        if given:
            raise ParameterError(
                f"{key} is about target weights, and strategy {spec.strategy!r} places its own orders; "
                f"expected no {key}, or a parameter of the strategy"
            )
    taken = list(inspect.signature(own.__init__).parameters.values())[1:]
    if own.__init__ is not base.__init__ and any(one.kind is _VARIADIC[1] for one in taken):
        return
    params: list[str] = list(own.params._getkeys())
    known = params + [one.name for one in taken if one.kind not in _VARIADIC]
    for key in spec.params:
        if key not in known:
            raise ParameterError(
                f"strategy {spec.strategy!r} has no parameter {key!r}{did_you_mean(key, known)} "
                f"(known: {', '.join(known) or 'none'})"
            )


def _require_whole(spec: RunSpec, market: MarketData, fills: Fills) -> None:
    broken = fills.quantity != np.rint(fills.quantity)
    if broken.any():
        at = int(broken.argmax())
        raise EngineError(
            f"strategy {spec.strategy!r} traded {fills.quantity[at]:g} of "
            f"{market.symbols[int(fills.asset[at])]} on {market.sessions[int(fills.session[at])]}, expected "
            "whole units (units: whole)"
        )
