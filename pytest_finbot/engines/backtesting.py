"""Runs of the engine backtesting: one symbol, orders of units, filled in the session after.

It has no way to trade to a weight: its orders are units, or fractions of the cash that is free. So an
order is sized here, by the engine's own equity and close at the decision: what is wanted in units less
what is held. A native strategy is a subclass of ``backtesting.Strategy``, run with the run's params
as its own ``Backtest.run(**params)`` does; it sizes its orders itself.

Fractional units are its ``FractionalBacktest``: whole multiples of 1e-8 units.

There is no ``fill: close``: with its ``trade_on_close`` an order gets the close that it was decided
on, but is judged and booked a session later, with its commission, and the last one is never filled.

It reports its equity by session, and trades, open ones included: an entry and an exit each. Fills,
positions and cash are rebuilt from these. Its equity has the first computed value in the sessions
before, which are those before it could trade; the capital stands there instead.
"""

from __future__ import annotations

import dataclasses
import sys
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, TextIO

import numpy as np

from pytest_finbot.contracts import (
    Conventions,
    Decisions,
    EngineResult,
    Fills,
    FloatArray,
    MarketData,
    RejectedOrder,
    RunSpec,
)
from pytest_finbot.engines.adapting.adapter import Abilities, Adapter
from pytest_finbot.engines.adapting.bars import MADE_OF, bars
from pytest_finbot.engines.adapting.fill_list import FillList, cash_of
from pytest_finbot.engines.adapting.own_strategy import refuse_what_only_weights_have
from pytest_finbot.engines.adapting.undisturbed import undisturbed
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.sizing import whole_units
from pytest_finbot.errors import EngineError, ParameterError
from pytest_finbot.strategies.resolve import is_callable_path

FRACTION: Final = 1e-8
"""Smallest part of a unit that a run with fractional units trades."""
_COLUMNS = ("Open", "High", "Low", "Close", "Volume")
_EXPECTED = ("Some trades remain open", "Some prices are larger than initial cash")
"""Warnings about what is told otherwise: open trades are in the account, small accounts in orders."""


class BacktestingEngine(Adapter):
    """backtesting, at the open of the next session, or at its close where bars have that for an open."""

    name = "backtesting"
    module = "backtesting"
    distribution = "backtesting"
    abilities: ClassVar[Abilities] = Abilities(
        fills=("next_open", "next_close"),
        units=("fractional", "whole"),
        costs=frozenset({"commission_bps", "commission_per_share"}),
        one_symbol=True,
    )

    def imported(self) -> Any:
        import backtesting

        return backtesting

    def conventions(self, spec: RunSpec) -> Conventions:
        """As backtesting executes orders; see the module."""
        notes = [
            f"bars are made here: {MADE_OF}",
            "whether free equity pays for an order is judged with the close of the session that fills it",
        ]
        if spec.fill == "next_close":
            notes.append("bars have the close in place of the open, at which orders are filled")
        if is_callable_path(spec.strategy):
            notes.append("fractions of free equity that a strategy of its kind orders are sized at the fill")
        if spec.units == "fractional":
            notes.append(f"units are whole multiples of {FRACTION:g} (FractionalBacktest)")
        return Conventions(
            fill=spec.fill,
            sized_at="decision",
            units=spec.units,
            costs="from_cash: an order is sized without its costs, and cash pays the commission of each fill",
            cash_buffer=spec.cash_buffer,
            short_of_cash="rejects",
            notes=tuple(notes),
        )

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """The backtest of ``spec``; raises ParameterError for what backtesting cannot express."""
        for _, words in self.problems(spec):
            raise ParameterError(words)
        if spec.fill == "next_open" and market.open is None:
            raise ParameterError(
                f"fill: next_open needs opening prices and {market.source} has none; expected one OHLCV "
                "file per symbol, or data.open_path beside the closes; or fill: next_close"
            )
        own = self.own_strategy(spec)
        with undisturbed():
            library = self.library()
        if own is None:
            return self._following(library, spec, market)
        if not issubclass(own, library.Strategy):
            raise self.not_its_kind(spec, "a subclass of backtesting.Strategy")
        refuse_what_only_weights_have(self.name, spec, self.abilities.fills)
        session = _Session(library, spec, market)
        session.run(own, dict(spec.params))
        return self._result(session, spec, market, None, session.unfilled())

    def _following(self, library: Any, spec: RunSpec, market: MarketData) -> EngineResult:
        decisions = decide(spec, market)
        session = _Session(library, spec, market)
        orders = _Orders(decisions, session.unit)
        session.run(orders.strategy(library), {})
        return self._result(session, spec, market, decisions, orders.too_small)

    def _result(
        self,
        session: _Session,
        spec: RunSpec,
        market: MarketData,
        decisions: Decisions | None,
        others: list[RejectedOrder],
    ) -> EngineResult:
        """The account as the contract has it; ``others`` are orders that the broker did not cancel."""
        fills, quantity, nav = session.fills(), session.quantity(), session.nav()
        told = [] if decisions is None else list(decisions.warnings)
        told += session.told
        if not len(fills):
            told.append(f"the strategy never took a position: 0 fills in {len(nav):,} sessions")
        native: dict[str, Any] = {
            "conventions": self.conventions(spec).to_json(),
            "derived": [
                "fills: entries and exits of the trades it reports, with the commission it charges",
                "quantity: the sum of the fills' units",
                "cash: start capital less what fills and their fees took",
                "NAV before the first fill: the start capital, where it repeats a later value backwards",
            ],
            "class": "Backtest" if session.unit == 1.0 else "FractionalBacktest",
            "fractional_unit": session.unit,
            "trade_on_close": False,
            "hedging": False,
            "exclusive_orders": False,
            "finalize_trades": False,
            "margin": 1.0,
            "spread": 0.0,
        }
        if decisions is not None:
            native["derived"] = [
                "order sizes: weight x equity / close at the decision, less what is held",
                *native["derived"],
            ]
            native |= {"decisions": decisions.made, "scaled_decisions": decisions.scaled}
        return EngineResult.of(
            sessions=market.sessions,
            assets=market.symbols,
            nav=nav,
            cash=cash_of(fills, spec.start_capital, len(nav)),
            quantity=quantity[:, None],
            mark=market.close,
            start_cash=spec.start_capital,
            fills=fills,
            rejected_orders=sorted([*session.cancelled, *others], key=lambda order: order.session),
            warnings=told,
            native=native,
            decisions=decisions,
        )


