"""How ``finbot data check`` tells what it found: a table of the sources, then of each what there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_finbot.cli.show import NOTHING, Page, counted, say_json, shown
from pytest_finbot.cli.telling import short

if TYPE_CHECKING:
    from pytest_finbot.cli.checked_prices import Checked
    from pytest_finbot.market.findings.stated import StatedActions

_RUNS: Final = 3
"""Runs that a source names on its line; JSON has all of them."""
_NO_CALENDAR: Final = "without a calendar it is not known whether sessions are missing"


def say(file: Path, checked: Sequence[Checked]) -> None:
    say_json(
        {
            "file": short(file.absolute()),
            "errors": sum(one.count("error") for one in checked),
            "odd": sum(one.count("odd") for one in checked),
            "sources": [one.as_json() for one in checked],
        }
    )


def tell(checked: Sequence[Checked], *, pager: bool) -> None:
    page = Page(pager=pager)
    of_batch = any(one.runs for one in checked)
    columns = ("prices", "field", "calendar", "from", "to", "sessions>", "symbols>", "errors>", "odd>")
    page.table(
        (*columns, "runs") if of_batch else columns,
        [
            (
                one.source,
                one.field,
                one.calendar or NOTHING,
                one.start,
                one.end,
                None if one.sessions is None else f"{one.sessions:,}",
                f"{len(one.symbols):,}" if one.symbols else None,
                f"{one.count('error'):,}",
                f"{one.count('odd'):,}",
                *([_named(one.runs)] if of_batch else []),
            )
            for one in checked
        ],
        optional=("calendar", "symbols", "runs"),
    )
    for one in checked:
        lines = list(_lines(one))
        if lines:
            page.heading(f"{shown(one.source)}, {one.field}, {one.start} to {one.end}")
            for line, style in lines:
                page.line(f"  {shown(line)}", style)
    if of_batch:
        _tell_once(page, checked)
    page.line()
    errors, odd = (sum(one.count(severity) for one in checked) for severity in ("error", "odd"))
    page.line(f"{counted(errors, 'error')}, {odd:,} odd", "red" if errors else "green")
    page.show()


def _named(runs: Sequence[str]) -> str:
    return ", ".join(runs[:_RUNS]) + (f" and {len(runs) - _RUNS:,} more" if len(runs) > _RUNS else "")


def _tell_once(page: Page, checked: Sequence[Checked]) -> None:
    """What is the same for many windows of a batch: of each symbol, by the longest of them."""
    left_out: dict[tuple[str, str], StatedActions] = {}
    for one in checked:
        for action in one.actions if one.take_none else ():
            if action.kind == "dividends" and action.number and action.contained != "all":
                place = (one.source, action.symbol)
                if place not in left_out or left_out[place].number < action.number:
                    left_out[place] = action
    if left_out:
        page.heading("stated dividends that runs do not take")
        for (source, _), action in sorted(left_out.items()):
            page.line(f"  {shown(source)}: {shown(action.message)}")
    unknown = [name for one in checked if one.calendar is None for name in one.runs]
    if unknown:
        page.line()
        page.line(f"{_NO_CALENDAR}: {shown(_named(unknown))}")


def _lines(checked: Checked) -> Iterator[tuple[str, str | None]]:
    """What there is to say of one window; of a batch's nothing where nothing was found."""
    from pytest_finbot.market.table_file import some

    if checked.runs:
        missing = checked.filled
        if not checked.findings and (missing is None or not (missing.filled or missing.dropped)):
            return
        yield f"used by {_named(checked.runs)} for {some(checked.symbols)}", None
    elif checked.calendar is None:
        yield _NO_CALENDAR, None
    for one in checked.findings:
        first, *rest = one.message.splitlines()
        yield f"{one.severity} {one.kind}: {first}", "red" if one.severity == "error" else "yellow"
        for line in rest:
            yield f"    {line.strip()}", None
    filled = checked.filled
    if filled is not None and (filled.filled or filled.dropped):
        prices = sum(filled.filled.values())
        left_out = f"{counted(len(filled.dropped), 'session')} left out"
        what = f"{counted(prices, 'price')} filled in" if prices else left_out
        ahead = ", looking ahead" if filled.look_ahead else ""
        yield f"data.missing: {filled.policy}{ahead}: {what}, the first on {filled.first}", None
    for action in () if checked.runs else checked.actions:
        yield action.message, None
