"""What happened to one symbol's values between two sets of data, where one cause explains all of it.

Nothing is guessed: a cause is named only if it explains every value that changed, to
:data:`STEADY` or to what the digits that are written allow; otherwise the changes are told as they
are. With a and b the values of a day in A and in B, and D the first day from which on they agree:

=======================  =====================================================================
``correction``           at most :data:`FEW` values differ
``rounding``             all differences are within half a unit of the last digit
``shifted``              b of each session is a of the session before, or after
``split``                b/a is one ratio n/m of small whole numbers before D
``dividend_restatement`` b/a is one factor, 0.9 to 1 or its inverse, before D: a dividend scales the
                         whole past of adjusted prices, and of no others
``rescaled``             b/a is any other one factor before D
``rebased``              b/a is one factor on all days that both have, but where both are 0, and
                         nothing follows them
``unknown``              none of these
=======================  =====================================================================

Where one goes on after the other ends, a split or dividend in between scales all that both have; D
is then ``None``, and it is said so. A split multiplies a ``volume`` by what it divides prices by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from pytest_finbot.contracts import BoolArray, FloatArray, SessionArray
from pytest_finbot.market.snapshots.digits import NOISE, half_units
from pytest_finbot.market.snapshots.sources import Column

FEW: Final = 3
"""So many changed values are told one by one: any pattern would fit them."""
STEADY: Final = 1e-6
"""Relative: ratios that are no further apart are one ratio."""
_SURE: Final = 1e-3
"""Relative: where rounding leaves the ratio less certain than this, none is named."""
_LARGEST_PART: Final = 10
_LARGEST_RATIO: Final = 100
_NEAR_ONE: Final = 0.9

Cause = Literal[
    "correction",
    "rounding",
    "shifted",
    "split",
    "dividend_restatement",
    "rescaled",
    "rebased",
    "exchanged",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One value on one ``session`` (ISO date); ``None``: there is none."""

    session: str
    a: float | str | None
    b: float | str | None

    def __str__(self) -> str:
        a, b = ("none" if value is None else value for value in (self.a, self.b))
        moved = ""
        if isinstance(a, float) and isinstance(b, float) and a:
            moved = f" ({b / a - 1:+.3%})"
        return f"{self.session}: {a} → {b}{moved}"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """What became of one field of one symbol.

    ``cells`` of the ``compared`` values that both have a day for changed, from ``first`` to
    ``last`` (ISO dates). ``ratio`` is b/a where there is one, ``day`` the first day from which on
    the two agree. ``changes``: those that are told one by one. ``message`` says it all in words.
    """

    symbol: str
    field: str
    cause: Cause
    message: str
    cells: int
    compared: int
    first: str
    last: str
    ratio: float | None = None
    day: str | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Values of one field of one symbol in A and in B [T], on the ``sessions`` that both have.

    ``adjusted``: whether the field is adjusted for dividends; ``None``: nobody says. ``goes_on``:
    whether one of the two has sessions after these.
    """

    symbol: str
    field: str
    sessions: SessionArray
    a: Column
    b: Column
    adjusted: bool | None = None
    goes_on: bool = False


def changed_in(pair: Pair) -> BoolArray:
    """Which values differ at all [T]; no value and no value are the same."""
    if pair.a.dtype == object or pair.b.dtype == object:
        differ: BoolArray = np.array([x != y for x, y in zip(pair.a, pair.b, strict=True)], dtype=bool)
        return differ
    same: BoolArray = (pair.a == pair.b) | (np.isnan(pair.a) & np.isnan(pair.b))
    return ~same


def explain(pair: Pair, limit: int = 10) -> FieldChange | None:
    """What happened to ``pair``; ``None`` where nothing did.

    At most ``limit`` changes are told one by one where nothing explains them.
    """
    changed = changed_in(pair)
    if not changed.any():
        return None
    if pair.a.dtype == object or pair.b.dtype == object:
        return _unexplained(pair, changed, limit)
    infinite: BoolArray = changed & (np.isinf(pair.a) | np.isinf(pair.b))
    if infinite.any():
        return _with_infinite(pair, changed, infinite, limit)
    found = next(_causes(pair, changed), None)
    return found if found is not None else _unexplained(pair, changed, limit)


def _causes(pair: Pair, changed: BoolArray) -> Iterator[FieldChange]:
    both = np.isfinite(pair.a) & np.isfinite(pair.b)
    distance = np.full(len(pair.a), np.inf)
    distance[both] = np.abs(pair.b[both] - pair.a[both])
    beyond = changed & ~(distance <= NOISE * np.maximum(np.abs(pair.a), np.abs(pair.b)))
    if not beyond.any():
        yield _told(pair, "rounding", changed, "the last bits of float64 differ, no more")
        return
    if np.count_nonzero(beyond) <= FEW:
        yield _few(pair, beyond)
        return
    half_a, half_b = half_units(pair.a), half_units(pair.b)
    coarser = np.maximum(half_a, half_b)
    if (distance[beyond] <= coarser[beyond] * (1 + 1e-6)).all():
        most = f"{distance[beyond].max():.3g}"
        yield _told(pair, "rounding", beyond, f"within half a unit of the last digit, at most {most}")
        return
    yield from _shifted(pair, beyond)
    yield from _scaled(pair, beyond, half_a, half_b)


def _with_infinite(pair: Pair, changed: BoolArray, infinite: BoolArray, limit: int) -> FieldChange:
    """Infinite values one by one, for no cause makes them; what explains the others is said first."""
    rows, finite = np.flatnonzero(infinite), ~infinite
    others = replace(pair, sessions=pair.sessions[finite], a=pair.a[finite], b=pair.b[finite])
    rest = explain(others, limit)
    changes = tuple(_change(pair, row) for row in rows[: max(limit, FEW)].tolist())
    cause: Cause = "correction" if len(rows) <= FEW else "unknown"
    message = f"{len(rows):,} value{'' if len(rows) == 1 else 's'} not finite"
    if rest is not None and rest.cause != "rounding":
        cause = rest.cause
    if cause != "unknown":
        more = f" and {len(rows) - len(changes):,} more" if len(rows) > len(changes) else ""
        message += f": {'; '.join(map(str, changes))}{more}"
    if rest is None:
        return _told(pair, cause, changed, message, changes=changes)
    message = f"{rest.message}; besides, {message}"
    changes += rest.changes
    return _told(pair, cause, changed, message, ratio=rest.ratio, day=rest.day, changes=changes)


def _few(pair: Pair, changed: BoolArray) -> FieldChange:
    rows = np.flatnonzero(changed)
    changes = tuple(_change(pair, row) for row in rows.tolist())
    told = "; ".join(map(str, changes))
    return _told(pair, "correction", changed, told, changes=changes)


def _shifted(pair: Pair, changed: BoolArray) -> Iterator[FieldChange]:
    for a, b, where in ((pair.a[:-1], pair.b[1:], "before"), (pair.a[1:], pair.b[:-1], "after")):
        if np.array_equal(a, b, equal_nan=True):
            told = f"B has on each session what A has on the session {where}"
            yield _told(pair, "shifted", changed, told)


def _scaled(pair: Pair, changed: BoolArray, half_a: FloatArray, half_b: FloatArray) -> Iterator[FieldChange]:
    """One factor on all days up to the last change, and none after it."""
    last = int(np.flatnonzero(changed)[-1])
    head = slice(0, last + 1)
    ratios = _one_ratio(pair.a[head], pair.b[head], half_a[head], half_b[head])
    if ratios is None:
        return
    low, high = ratios
    ratio = (low + high) / 2
    # A zero times any factor is a zero: of dividends, most days say nothing.
    whole = not np.nan_to_num(pair.a[last + 1 :]).any()
    day = None if whole else str(pair.sessions[last + 1])
    when = f"before {day}" if day else f"up to {pair.sessions[-1]}, the last day that both have,"
    tolerance = max(high / low - 1, STEADY)
    fits = f"(each value to {tolerance:.1g})"
    if whole and not pair.goes_on:
        told = f"B is {ratio:.8g} of A {when} {fits}; nothing after it shows since when"
        yield _told(pair, "rebased", changed, told, ratio=ratio)
        return
    parts = _simple(low, high)
    if parts is not None:
        n, m = parts
        ratio = n / m
        after, before = (n, m) if pair.field == "volume" else (m, n)
        kind = f"a split of {after} for {before}"
        if after < before:
            kind = f"a reverse split of {after} for {before}, or a split of {before} for {after} undone"
        told = f"{kind}: B is {n}/{m} of A {when} {fits}"
        yield _told(pair, "split", changed, told, ratio=ratio, day=day)
        return
    if pair.adjusted is not False and min(ratio, 1 / ratio) >= _NEAR_ONE:
        size = f"{abs(1 - min(ratio, 1 / ratio)):.2%}"
        what = (
            f"dividends of {size} are in B and not in A"
            if ratio < 1
            else f"dividends of {size} are in A and not in B"
        )
        unsure = "" if pair.adjusted else ", if these are adjusted prices"
        told = f"B is {ratio:.8g} of A {when} {fits}: {what}{unsure}"
        yield _told(pair, "dividend_restatement", changed, told, ratio=ratio, day=day)
        return
    told = f"B is {ratio:.8g} of A {when} {fits}"
    yield _told(pair, "rescaled", changed, told, ratio=ratio, day=day)


def _one_ratio(
    a: FloatArray, b: FloatArray, half_a: FloatArray, half_b: FloatArray
) -> tuple[float, float] | None:
    """Smallest and largest b/a that every day allows, given how a and b are rounded; ``None``: none does."""
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return None
    known = ~np.isnan(a)
    a, b, half_a, half_b = a[known], b[known], half_a[known], half_b[known]
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or (a * b < 0).any():
        return None
    one, other = np.abs(a), np.abs(b)
    exact = _exact_ratio(one, other)
    if exact is not None:
        return exact
    with np.errstate(divide="ignore", invalid="ignore"):
        lows = np.maximum(other - half_b, 0.0) / (one + half_a) * (1 - STEADY / 2)
        highs = np.where(one > half_a, (other + half_b) / (one - half_a), np.inf) * (1 + STEADY / 2)
    # What was none is none still: a zero times any factor.
    highs = np.where((one == 0) & (other <= half_b), np.inf, highs)
    low, high = float(lows.max(initial=0.0)), float(highs.min(initial=np.inf))
    if not 0 < low <= high < np.inf or high / low - 1 > _SURE or low <= 1 <= high:
        return None
    return low, high


def _exact_ratio(one: FloatArray, other: FloatArray) -> tuple[float, float] | None:
    """Smallest and largest quotient of what is not zero, where they are one ratio as the values stand.

    Digits then leave no doubt, provided that more than :data:`FEW` different values agree.
    """
    some = one != 0
    if not np.array_equal(some, other != 0) or len(np.unique(one[some])) <= FEW:
        return None
    with np.errstate(over="ignore"):
        quotients = other[some] / one[some]
    low, high = float(quotients.min()), float(quotients.max())
    if not 0 < low <= high < np.inf or high / low - 1 > STEADY or low <= 1 <= high:
        return None
    return low * (1 - STEADY / 2), high * (1 + STEADY / 2)


def _simple(low: float, high: float) -> tuple[int, int] | None:
    """The ratio n/m of small whole numbers between the two, further than 10 % from 1."""
    found = [
        (n, m)
        for small in range(1, _LARGEST_PART + 1)
        for large in range(small + 1, _LARGEST_RATIO + 1)
        for n, m in ((small, large), (large, small))
        if low <= n / m <= high and min(n / m, m / n) < _NEAR_ONE
    ]
    return min(found, key=sum, default=None)


def _unexplained(pair: Pair, changed: BoolArray, limit: int) -> FieldChange:
    rows = np.flatnonzero(changed)
    cells = f"{len(rows):,} value{'' if len(rows) == 1 else 's'} changed, first {pair.sessions[rows[0]]}"
    if pair.a.dtype != object and pair.b.dtype != object:
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = np.abs(pair.b[rows] / pair.a[rows] - 1)
        if np.isfinite(moved).any():
            largest = _change(pair, int(rows[np.nanargmax(np.where(np.isfinite(moved), moved, -1.0))]))
            cells += f", largest {largest}"
    changes = tuple(_change(pair, row) for row in rows[:limit].tolist())
    return _told(pair, "unknown", changed, cells, changes=changes)


def _told(
    pair: Pair,
    cause: Cause,
    changed: BoolArray,
    message: str,
    *,
    ratio: float | None = None,
    day: str | None = None,
    changes: tuple[Change, ...] = (),
) -> FieldChange:
    rows = np.flatnonzero(changed)
    return FieldChange(
        pair.symbol,
        pair.field,
        cause,
        message,
        cells=len(rows),
        compared=len(pair.sessions),
        first=str(pair.sessions[rows[0]]),
        last=str(pair.sessions[rows[-1]]),
        ratio=ratio,
        day=day,
        changes=changes,
    )


def _change(pair: Pair, row: int) -> Change:
    return Change(str(pair.sessions[row]), _cell(pair.a[row]), _cell(pair.b[row]))


def _cell(value: object) -> float | str | None:
    """``value`` as JSON has it; an infinity, which it has no number for, as text."""
    if value is None or isinstance(value, str):
        return value
    number = float(value)  # type: ignore[arg-type]
    if np.isnan(number):
        return None
    return number if np.isfinite(number) else str(number)
