"""Reports of shards put together: one report of the batch, as if one machine had run it all.

Shards that do not belong together are refused: nothing true can be said of them as a whole. What is
missing of those that do is told, and never green.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_finbot.errors import ReportError
from pytest_finbot.registry.fold import batch_status
from pytest_finbot.reports.agreeing import counts_agree, lists_agree
from pytest_finbot.reports.combining_facts import phases, prices, time_spent, waivers, warnings
from pytest_finbot.reports.facts import BatchFacts, GateFacts
from pytest_finbot.reports.report import (
    MOST_CHANGED,
    MOST_FAILED,
    MOST_OTHERS,
    Report,
    RunFacts,
    ShardFacts,
)

MOST_SHARDS: Final = 1_000
_MOST_NAMED: Final = 3
_COMMIT: Final = "git commit"
_DIRTY: Final = "git dirty"


@dataclass(frozen=True, slots=True)
class GivenReport:
    """A shard's report, and what it is called in messages (its file)."""

    source: str
    report: Report


def combine(
    given: Sequence[GivenReport], *, unreadable: Sequence[str] = (), expect: int | None = None
) -> Report:
    """The report of all shards together.

    ``unreadable`` are words on files that should have been reports; ``expect`` is how many shards
    there are to be. Both, and every absent shard, keep it from being green. Raises ReportError where
    the reports are not shards of one batch: another batch, plan, commit, baseline or ``--finbot-fail-on``,
    the same shard twice, or none at all.
    """
    if not given:
        words = "; ".join(unreadable)
        raise ReportError(f"there is no report to combine{f': {words}' if words else ''}")
    shards = sorted((_shard(one) for one in given), key=lambda shard: shard.number)
    _require_one_batch(shards)
    whole = shards[0].facts
    present = tuple(shard.number for shard in shards)
    facts = ShardFacts(whole.count, whole.plan, present, whole.runs)
    batches = [shard.report.batch for shard in shards]
    not_there = sum(whole.runs[number - 1] for number in facts.missing)
    problems = [*unreadable, *_absent(facts), *_problems(shards)]
    if expect is not None and expect != whole.count:
        problems.append(f"{expect:,} shards are expected, and these are of {whole.count:,}")
    return _together(shards, facts, _batch(shards, batches, not_there, tuple(problems), facts))


# --------------------------------------------------------------------- what belongs together


@dataclass(frozen=True, slots=True)
class _Shard:
    source: str
    report: Report
    facts: ShardFacts
    number: int

    @property
    def words(self) -> str:
        return f"shard {self.number}/{self.facts.count}"


def _shard(given: GivenReport) -> _Shard:
    """Raises ReportError for what is not the report of one shard."""
    facts = given.report.shards
    if facts is None:
        raise ReportError(
            f"{given.source} is the report of a whole batch; expected those of its shards (--finbot-shard)"
        )
    if len(facts.present) != 1:
        raise ReportError(f"{given.source} is a report of {facts.words} already; expected one of each shard")
    [number] = facts.present
    sound = 1 <= number <= facts.count <= MOST_SHARDS and len(facts.runs) == facts.count
    if not sound or min(facts.runs) < 0:
        raise ReportError(
            f"{given.source}: what it says of its shard cannot be: number {number} of {facts.count}"
        )
    return _Shard(given.source, given.report, facts, number)


def _require_one_batch(shards: Sequence[_Shard]) -> None:
    """Raises ReportError where ``shards`` are not of one batch, or one of them is there twice."""
    agreed: tuple[tuple[str, Callable[[_Shard], Any]], ...] = (
        ("another batch", lambda shard: shard.report.batch.batch_name),
        ("another number of shards", lambda shard: shard.facts.count),
        ("another commit", lambda shard: shard.report.batch.provenance.get(_COMMIT)),
        ("another plan (batch file, waivers, options or version of pytest-finbot)", _plan),
        ("another baseline", _baseline),
        ("another --finbot-fail-on", lambda shard: shard.report.batch.fail_on),
    )
    first = shards[0]
    for what, value_of in agreed:
        value = value_of(first)
        for shard in shards[1:]:
            if value_of(shard) != value:
                raise ReportError(
                    f"{shard.source} and {first.source} are no shards of one batch: {what}: "
                    f"{_told(value_of(shard))} and {_told(value)}; run all shards anew on the same commit, "
                    "with the same options"
                )
    seen: dict[int, _Shard] = {}
    for shard in shards:
        earlier = seen.setdefault(shard.number, shard)
        if earlier is not shard:
            raise ReportError(f"{shard.words} is there twice: {earlier.source} and {shard.source}; give one")


