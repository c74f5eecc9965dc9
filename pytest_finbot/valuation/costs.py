"""Facts of a transaction cost analysis: what trading cost, for what, when, and in which asset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_finbot.contracts import PERIODS_PER_YEAR, EngineResult, FloatArray, IntArray
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.chart_columns import ChartColumns
from pytest_finbot.valuation.metrics import mean_nav, turnover
from pytest_finbot.valuation.undefined import NOT_FINITE, Figure, Undefined, figure, value_of

BASIS_POINTS = 1e4
MOST_FILLS = 10

_NOT_TRADED = Undefined("nothing was traded")
_NO_COSTS = Undefined("there were no costs")


@dataclass(frozen=True, slots=True)
class KindCosts:
    """Costs of one ``kind``, ``fees`` or ``slippage``, in currency; ``share`` is its fraction of all."""

    kind: str
    costs: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class SymbolCosts:
    """One asset that was traded. ``traded`` is the sum of absolute fill values (currency);
    ``cost_bps`` its costs in basis points of that, ``share`` its fraction of all costs."""

    symbol: str
    fills: int
    traded: float | None
    fees: float | None
    slippage: float | None
    costs: float | None
    cost_bps: float | None
    share: float | None


@dataclass(frozen=True, slots=True)
class YearCosts:
    """One calendar year, or what the run has of it: nothing here is annualised.

    ``turnover`` is one-way: half the value traded over the year's mean NAV. ``drag_bps`` is the
    costs in basis points of that NAV.
    """

    year: int
    sessions: int
    fills: int
    traded: float | None
    fees: float | None
    slippage: float | None
    costs: float | None
    turnover: float | None
    drag_bps: float | None


@dataclass(frozen=True, slots=True)
class FillCosts:
    """One fill: ``number`` counts the run's fills from 1; ``value`` (currency) is signed like
    ``quantity``, ``cost_bps`` in basis points of its size."""

    number: int
    session: str
    symbol: str
    quantity: float
    price: float
    value: float | None
    fee: float
    slippage: float
    costs: float | None
    cost_bps: float | None


@dataclass(frozen=True, slots=True, eq=False)
class CostAnalysis:
    """Costs of one run in currency; ``undefined`` gives the reason for each ``None`` by its path.

    ``turnover`` is one-way, a year, as in the metrics. ``drag_bps`` is the costs a year in
    basis points of mean NAV. ``by_symbol`` holds traded assets only, dearest first, then by
    name; ``dearest`` the fills that cost most, then in order. For charts are ``cumulative``
    (``fees``, ``slippage`` and ``costs`` so far, by session) and ``by_month`` (value ``traded``).
    """

    sessions: int
    first_session: str
    last_session: str
    fills: int
    traded: float | None
    fees: float | None
    slippage: float | None
    costs: float | None
    cost_bps: float | None
    turnover: float | None
    drag_bps: float | None
    years: float
    by_kind: tuple[KindCosts, ...]
    by_symbol: tuple[SymbolCosts, ...]
    by_year: tuple[YearCosts, ...]
    dearest: tuple[FillCosts, ...]
    undefined: Mapping[str, str]
    cumulative: ChartColumns
    by_month: ChartColumns

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values, without what charts are drawn from."""
        plain = {
            name: getattr(self, name)
            for name in ("sessions", "first_session", "last_session", "fills", *_TOTALS, "years")
        }
        for name in ("by_kind", "by_symbol", "by_year", "dearest"):
            plain[name] = [asdict(row) for row in getattr(self, name)]
        return {**plain, "undefined": dict(self.undefined)}


_TOTALS = ("traded", "fees", "slippage", "costs", "cost_bps", "turnover", "drag_bps")


def analyse_costs(result: EngineResult, books: Books) -> CostAnalysis:
    """What the fills of ``result``, which has at least one session, cost."""
    with np.errstate(all="ignore"):  # what is not finite is caught one by one, and said
        return _analyse(result, books)


def _analyse(result: EngineResult, books: Books) -> CostAnalysis:
    undefined: dict[str, str] = {}
    traded = float(np.abs(books.fill_value).sum())
    fees, slippage = float(books.fees.sum()), float(books.slippage.sum())
    costs = fees + slippage
    years = len(result.sessions) / PERIODS_PER_YEAR
    base = mean_nav(result.nav)
    found: dict[str, Figure] = {
        "traded": figure(traded),
        "fees": figure(fees),
        "slippage": figure(slippage),
        "costs": figure(costs),
        "cost_bps": _in_bps(costs, traded),
        "turnover": turnover(traded, result.nav),
        "drag_bps": base if isinstance(base, Undefined) else figure(costs / base / years * BASIS_POINTS),
    }
    return CostAnalysis(
        sessions=len(result.sessions),
        first_session=str(result.sessions[0]),
        last_session=str(result.sessions[-1]),
        fills=len(result.fills),
        years=years,
        **{name: value_of(value, name, undefined) for name, value in found.items()},
        by_kind=tuple(
            KindCosts(
                kind, **_told(f"by_kind[{number}]", undefined, costs=amount, share=_share(amount, costs))
            )
            for number, (kind, amount) in enumerate((("fees", fees), ("slippage", slippage)))
        ),
        by_symbol=_by_symbol(result, books, costs, undefined),
        by_year=_by_year(result, books, undefined),
        dearest=_dearest(result, books, undefined),
        undefined=undefined,
        cumulative=_cumulative(result, books),
        by_month=_by_month(result, books),
    )


