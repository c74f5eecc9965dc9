"""What an engine is to the rest of the house."""

from __future__ import annotations

from typing import Protocol

from pytest_finbot.contracts import Conventions, EngineResult, MarketData, RunSpec


class Engine(Protocol):
    """Drives one backtest. One adapter a file; imported only when a run names it."""

    name: str

    def version(self) -> str:
        """Version of what computes the numbers; part of the fingerprint."""
        ...

    def modules(self, spec: RunSpec) -> tuple[str, ...]:
        """Names of the modules that decide the result; what they import is found by itself."""
        ...

    def conventions(self, spec: RunSpec) -> Conventions | None:
        """How it executes the orders of ``spec``; ``None`` where nobody knows."""
        ...

    def run(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """The backtest of ``spec`` on ``market``; see :class:`EngineResult` for what is owed."""
        ...
