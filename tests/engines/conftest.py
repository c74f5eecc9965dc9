"""Tests of third-party engines: skipped where the engine is not installed, unless it has to be."""

import importlib.util
import os

import pytest

from pytest_finbot.engines.resolve import BUILT_IN, resolve_engine


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "engine(name): the test needs the third-party engine of that name")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """FINBOT_TEST_ENGINES names, with commas between, the engines that must not be missing."""
    for marker in item.iter_markers("engine"):
        _needed(marker.args[0])


def _needed(name: str) -> None:
    assert name in BUILT_IN, f"{name} is no engine with an adapter"
    module = resolve_engine(name).module  # type: ignore[attr-defined]
    if importlib.util.find_spec(module) is not None:
        return
    words = f"engine {name} is not installed here: pip install 'pytest-finbot[{name}]'"
    if name in os.environ.get("FINBOT_TEST_ENGINES", "").split(","):
        pytest.fail(words)
    pytest.skip(words)