def _by_symbol(
    result: EngineResult, books: Books, total: float, undefined: dict[str, str]
) -> tuple[SymbolCosts, ...]:
    fills = result.fills

    def by_asset(per_fill: FloatArray | None) -> list[Any]:
        summed: list[Any] = np.bincount(fills.asset, weights=per_fill, minlength=len(result.assets)).tolist()
        return summed

    columns = (None, np.abs(books.fill_value), fills.fee, fills.slippage)
    rows = [row for row in zip(result.assets, *map(by_asset, columns), strict=True) if row[1]]
    rows.sort(key=lambda row: (-(row[3] + row[4]), row[0]))
    return tuple(
        SymbolCosts(
            symbol,
            int(count),
            **_told(
                f"by_symbol[{number}]",
                undefined,
                traded=traded,
                fees=fees,
                slippage=slippage,
                costs=fees + slippage,
                cost_bps=_in_bps(fees + slippage, traded),
                share=_share(fees + slippage, total),
            ),
        )
        for number, (symbol, count, traded, fees, slippage) in enumerate(rows)
    )


def _by_year(result: EngineResult, books: Books, undefined: dict[str, str]) -> tuple[YearCosts, ...]:
    years = result.sessions.astype("datetime64[Y]").astype(np.int64) + 1970
    starts = _starts(years)
    columns = [
        np.add.reduceat(series, starts).tolist()
        for series in (books.fill_count, _traded(result, books), books.fees, books.slippage)
    ]
    ends = [*starts.tolist()[1:], len(years)]
    found = []
    for number, (start, end, count, traded, fees, slippage) in enumerate(
        zip(starts.tolist(), ends, *columns, strict=True)
    ):
        costs = fees + slippage
        base = mean_nav(result.nav[start:end])
        of_nav = {
            name: base if isinstance(base, Undefined) else figure(amount / base)
            for name, amount in (("turnover", traded / 2.0), ("drag_bps", costs * BASIS_POINTS))
        }
        told = _told(
            f"by_year[{number}]",
            undefined,
            traded=traded,
            fees=fees,
            slippage=slippage,
            costs=costs,
            **of_nav,
        )
        found.append(YearCosts(int(years[start]), end - start, int(count), **told))
    return tuple(found)


def _dearest(result: EngineResult, books: Books, undefined: dict[str, str]) -> tuple[FillCosts, ...]:
    fills = result.fills
    costs = np.asarray(fills.fee + fills.slippage, np.float64)
    found = []
    for place, number in enumerate(np.argsort(-costs, kind="stable")[:MOST_FILLS].tolist()):
        value, cost = float(books.fill_value[number]), float(costs[number])
        told = _told(
            f"dearest[{place}]", undefined, value=value, costs=cost, cost_bps=_in_bps(cost, abs(value))
        )
        found.append(
            FillCosts(
                number=number + 1,
                session=str(result.sessions[fills.session[number]]),
                symbol=result.assets[fills.asset[number]],
                quantity=float(fills.quantity[number]),
                price=float(fills.price[number]),
                fee=float(fills.fee[number]),
                slippage=float(fills.slippage[number]),
                **told,
            )
        )
    return tuple(found)


def _cumulative(result: EngineResult, books: Books) -> ChartColumns:
    fees, slippage = np.cumsum(books.fees), np.cumsum(books.slippage)
    columns = {"fees": fees, "slippage": slippage, "costs": fees + slippage}
    return ChartColumns("session", result.sessions, columns)


def _by_month(result: EngineResult, books: Books) -> ChartColumns:
    months = result.sessions.astype("datetime64[M]")
    starts = _starts(months.astype(np.int64))
    traded = np.add.reduceat(_traded(result, books), starts)
    return ChartColumns("month", months[starts], {"traded": traded})


def _traded(result: EngineResult, books: Books) -> FloatArray:
    """Sum of absolute fill values of each session [T]."""
    size = np.abs(books.fill_value)
    summed = np.bincount(result.fills.session, weights=size, minlength=len(result.sessions))
    return summed.astype(np.float64, copy=False)


def _starts(periods: IntArray) -> IntArray:
    """Row at which each period begins, of a rising series [T] with at least one value."""
    return np.concatenate(([0], np.flatnonzero(periods[1:] != periods[:-1]) + 1))


def _in_bps(costs: float, traded: float) -> Figure:
    if not math.isfinite(traded):
        return NOT_FINITE
    return figure(costs / traded * BASIS_POINTS) if traded > 0.0 else _NOT_TRADED


def _share(costs: float, total: float) -> Figure:
    return figure(costs / total) if total > 0.0 else _NO_COSTS


def _told(row: str, undefined: dict[str, str], **values: Figure) -> dict[str, float | None]:
    """``values`` as JSON has them; why one is ``None`` goes into ``undefined`` under its path."""
    return {
        name: value_of(value if isinstance(value, Undefined) else figure(value), f"{row}.{name}", undefined)
        for name, value in values.items()
    }
