"""Whether what is held is valued at prices that are fresh enough."""

from __future__ import annotations

from pytest_finbot.contracts import CheckResult, MarkSpec, Verdict
from pytest_finbot.valuation.marks import Marks


def check_marks(marks: Marks, spec: MarkSpec) -> CheckResult:
    """The verdict on the marks of a run: ``value`` is the fraction of positions without a valid one.

    Identical where every held position has a price of its own session, within where earlier
    prices stand in or no more than ``spec.max_unmarked`` have none, an error above that.
    """
    share = marks.share_unmarked
    if marks.unmarked_count:
        first = marks.unmarked[0]
        verdict = Verdict.ERROR if share > spec.max_unmarked else Verdict.WITHIN
        message = (
            f"{_positions(marks.unmarked_count)} of {marks.held:,} held ({_percent(share)}) "
            f"{'has' if marks.unmarked_count == 1 else 'have'} no valid mark, "
            f"{'more than' if verdict is Verdict.ERROR else 'within'} "
            f"the {_percent(spec.max_unmarked)} allowed: "
            f"first {first.asset} on {first.session}: {first.why}"
        )
        others = [said for said in (_fallbacks(marks), _look_ahead(marks)) if said]
        return CheckResult(
            "marks",
            verdict,
            "; ".join([message, *others]),
            share,
            spec.max_unmarked,
            first.session,
            first.asset,
        )
    if marks.fallback_count or marks.look_ahead_count:
        named = marks.fallbacks[0] if marks.fallbacks else None
        return CheckResult(
            "marks",
            Verdict.WITHIN,
            "; ".join(said for said in (_fallbacks(marks), _look_ahead(marks)) if said),
            0.0,
            spec.max_unmarked,
            None if named is None else named.session,
            None if named is None else named.asset,
        )
    return CheckResult(
        "marks", Verdict.IDENTICAL, "every held position has a fresh mark", 0.0, spec.max_unmarked
    )


def _fallbacks(marks: Marks) -> str:
    if not marks.fallback_count:
        return ""
    first = marks.fallbacks[0]
    if first.age == 0:
        told = "the market's close, for want of a mark from the engine"
    else:
        told = f"that of {first.from_session}, {first.age} trading session{'' if first.age == 1 else 's'} old"
    return (
        f"{_positions(marks.fallback_count)} of {marks.held:,} held "
        f"{'is' if marks.fallback_count == 1 else 'are'} valued at a price that stands in: first "
        f"{first.asset} on {first.session} at {told}"
    )


def _look_ahead(marks: Marks) -> str:
    if not marks.look_ahead_count:
        return ""
    return (
        f"{_positions(marks.look_ahead_count)} of {marks.held:,} held "
        f"{'is' if marks.look_ahead_count == 1 else 'are'} valued at a price known only later"
    )


def _percent(fraction: float) -> str:
    """As reports spell it: ``0.54 %``."""
    return f"{fraction * 100:.2f} %"


def _positions(count: int) -> str:
    return f"{count:,} position{'' if count == 1 else 's'}"
