"""What a class of conformance tests is told of its engine, and the runs made of that."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import pytest

from pytest_finbot.contracts import CostSpec, DataSpec, EngineResult, MarketData, RunSpec
from pytest_finbot.engines.adapting.adapter import Adapter
from pytest_finbot.engines.resolve import engine_problems, resolve_engine
from pytest_finbot.errors import did_you_mean
from pytest_finbot.testing import strategies
from pytest_finbot.testing.declared_exceptions import check_exceptions, check_points
from pytest_finbot.testing.executing import run
from pytest_finbot.testing.synthetic import synthetic_market

Kind = Literal["fixed", "rotation", "zero", "leveraged", "raising", "unknown"]
"""What a strategy of the kit does: see :meth:`Bench.strategy`."""

_HOOKS: Final = {
    "engine": "engine",
    "symbols": "symbols",
    "start_capital": "capital",
    "strategy": "strategy()",
    "params": "strategy()",
    "rebalance_freq": "strategy()",
    "start_date": "prices()",
    "end_date": "prices()",
    "data": "prices()",
}
"""Keys of a run that are told otherwise than by ``settings``."""


class Bench:
    """Settings and hooks of a conformance class; see :class:`EngineConformance`."""

    engine: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    exceptions: ClassVar[Mapping[str, str]] = {}
    symbols: ClassVar[tuple[str, ...]] = ("AAA", "BBB", "CCC", "DDD", "EEE")
    capital: ClassVar[float] = 100_000.0
    costs: ClassVar[Mapping[str, float]] = {
        "commission_bps": 50.0,
        "commission_per_share": 0.5,
        "slippage_bps": 50.0,
    }

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        check_points(cls)
        check_exceptions(cls, cls.exceptions)
        known = {field.name for field in dataclasses.fields(RunSpec)} - {"name", "line", *_HOOKS}
        for key in cls.settings:
            if key in _HOOKS:
                raise TypeError(f"{cls.__name__}.settings: {key!r} is told by {_HOOKS[key]}, not here")
            if key not in known:
                raise TypeError(
                    f"{cls.__name__}.settings: a run has no key {key!r}{did_you_mean(key, known)}"
                )

    # ------------------------------------------------------------------ hooks

    def prices(self) -> MarketData:
        """Prices the engine is tested on: 300 sessions of ``symbols``, closes and opens, in cents."""
        return synthetic_market(self.symbols)

    def strategy(self, kind: Kind) -> Mapping[str, Any]:
        """Keys of a run (``strategy``, ``params``, ``rebalance_freq``) for a strategy of this ``kind``.

        ``fixed``: the same weights every month; ``rotation``: the symbols that rose most, by month, so
        that positions come and go; ``zero``: decides every month to hold nothing; ``leveraged``: asks
        once for three times its capital; ``raising``: raises
        :class:`~pytest_finbot.testing.strategies.RaisedOnPurposeError` with its message; ``unknown``:
        a name that is none. Override it for an engine that needs strategies of its own kind.
        """
        count = len(self.symbols)
        if kind == "rotation":
            params: dict[str, Any] = {"top": min(2, count), "lookback": 20, "absolute": True}
            return {"strategy": "momentum_rotation", "params": params, "rebalance_freq": "M"}
        if kind == "raising":
            return {"strategy": f"{strategies.__name__}:raises", "params": {}, "rebalance_freq": "M"}
        if kind == "unknown":
            return {"strategy": "no_such_strategy", "params": {}, "rebalance_freq": "M"}
        gross = {"fixed": 0.9, "zero": 0.0, "leveraged": 3.0}[kind]
        parts = range(1, count + 1)
        weights = {
            symbol: gross * part / sum(parts) for symbol, part in zip(self.symbols, parts, strict=True)
        }
        freq = "none" if kind == "leveraged" else "M"
        return {"strategy": "fixed_weights", "params": {"weights": weights}, "rebalance_freq": freq}

    # ------------------------------------------------------------------- runs

    def spec(self, kind: Kind, market: MarketData | None = None, **changes: Any) -> RunSpec:
        """The run of a strategy of this ``kind``, with ``settings`` and then ``changes``."""
        market = self.prices() if market is None else market
        keys: dict[str, Any] = {**self.settings, **self.strategy(kind), **changes}
        costs = keys.get("costs", CostSpec())
        keys["costs"] = costs if isinstance(costs, CostSpec) else CostSpec(**costs)
        return RunSpec(
            **{
                "name": "conformance",
                "engine": self.engine,
                "symbols": market.symbols,
                "start_date": market.sessions[0].item(),
                "end_date": market.sessions[-1].item(),
                "start_capital": self.capital,
                "data": DataSpec("synthetic"),
                **keys,
            }
        )

    def run(self, kind: Kind, market: MarketData | None = None, **changes: Any) -> EngineResult:
        """The result of :meth:`spec` on ``market``; fails where the engine refuses that run."""
        market = self.prices() if market is None else market
        return self.execute(self.spec(kind, market, **changes), market)

    def execute(self, spec: RunSpec, market: MarketData) -> EngineResult:
        """The result of ``spec``; fails, before it is run, where the engine says that it cannot."""
        refused = self.refusals(spec)
        if refused:
            pytest.fail(
                f"engine {spec.engine!r} refuses a run of the kit: {'; '.join(refused)}. Say in `settings` "
                "what it needs (or override `symbols`, `strategy` or `costs`)",
                pytrace=False,
            )
        return run(spec, market)

    def refusals(self, spec: RunSpec) -> list[str]:
        """What the engine says of ``spec`` before it is run; a user's own engine says nothing there."""
        return [message for _, message in engine_problems(spec)]

    @property
    def has_adapter(self) -> bool:
        """Whether the engine is one that says beforehand what it cannot."""
        return isinstance(resolve_engine(self.engine), Adapter)
