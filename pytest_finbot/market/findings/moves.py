"""Steps of a price that no market made, or that are at least worth a look.

A far step (see :data:`steps.FAR`) is explained by the first of these that fits:

- a split that is stated for that session: raw prices step by it, adjusted ones must not (error);
- two symbols that go to each other's level on one session: their columns are exchanged from
  there on (error). Levels less than a factor 2 apart may be there by chance (odd): among hundreds
  of shares some gain a half on the day that others lose a third. Less than 1.5 is not looked at;
- a power of ten that is taken back within a year: a slipped decimal point, pence for pounds
  (error). No close moves tenfold in a session and back in another;
- any step to five times or a fifth that is also 20 times the symbol's median move and undone within
  5 sessions: a placeholder such as 9999999, a price of something else (error). Shares crash and do
  not recover so in a week;
- near a ratio of splits, not taken back: a split that nobody stated (odd);
- anything else of more than 25 % that is also 20 times the symbol's median move (odd).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from pytest_finbot.contracts import BoolArray, DataFinding, FloatArray, IntArray
from pytest_finbot.market.findings.steps import FAR, Scan, usual_moves
from pytest_finbot.market.findings.words import each, units_for
from pytest_finbot.market.window import Window

SPLITS = np.array([1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0])
"""Units for one, that splits make; their inverses are reverse splits, but for 2 for 3: hardly any
share made one, and gains of a half are real more often."""
TENFOLD = 10.0 ** np.arange(1.0, 7.0)

_ROOM = 1.3
"""A slip is between a power of ten over this and one times this: the session moves the price too."""
_BACK_WITHIN = 252
"""Sessions within which a slip is taken back; after more it may be a split and a reverse one."""
SPIKE = 5.0
"""A step so far, or to less than its inverse, that is undone at once is none of a market."""
_UNDONE_WITHIN = 5
_UNDONE = 1.2
"""Undone is a price at most so many times the one before the step, and at least its inverse …"""
_DRIFT, _MOST_DRIFT = 3.0, 0.3
"""… and more by that many usual moves over the sessions between, up to that fraction."""
_APART, _SURELY_APART = 1.5, 2.0
_OUTLIER = 20.0
_IN_PERCENT = 100.0
"""A step beyond so many times is told as that, not in percent."""
_LIKE_SPLIT = 10.0
"""Times the median move: a step that is less is one of the symbol's own, whatever its ratio."""