def _plan(shard: _Shard) -> Any:
    return shard.facts.plan, shard.facts.runs


def _baseline(shard: _Shard) -> str | None:
    gate = shard.report.batch.gate
    return None if gate is None else gate.source


def _told(value: Any) -> str:
    value = value[0][:12] if isinstance(value, tuple) else value
    return "none" if value is None else f"{str(value)[:80]!r}"


# ------------------------------------------------------------------------------ what is wrong


def _absent(facts: ShardFacts) -> Iterator[str]:
    for number in facts.missing:
        size = facts.runs[number - 1]
        runs = f"its {size:,} runs count" if size != 1 else "its run counts"
        told = f"{runs} as not run" if size else "it has no run, and nobody knows that it was asked for"
        yield f"shard {number}/{facts.count} is absent: {told}"


def _problems(shards: Sequence[_Shard]) -> Iterator[str]:
    for shard in shards:
        batch = shard.report.batch
        yield from (f"{shard.words}: {problem}" for problem in batch.problems)
        if batch.status in ("pending", "running"):
            yield f"{shard.words} has not ended: {batch.status}"
        owed = shard.facts.runs[shard.number - 1] - batch.deselected
        if batch.expected != owed or batch.empty_share != (not shard.facts.runs[shard.number - 1]):
            yield f"{shard.words} has {owed:,} runs to run, and its batch expects {batch.expected:,}"
        if not counts_agree(batch):
            yield f"{shard.words}: its counts contradict each other"
        if not lists_agree(shard.report):
            yield f"{shard.words} lists more runs that failed or changed than it counts"
    dirty = {str(shard.report.batch.provenance.get(_DIRTY)) for shard in shards}
    if len(dirty) > 1:
        yield (
            "some shards ran with changes that are not committed, others without: nobody knows whether they "
            "ran the same code"
        )
    names = Counter(run.run for shard in shards for run in _listed(shard.report))
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        some = ", ".join(twice[:_MOST_NAMED]) + (", …" if len(twice) > _MOST_NAMED else "")
        yield f"runs of more than one shard: {some}"


def _code_unknown(shards: Sequence[_Shard]) -> str:
    """Why it cannot be seen that all ran the same code; empty where it can, or where they tell otherwise."""
    first = shards[0].report.batch.provenance
    if len(shards) == 1 or (first.get(_COMMIT) and first.get(_DIRTY) != "yes"):
        return ""
    why = "with changes that are not committed" if first.get(_COMMIT) else "of no commit that is known"
    return f"all shards ran {why}: nobody knows whether they ran the same code"


def _listed(report: Report) -> Iterator[RunFacts]:
    for run in (*report.changed, *report.failed, *report.others):
        if run.status != "missing":  # a baseline whose run is gone is gone for all shards
            yield run


# ----------------------------------------------------------------------------------- together


