"""The end of a batch: folded from its records into facts, summary files and a few lines."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.baselines.headline import signed_money
from pytest_finbot.baselines.waivers import expired
from pytest_finbot.contracts import BatchStatus
from pytest_finbot.reports.compared import compared_lines
from pytest_finbot.reports.coverage_facts import CoverageTally
from pytest_finbot.reports.facts import BatchFacts, GateFacts, WaiverFacts
from pytest_finbot.reports.making import ReportMaker
from pytest_finbot.reports.phase_facts import PhaseTally
from pytest_finbot.reports.ranking import Configurations
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.summary import write_summary
from pytest_finbot.reports.words import spent
from pytest_finbot.session.comparing import compare_all
from pytest_finbot.session.sharding import shard_facts, shard_lines
from pytest_finbot.session.stitching import stitch_all

if TYPE_CHECKING:
    from pytest_finbot.baselines.accept import Change
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.config.sharing import Share
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.reports.report import Report
    from pytest_finbot.reports.stitched import StitchedFacts
    from pytest_finbot.session.attempt import OpenBatch
    from pytest_finbot.session.comparing import PlannedComparison
    from pytest_finbot.session.gate import BatchGate, FailOn
    from pytest_finbot.session.stitching import PlannedPart


MOST_SHOWN = 20
"""Moves that fail nothing that the terminal lists one by one."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What the terminal says of a batch when the session ends."""

    name: str
    status: BatchStatus | None
    facts: BatchFacts | None = None
    reports: dict[str, Path] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    """Moves that fail nothing, a line each."""
    failure: str | None = None
    profiled: bool = False
    report: Report | None = None
    """The facts, and its runs."""
    share: Share | None = None
    """Which share of the batch file's runs this was, where it was not all of them."""
    nothing: str = "no run was selected"
    """Why there are no facts, where that is no failure."""

    @classmethod
    def nothing_selected(cls, name: str) -> Finished:
        return cls(name, None)

    @classmethod
    def left_out(cls, name: str, why: str) -> Finished:
        """A batch of which nothing was to be run, as the slices that were asked for have it."""
        return cls(name, None, nothing=why)

    @classmethod
    def before_any_run(cls, name: str, runs: int, why: str) -> Finished:
        """Ended before it was known which runs are selected."""
        return cls(name, None, failure=f"{why} before the first run; none of its {runs:,} runs was run")

    @classmethod
    def without_summary(cls, name: str, why: str) -> Finished:
        """Nothing can be said for sure of a batch whose end could not be worked out or written."""
        return cls(name, None, failure=why)

    @property
    def green(self) -> bool:
        """Whether the gate is open, as ``--finbot-fail-on`` would have it."""
        if self.failure is not None:
            return False
        return self.facts is None or self.facts.passes()

    def lines(self) -> Iterator[str]:
        """A few lines of plain text: counts, the gate, where the rest is."""
        facts = self.facts
        if self.failure is not None:
            yield f"{self.name}: the batch could not be summed up, so it is not green: {self.failure}"
            return
        if facts is None:
            yield f"{self.name}: {self.nothing}; nothing was recorded"
            return
        counts = [f"{facts.success} of {facts.expected} runs succeeded"]
        if facts.failed:
            categories = ", ".join(f"{n} {name}" for name, n in sorted(facts.error_categories.items()))
            counts.append(f"{facts.failed} failed ({categories})")
        if facts.not_run:
            counts.append(f"{facts.not_run} not run")
        if facts.deselected:
            counts.append(f"{facts.deselected} deselected")
        came_to = "nothing to run" if facts.empty_share else f"{', '.join(counts)}: {facts.status}"
        yield f"{self.name}: {came_to}"
        if self.share is not None:
            for line in shard_lines(self.share):
                yield f"  {line}"
        for problem in facts.problems:
            yield f"  problem: {problem}"
        for note in facts.notes:
            yield f"  note: {note}"
        yield f"  {facts.gate_words}"
        if facts.gate is not None:
            yield from self.shown
            yield from _gate_lines(facts.gate, part=self.share is not None)
        yield from compared_lines(facts.compared)
        if self.green and not facts.passes("any"):
            yield f"  not green, and excused by --finbot-fail-on {facts.fail_on}"
        if self.profiled and facts.time_spent is not None:
            workers = facts.time_spent.workers
            yield f"  time of {workers} worker{'' if workers == 1 else 's'}: {spent(facts.time_spent)}"
            yield f"  profiles in {_short(self.reports['md']).parent / 'runs' / '<run>' / 'profile'}"
        yield f"  batch {facts.batch_id}, summary {_short(self.reports['md'])}"


