"""The adapter of nautilus_trader (LGPL-3, an optional extra): its backtest engine, venue and account.

Nothing of nautilus is imported here; the classes that it makes us derive from are in ``account``.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_finbot.contracts import Conventions, Decisions, EngineResult, FloatArray, MarketData, RunSpec
from pytest_finbot.engines.adapting.adapter import Abilities, Adapter, KeyPath
from pytest_finbot.engines.adapting.bars import MADE_OF
from pytest_finbot.engines.adapting.own_strategy import refuse_what_only_weights_have
from pytest_finbot.engines.adapting.undisturbed import undisturbed
from pytest_finbot.engines.decisions import decide
from pytest_finbot.errors import EngineError, MissingDependencyError, ParameterError

if TYPE_CHECKING:
    from pytest_finbot.engines.nautilus.account import Backtest, Recorder

CENT: Final = 0.01
"""Smallest amount of US dollars, the currency of every account here."""
_OLDEST: Final = (1, 231)
"""First release that this adapter was written for: its accounts report their equity, and what a run's
account may borrow can be ended with the run."""
_OLDEST_PYTHON: Final = (3, 12)
_EPOCH: Final = date(1970, 1, 1)
_COARSE: Final = 1e-9
"""Fraction of a price: where nautilus rounds one by more, a warning says so."""
_DEFAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "venue": "SIM, netting, no latency, an order book of one level that follows the bars",
        "time": "a bar ends at 16:00 UTC of its session: a label, and no exchange's hours",
        "order rate": "no limit (nautilus' own is 100 orders in a second of the backtest)",
        "logging": "bypassed",
    }
)
"""What a record says of settings that are nautilus' own, or differ from those."""
_SIZED: Final = (
    "size of orders: nautilus knows no target weights; sized here, as the built-in engine does, on the "
    "cash and positions that nautilus reports"
)
_VALUED: Final = (
    "nav: nautilus' cash + its positions at its closes; its own Portfolio.equity() rounds each position "
    "to a cent, and is no further from it than that on any session"
)


