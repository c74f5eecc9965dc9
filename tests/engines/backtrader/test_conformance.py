"""The kit on backtrader, however its orders are filled."""

import pytest

from pytest_finbot.testing import EngineConformance

pytestmark = pytest.mark.engine("backtrader")

ROOM = 0.02
"""Fraction of NAV in cash: without it orders are rejected where the next price is above the decision's."""


class TestFilledAtTheNextOpen(EngineConformance):
    engine = "backtrader"
    settings = {"fill": "next_open", "cash_buffer": ROOM}


class TestFilledAtTheNextClose(EngineConformance):
    engine = "backtrader"
    settings = {"fill": "next_close", "cash_buffer": ROOM}


class TestWholeUnits(EngineConformance):
    engine = "backtrader"
    settings = {"fill": "next_open", "units": "whole", "cash_buffer": ROOM}
    exceptions = {"test_capital_scaling": "whole units of ten times the capital are not ten times as many"}


class TestOneSymbol(EngineConformance):
    engine = "backtrader"
    symbols = ("ONE",)
    settings = {"fill": "next_open", "cash_buffer": ROOM}
    exceptions = {"test_symbol_order": "one symbol has no order"}
