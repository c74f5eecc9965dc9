"""What one run had to do without, in readable form: missing prices, old marks, odd findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.cli.show import number, shown

if TYPE_CHECKING:
    from pytest_finbot.cli.show import Page

_MOST_USES: Final = 20
_MOST_SYMBOLS: Final = 10


def tell_part(part: Mapping[str, Any]) -> str | None:
    """``out of sample 2 of adaptive, its own sessions from 2014-01-02 on``."""
    if not part:
        return None
    kind = str(part.get("kind") or "part").replace("_", " ")
    said = f"{kind} {number(part.get('number'), ',')} of {part.get('of')}"
    own = part.get("own_from")
    return f"{said}, its own sessions from {own} on" if own else said


def tell_prices(record: Mapping[str, Any], page: Page) -> None:
    """The sections on prices, marks and odd findings; nothing where there is nothing to say."""
    notes, marks = record.get("data_notes") or {}, record.get("mark_notes") or {}
    _missing(notes, page)
    _odd(notes, page)
    _uses(marks, page)


def _missing(notes: Mapping[str, Any], page: Page) -> None:
    missing, snapshot = notes.get("missing") or {}, notes.get("snapshot")
    if not missing and not snapshot:
        return
    page.heading("prices")
    filled = missing.get("filled") or {}
    dropped = missing.get("dropped") or ()
    touched = bool(filled or missing.get("dropped_count"))
    page.fields(
        [
            ("snapshot", snapshot),
            ("data.missing", missing.get("policy")),
            ("put in", _filled(filled)),
            ("left out", _dropped(dropped, missing.get("dropped_count")) if dropped else None),
            ("first", missing.get("first")),
            ("nothing", "was missing" if missing and not touched else None),
        ]
    )
    if missing.get("look_ahead") and filled:
        page.line(
            "  LOOK-AHEAD: what was put in was known only later; nobody could have traded on it", style="red"
        )


def _filled(filled: Mapping[str, Any]) -> str | None:
    if not filled:
        return None
    named = [f"{number(count, ',')} of {symbol}" for symbol, count in list(filled.items())[:_MOST_SYMBOLS]]
    more = len(filled) - _MOST_SYMBOLS
    return ", ".join(named) + (f" and {more:,} more symbols" if more > 0 else "")


def _dropped(dropped: Sequence[Any], count: Any) -> str:
    named = ", ".join(str(session) for session in dropped[:_MOST_SYMBOLS])
    sessions = "session" if count == 1 else "sessions"
    return f"{number(count, ',')} {sessions}: {named}{', …' if len(dropped) > _MOST_SYMBOLS else ''}"


def _odd(notes: Mapping[str, Any], page: Page) -> None:
    odd = notes.get("odd") or ()
    if not odd:
        return
    page.heading("odd, and no reason to refuse the prices")
    for finding in odd:
        page.line(f"  {shown(finding.get('kind'))}: {shown(finding.get('message'))}")
    _more(notes.get("odd_count"), len(odd), page)


def _uses(marks: Mapping[str, Any], page: Page) -> None:
    fallbacks, unmarked = marks.get("fallbacks") or (), marks.get("unmarked") or ()
    held = number(marks.get("held"), ",")
    if marks.get("look_ahead_count"):
        page.heading(
            f"{number(marks['look_ahead_count'], ',')} of {held} positions at a price known only later"
        )
    if fallbacks:
        count = marks.get("fallback_count")
        page.heading(f"{number(count, ',')} of {held} positions at a price that stands in")
        page.table(
            ("SESSION", "ASSET", "PRICE OF", "TRADING SESSIONS OLD>"),
            [
                (*(use.get("session"), use.get("asset"), use.get("from_session")), use.get("age"))
                for use in fallbacks[:_MOST_USES]
            ],
        )
        _more(count, min(len(fallbacks), _MOST_USES), page)
    if unmarked:
        count = marks.get("unmarked_count")
        page.heading(f"{number(count, ',')} of {held} positions without a valid mark")
        page.table(
            ("SESSION", "ASSET", "WHY"),
            [(each.get("session"), each.get("asset"), each.get("why")) for each in unmarked[:_MOST_USES]],
        )
        _more(count, min(len(unmarked), _MOST_USES), page)


def _more(count: Any, told: int, page: Page) -> None:
    if isinstance(count, int) and count > told:
        page.line(f"  and {count - told:,} more")