class NautilusEngine(Adapter):
    """Market orders that fill at the close of the bar on which they are sent, on an account in cents."""

    name = "nautilus"
    module = "nautilus_trader"
    distribution = "nautilus_trader"
    abilities = Abilities(
        fills=("close", "next_open", "next_close"),
        units=("fractional", "whole"),
        costs=frozenset({"commission_bps", "commission_per_share"}),
    )

    def version(self) -> str:
        """As any adapter's; raises MissingDependencyError for a release that is too old, too."""
        installed = super().version()
        release = tuple(int(part) for part in installed.split(".")[:2] if part.isdigit())
        if release < _OLDEST:
            raise MissingDependencyError(f"engine 'nautilus' needs {_needed()}, and {installed} is installed")
        return installed

    def problems(self, spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems(spec)
        if spec.start_date < _EPOCH:
            yield ("start_date",), f"engine 'nautilus' counts time from {_EPOCH} on; expected none before it"
        if round(spec.start_capital, 2) != spec.start_capital:
            yield (
                ("start_capital",),
                f"engine 'nautilus' books in cents, and start_capital is {spec.start_capital!r}; expected "
                f"{round(spec.start_capital, 2)!r}",
            )

    def imported(self) -> Any:
        import nautilus_trader

        return nautilus_trader

    def conventions(self, spec: RunSpec) -> Conventions:
        """Of a strategy of nautilus' own kind, or of target weights, which trade on another account."""
        native = self.own_strategy(spec) is not None
        if native or spec.costs.booking == "from_cash":
            paid = "from_cash: cash pays commissions"
        else:
            paid = "targeted: the target weights hold after commissions"
        account = (
            ("a cash account that does not lend: shares that are not held cannot be sold",)
            if native
            else (
                "a cash account that lends, shares too: no order is denied for want of them",
                "what a decision sells is ordered before what it buys, each in the order of symbols",
            )
        )
        return Conventions(
            fill=spec.fill,
            sized_at="fill",
            units=spec.units,
            costs=f"{paid}; that of each fill is rounded to a cent",
            cash_buffer=spec.cash_buffer,
            short_of_cash="rejects" if native else "borrows",
            cent=CENT,
            notes=("what a fill pays or brings is rounded to a cent, too", *account),
        )

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        self.version()
        own = self.own_strategy(spec)
        if own is not None:
            refuse_what_only_weights_have(self.name, spec, ("close",))
        prices = _fill_prices(spec, market)
        decisions = None if own is not None else decide(spec, market)
        with undisturbed():
            self.library()
            from pytest_finbot.engines.nautilus import account, native

        with warnings.catch_warnings():
            # Pandas on what nautilus calls from compiled code, which has no module to name.
            warnings.filterwarnings("ignore", message=r"Timestamp\.utcnow is deprecated")
            backtest = account.Backtest(spec, market, lends=own is None)
            if decisions is not None:
                follower = account.TargetWeights(spec, decisions, prices, backtest.feed)
                opens = decisions.fill_rows.tolist() if spec.fill == "next_open" else ()
                backtest.execute(follower, frozenset(opens))
                decisions, lost = _followed(decisions, follower.lost, market)
            else:
                if not issubclass(own, account.Strategy):  # type: ignore[arg-type]
                    raise self.not_its_kind(spec, "a subclass of nautilus_trader.trading.strategy.Strategy")
                backtest.execute(native.build(own, spec, backtest.feed), frozenset())  # type: ignore[arg-type]
                lost = ()
        return self._result(spec, market, backtest, decisions, lost)

    def _result(
        self,
        spec: RunSpec,
        market: MarketData,
        backtest: Backtest,
        decisions: Decisions | None,
        lost: tuple[str, ...],
    ) -> EngineResult:
        recorder, feed = backtest.recorder, backtest.feed
        _require_whole_run(backtest, market)
        nav = _nav(recorder, market)
        fills = recorder.fills.fills()
        told = [*(decisions.warnings if decisions is not None else ()), *lost]
        if not len(fills):
            told.append("no order was filled: NAV is the start capital throughout")
        if feed.rounding > _COARSE:
            told.append(
                f"nautilus' prices of {feed.decimals} decimals are up to {feed.rounding:.2g} off the market's"
            )
        by_us = decisions is not None
        counts = {"decisions": decisions.made, "scaled_decisions": decisions.scaled} if decisions else {}
        return EngineResult.of(
            sessions=market.sessions,
            assets=market.symbols,
            nav=nav,
            cash=recorder.cash,
            quantity=recorder.quantity,
            mark=recorder.mark,
            start_cash=float(spec.start_capital),
            fills=fills,
            rejected_orders=recorder.rejected,
            warnings=told,
            cent=CENT,
            decisions=decisions,
            native={
                **counts,
                "conventions": self.conventions(spec).to_json(),
                "account": f"CASH, USD, {'lends' if by_us else 'does not lend'}",
                "instruments": feed.told(),
                "events": dict(sorted(recorder.events.items())),
                "engine_defaults": dict(_DEFAULTS),
                "bars": MADE_OF,
                "largest_price_rounding": feed.rounding,
                "derived": [
                    *((_SIZED,) if by_us else ()),
                    _VALUED,
                    "mark: the closes of the bars that nautilus was fed, by which it values positions",
                ],
            },
        )

    def _not_installed(self) -> MissingDependencyError:
        if sys.version_info[:2] >= _OLDEST_PYTHON:
            return super()._not_installed()
        here, oldest = (
            ".".join(str(part) for part in each) for each in (sys.version_info[:2], _OLDEST_PYTHON)
        )
        return MissingDependencyError(
            f"engine 'nautilus' needs {_needed()}, which has no release for Python {here}; "
            f"use {oldest} or newer"
        )


def _needed() -> str:
    return f"nautilus_trader {'.'.join(str(part) for part in _OLDEST)} or newer"


def _fill_prices(spec: RunSpec, market: MarketData) -> FloatArray:
    """Prices [T, N] at which orders for a session are filled."""
    if spec.fill != "next_open":
        return market.close
    if market.open is None:
        raise ParameterError(
            f"fill: next_open needs opening prices and {market.source} has none; expected one OHLCV file "
            "per symbol, or data.open_path beside the closes; or fill: close or next_close"
        )
    return market.open


def _followed(
    decisions: Decisions, lost: tuple[int, float] | None, market: MarketData
) -> tuple[Decisions, tuple[str, ...]]:
    """``decisions`` up to the one at which NAV was spent, and what is to be said of it."""
    if lost is None:
        return decisions, ()
    k, nav = lost
    words = (
        f"NAV is {nav:,.2f} on {market.sessions[decisions.fill_rows[k]]}, which does not pay for the next "
        "trades: all positions were closed and nothing was traded afterwards"
    )
    followed = dataclasses.replace(
        decisions, rows=decisions.rows[:k], weights=decisions.weights[:k], fill_rows=decisions.fill_rows[:k]
    )
    return followed, (words,)


def _nav(recorder: Recorder, market: MarketData) -> FloatArray:
    """NAV [T] of the account, unrounded. Raises EngineError where nautilus' own is another.

    Nautilus' own figure has each position's value rounded to a cent, every session anew: NAV would
    move by cents in sessions without a fill, which no book explains.
    """
    nav: FloatArray = recorder.cash + (recorder.quantity * recorder.mark).sum(axis=1)
    roundings = (recorder.quantity != 0.0).sum(axis=1) + 1
    off = np.abs(recorder.equity - nav)
    beyond = off > 0.5 * CENT * roundings + 1e-12 * np.abs(nav)
    if beyond.any():
        row = int(beyond.argmax())
        raise EngineError(
            f"nautilus' equity is {recorder.equity[row]:,.2f} on {market.sessions[row]}, but its cash "
            f"{recorder.cash[row]:,.2f} and its positions at its closes make {nav[row]:,.2f}"
        )
    return nav


def _require_whole_run(backtest: Backtest, market: MarketData) -> None:
    """Raise EngineError where nautilus ended the backtest before its data: only its log says so."""
    written = np.isfinite(backtest.recorder.equity)
    if not backtest.stopped and written.all():
        return
    raise EngineError(
        f"nautilus ended the backtest on {market.sessions[backtest.recorder.row]}, expected it to go on to "
        f"{market.sessions[-1]}: a fill and its commission would have taken its cash account below zero "
        "(commissions are no part of its check of orders), or the strategy shut the system down"
    )
