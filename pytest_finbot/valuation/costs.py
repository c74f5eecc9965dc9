"""Facts of a transaction cost analysis: what trading cost, for what, and in which asset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import PERIODS_PER_YEAR, EngineResult, FloatArray
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metrics import mean_nav, turnover
from pytest_finbot.valuation.undefined import Figure, Undefined, figure, value_of

BASIS_POINTS = 1e4


@dataclass(frozen=True, slots=True)
class SymbolCosts:
    """One asset that was traded. ``traded`` is the sum of absolute fill values (currency);
    ``cost_bps`` its costs in basis points of that, ``None`` where the value traded is zero."""

    symbol: str
    fills: int
    traded: float
    fees: float
    slippage: float
    costs: float
    cost_bps: float | None


@dataclass(frozen=True, slots=True)
class CostAnalysis:
    """Costs of one run in currency; ``undefined`` gives the reason for each ``None``.

    ``turnover`` is one-way, a year, as in the metrics. ``drag_bps`` is the costs a year in
    basis points of mean NAV. ``by_symbol`` holds traded assets only, dearest first, then by
    name.
    """

    fills: int
    traded: float
    fees: float
    slippage: float
    costs: float
    cost_bps: float | None
    turnover: float | None
    drag_bps: float | None
    years: float
    by_symbol: tuple[SymbolCosts, ...]
    undefined: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {**asdict(self), "by_symbol": [asdict(row) for row in self.by_symbol]}


def analyse_costs(result: EngineResult, books: Books) -> CostAnalysis:
    """What the fills of ``result`` cost."""
    by_symbol = _by_symbol(result, books)
    traded = float(np.abs(books.fill_value).sum())
    fees, slippage = float(books.fees.sum()), float(books.slippage.sum())
    costs = fees + slippage
    years = len(result.sessions) / PERIODS_PER_YEAR
    undefined: dict[str, str] = {}
    base = mean_nav(result.nav)
    drag = base if isinstance(base, Undefined) else figure(costs / base / years * BASIS_POINTS)
    per_traded: Figure = (
        figure(costs / traded * BASIS_POINTS) if traded > 0.0 else Undefined("nothing was traded")
    )
    return CostAnalysis(
        fills=len(result.fills),
        traded=traded,
        fees=fees,
        slippage=slippage,
        costs=costs,
        cost_bps=value_of(per_traded, "cost_bps", undefined),
        turnover=value_of(turnover(traded, result.nav), "turnover", undefined),
        drag_bps=value_of(drag, "drag_bps", undefined),
        years=years,
        by_symbol=by_symbol,
        undefined=undefined,
    )


def _by_symbol(result: EngineResult, books: Books) -> tuple[SymbolCosts, ...]:
    fills = result.fills

    def by_asset(per_fill: FloatArray | None) -> list[Any]:
        summed: list[Any] = np.bincount(fills.asset, weights=per_fill, minlength=len(result.assets)).tolist()
        return summed

    rows = [
        SymbolCosts(
            symbol=symbol,
            fills=count,
            traded=traded,
            fees=fees,
            slippage=slippage,
            costs=fees + slippage,
            cost_bps=(fees + slippage) / traded * BASIS_POINTS if traded > 0.0 else None,
        )
        for symbol, count, traded, fees, slippage in zip(
            result.assets,
            by_asset(None),
            by_asset(np.abs(books.fill_value)),
            by_asset(fills.fee),
            by_asset(fills.slippage),
            strict=True,
        )
        if count
    ]
    return tuple(sorted(rows, key=lambda row: (-row.costs, row.symbol)))
