"""What reports know of runs that were held against another run, the reference, on another engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_finbot.baselines.headline import bp_in_words, fraction_in_words, money, signed_money

NOISE = 1e-12
"""Fraction of NAV below which what is left of a difference is rounding."""
MOST_TOLD = 20
"""Comparisons that the terminal lists one by one."""


@dataclass(frozen=True, slots=True)
class NavApart:
    """NAV of both (currency) on ``session`` (ISO date); ``change`` is the run's less the reference's.

    ``relative`` is that as a fraction of the reference's. ``None`` is no number.
    """

    session: str
    reference: float | None
    run: float | None
    change: float | None
    relative: float | None


@dataclass(frozen=True, slots=True)
class ComparedCheck:
    """A check that is out of its limit, or could not be made."""

    name: str
    message: str
    value: float | None
    limit: float | None


@dataclass(frozen=True, slots=True)
class DifferencePart:
    """What one convention comes to at the end (currency), taken over from the reference's to the run's.

    ``furthest_bp`` is what it comes to where it is most, basis points of NAV on ``furthest_session``.
    """

    name: str
    reference: str
    run: str
    change: float
    furthest_bp: float | None = None
    furthest_session: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedFacts:
    """A run and its reference. Where there is nothing to compare, ``why_not`` says why.

    ``parts`` split the difference in final NAV as far as the built-in engine can show it, ``rest`` is
    what is left (currency): the engine's own. ``same`` are conventions that are the same in both.
    Where it cannot be split, ``why_not_split`` says why.
    """

    run: str
    engine: str
    reference: str
    reference_engine: str
    preset: str
    informational: bool
    verdict: str
    why_not: str | None = None
    fault: bool = False
    """Whether what was recorded cannot be read."""
    first_session: str | None = None
    """The first that is out of tolerance, in ``first_checks``."""
    first_checks: tuple[str, ...] = ()
    apart_since: str | None = None
    """The first session on which NAV differs at all."""
    final: NavApart | None = None
    furthest: NavApart | None = None
    moved: tuple[ComparedCheck, ...] = ()
    fills: int | None = None
    reference_fills: int | None = None
    rejected_orders: int | None = None
    reference_rejected_orders: int | None = None
    parts: tuple[DifferencePart, ...] = ()
    rest: float | None = None
    same: tuple[str, ...] = ()
    why_not_split: str | None = None
    notes: tuple[str, ...] = ()
    """What else to know before the two are taken for comparable."""

    @property
    def fails(self) -> bool:
        """Whether it closes the gate."""
        return not self.informational and self.verdict in ("moved", "not_comparable")

    @property
    def own(self) -> float | None:
        """``rest`` for people: what is only rounding of the sums before it is nothing."""
        if self.rest is None or self.final is None or self.final.reference is None:
            return self.rest
        return 0.0 if abs(self.rest) <= NOISE * abs(self.final.reference) else self.rest


def compared_lines(compared: Sequence[ComparedFacts]) -> Iterator[str]:
    """For the terminal: what fails first, then what is out of tolerance, then the rest."""
    order = sorted(compared, key=lambda one: (not one.fails, one.verdict not in ("moved", "not_comparable")))
    for facts in order[:MOST_TOLD]:
        yield from _lines(facts)
    if len(order) > MOST_TOLD:
        yield f"  and {len(order) - MOST_TOLD:,} more compared with another run"


def _lines(facts: ComparedFacts) -> Iterator[str]:
    sides = f"{facts.run} ({facts.engine}) against {facts.reference} ({facts.reference_engine})"
    verdict = facts.verdict.replace("_", " ")
    if verdict not in ("identical", "within"):
        verdict += " (fails the gate)" if facts.fails else " (informational: fails nothing)"
    if facts.why_not is not None:
        yield f"  {sides}: {verdict}: {facts.why_not}"
        return
    said = [f"  {sides}: {verdict}"]
    if facts.final is not None:
        said.append(f"final NAV {in_words(facts.final)}")
    if facts.first_session is not None:
        said.append(f"first out of tolerance on {facts.first_session} ({', '.join(facts.first_checks)})")
    elif facts.moved:
        said.append(f"out of tolerance: {', '.join(check.name for check in facts.moved)}")
    if facts.furthest is not None and facts.furthest.relative is not None:
        said.append(f"furthest apart {bp_in_words(facts.furthest.relative)} on {facts.furthest.session}")
    if facts.fills is not None:
        said.append(f"{facts.fills:,} fills, {facts.reference_fills:,} there")
    yield ", ".join(said)
    for note in facts.notes:
        yield f"    {note}"
    if facts.final is None or not facts.final.change:
        return
    if facts.why_not_split is not None:
        yield f"    cannot be split: {facts.why_not_split}"
    elif facts.own is not None:
        parts = [f"{part.name} {signed_money(part.change)}" for part in facts.parts]
        own = f"the engine's own {signed_money(facts.own)}"
        yield f"    of {signed_money(facts.final.change)}: {', '.join((*parts, own))}"


def in_words(apart: NavApart) -> str:
    """``1,000.00 → 1,010.00 (+10.00, +1.00 %, +100.0 bp)``: the reference's, then the run's."""
    sides = f"{money(apart.reference)} → {money(apart.run)}"
    if apart.change is None:
        return sides
    relative = "" if apart.relative is None else f", {fraction_in_words(apart.relative)}"
    return f"{sides} ({signed_money(apart.change)}{relative})"
