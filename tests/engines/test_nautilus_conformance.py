"""nautilus_trader against every point of the contract of engines."""

from typing import Any, ClassVar

import pytest

from pytest_finbot.testing import EngineConformance

pytestmark = pytest.mark.engine("nautilus")


class TestNautilus(EngineConformance):
    engine = "nautilus"
    exceptions: ClassVar[dict[str, str]] = {"test_capital_scaling": "it books in cents, whatever the capital"}


class TestNautilusAtTheNextOpen(EngineConformance):
    engine = "nautilus"
    settings: ClassVar[dict[str, Any]] = {"fill": "next_open", "units": "whole"}
    exceptions: ClassVar[dict[str, str]] = {"test_capital_scaling": "whole units"}
