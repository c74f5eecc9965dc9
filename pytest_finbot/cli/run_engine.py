"""How an engine of others executed one run, in readable form, and where it differs from its reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

from pytest_finbot.cli.show import number, shown
from pytest_finbot.engines.resolve import OWN

if TYPE_CHECKING:
    from pytest_finbot.cli.show import Page


def tell_engine(record: Mapping[str, Any], page: Page) -> None:
    """The sections on conventions and on the reference; nothing where there is nothing to say."""
    if record.get("engine") != OWN:
        _conventions(_mapping(record.get("native")), page)
    _ladder(_mapping(record.get("ladder")), page)


def _conventions(native: Mapping[str, Any], page: Page) -> None:
    """What the built-in engine does is in its settings; of others, what they do by themselves is not."""
    conventions = _mapping(native.get("conventions"))
    derived = _list(native.get("derived"))
    if not conventions and not derived:
        return
    page.heading("as the engine executes orders")
    page.fields(
        [
            ("fill", conventions.get("fill")),
            ("sized at", conventions.get("sized_at")),
            ("units", conventions.get("units")),
            ("costs", conventions.get("costs")),
            ("cash buffer", conventions.get("cash_buffer") or None),
            ("short of cash", conventions.get("short_of_cash")),
            ("cent", conventions.get("cent") or None),
        ]
    )
    for note in _list(conventions.get("notes")):
        page.line(f"  note: {shown(note)}")
    for what in derived:
        page.line(f"  derived: {shown(what)}")


def _ladder(ladder: Mapping[str, Any], page: Page) -> None:
    """Each step's final NAV of the built-in engine, from the reference's conventions to the run's."""
    if not ladder:
        return
    page.heading(
        f"from the conventions of {shown(ladder.get('reference'))} to its own, by the built-in engine"
    )
    why = ladder.get("why_not")
    if why:
        page.line(f"  cannot be told: {shown(why)}")
        return
    rows: list[tuple[object, ...]] = [
        ("as the reference", None, None, number(ladder.get("final_nav"), ",.2f"), None)
    ]
    before = ladder.get("final_nav")
    for step in map(_mapping, _list(ladder.get("steps"))):
        after = step.get("final_nav")
        change = after - before if _is_number(after) and _is_number(before) else None
        rows.append(
            (
                step.get("step"),
                step.get("reference"),
                step.get("run"),
                number(after, ",.2f"),
                number(change, "+,.2f"),
            )
        )
        before = after
    page.table(("STEP", "REFERENCE", "RUN", "FINAL NAV>", "CHANGE>"), rows)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
