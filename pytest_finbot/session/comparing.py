"""Runs held against another run of their batch, which executed the same strategy on another engine.

Done by the controller at the end, from what was recorded: a run's own worker does not know what
the reference came to. What the built-in engine can show of the difference was recorded with the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.baselines.align import align
from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Comparison, Difference
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.series import NOISE, distances
from pytest_finbot.baselines.size import final_difference, largest_difference
from pytest_finbot.baselines.slices import Slice, own_sessions
from pytest_finbot.contracts import CompareSpec, RunSpec, RunStatus, Verdict
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.left_out import left_out
from pytest_finbot.reports.compared import ComparedCheck, ComparedFacts, DifferencePart, NavApart
from pytest_finbot.tolerances import tolerances_of

if TYPE_CHECKING:
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class PlannedComparison:
    """A run, its engine, and what it is held against."""

    run: str
    engine: str
    compare: CompareSpec


class _NotComparableError(Exception):
    """Why there is nothing to compare, in words; ``fault``: what was recorded cannot be read."""

    def __init__(self, why: str, *, fault: bool = False) -> None:
        super().__init__(why)
        self.fault = fault


def planned_comparisons(runs: Iterable[RunSpec]) -> tuple[PlannedComparison, ...]:
    """The runs that are compared with another one, in order."""
    return tuple(
        PlannedComparison(spec.name, spec.engine, spec.compare_with)
        for spec in runs
        if spec.compare_with is not None
    )


def compare_all(
    planned: Sequence[PlannedComparison], fold: BatchFold, registry: Registry
) -> tuple[ComparedFacts, ...]:
    """What came of each comparison whose run was selected.

    Where there is nothing to compare, because one of the two has no good result in this batch, that is
    told as such: it is never taken for a comparison that went well.
    """
    expected = set(fold.expected) if planned else set()
    return tuple(_compared(one, expected, fold, registry) for one in planned if one.run in expected)


def _compared(
    planned: PlannedComparison, expected: set[str], fold: BatchFold, registry: Registry
) -> ComparedFacts:
    spec = planned.compare
    tolerances = tolerances_of(spec.checks)
    none = ComparedFacts(
        run=planned.run,
        engine=planned.engine,
        reference=spec.run,
        reference_engine=spec.engine,
        preset=spec.checks.preset,
        informational=tolerances.informational,
        verdict=str(Verdict.NOT_COMPARABLE),
    )
    records = {record["name"]: record for record in fold.records([planned.run, spec.run])}
    try:
        record, reference = (_good(name, expected, records.get(name)) for name in (planned.run, spec.run))
        now, then = (_result(registry, one) for one in (record, reference))
    except _NotComparableError as error:
        return dataclasses.replace(none, why_not=str(error), fault=error.fault)
    compared = compare(now, then, tolerances)
    if compared.verdict is Verdict.NOT_COMPARABLE:
        return dataclasses.replace(none, why_not=_of_reference(compared.reason or ""))
    final = _apart(final_difference(now, then))
    return dataclasses.replace(
        none,
        verdict=str(compared.verdict),
        first_session=compared.first_session if compared.first_checks else None,
        first_checks=compared.first_checks,
        apart_since=_apart_since(now, then),
        final=final,
        furthest=_apart(largest_difference(align(now, then))),
        moved=tuple(_moved(compared)),
        fills=0 if now.fills is None else len(now.fills),
        reference_fills=0 if then.fills is None else len(then.fills),
        rejected_orders=record.get("rejected_orders") or 0,
        reference_rejected_orders=reference.get("rejected_orders") or 0,
        notes=tuple(_notes(record, reference)),
        **_split(record, spec.run, final),
    )


def _good(name: str, expected: set[str], record: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The record of ``name``, if it is one of a good result."""
    if name not in expected:
        raise _NotComparableError(f"{name} was not selected in this session")
    if record is None:
        raise _NotComparableError(f"{name} was not run")
    if record.get("status") != RunStatus.SUCCESS:
        error = record.get("error") or {}
        said = (str(error.get("message") or "").splitlines() or [""])[0]
        said = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
        raise _NotComparableError(
            f"{name} failed ({error.get('category') or 'unknown'})" + (f": {said}" if said else "")
        )
    if "checks" in left_out(record):
        raise _NotComparableError(f"the checks of {name} were left out (--finbot-phase)")
    if record.get("series") is None:
        raise _NotComparableError(f"{name} gave no result")
    return record


def _result(registry: Registry, record: Mapping[str, Any]) -> RunResult:
    """What was recorded, on the sessions that count."""
    try:
        result = RunResult.of_record(registry.objects, record)
    except RegistryError as error:
        raise _NotComparableError(f"{record['name']} cannot be read: {error}", fault=True) from error
    own_from = (record.get("part") or {}).get("own_from")
    if own_from is None:
        return result
    days = Slice(record["name"], date.fromisoformat(own_from), date.fromisoformat(record["end_date"]))
    # Its metrics are those of its own sessions already.
    return dataclasses.replace(own_sessions(result, days), metrics=result.metrics, undefined=result.undefined)


def _moved(compared: Comparison) -> Iterator[ComparedCheck]:
    for check in compared.moved_checks:
        yield ComparedCheck(check.name, _of_reference(check.message), check.value, check.limit)


def _of_reference(words: str) -> str:
    """Words of a comparison with a baseline, as the reference stands in its place here."""
    return words.replace("the baseline", "the reference")


def _apart(difference: Difference | None) -> NavApart | None:
    if difference is None:
        return None
    one = difference
    return NavApart(one.session, one.baseline, one.now, one.change, one.relative)


def _apart_since(now: RunResult, then: RunResult) -> str | None:
    pair = align(now, then)
    distance = distances(pair.now.nav, pair.baseline.nav)
    if distance is None:
        return None
    rows = np.flatnonzero(distance > NOISE * pair.scale)
    return str(pair.sessions[rows[0]]) if len(rows) else None


def _notes(record: Mapping[str, Any], reference: Mapping[str, Any]) -> Iterator[str]:
    prices = [(one.get("fingerprint") or {}).get("data") or {} for one in (record, reference)]
    if prices[0].get("hash") != prices[1].get("hash"):
        yield "the two did not read the same prices: a difference may be that of the prices alone"
    rejected = reference.get("rejected_orders") or 0
    if rejected:
        orders = "1 order" if rejected == 1 else f"{rejected:,} orders"
        yield f"the reference did not execute {orders}: what that comes to is in the engine's own part"


def _split(record: Mapping[str, Any], reference: str, final: NavApart | None) -> dict[str, Any]:
    """The parts of the difference in final NAV, from what was recorded; or why there are none."""
    ladder = record.get("ladder")
    if ladder is None or ladder.get("reference") != reference:
        return {"why_not_split": "what the built-in engine shows of it was not recorded"}
    if ladder.get("why_not") is not None:
        return {"why_not_split": ladder["why_not"]}
    if final is None or final.change is None:
        return {"why_not_split": "the difference is no number"}
    before, shown, parts = ladder["final_nav"], 0.0, []
    for step in ladder["steps"]:
        change = step["final_nav"] - before
        before, shown = step["final_nav"], shown + change
        parts.append(
            DifferencePart(
                step["step"],
                step["reference"],
                step["run"],
                change,
                step.get("furthest_bp"),
                step.get("furthest_session"),
            )
        )
    return {"parts": tuple(parts), "rest": final.change - shown, "same": tuple(ladder["same"])}
