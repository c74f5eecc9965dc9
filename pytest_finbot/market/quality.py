"""Is a window of prices fit to trade on? Everything that is not, in one error, and what is odd."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from typing import get_args

from pytest_finbot.contracts import DataFinding, FloatArray, PresumedFault
from pytest_finbot.errors import DataError
from pytest_finbot.market.findings.adjustment import adjustment_findings
from pytest_finbot.market.findings.bars import bar_findings
from pytest_finbot.market.findings.booked import Booked, booked_findings
from pytest_finbot.market.findings.dates import EDGE, date_findings, no_session
from pytest_finbot.market.findings.moves import Moves
from pytest_finbot.market.findings.repeats import repeat_findings
from pytest_finbot.market.findings.rounding import rounding_findings
from pytest_finbot.market.findings.stale import stale_findings
from pytest_finbot.market.findings.stated import bad_splits, possible_splits
from pytest_finbot.market.findings.steps import scan
from pytest_finbot.market.findings.unpriced import opens_put_in, unpriced
from pytest_finbot.market.window import Window, immutable, window_of

__all__ = [
    "EDGE",
    "PROBLEMS_TOLD",
    "UnfitPricesError",
    "Window",
    "check_window",
    "findings_of",
    "immutable",
    "window_of",
]

PROBLEMS_TOLD = 10
"""A message names this many problems and counts the rest."""


class UnfitPricesError(DataError):
    """A window that cannot be traded on. ``findings`` are all of it, odd ones too."""

    def __init__(self, message: str, findings: tuple[DataFinding, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


def check_window(
    window: Window,
    calendar: str | None,
    *,
    opens: bool,
    booked: Booked,
    allow: Collection[PresumedFault] = (),
    is_part: bool = False,
) -> tuple[DataFinding, ...]:
    """What is odd about a window. Raise one UnfitPricesError with every reason not to trade on it.

    Closes have to be there, finite and above zero on every session; so do opens where
    ``opens`` says that the run fills at them. The window has to be covered: by the
    calendar's sessions, no more and no fewer, or without a calendar by sessions within 7
    days of either end. What is ``booked`` has to be left out of the closes, and what they leave
    out to be booked. Prices must not show any of the faults of :mod:`findings`; those that are
    told by a pattern can be allowed, and are odd then. What is allowed and not there is odd too, but
    where the window ``is_part`` of a longer run, another part of which may have it.
    """
    found = allowed(findings_of(window, calendar, opens=opens, booked=booked), allow, is_part=is_part)
    problems = [_with_way_out(one) for one in found if one.severity == "error"]
    if not problems:
        return found
    more = len(problems) - PROBLEMS_TOLD
    told = problems[:PROBLEMS_TOLD] + ([f"… and {more} more"] if more > 0 else [])
    raise UnfitPricesError(
        f"{window.table.source}: prices from {window.start} to {window.end} cannot be used:\n"
        + "\n".join(f"  {line}" for line in told),
        found,
    )


def allowed(
    found: tuple[DataFinding, ...], allow: Collection[PresumedFault], *, is_part: bool
) -> tuple[DataFinding, ...]:
    """``found`` with faults of the kinds in ``allow`` as odd ones, which come last.

    An excuse without its fault would hide the next one: unless the window ``is_part`` of a longer
    run, it is told, before all else that is odd.
    """
    if not allow:
        return found
    needed = {one.kind for one in found if one.severity == "error"}
    told = [dataclasses.replace(one, severity="odd") if one.kind in allow else one for one in found]
    unused = [] if is_part else [_unused(kind, found) for kind in sorted(allow) if kind not in needed]
    return tuple(sorted([*unused, *told], key=lambda one: one.severity != "error"))


def _unused(kind: PresumedFault, found: Sequence[DataFinding]) -> DataFinding:
    odd = any(one.kind == kind for one in found)
    why = "what is found of that kind is no more than odd" if odd else "nothing of that kind is found"
    message = f"data.allow: {kind} allows nothing: {why} in these prices; take it out, or it hides the next"
    return DataFinding("allow_unused", "odd", message)


def _with_way_out(one: DataFinding) -> str:
    """What is wrong; and, where it is presumed from a pattern, how to say that it is not."""
    if one.kind not in get_args(PresumedFault):
        return one.message
    return f"{one.message} (if that is what happened: data.allow: [{one.kind}])"


def findings_of(
    window: Window, calendar: str | None, *, opens: bool | None, booked: Booked | None = None
) -> tuple[DataFinding, ...]:
    """Everything wrong or odd about a window: errors first, dates before symbols, then by day.

    Prices that were filled in are neither stale nor moves. ``opens``: whether the run fills at them;
    ``None`` where no run says, and what is wrong about them is odd. ``booked`` is what a run's books take;
    without a run, what the files state is held against the prices, and no more than odd. Raises
    ParameterError for an unknown calendar, DataError for one whose holidays are not recorded for the window.
    """
    if window.first == window.last:
        return (no_session(window),)
    found = [*date_findings(window, calendar), *_of_prices(window, window.table.close, window.table.field)]
    if opens is not False and window.table.open is not None:
        of_opens = _of_opens(window, window.table.open)
        found += of_opens if opens else _of_no_run(of_opens, found)
    found += _of_splits(window, booked)
    found += bar_findings(window)
    found += adjustment_findings(window)
    found += booked_findings(window, booked)
    found += repeat_findings(window, calendar)
    return _sorted(found, window.symbols)


def _of_prices(window: Window, values: FloatArray, field: str) -> Iterator[DataFinding]:
    table = window.table
    observed = None if table.observed is None else window.part(table.observed)
    scanned = scan(window.part(values), observed)
    splits = _splits(window)
    if scanned.fit is not None:
        yield from unpriced(window, scanned.prices, values, field, scanned.fit)
    if len(scanned.steps):
        adjusted = table.field == "adj_close"
        yield from Moves(window, scanned, field, splits, adjusted=adjusted, odd=True).findings()
    yield from stale_findings(window, scanned, field)
    yield from rounding_findings(window, scanned, field)


def _of_opens(window: Window, values: FloatArray) -> Iterator[DataFinding]:
    """Errors of opens, and those put in: what else is odd about them is odd about the closes too."""
    observed = None if window.table.open_observed is None else window.part(window.table.open_observed)
    scanned = scan(window.part(values), observed)
    if scanned.fit is not None:
        yield from unpriced(window, scanned.prices, values, "open", scanned.fit)
    if observed is not None:
        yield from opens_put_in(window, observed)
    if len(scanned.steps):
        adjusted = window.table.field == "adj_close"
        yield from Moves(window, scanned, "open", _splits(window), adjusted=adjusted, odd=False).findings()


def _of_no_run(of_opens: Iterator[DataFinding], of_closes: Sequence[DataFinding]) -> list[DataFinding]:
    """``of_opens`` as odd: a run may not fill at them. What is missing beside its close is told there."""
    known = {(one.kind, one.symbol, one.session, one.count) for one in of_closes}
    return [
        dataclasses.replace(
            one, severity="odd", message=f"{one.message}; a run that fills at opens would be refused"
        )
        for one in of_opens
        if (one.kind, one.symbol, one.session, one.count) not in known
    ]


def _of_splits(window: Window, booked: Booked | None) -> Iterator[DataFinding]:
    """Stated splits that cannot be; those that a run books are held against its books elsewhere."""
    if booked is None:
        splits = None if window.table.splits is None else window.part(window.table.splits)
    else:
        splits = booked.splits_left
    if splits is not None:
        yield from bad_splits(window, splits)


def _splits(window: Window) -> FloatArray | None:
    if window.table.splits is None:
        return None
    return possible_splits(window.part(window.table.splits))


def _sorted(found: Sequence[DataFinding], symbols: Sequence[str]) -> tuple[DataFinding, ...]:
    places = {symbol: place for place, symbol in enumerate(symbols)}
    return tuple(
        sorted(
            found,
            key=lambda one: (
                one.severity != "error",
                -1 if one.symbol is None else places[one.symbol],
                one.session or "",
                one.kind,
                one.message,
            ),
        )
    )
