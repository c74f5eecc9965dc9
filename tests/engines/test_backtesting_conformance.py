"""backtesting against every point of the contract of engines."""

import pytest

from pytest_finbot.testing import EngineConformance

pytestmark = pytest.mark.engine("backtesting")


class TestBacktesting(EngineConformance):
    engine = "backtesting"
    settings = {"fill": "next_open", "cash_buffer": 0.05}  # what is all in, a higher open does not fill
    symbols = ("ONE",)
    exceptions = {"test_symbol_order": "one symbol has no order"}


class TestBacktestingAtTheNextClose(EngineConformance):
    engine = "backtesting"
    settings = {"fill": "next_close", "units": "whole", "cash_buffer": 0.05}
    symbols = ("ONE",)
    exceptions = {
        "test_symbol_order": "one symbol has no order",
        "test_capital_scaling": "whole units",
    }
