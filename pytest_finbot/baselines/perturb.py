"""Results made wrong on purpose, each with what a comparison must say of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pytest_finbot.baselines.align import Pair, align
from pytest_finbot.baselines.metrics import limit_of
from pytest_finbot.baselines.results import MetricValue, RunResult
from pytest_finbot.contracts import EngineResult, FloatArray, IntArray, Limit
from pytest_finbot.tolerances import Tolerances, allowed
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metrics import compute_metrics

BEYOND = 2.0
"""By how many times its limit a value is moved."""

_SAME = 1e-9
"""Relative difference up to which a metric worked out again is the accepted one."""


@dataclass(frozen=True, slots=True, eq=False)
class Perturbation:
    """``now`` is the accepted result with one thing wrong, ``what`` in words.

    A comparison must call it moved, first on ``session`` (``None``: on no session, as where a
    metric alone differs), or from there on where ``or_later``, must name ``asset``, and must
    have moved ``check``. ``check`` is ``None`` for what is so gross that some check must see
    it under every preset. ``now`` is ``None`` where no limit holds it; ``not_held`` says why.
    """

    what: str
    check: str | None
    now: RunResult | None = None
    session: str | None = None
    asset: str | None = None
    or_later: bool = False
    not_held: str = ""


def perturbations(baseline: RunResult, tolerances: Tolerances, capital: float) -> Iterator[Perturbation]:
    """Every way in which a gate is tried, the same ones in the same order for the same baseline.

    ``capital`` (currency) is what the run started with: returns begin there.
    """
    pair = align(baseline, baseline)
    yield from _nav_moves(pair, tolerances)
    yield from _cash(baseline, tolerances)
    yield from _positions(baseline, tolerances)
    yield from _fill(baseline, tolerances)
    yield from _metrics(baseline, tolerances)
    yield from _gross(pair, tolerances, capital)


def nav_rows(result: RunResult) -> IntArray:
    """Rows at which NAV is a number other than 0."""
    return np.flatnonzero(np.isfinite(result.nav) & (result.nav != 0))


def middle(rows: IntArray) -> int:
    """The middle one of ``rows``, which are not empty."""
    return int(rows[len(rows) // 2])


def with_nav(baseline: RunResult, nav: FloatArray, capital: float) -> RunResult:
    """``baseline`` with another NAV [T], and the metrics that follow from it.

    A metric follows where the accepted NAV gives its accepted value again, which it does not
    for those of positions, or with flows; and where it exists on the new NAV no more.
    """
    before, after = (_metrics_of_nav(baseline, values, capital) for values in (baseline.nav, nav))
    metrics = dict(baseline.metrics)
    for name, accepted in baseline.metrics.items():
        if name in after and (after[name] is None or _agree(before[name], accepted)):
            metrics[name] = after[name]
    return dataclasses.replace(baseline, nav=nav, metrics=metrics)


def shifted(nav: FloatArray, by: FloatArray, rows: slice) -> FloatArray:
    """A copy of ``nav`` [T], moved by ``by`` [T] (currency) at ``rows``."""
    moved = nav.copy()
    moved[rows] += by[rows]
    return moved


def least_rtol(limit: Limit, count: int, total: int) -> float | None:
    """The fraction beyond which ``count`` of ``total`` sessions break ``limit``; ``None``: none does."""
    if count > (1.0 - limit.share) * total + 1e-9:
        return limit.rtol if limit.none_beyond is None else min(limit.rtol, limit.none_beyond)
    return limit.none_beyond


# ------------------------------------------------------------------ one value at a time


def _nav_moves(pair: Pair, tolerances: Tolerances) -> Iterator[Perturbation]:
    baseline, limit = pair.baseline, tolerances.of_series("nav")
    rows = np.flatnonzero(np.isfinite(baseline.nav))
    if limit is None:
        why = tolerances.why_not_held("nav")
        yield Perturbation("NAV from a session on", "nav", not_held=why)
        return
    if not len(rows):
        return
    total = len(baseline.nav)
    for row in dict.fromkeys((int(rows[0]), middle(rows), int(rows[-1]))):
        day = str(baseline.sessions[row])
        rtol = least_rtol(limit, total - row, total)
        for sign, word in ((1.0, "up"), (-1.0, "down")):
            what = f"NAV {word} by twice its limit from {day} on"
            if rtol is None:
                yield Perturbation(what, "nav", not_held=_let_by_share("nav", limit))
                continue
            bound = limit.atol + rtol * pair.scale
            nav = shifted(baseline.nav, sign * BEYOND * bound, slice(row, None))
            # A limit below the last place of a NAV: its neighbour is beyond it.
            lost = ~(np.abs(nav - baseline.nav) > bound) & (np.arange(total) >= row)
            nav[lost] = np.nextafter(baseline.nav[lost], sign * np.inf)
            yield Perturbation(what, "nav", dataclasses.replace(baseline, nav=nav), day)


def _positions(baseline: RunResult, tolerances: Tolerances) -> Iterator[Perturbation]:
    """The largest position of a session in the middle, halved and doubled there alone."""
    for check, word in (("market_values", "market value"), ("quantity", "quantity")):
        limit = tolerances.of_series(check)
        if limit is None:
            yield Perturbation(f"one {word}", check, not_held=tolerances.why_not_held(check))
            continue
        values = baseline.market_values if check == "market_values" else baseline.quantity
        if values is None:
            yield Perturbation(f"one {word}", check, not_held="the baseline has none")
            continue
        sizes = np.abs(np.where(np.isfinite(values), values, 0.0))
        held = np.flatnonzero(sizes.any(axis=1))
        if not len(held):
            yield Perturbation(f"one {word}", check, not_held="the baseline never holds anything")
            continue
        row = middle(held)
        by_value = baseline.market_values
        if by_value is not None and np.isfinite(by_value[row]).all() and (by_value[row] * sizes[row]).any():
            column = int(np.abs(by_value[row]).argmax())
        else:
            column = int(sizes[row].argmax())
        day, asset = str(baseline.sessions[row]), baseline.assets[column]
        for factor, done in ((0.5, "halved"), (2.0, "doubled")):
            what = f"{word} of {asset} {done} on {day}"
            if least_rtol(limit, 1, len(values)) is None:
                yield Perturbation(what, check, not_held=_let_by_share(check, limit))
                continue
            changed = values.copy()
            changed[row, column] *= factor
            now = (
                dataclasses.replace(baseline, market_values=changed)
                if check == "market_values"
                else dataclasses.replace(baseline, quantity=changed)
            )
            yield Perturbation(what, check, now, day, asset)


def _cash(baseline: RunResult, tolerances: Tolerances) -> Iterator[Perturbation]:
    """A tenth of NAV too much in cash, on a session in the middle alone."""
    limit, cash = tolerances.of_series("cash"), baseline.cash
    if limit is None:
        yield Perturbation("cash", "cash", not_held=tolerances.why_not_held("cash"))
        return
    rows = np.flatnonzero(np.isfinite(baseline.nav) & (baseline.nav != 0))
    if cash is None or not len(rows):
        yield Perturbation("cash", "cash", not_held="the baseline has none")
        return
    row = middle(rows)
    day = str(baseline.sessions[row])
    what = f"cash off by a tenth of NAV on {day}"
    if least_rtol(limit, 1, len(cash)) is None:
        yield Perturbation(what, "cash", not_held=_let_by_share("cash", limit))
        return
    changed = cash.copy()
    changed[row] += 0.1 * abs(baseline.nav[row])
    yield Perturbation(what, "cash", dataclasses.replace(baseline, cash=changed), day)


def _fill(baseline: RunResult, tolerances: Tolerances) -> Iterator[Perturbation]:
    """One fill dropped, of those that the next one does not look like."""
    fills = baseline.fills
    if tolerances.of_series("fills") is None:
        yield Perturbation("one fill dropped", "fills", not_held=tolerances.why_not_held("fills"))
        return
    if fills is None or not len(fills):
        yield Perturbation("one fill dropped", "fills", not_held="the baseline has none")
        return
    unlike = np.r_[(np.diff(fills.session.astype(np.int64)) != 0) | (np.diff(fills.asset) != 0), True]
    number = middle(np.flatnonzero(unlike))
    day, asset = str(fills.session[number]), baseline.assets[int(fills.asset[number])]
    now = dataclasses.replace(baseline, fills=fills[np.arange(len(fills)) != number])
    yield Perturbation(f"fill {number + 1:,}, of {asset} on {day}, dropped", "fills", now, day, asset)


def _metrics(baseline: RunResult, tolerances: Tolerances) -> Iterator[Perturbation]:
    for name, value in baseline.metrics.items():
        check, limit = f"metrics.{name}", limit_of(name, tolerances)
        if limit is None:
            yield Perturbation(f"metric {name}", check, not_held=tolerances.why_not_held(check))
            continue
        moved = dataclasses.replace(baseline, metrics={**baseline.metrics, name: _moved(value, limit)})
        if isinstance(value, int | float):
            yield Perturbation(f"metric {name} by twice its limit", check, moved)
            nan = {**baseline.metrics, name: math.nan}
            if not math.isnan(value):
                yield Perturbation(
                    f"metric {name} not a number", check, dataclasses.replace(baseline, metrics=nan)
                )
        else:
            yield Perturbation(f"metric {name} another", check, moved)


def _moved(value: MetricValue, limit: Limit) -> MetricValue:
    """``value`` as it must not be: twice the limit away, a day later, a number where there was none."""
    if isinstance(value, str):
        try:
            return (date.fromisoformat(value) + timedelta(days=1)).isoformat()
        except (ValueError, OverflowError):
            return f"{value} "
    if value is None:
        return 0.0
    bound = allowed(limit, value)
    if isinstance(value, int):
        return value + max(math.ceil(BEYOND * bound), 1)
    moved = value + BEYOND * bound
    return moved if abs(moved - value) > bound else math.nextafter(value, math.inf)


# -------------------------------------------------------------------- grossly wrong


def _gross(pair: Pair, tolerances: Tolerances, capital: float) -> Iterator[Perturbation]:
    baseline = pair.baseline
    rows = nav_rows(baseline)
    if len(rows):
        row = middle(rows)
        day = str(baseline.sessions[row])
        signs = baseline.nav.copy()
        signs[row:] *= -1.0
        yield Perturbation(
            f"NAV of the wrong sign from {day} on", None, with_nav(baseline, signs, capital), day
        )
        holes = baseline.nav.copy()
        holes[row] = np.nan
        yield Perturbation(f"NAV not a number on {day}", None, with_nav(baseline, holes, capital), day)
        yield Perturbation(f"session {day} dropped", None, _without(baseline, row), day)
    yield _half_size(pair, tolerances, capital)


def _half_size(pair: Pair, tolerances: Tolerances, capital: float) -> Perturbation:
    """The whole run at half the position size: half of every position, fill, fee, gain and loss."""
    baseline, what = pair.baseline, "the whole run at half the position size"
    first = _first_held(baseline)
    if first is None:
        return Perturbation(what, None, not_held="the baseline never holds anything")
    nav = baseline.nav.copy()
    nav[first:] = nav[first] + (nav[first:] - nav[first]) / 2
    half = with_nav(baseline, nav, capital)
    values, quantity, fills = baseline.market_values, baseline.quantity, baseline.fills
    cash = baseline.cash
    if cash is not None and values is not None:
        cash = cash + (nav - baseline.nav) + values.sum(axis=1) / 2
    now = dataclasses.replace(
        half,
        cash=cash,
        quantity=None if quantity is None else quantity / 2,
        market_values=None if values is None else values / 2,
        fills=None
        if fills is None
        else dataclasses.replace(fills, quantity=fills.quantity / 2, fee=fills.fee / 2),
    )
    # Where quantities are held closely they leave on the first day; NAV may take its time.
    limit = tolerances.of_series("quantity")
    at_once = (
        quantity is not None
        and limit is not None
        and limit.share == 1.0
        and bool((np.abs(quantity[first]) / 2 > limit.atol + limit.rtol * pair.quantity_scale).any())
    )
    return Perturbation(what, None, now, str(baseline.sessions[first]), or_later=not at_once)


def _first_held(result: RunResult) -> int | None:
    """Row at which positions or fills begin; 0 where neither is known; ``None`` where there are none."""
    known = [series for series in (result.quantity, result.market_values) if series is not None]
    begun = [int((series != 0).any(axis=1).argmax()) for series in known if (series != 0).any()]
    if result.fills is not None and len(result.fills):
        begun.append(int(np.searchsorted(result.sessions, result.fills.session[0])))
    if begun:
        return min(begun)
    return None if known or not len(result.nav) or (result.nav == result.nav[0]).all() else 0


def _without(result: RunResult, row: int) -> RunResult:
    def rest(values: FloatArray | None) -> FloatArray | None:
        return None if values is None else np.delete(values, row, axis=0)

    return dataclasses.replace(
        result,
        sessions=np.delete(result.sessions, row),
        nav=np.delete(result.nav, row),
        cash=rest(result.cash),
        quantity=rest(result.quantity),
        market_values=rest(result.market_values),
    )


def _metrics_of_nav(result: RunResult, nav: FloatArray, capital: float) -> dict[str, MetricValue]:
    """Every metric, as if ``nav`` were all there is: nothing held, nothing traded."""
    nothing = np.zeros((len(nav), 0))
    alone = EngineResult.of(
        sessions=result.sessions,
        assets=(),
        nav=nav,
        cash=nav,
        quantity=nothing,
        mark=nothing,
        start_cash=capital,
    )
    return dict(compute_metrics(alone, Books(alone)).values)


def _agree(worked_out: MetricValue, accepted: MetricValue) -> bool:
    if isinstance(worked_out, int | float) and isinstance(accepted, int | float):
        return math.isclose(worked_out, accepted, rel_tol=_SAME, abs_tol=1e-12)
    return worked_out == accepted


def _let_by_share(check: str, limit: Limit) -> str:
    return (
        f"checks.{check} lets {(1.0 - limit.share) * 100:g} % of the sessions be any distance away; "
        "give it none_beyond"
    )
