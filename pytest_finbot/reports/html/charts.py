"""A changed run's charts: what is drawn, point by point, and what is told in words beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pytest_finbot.baselines.align import Pair, align
from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.baselines.size import relative
from pytest_finbot.contracts import FloatArray, IntArray, SessionArray
from pytest_finbot.reports.html.series import Sides
from pytest_finbot.reports.html.thinning import evenly, extremes
from pytest_finbot.reports.words import NOTHING

POINTS: Final = {"bp": 600, "nav": 500, "drawdown": 500, "positions": 300}
"""Points a curve has at the most, by chart."""
MOST_POSITIONS: Final = 5
"""Positions that have a curve of their own; the others are added up."""
MOST_ROWS: Final = 100
MOST_MARKS: Final = 200
SAME_FILL: Final = 1e-9
"""Part of a session's traded quantity, value or fees up to which they are the same."""
LARGEST: Final = 1e38
"""Most that a point of a curve can be: the page has them in four bytes."""
REST: Final = "all others"


@dataclass(frozen=True, eq=False)
class Curve:
    """Points at ``sessions``; ``colour`` numbers it among those of its chart. A NaN is a gap."""

    name: str
    sessions: SessionArray
    values: FloatArray
    colour: int
    baseline: bool = False


@dataclass(frozen=True, eq=False)
class Table:
    """What is drawn, as text: a row a session, with a cell a curve."""

    sessions: tuple[str, ...]
    columns: tuple[tuple[str, tuple[str, ...]], ...]
    of: int
    """How many sessions there are."""


@dataclass(frozen=True, eq=False)
class Chart:
    """``kind`` is bp, nav, drawdown or positions; without curves, ``why_not`` says why."""

    kind: str
    curves: tuple[Curve, ...] = ()
    why_not: str = ""
    table: Table | None = None
    marks: Curve | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RunCharts:
    """The charts of one run, on one time axis."""

    charts: tuple[Chart, ...]
    first: str = ""
    """The first session out of tolerance (ISO), if any."""
    notes: tuple[str, ...] = field(default=())


def charts_of(sides: Sides, first: str = "", furthest: str = "") -> RunCharts:
    """What can be drawn of both ``sides``. ``first`` and ``furthest`` are sessions that tables show."""
    now, baseline = sides.now, sides.baseline
    pair = None if now is None or baseline is None else align(now, baseline)
    rows = _shown_rows(pair, now if now is not None else baseline, first, furthest)
    notes = []
    if now is None:
        notes.append(f"This result is not drawn, because {sides.why_not_now}.")
    if baseline is None:
        notes.append(f"The baseline is not drawn, because {sides.why_not_baseline}.")
    if pair is not None and not pair.same_sessions:
        notes.append(
            f"{_sessions(len(pair.missing))} only in the baseline, {_sessions(len(pair.added))} only in this "
            "result: the divergence and the tables have those of both."
        )
    both = _Both(now, baseline, pair, rows)
    charts = (_divergence(both, sides), _nav(both), _drawdown(both), _positions(both))
    return RunCharts(tuple(map(_drawable, charts)), first, tuple(notes))


def _drawable(chart: Chart) -> Chart:
    """``chart``, or why it is not one that a page can draw, with the same table."""
    values = [curve.values for curve in chart.curves]
    if chart.curves and all(len(one) < 2 for one in values):
        why = "there is one session, and a line takes two"
    elif any((np.abs(one[np.isfinite(one)]) > LARGEST).any() for one in values):
        why = f"its numbers are beyond {LARGEST:.0e}"
    else:
        return chart
    return Chart(chart.kind, why_not=why, table=chart.table)