class Moves:
    """Far steps of one window's field, and what is left of them to explain.

    ``splits`` [T, N] are stated ones (units for one, 1: none), ``adjusted`` says that the prices
    should contain them. With ``odd`` False only errors are looked for.
    """

    def __init__(
        self, window: Window, scan: Scan, field: str, splits: FloatArray | None, *, adjusted: bool, odd: bool
    ) -> None:
        self._symbols = window.symbols
        self._sessions = window.sessions
        self._prices = scan.prices
        self._field = field
        self._splits = splits
        self._adjusted = adjusted
        self._odd = odd
        self._steps = scan.steps
        columns, place = np.unique(scan.steps.column, return_inverse=True)
        self._usual: FloatArray = usual_moves(scan, columns)[place]

    def findings(self) -> Iterator[DataFinding]:
        """Errors first; a step is told once."""
        if self._splits is not None:
            yield from self._stated(self._splits)
        yield from self._exchanged()
        yield from self._slips()
        yield from self._spikes()
        if self._odd:
            yield from self._like_splits()
            yield from self._outliers()

    # ------------------------------------------------------------------------- errors

    def _stated(self, splits: FloatArray) -> Iterator[DataFinding]:
        steps = self._steps
        units = splits[steps.after, steps.column]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            by_split = (units != 1.0) & (_apart(steps.ratio * units) < np.sqrt(_apart(steps.ratio)))
        if self._adjusted:

            def say(one: int) -> str:
                return f"x{steps.ratio[one]:.4g} on {self._day(one)}, {units_for(units[one])}"

            tells = "adjusted prices step by a split that is stated, and should contain it"
            yield from self._by_symbol("split_not_adjusted", "error", tells, np.flatnonzero(by_split), say)
        self._explained(by_split)

    def _exchanged(self) -> Iterator[DataFinding]:
        steps, prices = self._steps, self._prices
        gone = np.zeros(len(steps), np.bool_)
        exchanges: dict[tuple[int, int], list[tuple[int, int, bool]]] = {}
        wide = np.flatnonzero(_apart(steps.ratio) >= _APART)
        came, went = prices[steps.before, steps.column], prices[steps.after, steps.column]
        wide = wide[np.argsort(steps.after[wide], kind="stable")]
        _, first_of_day = np.unique(steps.after[wide], return_index=True)
        for here in np.split(wide, first_of_day[1:]):
            up, down = here[steps.ratio[here] > 1.0], here[steps.ratio[here] < 1.0]
            if not len(up) or not len(down):
                continue
            # [up, down]: how far each of a pair lands from where the other came from.
            off = np.maximum(
                _apart(went[up][:, None] / came[down][None, :]),
                _apart(went[down][None, :] / came[up][:, None]),
            )
            usual = np.maximum(self._usual[up][:, None], self._usual[down][None, :])
            near = off <= 1.0 + np.clip(6.0 * usual, 0.03, 0.12)
            for first, second in np.argwhere(near).tolist():
                one, other = int(up[first]), int(down[second])
                sure = steps.ratio[one] / steps.ratio[other] >= _SURELY_APART**2
                if gone[one] or gone[other] or not (sure or self._odd):
                    continue
                gone[[one, other]] = True
                pair = min(one, other), max(one, other)
                columns = int(steps.column[pair[0]]), int(steps.column[pair[1]])
                exchanges.setdefault(columns, []).append((*pair, bool(sure)))
        yield from self._told_exchanges(exchanges)
        self._explained(gone)

    def _told_exchanges(
        self, exchanges: dict[tuple[int, int], list[tuple[int, int, bool]]]
    ) -> Iterator[DataFinding]:
        """Of each pair of columns its exchanges, by day: with one, the next that undoes it."""
        steps = self._steps
        came, went = (self._prices[rows, steps.column] for rows in (steps.before, steps.after))
        for (left, right), of_pair in exchanges.items():
            a, b = self._symbols[left], self._symbols[right]
            left_over = of_pair[::-1]
            while left_over:
                one, other, sure = left_over.pop()
                back = None
                if left_over and (steps.ratio[left_over[-1][0]] > 1.0) != (steps.ratio[one] > 1.0):
                    back = left_over.pop()
                until = "on" if back is None else f"on, and back on {self._day(back[0])}"
                message = (
                    f"{a} and {b} ({self._field}): exchanged from {self._day(one)} {until}: {a} goes from "
                    f"{came[one]:.10g} to {went[one]:.10g} and {b} from {came[other]:.10g} to "
                    f"{went[other]:.10g}, each to the other's level"
                )
                sure = sure or (back is not None and back[2])
                severity: Literal["error", "odd"] = "error" if sure else "odd"
                number = 2 if back is None else 4
                yield DataFinding("columns_swapped", severity, message, a, self._day(one), number)

    def _slips(self) -> Iterator[DataFinding]:
        steps = self._steps
        power = _nearest(steps.ratio, TENFOLD)
        # A slip and its way back are next to each other among the symbol's steps by powers of ten.
        tens = np.flatnonzero(_apart(steps.ratio / power) <= _ROOM)
        leaves, returns = tens[:-1], tens[1:]
        stay = steps.after[returns] - steps.after[leaves]
        pairs = np.flatnonzero(
            (steps.column[leaves] == steps.column[returns])
            & np.isclose(power[leaves] * power[returns], 1.0)
            & (stay <= _BACK_WITHIN)
        )
        gone = np.zeros(len(steps), np.bool_)
        returned: dict[int, int] = {}
        for pair in pairs[np.argsort(stay[pairs], kind="stable")].tolist():
            leave, back = int(leaves[pair]), int(returns[pair])
            if not gone[leave] and not gone[back]:
                gone[[leave, back]] = True
                returned[leave] = back

        def say(leave: int) -> str:
            of_symbol = self._prices[:, steps.column[leave]]
            price, before = of_symbol[steps.after[leave]], of_symbol[steps.before[leave]]
            back = self._day(returned[leave])
            slip = f"{_times(power[leave])} on {self._day(leave)}"
            return f"{slip} ({price:.10g} after {before:.10g}, back on {back})"

        numbers = np.array(sorted(returned), np.int64)
        yield from self._by_symbol("price_slip", "error", "prices slipped by a power of ten", numbers, say)
        self._explained(gone)

    def _spikes(self) -> Iterator[DataFinding]:
        steps, usual = self._steps, self._usual
        # In a window of three sessions the usual move may be the spike itself.
        own = _OUTLIER * np.minimum(usual, 1.0)
        far = _apart(steps.ratio) >= np.maximum(SPIKE, 1.0 + own)
        came, went = (
            self._prices[steps.before, steps.column],
            self._prices[steps.after, steps.column],
        )
        back = np.full(len(steps), -1)
        # The step that undoes one is at most so many places later: there is one a session.
        for later in range(1, _UNDONE_WITHIN + 1):
            leaves = np.flatnonzero(far[:-later] & (back[:-later] < 0))
            returns = leaves + later
            stay = steps.after[returns] - steps.after[leaves]
            drift = np.minimum(_DRIFT * usual[leaves] * np.sqrt(np.abs(stay) + 1.0), _MOST_DRIFT)
            undone = (
                (steps.column[leaves] == steps.column[returns])
                & (stay <= _UNDONE_WITHIN)
                & (_apart(went[returns] / came[leaves]) <= _UNDONE + drift)
            )
            back[leaves[undone]] = returns[undone]
        told: list[int] = []
        gone = np.zeros(len(steps), np.bool_)
        for leave in np.flatnonzero(back >= 0).tolist():
            # What lies between is part of the spike, and so is its end.
            if not gone[leave]:
                told.append(leave)
                gone[leave : back[leave] + 1] = True

        def say(leave: int) -> str:
            ratio, until = steps.ratio[leave], self._day(back[leave])
            step = f"{_times(ratio)} on {self._day(leave)}"
            return f"{step} ({went[leave]:.10g} after {came[leave]:.10g}, back on {until})"

        tells = f"steps beyond x{SPIKE:g} that are undone within {_UNDONE_WITHIN} sessions"
        yield from self._by_symbol("price_slip", "error", tells, np.array(told, np.int64), say)
        self._explained(gone)

    # ---------------------------------------------------------------------------- odd

    def _like_splits(self) -> Iterator[DataFinding]:
        steps = self._steps
        units = _nearest(1.0 / steps.ratio, SPLITS)
        units[units == 1.0 / SPLITS[0]] = 0.5
        room = np.clip(2.0 * self._usual, 0.01, 0.04)
        like = (_apart(steps.ratio * units) <= 1.0 + room) & (
            _apart(steps.ratio) - 1.0 > _LIKE_SPLIT * self._usual
        )
        like &= ~self._taken_back(room)

        def say(one: int) -> str:
            return f"x{steps.ratio[one]:.4g} on {self._day(one)}, like {units_for(units[one])}"

        tells = "steps like a split that nobody stated"
        yield from self._by_symbol("split_not_adjusted", "odd", tells, np.flatnonzero(like), say)
        self._explained(like)

    def _taken_back(self, room: FloatArray) -> BoolArray:
        """Steps that a step of the symbol undoes within a month, or that undo one."""
        steps = self._steps
        back = np.zeros(len(steps), np.bool_)
        undoes = (
            (steps.column[:-1] == steps.column[1:])
            & (_apart(steps.ratio[:-1] * steps.ratio[1:]) <= 1.0 + 2.0 * room[1:])
            & (steps.after[1:] - steps.after[:-1] <= 21)
        )
        back[:-1] |= undoes
        back[1:] |= undoes
        return back

    def _outliers(self) -> Iterator[DataFinding]:
        steps = self._steps
        # Over a gap of n sessions a price moves about sqrt(n) times as far as over one.
        usual = np.maximum(FAR - 1.0, _OUTLIER * self._usual) * np.sqrt(steps.after - steps.before)
        far = _apart(steps.ratio) - 1.0 > usual

        def say(one: int) -> str:
            ratio = steps.ratio[one]
            move = f"{100.0 * (ratio - 1.0):+.1f} %" if ratio < _IN_PERCENT else _times(ratio)
            return f"{move} on {self._day(one)}"

        yield from self._by_symbol("jump", "odd", "moves far beyond its usual ones", np.flatnonzero(far), say)

    # ------------------------------------------------------------------------ telling

    def _explained(self, gone: BoolArray) -> None:
        self._steps = self._steps.where(~gone)
        self._usual = self._usual[~gone]

    def _day(self, number: int) -> str:
        return str(self._sessions[self._steps.after[number]])

    def _by_symbol(
        self,
        kind: str,
        severity: Literal["error", "odd"],
        tells: str,
        numbers: IntArray,
        say: Callable[[int], str],
    ) -> Iterator[DataFinding]:
        """One finding a symbol of what ``say`` says of the steps of these ``numbers``, which rise."""
        if not len(numbers):
            return
        columns, first = np.unique(self._steps.column[numbers], return_index=True)
        for column, own in zip(columns.tolist(), np.split(numbers, first[1:]), strict=True):
            symbol = self._symbols[column]
            told = each(own, say)
            message = f"{symbol} ({self._field}): {tells}: {told}"
            yield DataFinding(kind, severity, message, symbol, self._day(int(own[0])), len(own))


def _apart(ratio: FloatArray) -> FloatArray:
    """How far ratios are from 1, the same for x and 1 / x: 1 or more."""
    apart: FloatArray = np.maximum(ratio, 1.0 / ratio)
    return apart


def _times(ratio: float) -> str:
    """``x10``, ``/100``; ``x2.4e+05``."""
    apart = max(ratio, 1.0 / ratio)
    number = f"{apart:.0f}" if apart < 1e7 and abs(apart - round(apart)) < 1e-6 * apart else f"{apart:.4g}"
    return f"{'x' if ratio > 1.0 else '/'}{number}"


def _nearest(ratio: FloatArray, whole: FloatArray) -> FloatArray:
    """Of ``whole`` ratios and their inverses the one nearest to each, by quotient."""
    up = ratio > 1.0
    apart = _apart(ratio)
    best = whole[np.argmin(_apart(apart[:, None] / whole[None, :]), axis=1)]
    nearest: FloatArray = np.where(up, best, 1.0 / best)
    return nearest
