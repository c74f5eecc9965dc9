"""The kit on the built-in engine: every point holds, however orders are filled."""

from pytest_finbot.testing import EngineConformance


class TestFilledAtTheClose(EngineConformance):
    engine = "portfolio"


class TestFilledAtTheNextClose(EngineConformance):
    engine = "portfolio"
    settings = {"fill": "next_close"}


class TestFilledAtTheNextOpen(EngineConformance):
    engine = "portfolio"
    settings = {"fill": "next_open", "costs": {"booking": "from_cash"}}


class TestWholeUnits(EngineConformance):
    engine = "portfolio"
    settings = {"units": "whole", "cash_buffer": 0.02}
    exceptions = {"test_capital_scaling": "whole units of ten times the capital are not ten times as many"}


class TestOneSymbol(EngineConformance):
    engine = "portfolio"
    symbols = ("ONE",)
    exceptions = {"test_symbol_order": "one symbol has no order"}
