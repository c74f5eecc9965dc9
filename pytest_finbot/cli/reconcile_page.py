"""``finbot reconcile`` as text: a line for every run, then the breaks, then what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.cli.show import Page, first_line, number, shown

if TYPE_CHECKING:
    from pytest_finbot.checks.reconcile import AccountFigures, Break
    from pytest_finbot.cli.reconcile_runs import Judged

_LINES: Final = 500
"""Runs that have a line each, those at fault first: a table of 10,000 takes longer than the books."""
_BREAKS: Final = 200
_OF_A_RUN: Final = 20
_WORDS: Final = {
    "clean": "clean",
    "altered": "not as recorded",
    "unknown": "not looked at",
    "other_dates": "other dates",
}


class Report:
    """Gathers what is shown of each run; the runs themselves are let go."""

    def __init__(self) -> None:
        self._runs = 0
        self._faults: list[tuple[int, tuple[object, ...]]] = []
        self._others: list[tuple[int, tuple[object, ...]]] = []
        self._figures: list[tuple[object, ...]] = []
        self._breaks: list[tuple[object, ...]] = []
        self._reasons: list[str] = []
        self._reason_count = 0
        self._break_count = 0

    def add(self, judged: Judged) -> None:
        """Take from a run what will be shown of it."""
        self._runs += 1
        lines = self._faults if judged.fault else self._others
        if len(lines) < _LINES:
            lines.append((self._runs, _line(judged)))
        found = judged.found
        if found is not None:
            self._break_count += found.break_count
            room = min(_OF_A_RUN, _BREAKS - len(self._breaks))
            self._breaks += [_row_of(judged.name, each) for each in found.breaks[:room]]
            if found.figures is not None and len(self._figures) < _LINES:
                self._figures.append((judged.name, *_figures(found.figures)))
        for reason in _reasons(judged):
            self._reason_count += 1
            if len(self._reasons) < _BREAKS:
                self._reasons.append(f"{judged.name}: {reason}")

    def show(self, head: str, *, pager: bool) -> None:
        """All of it, under ``head``."""
        listed = sorted([*self._faults, *self._others[: _LINES - len(self._faults)]])
        lines = [line for _, line in listed]
        page = Page(pager=pager)
        page.line(head, style="bold")
        page.table(
            ("RUN", "STATE", "SESSIONS>", "WORST>", "RELATIVE>", "IDENTITY", "DATE"),
            lines,
            optional=("SESSIONS", "RELATIVE"),
        )
        if len(lines) < self._runs:
            page.line(f"  and {self._runs - len(lines):,} more runs; --json has them all")
        if self._figures:
            page.heading("figures of that date, in currency")
            page.table(
                (
                    *("RUN", "CASH>", "LONG>", "SHORT>", "MARKET VALUE>", "NAV>", "DERIVED CASH>"),
                    *("P&L>", "FLOWS>"),
                ),
                self._figures,
            )
        if self._breaks:
            page.heading("breaks")
            page.table(
                ("RUN", "DATE", "IDENTITY", "ASSET", "SAID>", "FOLLOWS>", "RESIDUAL>", "LIMIT>"), self._breaks
            )
            left = self._break_count - len(self._breaks)
            if left:
                page.line(
                    f"  and {left:,} more; --json has more of them, --run NAME --date D all of a session"
                )
        if self._reasons:
            page.heading("also")
            for reason in self._reasons:
                page.line(f"  {shown(reason)}")
            if len(self._reasons) < self._reason_count:
                page.line(f"  and {self._reason_count - len(self._reasons):,} more; --json has them all")
        page.show()


def _line(judged: Judged) -> tuple[object, ...]:
    """The run's line: its state, and its worst residual where there is one."""
    found = judged.found
    if found is None:
        return (judged.name, _WORDS[judged.state], *[None] * 5)
    state = _WORDS[judged.state] if found.clean else f"{found.break_count:,} breaks"
    worst = found.worst
    identity, session = (None, None) if worst.residual == 0.0 else (worst.name, worst.session)
    if found.breaks:  # where it began: what it led to later may be larger
        identity, session = found.breaks[0].identity, found.breaks[0].session
    return (
        *(judged.name, "1 break" if found.break_count == 1 else state, f"{found.sessions:,}"),
        *(_size(worst.residual), _size(worst.relative), identity, session),
    )


def _reasons(judged: Judged) -> Iterator[str]:
    """What is to be said of the run besides its figures."""
    if judged.altered:
        yield f"its {' and '.join(judged.altered)} in the registry are not as they were recorded"
    if marks := _marks(judged.notes):
        yield marks
    if judged.reason is not None:
        yield first_line(judged.reason, 400)


def _row_of(run: str, each: Break) -> tuple[object, ...]:
    unit = " units" if each.sides == "units" else ""
    return (
        *(run, each.session, each.identity, each.asset),
        *(f"{_money(side)}{unit}" for side in (each.said, each.follows)),
        *(_size(each.residual), _size(each.limit)),
    )


def _figures(figures: AccountFigures) -> tuple[str, ...]:
    return tuple(
        _money(value)
        for value in (
            *(figures.cash, figures.long_market_value, figures.short_market_value, figures.market_value),
            *(figures.nav, figures.derived_cash, figures.pnl, figures.flows),
        )
    )


def _marks(notes: Mapping[str, Any]) -> str:
    """What the record says of positions that were not valued at prices of their session."""
    kinds = {
        "fallback_count": "valued at a price that stood in",
        "look_ahead_count": "valued at a price known only later",
        "unmarked_count": "without a valid mark",
    }
    return ", ".join(
        f"{notes[key]} position{'' if notes[key] == 1 else 's'} {said}"
        for key, said in kinds.items()
        if notes.get(key)
    )


def _money(value: float | None) -> str:
    # What rounds to nothing has no sign.
    return "no number" if value is None else number(round(value, 2) + 0.0, ",.2f") or ""


def _size(value: float | None) -> str:
    """A residual: cents where it has some, powers of ten where it is less."""
    if value is None:
        return "no number"
    return number(value, ",.2f" if abs(value) >= 0.01 or not value else ".2g") or ""