def _batch(
    shards: Sequence[_Shard],
    batches: Sequence[BatchFacts],
    not_there: int,
    problems: tuple[str, ...],
    facts: ShardFacts,
) -> BatchFacts:
    first = batches[0]

    def total(name: str) -> int:
        return sum(getattr(batch, name) for batch in batches)

    expected, success, failed = total("expected") + not_there, total("success"), total("failed")
    summing_up = [batch.summing_up for batch in batches if batch.summing_up is not None]
    status = batch_status(
        begun=True,
        over=True,
        cancelled=any(batch.status == "cancelled" for batch in batches),
        expected=expected,
        success=success,
        failed=failed,
    )
    notes = dict.fromkeys(
        note if all(note in batch.notes for batch in batches) else f"{shard.words}: {note}"
        for shard, batch in zip(shards, batches, strict=True)
        for note in batch.notes
    )
    if unknown := _code_unknown(shards):
        notes[unknown] = None
    if any(shard.report.rankings for shard in shards):
        notes["runs are ranked in the reports of the shards, each among its own, and not across shards"] = (
            None
        )
    return BatchFacts(
        batch_id=_few(batch.batch_id for batch in batches),
        batch_name=first.batch_name,
        description=first.description,
        source=first.source,
        status=str(status),
        started_at=min(batch.started_at for batch in batches),
        finished_at=max(batch.finished_at for batch in batches),
        seconds=round(sum(batch.seconds for batch in batches), 3),
        expected=expected,
        recorded=total("recorded"),
        success=success,
        failed=failed,
        not_run=total("not_run") + not_there,
        deselected=total("deselected"),
        error_categories=_added(batch.error_categories for batch in batches),
        problems=problems,
        notes=tuple(notes),
        provenance=_provenance([batch.provenance for batch in batches], facts),
        gate=_gate([batch.gate for batch in batches if batch.gate is not None]),
        unproven=total("unproven"),
        phases=phases([batch.phases for batch in batches]),
        time_spent=time_spent([batch.time_spent for batch in batches if batch.time_spent is not None]),
        stitched=tuple(one for batch in batches for one in batch.stitched),
        compared=tuple(one for batch in batches for one in batch.compared),
        fail_on=first.fail_on,
        file=first.file,
        summing_up=round(sum(summing_up), 3) if summing_up else None,
    )


def _gate(gates: Sequence[GateFacts]) -> GateFacts | None:
    if not gates:
        return None
    return GateFacts(
        source=gates[0].source,
        fail_on=gates[0].fail_on,
        verdicts=_added(gate.verdicts for gate in gates),
        missing=tuple(dict.fromkeys(run for gate in gates for run in gate.missing)),
        waivers=waivers([gate.waivers for gate in gates]),
        accepted=tuple(line for gate in gates for line in gate.accepted),
        refused=tuple(line for gate in gates for line in gate.refused),
        unchanged=sum(gate.unchanged for gate in gates),
    )


def _provenance(each: Sequence[Mapping[str, Any]], facts: ShardFacts) -> dict[str, Any]:
    """What the shards say of where they were made; where they differ, some of what they say."""
    keys = dict.fromkeys(key for one in each for key in one)
    told: dict[str, Any] = {key: _few(str(one[key]) for one in each if key in one) for key in keys}
    return {**told, "shards": f"{len(facts.present)} of {facts.count}"}


def _together(shards: Sequence[_Shard], facts: ShardFacts, batch: BatchFacts) -> Report:
    reports = [shard.report for shard in shards]
    changed = [run for report in reports for run in report.changed]
    changed.sort(key=lambda run: -run.distance)
    # A baseline whose run is gone is in each report; missing ones come last, as they do in each.
    bad = [run for report in reports for run in report.failed if run.status != "missing"]
    gone = {run.run: run for report in reports for run in report.failed if run.status == "missing"}
    bad += gone.values()
    others = sorted((run for report in reports for run in report.others), key=lambda run: run.line)

    def left(name: str, listed: int, cap: int) -> int:
        before: int = sum(getattr(report, f"{name}_not_listed") for report in reports)
        return before + max(listed - cap, 0)

    warned, warned_more = warnings(reports)
    return Report(
        batch=batch,
        changed=tuple(changed[:MOST_CHANGED]),
        changed_not_listed=left("changed", len(changed), MOST_CHANGED),
        failed=tuple(bad[:MOST_FAILED]),
        failed_not_listed=left("failed", len(bad), MOST_FAILED),
        others=tuple(others[:MOST_OTHERS]),
        others_not_listed=left("others", len(others), MOST_OTHERS),
        near=sum(report.near for report in reports),
        prices=prices([report.prices for report in reports]),
        warnings=warned,
        warnings_not_listed=warned_more,
        shards=facts,
    )


def _added(each: Iterable[Mapping[str, int]]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for one in each:
        counted.update(one)
    return dict(sorted(counted.items()))


def _few(each: Iterable[str]) -> str:
    """Different ones, the first three named."""
    different = list(dict.fromkeys(each))
    more = len(different) - _MOST_NAMED
    return ", ".join(different[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