@dataclass(frozen=True, eq=False)
class _Both:
    """What charts are made of; ``rows`` are those of a table, among the sessions of both."""

    now: RunResult | None
    baseline: RunResult | None
    pair: Pair | None
    rows: IntArray

    @property
    def sessions(self) -> SessionArray:
        if self.pair is not None:
            return self.pair.sessions
        one = self.now if self.now is not None else self.baseline
        return np.empty(0, "datetime64[D]") if one is None else one.sessions

    def sides(self) -> list[tuple[str, RunResult]]:
        sides = (("now", self.now), ("baseline", self.baseline))
        return [(name, result) for name, result in sides if result is not None]

    def at_rows(self, result: RunResult, values: FloatArray) -> FloatArray:
        """``values`` of one side at the sessions of a table."""
        wanted = self.sessions[self.rows]
        return values[np.searchsorted(result.sessions, wanted)]

    def table(self, columns: Sequence[tuple[str, tuple[str, ...]]]) -> Table:
        sessions = self.sessions
        return Table(tuple(str(day) for day in sessions[self.rows]), tuple(columns), len(sessions))


def _shown_rows(pair: Pair | None, one: RunResult | None, *days: str) -> IntArray:
    sessions = pair.sessions if pair is not None else None if one is None else one.sessions
    if sessions is None or not len(sessions):
        return np.empty(0, np.int64)
    rows = evenly(np.arange(len(sessions)), MOST_ROWS - 4 * len(days))
    for day in filter(None, days):
        row = int(np.searchsorted(sessions, np.datetime64(day)))
        rows = np.concatenate([rows, np.arange(row - 1, row + 3)])
    return np.unique(rows[(rows >= 0) & (rows < len(sessions))])


def _curve(
    name: str, sessions: SessionArray, values: FloatArray, colour: int, kind: str, baseline: bool = False
) -> Curve:
    rows = extremes(values, POINTS[kind])
    return Curve(name, sessions[rows], values[rows], colour, baseline)


def _divergence(both: _Both, sides: Sides) -> Chart:
    pair = both.pair
    if pair is None:
        why = sides.why_not_now or sides.why_not_baseline
        return Chart("bp", why_not=f"it takes this result and its baseline, and {why}")
    if not len(pair.sessions):
        return Chart("bp", why_not="this result and its baseline have no session in common")
    bp = relative(pair) * 1e4
    broken = int((~np.isfinite(bp)).sum())
    notes = (f"On {_sessions(broken)} NAV is a number on one side only: gaps.",) if broken else ()
    cells = _cells(bp[both.rows], _signed)
    return Chart(
        "bp",
        (_curve("divergence", pair.sessions, bp, 0, "bp"),),
        table=both.table([("divergence, bp", cells)]),
        notes=notes,
    )


def _nav(both: _Both) -> Chart:
    chart = _of_values(both, "nav", lambda result: result.nav, _money)
    if not chart.curves or both.pair is None or both.now is None:
        return chart
    found = _differing_fills(both.pair)
    if found is None:
        note = "Fills are not marked, because one side does not tell of any."
        return Chart(chart.kind, chart.curves, table=chart.table, notes=(note,))
    there = found[np.isin(found, both.now.sessions)]
    shown = evenly(np.searchsorted(both.now.sessions, there), MOST_MARKS)
    notes = [f"Fills differ on {_sessions(len(found))}{', marked by triangles' if len(shown) else ''}."]
    if len(shown) < len(found):
        notes.append(f"{len(shown):,} of them are marked.")
    marks = Curve("fills differ", both.now.sessions[shown], both.now.nav[shown], 1)
    return Chart(chart.kind, chart.curves, table=chart.table, marks=marks, notes=tuple(notes))


def _drawdown(both: _Both) -> Chart:
    return _of_values(both, "drawdown", lambda result: _below_peak(result.nav) * 100, _percent)


def _of_values(
    both: _Both, kind: str, values: Callable[[RunResult], FloatArray], words: Callable[[float], str]
) -> Chart:
    """One curve a side."""
    curves, columns = [], []
    for number, (name, result) in enumerate(both.sides()):
        series = values(result)
        curves.append(_curve(name, result.sessions, series, number, kind, name == "baseline"))
        columns.append((name, _cells(both.at_rows(result, series), words)))
    if not any(len(curve.values) for curve in curves):
        return Chart(kind, why_not="there is no session to draw" if curves else "neither result is there")
    return Chart(kind, tuple(curves), table=both.table(columns))


