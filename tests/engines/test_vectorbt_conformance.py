"""vectorbt against every point of the contract of engines."""

from typing import Any, ClassVar

import pytest

from pytest_finbot.testing import EngineConformance

pytestmark = pytest.mark.engine("vectorbt")


class TestVectorbt(EngineConformance):
    engine = "vectorbt"


class TestVectorbtInWholeUnitsAtTheNextOpen(EngineConformance):
    engine = "vectorbt"
    settings: ClassVar[dict[str, Any]] = {"fill": "next_open", "units": "whole"}
    exceptions: ClassVar[dict[str, str]] = {
        "test_capital_scaling": "ten times the capital buys other whole units"
    }
