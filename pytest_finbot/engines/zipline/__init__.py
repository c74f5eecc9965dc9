"""Engine ``zipline``: zipline-reloaded in daily mode, on the run's own prices and sessions.

No bundle is ingested and no file written: calendar, assets and prices are built in memory from the
market (see ``world``). An order placed at a session's close fills at the next session's close, in
whole units, without a look at cash. What zipline's ledger says at each session's end is read by a
metric of our own (see ``account``), before it is turned into a table.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.contracts import Conventions, Decisions, EngineResult, MarketData, RunSpec
from pytest_finbot.engines.adapting.adapter import Abilities, Adapter, KeyPath
from pytest_finbot.engines.adapting.bars import MADE_OF
from pytest_finbot.engines.adapting.own_strategy import refuse_what_only_weights_have
from pytest_finbot.engines.adapting.undisturbed import undisturbed
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.events import Events
from pytest_finbot.errors import ParameterError

if TYPE_CHECKING:
    from pytest_finbot.engines.zipline.account import Account

_PRICED_AT_NOTHING = 1e-6
"""Currency: zipline takes a price up to this for none, and sells what is held of it."""
_NOISY = ("zipline", "exchange_calendars", "empyrical")
_LOGGERS = (
    "AlgoWarning",
    "Algorithm",
    "Blotter",
    "DataPortal",
    "Performance",
    "Trade Simulation",
    "Trading",
    "TradingControl",
    "UsEquityPricing",
    "ZiplineLog",
    "zipline",
)


class ZiplineEngine(Adapter):
    """Target weights by ``order_target_percent``, or a class with zipline's own methods.

    The class is built with the run's params. It has ``initialize(context)`` and mostly
    ``handle_data(context, data)``; ``before_trading_start(context, data)`` and
    ``analyze(context, perf)`` are called where it has them.
    """

    name = "zipline"
    module = "zipline"
    distribution = "zipline-reloaded"
    abilities = Abilities(
        fills=("next_close",),
        units=("whole",),
        costs=frozenset({"commission_bps", "commission_per_share", "slippage_bps"}),
        events=frozenset({"dividends", "flows"}),
    )

    def problems(self, spec: RunSpec) -> Iterator[tuple[KeyPath, str]]:
        yield from super().problems(spec)
        if spec.actions.dividends != "none" and spec.actions.booking != "cash":
            yield (
                ("dividend_booking",),
                f"engine {self.name!r} has no dividend_booking: {spec.actions.booking}; expected cash",
            )

    def imported(self) -> Any:
        import zipline

        return zipline

    def conventions(self, spec: RunSpec) -> Conventions:
        """Those of ``order_target_percent``; a class of the user's sizes its orders as it likes."""
        return Conventions(
            fill="next_close",
            sized_at="decision",
            units="whole",
            costs=(
                "from_cash: sized before costs, which cash pays; commission_bps is of units x price paid, "
                "commission_per_share of units, slippage_bps moves the price away from the close"
            ),
            cash_buffer=spec.cash_buffer,
            short_of_cash="borrows",
            notes=(
                "what is ordered is the difference to the target in units, cut to a whole number towards "
                "zero, where it is not within 0.0001 of one",
                "no order is cut for want of volume",
                "flows and dividends are in cash when their session begins",
                "data.history shows prices rounded to 3 decimals; orders, fills and marks have all of them",
            ),
        )

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """The backtest of ``spec`` on ``market``, told by zipline's ledger.

        Raises ParameterError for prices or symbols that zipline takes for others, for a class that
        it cannot run, and for one that sets costs of its own where the run has some.
        """
        with _quiet(), undisturbed():
            self.library()
            from pytest_finbot.engines.zipline.simulation import Follower, Native, simulate
        self._tradable(market)
        events = Events.of(spec, market, None)
        own = self.own_strategy(spec)
        decisions: Decisions | None = None
        if own is None:
            decisions = decide(spec, market)
            strategy: Any = Follower(decisions)
        else:
            strategy = Native(self._built(own, spec), spec)
        with _quiet():
            account = simulate(spec, market, strategy, events)
        return self._result(spec, market, events, account, decisions)

    def _built(self, own: type[Any], spec: RunSpec) -> Any:
        """A user's strategy, built with the run's params."""
        from zipline.algorithm import TradingAlgorithm

        starts = any(callable(getattr(own, name, None)) for name in ("initialize", "handle_data"))
        if not starts or issubclass(own, TradingAlgorithm):
            raise self.not_its_kind(
                spec, "a plain class with initialize(self, context) and handle_data(self, context, data)"
            )
        refuse_what_only_weights_have(self.name, spec, self.abilities.fills)
        return own(**spec.params)

    def _tradable(self, market: MarketData) -> None:
        low = market.close <= _PRICED_AT_NOTHING
        if low.any():
            row, column = np.unravel_index(int(low.argmax()), low.shape)
            raise ParameterError(
                f"engine {self.name!r} takes a price of {_PRICED_AT_NOTHING:g} or less for none: "
                f"{market.symbols[column]} on {market.sessions[row]} is at {market.close[row, column]:g}; "
                "expected prices above it"
            )
        seen: dict[str, str] = {}
        for symbol in market.symbols:
            other = seen.setdefault(symbol.upper(), symbol)
            if other != symbol:
                raise ParameterError(
                    f"engine {self.name!r} knows symbols in capitals only, where {other!r} and {symbol!r} "
                    "are the same"
                )

    def _result(
        self,
        spec: RunSpec,
        market: MarketData,
        events: Events,
        account: Account,
        decisions: Decisions | None,
    ) -> EngineResult:
        rejected, unfilled = account.unfilled()
        told = [*(() if decisions is None else decisions.warnings), *unfilled]
        if not len(account.fills):
            told.append(f"the strategy never took a position: 0 fills in {len(account.nav):,} sessions")
        income = None
        derived = ["fills.slippage: what the price paid is worse than the session's close, times units"]
        if events.dividends is not None:
            income = np.zeros(account.quantity.shape)
            income[1:] = account.quantity[:-1] * events.dividends[1:]
            derived.append("income: units held when the session began x dividend; zipline reports its sum")
        native: dict[str, Any] = {
            "conventions": self.conventions(spec).to_json(),
            "derived": derived,
            "bars": MADE_OF,
            "calendar": "the run's own sessions, 09:30 to 16:00 New York, after others without prices",
            "commission_model": account.models[0],
            "slippage_model": account.models[1],
        }
        if decisions is not None:
            native |= {"decisions": decisions.made, "scaled_decisions": decisions.scaled}
        return EngineResult.of(
            sessions=account.sessions,
            assets=market.symbols,
            nav=account.nav,
            cash=account.cash,
            quantity=account.quantity,
            mark=account.mark,
            start_cash=spec.start_capital,
            fills=account.fills.fills(),
            flows=events.flows,
            income=income,
            rejected_orders=rejected,
            warnings=told,
            native=native,
            decisions=decisions,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what zipline and its helpers warn and log about themselves; a user's own is heard."""
    silent = logging.NullHandler()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(silent)
    try:
        with warnings.catch_warnings():
            for name in _NOISY:
                warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
            # Of pandas 2, the last that zipline runs on, under NumPy 2.5, wherever it is called from.
            warnings.filterwarnings("ignore", "The 'generic' unit for NumPy timedelta", DeprecationWarning)
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(silent)
