"""vectorbt: target weights as ``targetpercent`` orders of one portfolio with one cash account.

The orders of a session are sized on the NAV before them, sales are executed first
(``call_seq="auto"``), and a purchase that the cash left does not pay for is cut to it: what was cut
is told as a rejected order. Every argument is given, so that no setting of vectorbt's has a say.

A strategy of vectorbt's own kind is a class, built with the run's params, whose method

    portfolio(close, open, **account) -> vectorbt.Portfolio

gets closing and opening prices (DataFrames, sessions x symbols; ``open`` is ``None`` where there are
none). ``account`` is meant to be handed on to ``vectorbt.Portfolio.from_orders`` or ``from_signals``:
``init_cash``, one group of all columns with ``cash_sharing``, ``fees`` and ``slippage`` (fractions) as
the run has them, ``size_granularity`` where units are whole, and ``log``, by which rejected orders are
seen. A method that does not take all of ``account`` is given those of its names that it takes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pytest_finbot.contracts import Conventions, Decisions, EngineResult, FloatArray, MarketData, RunSpec
from pytest_finbot.engines.adapting.adapter import Abilities, Adapter, KeyPath
from pytest_finbot.engines.adapting.undisturbed import undisturbed
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.vectorbt.own import KIND, own_portfolio, refuse_what_it_decides_itself
from pytest_finbot.engines.vectorbt.records import Account, fills_of, frame, rejected_of
from pytest_finbot.errors import ParameterError

_DEFAULTS = {
    "size_type": "targetpercent",
    "direction": "both",
    "fixed_fees": 0.0,
    "min_size": 0.0,
    "max_size": np.inf,
    "reject_prob": 0.0,
    "lock_cash": False,
    "allow_partial": True,
    "raise_reject": False,
    # The price of the order is what it is sized at, and what the positions held are worth then.
    "val_price": np.inf,
    "ffill_val_price": True,
    "update_value": False,
    "call_seq": "auto",
    "attach_call_seq": False,
    "group_by": True,
    "cash_sharing": True,
    # The other engine is a package of its own, which a machine has or has not.
    "engine": "numba",
}
"""What a run says nothing of, as arguments of ``Portfolio.from_orders``."""


class VectorbtEngine(Adapter):
    """``vectorbt.Portfolio``, long and short, fractional and whole units."""

    name = "vectorbt"
    module = "vectorbt"
    distribution = "vectorbt"
    abilities = Abilities(
        fills=("close", "next_close", "next_open"),
        units=("fractional", "whole"),
        costs=frozenset({"commission_bps", "commission_per_share", "slippage_bps"}),
    )

    def problems(self, spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems(spec)
        if spec.costs.commission_per_share and spec.costs.slippage_bps:
            yield (
                ("costs", "commission_per_share"),
                f"engine {self.name!r} charges fractions of the value paid, and what a commission per share "
                "is of a price with slippage differs between purchase and sale; expected "
                "costs.commission_per_share or costs.slippage_bps, not both",
            )

    def imported(self) -> Any:
        import vectorbt

        return vectorbt

    def conventions(self, spec: RunSpec) -> Conventions:
        notes = [
            "sales of a session are executed first, then purchases from the smallest to the largest",
            "cash below zero is not possible: a purchase is cut to what cash pays for, costs included",
            "shorts need no margin and lock no cash",
            "nothing is traded once NAV is zero or less",
            "amounts of cash that differ by a fraction of 1e-9 are the same to vectorbt",
        ]
        if spec.units == "whole":
            notes.append(
                "each order is cut to whole units towards zero, not the position: what is sold is never "
                "more than the target asks for"
            )
        return Conventions(
            fill=spec.fill,
            sized_at="fill",
            units=spec.units,
            costs="from_cash: fractions of the value paid (slippage: of the price); sized before costs",
            cash_buffer=spec.cash_buffer,
            short_of_cash="shrinks",
            notes=tuple(notes),
        )

    def library(self) -> Any:
        """``vectorbt``, without what its import leaves in warnings, environment and random numbers."""
        before = dict(os.environ)
        try:
            with warnings.catch_warnings(), undisturbed():
                return super().library()
        finally:
            for name in set(os.environ).difference(before):
                del os.environ[name]

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        own = self.own_strategy(spec)
        if own is not None:
            return self._of_own_strategy(spec, market, own)
        prices = _fill_prices(spec, market)
        decisions = decide(spec, market)
        library = self.library()
        with _quiet():
            portfolio = _ordered(library, spec, market, prices, decisions)
            account = Account.of_orders(portfolio, float(spec.start_capital))
        return self._result(spec, market, portfolio, account, decisions)

    def _of_own_strategy(self, spec: RunSpec, market: MarketData, strategy: type[Any]) -> EngineResult:
        if not callable(getattr(strategy, "portfolio", None)):
            raise self.not_its_kind(spec, KIND)
        refuse_what_it_decides_itself(spec)
        library = self.library()
        with _quiet():
            portfolio = own_portfolio(library, spec, market, strategy)
            account = Account.reported(portfolio)
        return self._result(spec, market, portfolio, account, None)

    def _result(
        self,
        spec: RunSpec,
        market: MarketData,
        portfolio: Any,
        account: Account,
        decisions: Decisions | None,
    ) -> EngineResult:
        logs = portfolio.log_records
        fills = fills_of(portfolio.order_records, logs)
        told = [] if decisions is None else list(decisions.warnings)
        if not len(fills):
            told.append(f"the strategy never took a position: 0 fills in {len(market.sessions):,} sessions")
            if decisions is None and not len(logs):
                told.append("the portfolio has no orders and no logs: whether any were rejected is not known")
        conventions = self.conventions(spec).to_json()
        if decisions is None:
            conventions["notes"].append(
                "the strategy makes its own orders: when they are filled, at which price and in which order "
                "is in its code, not in fill"
            )
        return EngineResult.of(
            sessions=market.sessions,
            assets=market.symbols,
            nav=account.nav,
            cash=account.cash,
            quantity=account.quantity,
            mark=market.close if np.array_equal(account.mark, market.close) else account.mark,
            start_cash=float(spec.start_capital),
            fills=fills,
            rejected_orders=rejected_of(logs),
            warnings=told,
            native={
                "conventions": conventions,
                "derived": [
                    "slippage: units x the difference of the price paid and the order's price in the log"
                ],
                "orders": len(fills),
                "arguments": _as_json(_DEFAULTS) if decisions is not None else {},
            },
            decisions=decisions,
        )


def _fill_prices(spec: RunSpec, market: MarketData) -> FloatArray:
    """Prices [T, N] at which orders are filled, for vectorbt to keep."""
    if spec.fill != "next_open":
        return market.close.copy()
    if market.open is None:
        raise ParameterError(
            f"fill: next_open needs opening prices and {market.source} has none; expected one OHLCV file "
            "per symbol, or data.open_path beside the closes; or fill: close or next_close"
        )
    return market.open.copy()


def _ordered(
    library: Any, spec: RunSpec, market: MarketData, prices: FloatArray, decisions: Decisions
) -> Any:
    """The portfolio [T, N] of ``decisions``, filled at ``prices`` [T, N].

    Arguments are always arrays of the same kind: each other combination is compiled anew.
    """
    size = np.full(market.close.shape, np.nan)
    size[decisions.fill_rows] = decisions.weights
    log = np.zeros((len(size), 1), np.bool_)
    log[decisions.fill_rows] = True
    # vectorbt would make room for an order and a log a cell, of which few sessions have any.
    room = max(decisions.weights.size, 1)
    fees = np.full((1, 1), spec.costs.commission_bps * 1e-4)
    if spec.costs.commission_per_share:
        fees = fees + spec.costs.commission_per_share / prices
    return library.Portfolio.from_orders(
        frame(market.close, market),
        size=size,
        price=prices,
        fees=fees,
        slippage=spec.costs.slippage_bps * 1e-4,
        size_granularity=1.0 if spec.units == "whole" else np.nan,
        log=log,
        max_orders=room,
        max_logs=room,
        init_cash=float(spec.start_capital),
        **_DEFAULTS,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """numba tells of what it compiles; that is no matter of a run's."""
    from numba.core.errors import NumbaWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumbaWarning)
        yield


def _as_json(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: "inf" if value == np.inf else value for name, value in arguments.items()}