def _positions(both: _Both) -> Chart:
    known = [(name, r, r.market_values) for name, r in both.sides() if r.market_values is not None]
    unknown = [name for name, result in both.sides() if result.market_values is None]
    if not known:
        return Chart("positions", why_not="neither result tells market values by position")
    largest: dict[str, float] = {}
    for _, result, values in known:
        sizes = np.abs(np.nan_to_num(values, posinf=0.0, neginf=0.0)).max(axis=0, initial=0.0)
        for asset, size in zip(result.assets, sizes.tolist(), strict=True):
            largest[asset] = max(largest.get(asset, 0.0), size)
    held = sorted((asset for asset, size in largest.items() if size > 0), key=lambda a: (-largest[a], a))
    if not held:
        return Chart("positions", why_not="no position was ever held")
    own = held if len(held) <= MOST_POSITIONS + 1 else held[:MOST_POSITIONS]
    others = held[len(own) :]
    curves, columns = [], []
    for name, result, values in known:
        place = {asset: number for number, asset in enumerate(result.assets)}
        groups = [(asset, [asset]) for asset in own] + ([(REST, others)] if others else [])
        for colour, (label, members) in enumerate(groups):
            columns_of = [place[asset] for asset in members if asset in place]
            series = values[:, columns_of].sum(axis=1)
            title = f"{label}, {name}"
            curves.append(
                _curve(title, result.sessions, series, colour, "positions", baseline=name == "baseline")
            )
            columns.append((title, _cells(both.at_rows(result, series), _money)))
    notes = [f"Market values are not drawn for {name}, which does not tell them." for name in unknown]
    if others:
        notes.append(f"“{REST}” adds up {len(others):,} positions that were smaller.")
    return Chart("positions", tuple(curves), table=both.table(columns), notes=tuple(notes))


def _differing_fills(pair: Pair) -> SessionArray | None:
    """Sessions on which some asset's quantity, value or fees traded differ; ``None`` where unknown."""
    if pair.now.fills is None or pair.baseline.fills is None:
        return None
    keys = [_keys(fills, len(pair.assets)) for fills in (pair.now.fills, pair.baseline.fills)]
    union, where = np.unique(np.concatenate(keys), return_inverse=True)
    places = np.split(where, [len(keys[0])])
    differs = np.zeros(len(union), bool)
    for value in (_quantity, _value, _fee):
        ours, theirs = (
            np.bincount(place, value(fills), len(union))
            for place, fills in zip(places, (pair.now.fills, pair.baseline.fills), strict=True)
        )
        differs |= ~np.isclose(ours, theirs, rtol=SAME_FILL, atol=0.0, equal_nan=True)
    days = np.unique(union[differs] // max(len(pair.assets), 1))
    found: SessionArray = days.astype("datetime64[D]")
    return found


def _keys(fills: FillTable, assets: int) -> IntArray:
    days: IntArray = fills.session.astype("datetime64[D]").astype(np.int64)
    return days * max(assets, 1) + fills.asset


def _quantity(fills: FillTable) -> FloatArray:
    return fills.quantity


def _value(fills: FillTable) -> FloatArray:
    with np.errstate(over="ignore", invalid="ignore"):
        return fills.quantity * fills.price


def _fee(fills: FillTable) -> FloatArray:
    return fills.fee


def _below_peak(nav: FloatArray) -> FloatArray:
    """NAV below its highest so far, a fraction [T]; NaN where there is no such height above 0."""
    peak = np.fmax.accumulate(nav) if len(nav) else nav
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.where(peak > 0, nav / peak - 1.0, np.nan)


def _sessions(number: int) -> str:
    return f"{number:,} session{'' if number == 1 else 's'}"


def _cells(values: FloatArray, words: Callable[[float], str]) -> tuple[str, ...]:
    return tuple(words(value) if np.isfinite(value) else NOTHING for value in values.tolist())


def _money(value: float) -> str:
    return f"{value:,.2f}" if abs(value) < 1e15 else f"{value:.6g}"


def _percent(value: float) -> str:
    return f"{value:.2f} %"


def _signed(value: float) -> str:
    return f"{value:+,.1f}" if value == 0 or 0.05 <= abs(value) < 1e15 else f"{value:+.3g}"
