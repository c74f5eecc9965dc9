"""zipline against every point of the contract of engines."""

from typing import Any, ClassVar

import pytest

from pytest_finbot.testing import EngineConformance

pytestmark = pytest.mark.engine("zipline")


class TestZipline(EngineConformance):
    engine = "zipline"
    settings: ClassVar[dict[str, Any]] = {"fill": "next_close", "units": "whole"}
    exceptions: ClassVar[dict[str, str]] = {
        "test_capital_scaling": "zipline trades whole units only, of which ten times the capital buys others"
    }
