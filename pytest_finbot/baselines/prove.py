"""Proof that a gate can fail: accepted results made wrong on purpose, and what the comparison says."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pytest_finbot.baselines.align import align
from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.headline import headline
from pytest_finbot.baselines.metrics import limit_of
from pytest_finbot.baselines.perturb import Perturbation, middle, nav_rows, perturbations, shifted, with_nav
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.waivers import waive
from pytest_finbot.contracts import CheckSpec, Limit, Verdict, Waiver
from pytest_finbot.tolerances import Tolerances, tolerances_of

_LEAST, _MOST = 1e-17, 1e2
"""Moves of NAV that are tried, as fractions of it: from below its last place to a hundred times it."""

_NEAR = 1.001
"""Ratio of the least move caught and the largest that was not, at which the search ends."""


class Outcome(StrEnum):
    """What became of one perturbation."""

    CAUGHT = "caught"
    WAIVED = "caught, but waived"
    NOT_HELD = "not held"
    PASSED = "passed"
    WRONG_DAY = "caught in the wrong place"
    FALSE_ALARM = "false alarm"

    @property
    def fails(self) -> bool:
        return self in (Outcome.PASSED, Outcome.WRONG_DAY, Outcome.FALSE_ALARM)


@dataclass(frozen=True, slots=True)
class Trial:
    """One perturbation (``what``, of ``check``) and its outcome, with the details in ``words``."""

    what: str
    check: str | None
    outcome: Outcome
    words: str


@dataclass(frozen=True, slots=True)
class SmallestMove:
    """The smallest move of NAV, up or down, that is caught: fractions of NAV at ``session``.

    ``one_session``: there alone, ``to_the_end``: from there on; infinite where none is caught.
    ``one_session`` is ``None`` where no limit holds NAV from day to day.
    """

    session: str
    nav: float
    """By what the move is measured there (currency)."""
    one_session: float | None
    to_the_end: float

    @property
    def fraction(self) -> float:
        """The larger of the two: any such move is caught from here on."""
        return max(self.one_session or 0.0, self.to_the_end)

    @property
    def money(self) -> float:
        return self.fraction * self.nav


@dataclass(frozen=True, slots=True)
class Proof:
    """One run's gate, tried. ``smallest`` is ``None`` where the baseline has no NAV to move."""

    run: str
    informational: bool
    trials: tuple[Trial, ...]
    smallest: SmallestMove | None
    widest: float
    """Move of NAV, a fraction, that must be caught at the latest."""

    def count(self, outcome: Outcome) -> int:
        return sum(trial.outcome is outcome for trial in self.trials)

    @property
    def caught(self) -> int:
        """Perturbations that were caught as they must be, also those that a waiver excuses."""
        return self.count(Outcome.CAUGHT) + self.count(Outcome.WAIVED)

    @property
    def tried(self) -> int:
        return len(self.trials) - self.count(Outcome.NOT_HELD)

    @property
    def too_wide(self) -> bool:
        # The search tells the least move caught, which is a little above the limit itself.
        return self.smallest is None or self.smallest.fraction > self.widest * _NEAR

    @property
    def fails(self) -> bool:
        return self.too_wide or any(trial.outcome.fails for trial in self.trials)


def prove(
    run: str,
    baseline: RunResult,
    checks: CheckSpec,
    capital: float,
    *,
    waivers: Sequence[Waiver] = (),
    today: date = date.max,
    widest: float = 0.1,
) -> Proof:
    """Make the accepted result of ``run`` wrong in every way, and see what its gate says.

    ``checks`` and ``waivers`` (as of ``today``) are the run's own, ``capital`` (currency) what
    it starts with. ``widest``, a fraction: a move of NAV that must be caught.
    """
    tolerances = tolerances_of(checks)
    trials = [_unchanged(baseline, tolerances)]
    for tried in perturbations(baseline, tolerances, capital):
        if tried.now is None:
            trials.append(Trial(tried.what, tried.check, Outcome.NOT_HELD, tried.not_held))
            continue
        compared = compare(tried.now, baseline, tolerances)
        outcome, words = _outcome(tried, compared, tolerances)
        if outcome is Outcome.CAUGHT:
            left = waive(compared, run, waivers, today)
            if left.verdict is Verdict.WAIVED:
                outcome, words = Outcome.WAIVED, "; ".join(left.waived_by)
        trials.append(Trial(tried.what, tried.check, outcome, words))
    return Proof(
        run,
        tolerances.informational,
        tuple(trials),
        smallest_move(baseline, tolerances, capital),
        widest,
    )


