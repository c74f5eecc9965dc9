"""For those who write an engine: a kit of tests that says whether it keeps the contract.

from pytest_finbot.testing import EngineConformance

class TestMyEngine(EngineConformance):
    engine = "my_package.my_engine:run"
"""

from pytest_finbot.testing.conformance import EngineConformance

__all__ = ["EngineConformance"]
