"""Small markets, runs and strategies for the tests of the adapter of backtrader."""

from __future__ import annotations

import dataclasses
import sys
import types
from datetime import date

import numpy as np
import pytest

from pytest_finbot.checks.accounting import check_books
from pytest_finbot.checks.against_market import check_marks_at_market
from pytest_finbot.checks.contract import check_result
from pytest_finbot.checks.declared import check_declared
from pytest_finbot.contracts import DataSpec, EngineResult, MarketData, MarkSpec, RunSpec, TargetWeights
from pytest_finbot.engines.resolve import resolve_engine

MODULE = "rules_for_backtrader"


def _a_spec(symbols="A", **changes) -> RunSpec:
    spec = RunSpec(
        name="run",
        engine="backtrader",
        strategy=f"{MODULE}:rule",
        params={},
        symbols=tuple(symbols),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 12, 31),
        start_capital=1000.0,
        data=DataSpec("prices.csv"),
        fill="next_open",
    )
    return dataclasses.replace(spec, **changes)


def _a_market(closes, opens=None) -> MarketData:
    """One column a symbol (A, B …); 2020-01-01 on, but for a hole after the first session."""
    closes = np.array(closes, np.float64)
    closes = closes.reshape(len(closes), -1)
    days = np.arange(len(closes))
    days[1:] += 5
    return MarketData(
        sessions=np.datetime64("2020-01-01") + days,
        symbols=tuple("ABCDEFGH"[: closes.shape[1]]),
        close=closes,
        field="close",
        source="prices.csv",
        open=None if opens is None else np.array(opens, np.float64).reshape(closes.shape),
    )


def _proven(spec: RunSpec, market: MarketData) -> EngineResult:
    """The run, held to the contract and to every identity."""
    result = resolve_engine("backtrader").run(spec, market)
    check_result(result, spec, market)
    checks = [
        *check_books(result, spec),
        check_declared(result, spec, market),
        check_marks_at_market(result, market, MarkSpec()),
    ]
    broken = [f"{check.name}: {check.message}" for check in checks if check.failed]
    assert not broken, broken
    return result


@pytest.fixture
def a_spec():
    """A run of backtrader: symbols, then whatever else of RunSpec."""
    return _a_spec


@pytest.fixture
def a_market():
    """A market of hand-made closes, and opens."""
    return _a_market


@pytest.fixture
def proven():
    """Runs it, and holds the result to the contract and to every identity."""
    return _proven


@pytest.fixture
def rule(monkeypatch):
    """Makes something the strategy that ``a_spec`` names: {row: weights}, a function, or a class."""

    def use(strategy):
        if isinstance(strategy, dict):
            rows, weights = np.array([*strategy], np.int64), np.array([*strategy.values()], np.float64)
            given = TargetWeights(rows, weights.reshape(len(rows), -1))
            strategy = lambda spec, market: given  # noqa: E731
        module = types.ModuleType(MODULE)
        module.rule = strategy
        monkeypatch.setitem(sys.modules, MODULE, module)

    return use