def _short(path: Path) -> Path:
    """``path`` from the current folder, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _gate_lines(gate: GateFacts, *, part: bool) -> Iterator[str]:
    """``part``: of a batch of which others may use the waivers that this one does not."""
    for run in gate.missing:
        yield (
            f"  missing: {run} has a baseline in {gate.source} and is not in the batch file; "
            f"put it back, or: finbot baseline remove {run}"
        )
    for waiver in gate.waivers:
        if waiver.state == "expired" or (waiver.state == "unused" and not part):
            why = "expired" if waiver.state == "expired" else "matches nothing that moved"
            yield (
                f"  waiver {why}: {waiver.run} {waiver.check}, until {waiver.expires}, by {waiver.reviewer} "
                f"({waiver.where})"
            )
    for line in (*gate.accepted, *gate.refused):
        yield f"  {line}"
    if gate.unchanged:
        yield f"  unchanged: {gate.unchanged:,} baselines stay as they are"


def finish_batch(
    registry: Registry,
    batch: Batch,
    opened: OpenBatch,
    seconds: float,
    gate: BatchGate,
    changes: Sequence[Change],
    fail_on: FailOn,
    problems: Sequence[str] = (),
    parts: Sequence[PlannedPart] = (),
    comparisons: Sequence[PlannedComparison] = (),
    workers: int | None = None,
    notes: Sequence[str] = (),
    *,
    profiled: bool = False,
) -> Finished:
    """Fold the batch, write its summary and logs into the output folder.

    ``seconds`` is the time since the batch began, ``changes`` what was accepted of it,
    ``problems`` what went wrong with its recording, ``workers`` how many processes were started
    to execute runs, where that is known, ``notes`` what is told of them, ``profiled`` whether they
    were. Raises OSError or RegistryError where the summary cannot be written: a session without a
    summary is not green.
    """
    began = time.perf_counter()
    manifest = registry.manifest(opened.batch_id)
    started_at, provenance, file = manifest["created_at"], manifest["provenance"], manifest["source"]
    maker = ReportMaker(Configurations(manifest), shard_facts(batch.share))
    del manifest  # 10,000 specs
    fold = registry.fold(opened.batch_id)
    now = datetime.now(UTC)
    tally = PhaseTally(since=_stamp(now - timedelta(seconds=seconds)))
    coverage = CoverageTally()
    gone = tuple(_gone(coverage.passing(tally.passing(fold.records())), registry, opened))
    facts = BatchFacts(
        batch_id=opened.batch_id,
        batch_name=batch.batch_name,
        description=batch.description,
        source=batch.path.name,
        status=str(fold.status),
        started_at=started_at,
        finished_at=_stamp(now),
        seconds=round(seconds, 3),
        expected=fold.expected_count,
        recorded=fold.recorded,
        success=fold.success,
        failed=fold.failed,
        not_run=fold.not_run_count,
        deselected=fold.deselected,
        error_categories=fold.error_categories,
        problems=(*problems, *fold.problems, *tally.problems(), *gone, *_not_accepted(fold, changes)),
        notes=(*batch.notes, *notes, *fold.notes, *coverage.notes()),
        provenance=provenance,
        gate=_gate_facts(fold, gate, changes, fail_on) if gate.gated else None,
        unproven=tally.unproven,
        phases=tally.phases(),
        time_spent=tally.time_spent(seconds, workers),
        fail_on=fail_on,
        file=file,
        empty_share=batch.share is not None and batch.share.empty,
    )
    stitched = stitch_all(parts, fold, registry, opened.output)
    compared = compare_all(comparisons, fold, registry)
    unreadable = (f"{one.run} against {one.reference}: {one.why_not}" for one in compared if one.fault)
    facts = dataclasses.replace(
        facts,
        stitched=stitched,
        compared=compared,
        problems=(*facts.problems, *_not_stitched(stitched, fold), *unreadable),
    )
    _copy_logs(registry.logs_folder(opened.batch_id), opened.output / "logs")
    shown: list[str] = []
    if gate.accepts_nothing:
        shown.append(f"  nothing is accepted: --finbot-accept {gate.accept!r} matches no run of this batch")
    rows = _noting(_rows(fold, opened.batch_id, gate.missing), shown)
    report, reports = write_summary(opened.output, facts, rows, maker, began)
    return Finished(
        batch.batch_name,
        fold.status,
        report.batch,
        reports,
        tuple(shown),
        None,
        profiled,
        report=report,
        share=batch.share,
    )


def _stamp(at: datetime) -> str:
    """A time as records have it."""
    return at.isoformat(timespec="milliseconds")


def _not_stitched(stitched: Sequence[StitchedFacts], fold: BatchFold) -> Iterator[str]:
    """Wholes that their parts do not make, although every part succeeded: a fault of its own."""
    if fold.failed or fold.not_run_count:
        return  # which is red already, and mostly why
    for whole in stitched:
        if whole.fault:
            yield f"the parts of {whole.of} cannot be put together: {whole.why_not}"


def _gate_facts(fold: BatchFold, gate: BatchGate, changes: Sequence[Change], fail_on: FailOn) -> GateFacts:
    return GateFacts(
        source=gate.shown,
        fail_on=fail_on,
        verdicts=fold.verdicts,
        missing=gate.missing,
        waivers=tuple(_waivers(fold, gate)),
        accepted=tuple(str(change) for change in changes if change.outcome == "accepted"),
        refused=tuple(str(change) for change in changes if change.outcome == "refused"),
        unchanged=sum(change.outcome == "unchanged" for change in changes),
    )


def _waivers(fold: BatchFold, gate: BatchGate) -> Iterator[WaiverFacts]:
    """Each waiver with its state: in force and used, expired, or of no use to any run of this session."""
    used: set[int] = set()
    if gate.waivers:
        for record in fold.records():
            used.update((record.get("comparison") or {}).get("waivers", ()))
    over = set(expired(gate.waivers, gate.today))
    for number, waiver in enumerate(gate.waivers):
        state = "expired" if waiver in over else "active" if number in used else "unused"
        yield WaiverFacts(
            run=waiver.run,
            check=waiver.check,
            reason=waiver.reason,
            reviewer=waiver.reviewer,
            expires=waiver.expires.isoformat(),
            link=waiver.link,
            state=state,
            where=f"{waiver.file}:{waiver.line}" if waiver.line else waiver.file,
        )


def _not_accepted(fold: BatchFold, changes: Sequence[Change]) -> Iterator[str]:
    """Runs that counted as successes because they were to be accepted, and were not."""
    outcome = {change.run: change for change in changes}
    if not outcome:
        return
    for record in fold.records():
        change = outcome.get(record["name"])
        accepting = (record.get("comparison") or {}).get("accepting", False)
        if accepting and (change is None or change.outcome != "accepted"):
            why = change.words if change is not None else "it left no record"
            yield f"{record['name']} was to be accepted and was not: {why}"


def _gone(records: Iterable[Mapping[str, Any]], registry: Registry, opened: OpenBatch) -> Iterator[str]:
    """Files that records speak of, and that somebody removed meanwhile."""
    gone: list[str] = []
    runs = 0
    for record in records:
        folder = opened.run_folder(record["name"])
        tables = record.get("tables") or {}
        lost = [f"{folder / name}" for name in record.get("artifacts") or () if not (folder / name).exists()]
        lost += [
            f"object {record[name]}"
            for name in ("series", "fills", "marks")
            if record.get(name) and name not in tables and not registry.objects.has(record[name])
        ]
        runs += bool(lost)
        gone += lost[: MOST_SHOWN - len(gone)]
    if runs:
        words = "1 run" if runs == 1 else f"{runs:,} runs"
        yield f"files of {words} are gone that were written during the batch: {', '.join(gone[:3])}, …"


def _noting(rows: Iterator[SummaryRow], shown: list[str]) -> Iterator[SummaryRow]:
    """``rows`` as they are; what moved and fails nothing is noted in ``shown`` as they pass by."""
    left = 0
    for row in rows:
        if row.status == "success" and row.verdict in ("moved", "waived") and not row.comparison["accepting"]:
            if len(shown) < MOST_SHOWN:
                why = "waived" if row.verdict == "waived" else "informational: fails nothing"
                size = (
                    ""
                    if row.final_nav_change is None
                    else f", final NAV {signed_money(row.final_nav_change)}"
                )
                day = f", first on {row.first_session}" if row.first_session else ""
                shown.append(f"  moved ({why}): {row.run}{size}{day}")
            else:
                left += 1
        yield row
    if left:
        shown.append(f"  and {left:,} more that moved and fail nothing")


def _rows(fold: BatchFold, batch_id: str, missing: Sequence[str]) -> Iterator[SummaryRow]:
    """A row per expected run, in the order of the batch file; then the missing ones."""
    for name, record in fold.expected_records():
        yield SummaryRow.not_run(batch_id, name) if record is None else SummaryRow.of_record(record)
    for name in missing:
        yield SummaryRow.missing(batch_id, name)


def _copy_logs(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    if source.is_dir():
        for log in sorted(source.iterdir()):
            shutil.copyfile(log, target / log.name)