def smallest_move(baseline: RunResult, tolerances: Tolerances, capital: float) -> SmallestMove | None:
    """Search, with the comparison itself, for the smallest move of NAV that it calls moved.

    NAV alone is moved where a limit holds it. Where none does, only metrics can tell, and
    they follow the NAV; then a single session is nothing that anyone asked to be held.
    """
    rows = nav_rows(baseline)
    if not len(rows):
        return None
    row, scale = middle(rows), align(baseline, baseline).scale
    by_day = tolerances.of_series("nav") is not None

    def caught(fraction: float, where: slice) -> bool:
        for sign in (1.0, -1.0):
            nav = shifted(baseline.nav, sign * fraction * scale, where)
            now = dataclasses.replace(baseline, nav=nav) if by_day else with_nav(baseline, nav, capital)
            if compare(now, baseline, tolerances).verdict is not Verdict.MOVED:
                return False
        return True

    return SmallestMove(
        session=str(baseline.sessions[row]),
        nav=float(scale[row]),
        one_session=_search(lambda fraction: caught(fraction, slice(row, row + 1))) if by_day else None,
        to_the_end=_search(lambda fraction: caught(fraction, slice(row, None))),
    )


def _search(caught: Callable[[float], bool]) -> float:
    """The least fraction that is caught, to a thousandth of itself; infinite where none is."""
    low, high = _LEAST, _MOST
    if not caught(high):
        return math.inf
    while high / low > _NEAR:
        between = math.sqrt(low * high)
        if caught(between):
            high = between
        else:
            low = between
    return high


def _unchanged(baseline: RunResult, tolerances: Tolerances) -> Trial:
    """A gate that fails on everything proves nothing either."""
    compared = compare(copy.deepcopy(baseline), baseline, tolerances)
    if compared.verdict is Verdict.IDENTICAL:
        return Trial("nothing changed", None, Outcome.CAUGHT, "identical")
    return Trial("nothing changed", None, Outcome.FALSE_ALARM, headline(compared))


def _outcome(tried: Perturbation, compared: Comparison, tolerances: Tolerances) -> tuple[Outcome, str]:
    moved = [check.name for check in compared.moved_checks]
    if compared.verdict is not Verdict.MOVED or (tried.check is not None and tried.check not in moved):
        return Outcome.PASSED, _why_passed(tried, compared, tolerances)
    first = compared.first_session
    later = tried.or_later and first is not None and tried.session is not None and first > tried.session
    if first != tried.session and not later:
        return Outcome.WRONG_DAY, f"first session {first}, expected {tried.session}"
    if tried.asset is not None:
        fill = compared.first_fill
        named = [position.asset for position in compared.positions]
        if tried.check == "fills":
            named = [] if fill is None or fill.baseline is None else [fill.baseline.asset]
        if named != [tried.asset]:
            return Outcome.WRONG_DAY, f"names {', '.join(named) or 'no asset'}, expected {tried.asset}"
    by = ", ".join(moved[:4]) + (f" and {len(moved) - 4} more" if len(moved) > 4 else "")
    return Outcome.CAUGHT, f"by {by}" + ("" if first is None else f", first on {first}")


def _why_passed(tried: Perturbation, compared: Comparison, tolerances: Tolerances) -> str:
    said = f"verdict {compared.verdict}"
    if tried.check is None:
        return f"{said}: no limit of this run sees it (preset {tolerances.spec.preset}); give quantity one"
    group, _, metric = tried.check.partition(".")
    limit = limit_of(metric, tolerances) if metric else tolerances.of_series(group)
    return f"{said}; the limit is checks.{tried.check}: {_spelled(limit)}"


def _spelled(limit: Limit | None) -> str:
    if limit is None:
        return "none"
    parts = [f"{key}: {getattr(limit, key):g}" for key in ("rtol", "atol") if getattr(limit, key)]
    if limit.share != 1.0:
        parts.append(f"share: {limit.share:g}")
    if limit.none_beyond is not None:
        parts.append(f"none_beyond: {limit.none_beyond:g}")
    return "{" + (", ".join(parts) or "rtol: 0") + "}"