class _Session:
    """One run of backtesting's, silent, and what it left. ``unit`` is what it calls one unit."""

    def __init__(self, library: Any, spec: RunSpec, market: MarketData) -> None:
        self.unit = 1.0 if spec.units == "whole" else FRACTION
        self.told: list[str] = []
        self.cancelled: list[RejectedOrder] = []
        self._library = library
        self._spec = spec
        self._sessions = market.sessions
        self._fee = _commission(spec, self.unit)
        at_close = spec.fill == "next_close"
        self._bars = bars(dataclasses.replace(market, open=None) if at_close else market, 0, _COLUMNS)
        self._stats: Any = None
        self._strategy: Any = None

    def run(self, strategy: type[Any], params: dict[str, Any]) -> None:
        """Backtest ``strategy``; its broker's cancellations and warnings are kept."""
        keywords = {"cash": self._spec.start_capital, "commission": self._fee}
        with warnings.catch_warnings(), self._silent():
            # Ours and its own modules only: what a strategy warns of is its own matter.
            warnings.filterwarnings("always", module=r"(pytest_finbot\.engines\.)?backtesting(\.|$)")
            for category in (DeprecationWarning, FutureWarning):
                warnings.filterwarnings("ignore", category=category, module=r"backtesting\.")
            warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"backtesting\._stats")
            if self.unit == 1.0:
                test = self._library.Backtest(self._bars, strategy, **keywords)
            else:
                test = self._library.lib.FractionalBacktest(
                    self._bars, strategy, fractional_unit=self.unit, **keywords
                )
            self._stats = test.run(**params)
        self._strategy = self._stats["_strategy"]

    @contextmanager
    def _silent(self) -> Iterator[None]:
        """Without its progress bar; its warnings are heard."""
        core: Any = sys.modules[f"{self._library.__name__}.backtesting"]
        package = str(Path(core.__file__).parent)
        bar, shown = core._tqdm, warnings.showwarning

        def heard(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            words = str(message)
            if "Broker canceled" in words:
                self._cancel(words)
            elif filename == __file__ or filename.startswith(package):
                if not words.startswith(_EXPECTED):
                    self.told.append(f"backtesting: {words}")
            else:
                shown(message, category, filename, lineno, file, line)

        core._tqdm, warnings.showwarning = _without_bar, heard
        try:
            yield
        finally:
            core._tqdm, warnings.showwarning = bar, shown

    def _cancel(self, words: str) -> None:
        """Note the order that the broker cancels while it warns of it, with the units that it lacks.

        Only the broker's own frame knows which order that is, and how much of it has been filled by
        closing what was held.
        """
        frame = sys._getframe()
        while frame.f_back is not None and frame.f_code.co_name != "_process_orders":
            frame = frame.f_back
        known = frame.f_locals
        if not {"self", "order", "adjusted_price_plus_commission"} <= known.keys():
            raise EngineError(
                f"backtesting {self._library.__version__} cancelled an order, and this adapter cannot find "
                f"out which: {words}"
            )
        broker, order = known["self"], known["order"]
        missing = known.get("need_size") if abs(order.size) >= 1 else None
        if missing is None:  # a fraction of what is free
            missing = order.size * broker.margin_available / known["adjusted_price_plus_commission"]
        reason = words.partition(": ")[2].rstrip(".") if words.startswith("time=") else words
        row = len(broker._data) - 1
        self.cancelled.append(RejectedOrder(row, 0, float(missing) * self.unit, _without_amounts(reason)))

    def unfilled(self) -> list[RejectedOrder]:
        """Orders of a native strategy that wait for a price when the prices end; those of the last
        session, which none is left to fill, are told.
        """
        last = len(self._sessions) - 1
        waiting = [order for order in self._strategy.orders if not order.is_contingent]
        resting = [order for order in waiting if order.limit or order.stop]
        if len(waiting) != len(resting):
            self.told.append(
                f"an order of {self._sessions[-1]} was not executed: no session is left to fill it"
            )
        return [
            RejectedOrder(last, 0, self._units(order) * self.unit, "its limit or stop was never reached")
            for order in resting
        ]

    def _units(self, order: Any) -> float:
        """What ``order`` is for, in its units; a fraction of equity at the price that it waits for."""
        size = float(order.size)
        if abs(size) >= 1.0:
            return size
        return size * float(self._strategy.equity) / float(order.limit or order.stop)

    def nav(self) -> FloatArray:
        """Its equity. Raises EngineError where it was spent: the engine forgets what is owed."""
        nav: FloatArray = np.array(self._stats["_equity_curve"]["Equity"].to_numpy(), np.float64)
        if not (nav > 0.0).all():
            row = int((nav <= 0.0).argmax())
            owed = float(cash_of(self.fills(), self._spec.start_capital, len(nav))[-1])
            raise EngineError(
                f"engine 'backtesting' ran out of money on {self._sessions[row]}: it closes every position, "
                f"sets equity to 0 and trades nothing afterwards, while its trades leave {owed:,.2f}; "
                "expected an account that stays above zero (smaller or no short positions)"
            )
        first = min((trade.entry_bar for trade in self._trades()), default=0)
        nav[:first] = self._spec.start_capital
        return nav

    def fills(self) -> Fills:
        """Entries and exits, those of one session, price and direction together."""
        units: defaultdict[tuple[int, float, bool], float] = defaultdict(float)
        for trade in self._trades():
            units[trade.entry_bar, float(trade.entry_price), trade.size > 0] += trade.size
            if trade.exit_bar is not None:
                units[trade.exit_bar, float(trade.exit_price), trade.size < 0] -= trade.size
        fills = FillList()
        for (row, price, _), size in sorted(units.items(), key=lambda item: item[0]):
            fills.add(row, 0, size * self.unit, price / self.unit, self._fee(size, price))
        return fills.fills()

    def quantity(self) -> FloatArray:
        """Units held [T], summed as the whole numbers that it counts in."""
        change = np.zeros(len(self._sessions))
        for trade in self._trades():
            change[trade.entry_bar] += trade.size
            if trade.exit_bar is not None:
                change[trade.exit_bar] -= trade.size
        return np.cumsum(change) * self.unit

    def _trades(self) -> tuple[Any, ...]:
        return (*self._strategy.closed_trades, *self._strategy.trades)


class _Orders:
    """The orders that hold ``decisions``, in ``unit``; ``too_small`` are those that come to none."""

    def __init__(self, decisions: Decisions, unit: float) -> None:
        self._weights = dict(zip(decisions.rows.tolist(), decisions.weights[:, 0].tolist(), strict=True))
        self._unit = unit
        self.too_small: list[RejectedOrder] = []

    def strategy(self, library: Any) -> type[Any]:
        """A strategy of backtesting's that places them."""
        place = self._place

        class Follower(library.Strategy):  # type: ignore[misc]
            def init(self) -> None:
                # It is asked from the second session on: what the first decides is ordered before.
                place(self, 0)

            def next(self) -> None:
                place(self, len(self.data) - 1)

        return Follower

    def _place(self, strategy: Any, row: int) -> None:
        weight = self._weights.get(row)
        if weight is None:
            return
        held = strategy.position.size
        wanted = weight * strategy.equity / float(strategy.data.Close[row])
        size = float(whole_units(np.array([wanted]))[0]) - held
        if size > 0.0:
            strategy.buy(size=size)
        elif size < 0.0:
            strategy.sell(size=-size)
        elif weight and not held:
            words = "the order comes to less than one unit, and is not placed"
            self.too_small.append(RejectedOrder(row + 1, 0, wanted * self._unit, words))


def _commission(spec: RunSpec, unit: float) -> Callable[[float, float], float]:
    """backtesting's commission function, of the units and the price that it reckons in."""
    rate, per_unit = spec.costs.commission_bps * 1e-4, spec.costs.commission_per_share * unit

    def commission(size: float, price: float) -> float:
        return float(abs(size) * price * rate + abs(size) * per_unit)

    return commission


def _without_amounts(reason: str) -> str:
    """``reason`` without the amounts in brackets at its end, so that orders of one reason are one kind."""
    return reason.partition(" (equity=")[0]


def _without_bar(sequence: Any, **_: Any) -> Any:
    return sequence
