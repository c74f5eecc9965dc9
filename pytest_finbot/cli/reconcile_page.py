"""``finbot reconcile`` as text: a line for every run, then the breaks, then what was not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_finbot.cli.show import Page, first_line, number, shown

if TYPE_CHECKING:
    from pytest_finbot.checks.reconcile import AccountFigures, Break
    from pytest_finbot.cli.reconcile_runs import Judged

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
        self._rows: list[tuple[object, ...]] = []
        self._figures: list[tuple[object, ...]] = []
        self._breaks: list[tuple[object, ...]] = []
        self._reasons: list[str] = []
        self._break_count = 0

    def add(self, judged: Judged) -> None:
        """Take from a run what will be shown of it."""
        found = judged.found
        if found is None:
            self._rows.append((judged.name, _WORDS[judged.state], *[None] * 5))
        else:
            worst = found.worst
            where = worst.session if worst.residual != 0.0 else None
            state = f"{found.break_count:,} breaks" if not found.clean else _WORDS[judged.state]
            self._rows.append(
                (
                    *(judged.name, "1 break" if found.break_count == 1 else state, f"{found.sessions:,}"),
                    *(_size(worst.residual), _size(worst.relative), worst.name if where else None, where),
                )
            )
            self._break_count += found.break_count
            room = min(_OF_A_RUN, _BREAKS - len(self._breaks))
            self._breaks += [_row_of(judged.name, each) for each in found.breaks[:room]]
            if found.figures is not None:
                self._figures.append((judged.name, *_figures(found.figures)))
        if judged.altered:
            parts = " and ".join(judged.altered)
            self._reasons.append(f"{judged.name}: its {parts} in the registry are not as they were recorded")
        if judged.reason is not None:
            self._reasons.append(f"{judged.name}: {first_line(judged.reason, 400)}")

    def show(self, head: str, *, pager: bool) -> None:
        """All of it, under ``head``."""
        page = Page(pager=pager)
        page.line(head, style="bold")
        page.table(
            ("RUN", "STATE", "SESSIONS>", "WORST>", "RELATIVE>", "IDENTITY", "DATE"),
            self._rows,
            optional=("SESSIONS", "RELATIVE"),
        )
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
        page.show()


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


def _money(value: float | None) -> str:
    return number(value, ",.2f") or "no number"


def _size(value: float | None) -> str:
    """A residual: cents where it has some, powers of ten where it is less."""
    if value is None:
        return "no number"
    return number(value, ",.2f" if abs(value) >= 0.01 or not value else ".2g") or ""
