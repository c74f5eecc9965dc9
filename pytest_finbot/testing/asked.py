"""Points on what a run asks for beside a strategy: it is done, or it is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import (
    ActionSpec,
    CostSpec,
    Dividend,
    EngineResult,
    FillTiming,
    Flow,
    MarketData,
    RunSpec,
    Split,
)
from pytest_finbot.engines.decisions import decide
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.resolve import BUILT_IN
from pytest_finbot.testing.bench import Bench
from pytest_finbot.testing.declared_exceptions import point
from pytest_finbot.testing.executing import run
from pytest_finbot.testing.synthetic import frozen

EVENT_ROW = 130
"""Session of a flow, dividend or split: well after the first trades."""
_AT_PRICE = 1e-9


class AskedPoints(Bench):
    """An engine does what a run asks for, or refuses it; it never goes on as if it had not been asked.

    An engine of this package refuses before anything runs (``problems``), a user's own with a
    ParameterError.
    """

    @point
    def test_fill_timing(self) -> None:
        """``fill`` close, next_close and next_open: filled in that session, at that price, or refused.

        A fill at the close that the decision was made on is the most that an engine can assume; it
        must not do so unasked.
        """
        market = self.prices()
        met = [self._fills_as(timing, market) for timing in ("close", "next_close", "next_open")]
        assert any(met), "it refuses each of fill: close, next_close and next_open"

    @point
    def test_units(self) -> None:
        """``units`` whole: every quantity is a whole number, or it is refused; fractional likewise."""
        market = self.prices()
        for units in ("whole", "fractional"):
            result = self._asked(self.spec("rotation", market, units=units), market)
            if result is None:
                continue
            off = np.abs(result.quantity - np.rint(result.quantity))
            if units == "whole":
                assert not off.any(), f"units: whole, and it holds {result.quantity.flat[int(off.argmax())]}"
            else:
                assert off.any(), "units: fractional, and it holds whole units only"

    @point
    def test_flows(self) -> None:
        """Deposits and withdrawals are booked on their day, or refused."""
        market = self.prices()
        days = market.sessions[[EVENT_ROW, EVENT_ROW + 40]]
        flows = (Flow(days[0].item(), 0.2 * self.capital), Flow(days[1].item(), -0.1 * self.capital))
        self._declared(market, flows=flows)

    @point
    def test_dividends(self) -> None:
        """Dividends of raw prices are booked to cash on their day, or refused."""
        market = self.prices()
        amount = round(0.02 * float(market.close[EVENT_ROW, 0]), 2)
        paid = np.zeros(market.close.shape)
        paid[EVENT_ROW, 0] = amount
        one = Dividend(market.symbols[0], market.sessions[EVENT_ROW].item(), amount)
        self._declared(frozen(market, dividends=paid), actions=ActionSpec(dividends=(one,)))

    @point
    def test_splits(self) -> None:
        """A split of raw prices multiplies what is held and leaves NAV alone, or is refused."""
        market = self.prices()
        factor = np.ones(market.close.shape)
        factor[EVENT_ROW, 0] = 2.0
        close = market.close.copy()
        close[EVENT_ROW:, 0] /= 2.0
        raw = frozen(market, close=close, splits=factor)
        if market.open is not None:
            opened = market.open.copy()
            opened[EVENT_ROW:, 0] /= 2.0
            raw = frozen(raw, open=opened)
        one = Split(market.symbols[0], market.sessions[EVENT_ROW].item(), 2.0)
        self._declared(raw, actions=ActionSpec(splits=(one,)))

    @point
    def test_multipliers(self) -> None:
        """A contract's multiplier enters its value, or is refused."""
        market = self.prices()
        self._declared(market, multipliers={market.symbols[0]: 5.0})

    # ------------------------------------------------------------------- helpers

    def _asked(self, spec: RunSpec, market: MarketData) -> EngineResult | None:
        """The result of what ``spec`` asks for, ``None`` where that is refused as it should be."""
        if self.refusals(spec):
            return None
        try:
            return run(spec, market)
        except ParameterError as error:
            if self.has_adapter:
                pytest.fail(f"it is refused only when it runs, and not by problems(): {error}", pytrace=False)
            return None

    def _declared(self, market: MarketData, **asked: Any) -> None:
        spec = self.spec("fixed", market, **asked)
        result = self._asked(spec, market)
        if result is None:
            return
        checks = (*check_books(result, spec), check_declared(result, spec, market))
        broken = [f"{check.name}: {check.message}" for check in checks if check.failed]
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)

    def _fills_as(self, timing: FillTiming, market: MarketData) -> bool:
        """Whether the engine takes ``fill: timing``; fails where it does otherwise."""
        booking = self.spec("rotation", market).costs.booking
        spec = self.spec("rotation", market, fill=timing, costs=CostSpec(booking=booking))
        result = self._asked(spec, market)
        if result is None:
            return False
        prices = market.open if timing == "next_open" else market.close
        assert prices is not None, "prices of the kit have opens"
        fills = result.fills
        wanted = prices[fills.session, fills.asset]
        off = np.abs(fills.price - wanted) > _AT_PRICE * wanted + result.cent
        if off.any():
            n = int(off.argmax())
            pytest.fail(
                f"fill: {timing}, and {result.assets[fills.asset[n]]} is filled on "
                f"{result.sessions[fills.session[n]]} at {fills.price[n]:.10g}, expected {wanted[n]:.10g}",
                pytrace=False,
            )
        if spec.strategy in BUILT_IN:
            rows = decide(dataclasses.replace(spec), market).fill_rows
            strange = ~np.isin(fills.session, rows)
            if strange.any():
                day = result.sessions[fills.session[int(strange.argmax())]]
                pytest.fail(
                    f"fill: {timing}, and there is a fill on {day}, which follows no decision", pytrace=False
                )
        return True
