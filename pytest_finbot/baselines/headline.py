"""A comparison in one line: what the record's error says, and every report begins with."""

from __future__ import annotations

from pytest_finbot.baselines.facts import Comparison, Difference
from pytest_finbot.contracts import Verdict

_LEAST_BP = 0.05
"""Moves below this are told in the order of their size, not as 0.0 bp."""

_HUGE = 1e15
"""From here on three hundred digits would tell less than six and a power of ten."""


def headline(comparison: Comparison) -> str:
    """``moved: final NAV 612,168.59 → 816,154.12 (+203,985.53, +33.32 %, +3,332.1 bp) since 2015-02-02``."""
    verdict = comparison.verdict
    if verdict is Verdict.NEW:
        return f"new: {comparison.reason}"
    if verdict is Verdict.NOT_COMPARABLE:
        return f"not comparable: {comparison.reason}"
    if verdict not in (Verdict.MOVED, Verdict.WAIVED):
        return str(verdict)
    return f"{verdict}: {_what(comparison)}{_since(comparison)}"


def change_in_words(difference: Difference) -> str:
    """``612,168.59 → 816,154.12 (+203,985.53, +33.32 %, +3,332.1 bp)``."""
    sides = f"{money(difference.baseline)} → {money(difference.now)}"
    if difference.change is None:
        return sides
    relative = "" if difference.relative is None else f", {fraction_in_words(difference.relative)}"
    return f"{sides} ({signed_money(difference.change)}{relative})"


def money(value: float | None) -> str:
    """``612,168.59``; ``no number`` for what is none."""
    if value is None:
        return "no number"
    return f"{value:,.2f}" if abs(value) < _HUGE else f"{value:.6g}"


def signed_money(value: float) -> str:
    """``+203,985.53``; more digits where two would show nothing."""
    if abs(value) >= _HUGE:
        return f"{value:+.6g}"
    return f"{value:+,.2f}" if abs(value) >= 0.005 or value == 0 else f"{value:+.2g}"


def bp_in_words(relative: float) -> str:
    """A fraction as ``+3,332.1 bp``."""
    bp = relative * 1e4
    if abs(bp) >= _HUGE:
        return f"{bp:+.6g} bp"
    return f"{bp:+,.1f} bp" if abs(bp) >= _LEAST_BP or bp == 0 else f"{bp:+.2g} bp"


def fraction_in_words(relative: float) -> str:
    """A fraction as ``+33.32 %, +3,332.1 bp``; as ``+9.5 bp`` below a tenth of a percent."""
    percent = f"{relative * 100:+,.2f} %, " if 1e-3 <= abs(relative) < _HUGE else ""
    return f"{percent}{bp_in_words(relative)}"


def _what(comparison: Comparison) -> str:
    final, largest = comparison.final, comparison.largest
    if final is not None and final.change != 0:
        return f"final NAV {change_in_words(final)}"
    if largest is not None:
        return f"NAV on {largest.session} {change_in_words(largest)}, final NAV unchanged"
    moved = [check.name for check in comparison.checks if check.verdict in (Verdict.MOVED, Verdict.WAIVED)]
    return f"{', '.join(moved[:4])}{' …' if len(moved) > 4 else ''}, NAV unchanged"


def _since(comparison: Comparison) -> str:
    if comparison.first_session is None:
        return ""
    return f", first on {comparison.first_session}"
