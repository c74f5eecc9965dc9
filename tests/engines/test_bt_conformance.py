"""bt against every point of the contract of engines."""

import pytest

from pytest_finbot.testing import EngineConformance

pytestmark = pytest.mark.engine("bt")


class TestBt(EngineConformance):
    engine = "bt"


class TestBtAtTheNextClose(EngineConformance):
    engine = "bt"
    settings = {"fill": "next_close", "units": "whole"}
    exceptions = {"test_capital_scaling": "whole units"}
