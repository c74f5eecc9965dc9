"""What a comparison found, as facts: the words are the reports' matter."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_finbot.contracts import Cause, CheckResult, Verdict

if TYPE_CHECKING:
    from pytest_finbot.baselines.results import RunResult

Course = Literal["grows", "stays", "returns"]
"""What a difference in NAV does after its first session, see ``size.course``."""

Judgement = Literal["better", "worse", "changed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two values of one thing in currency, at ``session`` (ISO date).

    ``change`` is now less baseline; ``relative`` is that as a fraction of the baseline's NAV
    of the session. Either is ``None`` where it is no number.
    """

    session: str
    baseline: float | None
    now: float | None
    change: float | None
    relative: float | None

    @classmethod
    def of(cls, session: str, baseline: float, now: float, scale: float) -> Difference:
        """The difference, ``relative`` to ``scale`` (currency, > 0 to be a scale at all)."""
        change = now - baseline
        relative = finite(change / scale) if scale > 0 else None
        return cls(session, finite(baseline), finite(now), finite(change), relative)


@dataclass(frozen=True, slots=True)
class PositionMove:
    """One asset at the first session: market values (currency) and quantities, where known."""

    asset: str
    baseline: float | None
    now: float | None
    baseline_quantity: float | None = None
    now_quantity: float | None = None


@dataclass(frozen=True, slots=True)
class FillFact:
    """One executed trade: signed quantity, price and fee in currency; ``None`` for what is no number."""

    session: str
    asset: str
    quantity: float | None
    price: float | None
    fee: float | None


@dataclass(frozen=True, slots=True)
class FillMove:
    """The first fill, ``number`` from 1 on, that differs; ``None`` on the side that has none."""

    number: int
    baseline: FillFact | None
    now: FillFact | None


@dataclass(frozen=True, slots=True)
class MetricMove:
    """A metric beyond its limit, and whether that is better or worse."""

    name: str
    baseline: float | int | str | None
    now: float | int | str | None
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Curve:
    """Difference in NAV in basis points of the baseline's, at ``sessions`` (ISO dates).

    Where there are many sessions, each point is the one of its stretch that is furthest from the
    baseline. ``None`` is a NAV that is no number on one side only.
    """

    sessions: tuple[str, ...]
    bp: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who answers for a baseline. ``at`` is ISO 8601 in UTC; ``commit`` the revision it was run at."""

    at: str
    by: str
    reason: str
    commit: str


_NO_JSON: Final = ("checks", "baseline")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run against its baseline.

    ``first_session`` is the first that is out of tolerance, in ``first_checks``; where only
    metrics left theirs, the first at which any series differs at all (``first_checks`` is
    then empty). ``positions`` are the assets that differ there, the largest difference first.
    """

    verdict: Verdict
    preset: str
    informational: bool = False
    checks: tuple[CheckResult, ...] = ()
    reason: str | None = None
    """Why there is nothing to compare, where there is not."""
    first_session: str | None = None
    first_checks: tuple[str, ...] = ()
    nav_at_first: Difference | None = None
    cash_at_first: Difference | None = None
    positions: tuple[PositionMove, ...] = ()
    positions_not_listed: int = 0
    first_fill: FillMove | None = None
    largest: Difference | None = None
    """NAV at the session where the two are furthest apart."""
    final: Difference | None = None
    """NAV at the last session of each."""
    course: Course | None = None
    curve: Curve | None = None
    """The difference in NAV over time."""
    metrics: tuple[MetricMove, ...] = ()
    causes: tuple[Cause, ...] = ()
    waived_by: tuple[str, ...] = ()
    """Reason, reviewer and expiry of each waiver that excuses a check, in words."""
    waivers: tuple[int, ...] = ()
    """Numbers, from 0 on, of the batch's waivers that were used."""
    source: str | None = None
    """Where the baseline came from."""
    accepted: Mapping[str, str] | None = None
    """Who accepted the baseline, when, why, at which commit."""
    accepting: bool = False
    """This result is to be accepted: it fails nothing."""
    baseline_metrics: Mapping[str, float | int | str | None] | None = None
    """All metrics of the baseline of a run that moved, in or out of tolerance."""
    baseline: RunResult | None = dataclasses.field(default=None, compare=False, repr=False)
    """What a run that moved was compared with; its JSON does not have it, see :mod:`..kept`."""

    @property
    def moved_checks(self) -> tuple[CheckResult, ...]:
        return tuple(check for check in self.checks if check.verdict is Verdict.MOVED)

    @property
    def fails(self) -> bool:
        """Whether the gate closes on this run."""
        if self.accepting or self.verdict in (Verdict.IDENTICAL, Verdict.WITHIN, Verdict.WAIVED):
            return False
        return not (self.informational and self.verdict is Verdict.MOVED)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without the checks (a record has them) and without what is empty."""
        plain: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in _NO_JSON and value not in (None, (), False, 0, {}):
                plain[field.name] = _plain(value)
        return plain


def why_not_comparable(checks: Iterable[CheckResult]) -> str:
    """The checks that could not be made, each with its reason."""
    said = [f"{check.name}: {check.message}" for check in checks if check.verdict is Verdict.NOT_COMPARABLE]
    return "; ".join(said)


def with_defaults(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison's JSON with every key there: what :meth:`Comparison.to_json` left out is empty."""
    empty: dict[str, Any] = {
        field.name: None if field.default is dataclasses.MISSING else field.default
        for field in dataclasses.fields(Comparison)
        if field.name not in _NO_JSON
    }
    return {**empty, **comparison}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(child) for child in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Verdict):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value


def finite(value: float) -> float | None:
    """``value`` as a plain float; ``None`` where it is no finite number, for which JSON has no word."""
    return float(value) if math.isfinite(value) else None
