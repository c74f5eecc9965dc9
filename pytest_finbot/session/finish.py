"""The end of a batch: folded from its records into facts, summary files and a few lines."""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.baselines.waivers import expired
from pytest_finbot.errors import RegistryError
from pytest_finbot.reports.facts import BatchFacts, GateFacts, WaiverFacts
from pytest_finbot.reports.folding import Excused, RecordsTally, batch_facts, summary_rows
from pytest_finbot.reports.making import ReportMaker
from pytest_finbot.reports.ranking import Configurations
from pytest_finbot.reports.session_facts import SessionFacts, keep_session
from pytest_finbot.reports.summary import PAGES, write_summary
from pytest_finbot.session.comparing import compare_all
from pytest_finbot.session.finished import Finished
from pytest_finbot.session.sharding import shard_facts
from pytest_finbot.session.stitching import stitch_all

if TYPE_CHECKING:
    from pytest_finbot.baselines.accept import Change
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.reports.report import Report
    from pytest_finbot.reports.stitched import StitchedFacts
    from pytest_finbot.session.attempt import OpenBatch
    from pytest_finbot.session.comparing import PlannedComparison
    from pytest_finbot.session.gate import BatchGate, FailOn
    from pytest_finbot.session.stitching import PlannedPart


_MOST_GONE: Final = 20


def finish_batch(
    registry: Registry,
    batch: Batch,
    opened: OpenBatch,
    session_began: str,
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
    also: Sequence[str] = (),
) -> Finished:
    """Fold the batch, record what only this session knows, write summary and logs into the output folder.

    ``session_began`` is the time of its ``begin`` line, ``seconds`` the time since then, ``changes`` what
    was accepted of it, ``problems`` what went wrong with its recording, ``workers`` how many processes
    were started to execute runs, where that is known, ``notes`` what is told of them, ``profiled``
    whether they were, ``also`` which reports were asked for beside the usual ones. Raises OSError or
    RegistryError where the summary cannot be written: a session without a summary is not green. A page
    of it that cannot be made is a problem of the batch.
    """
    began = time.perf_counter()
    manifest = registry.manifest(opened.batch_id)
    shard = shard_facts(batch.share)
    maker = ReportMaker(Configurations(manifest), shard)
    manifest = {
        key: value for key, value in manifest.items() if key not in ("runs", "common")
    }  # 10,000 specs
    fold = registry.fold(opened.batch_id)
    now = datetime.now(UTC)
    tally = RecordsTally(since=_stamp(now - timedelta(seconds=seconds)))
    gone = _Gone(registry, opened)
    stitched = stitch_all(parts, fold, registry, opened.output)
    compared = compare_all(comparisons, fold, registry)
    unreadable = (f"{one.run} against {one.reference}: {one.why_not}" for one in compared if one.fault)
    shown = Excused()

    def facts() -> BatchFacts:
        """What is known when all records have passed; recorded before anything is made of it."""
        session = SessionFacts(
            finished_at=_stamp(now),
            seconds=round(seconds, 3),
            fail_on=fail_on,
            gate=_gate_facts(fold, gate, changes, fail_on) if gate.gated else None,
            problems=(
                *problems,
                *gone.problems(),
                *_not_accepted(fold, changes),
                *_not_stitched(stitched, fold),
                *unreadable,
            ),
            notes=(*batch.notes, *notes),
            stitched=stitched,
            compared=compared,
            time_spent=tally.phases.time_spent(seconds, workers),
            shard=shard,
            empty_share=batch.share is not None and batch.share.empty,
        )
        try:
            keep_session(registry, opened.batch_id, session_began, _stamp(now), session)
        except RegistryError as error:
            why = f"what this session knew could not be recorded: {error}"
            session = dataclasses.replace(session, problems=(*session.problems, why))
        return batch_facts(fold, opened.batch_id, manifest, session, tally)

    def seen(record: Mapping[str, Any]) -> None:
        tally.add(record)
        gone.add(record)

    _copy_logs(registry.logs_folder(opened.batch_id), opened.output / "logs")
    if gate.accepts_nothing:
        shown.lines.append(
            f"  nothing is accepted: --finbot-accept {gate.accept!r} matches no run of this batch"
        )
    rows = shown.passing(summary_rows(fold, opened.batch_id, gate.missing, seen))
    pages = dict(PAGES)
    if "html" in also:
        pages["html"] = lambda folder, report: _write_html(folder, report, registry, fold)
    report, reports = write_summary(opened.output, facts, rows, maker, began, pages)
    return Finished(
        batch.batch_name,
        fold.status,
        report.batch,
        reports,
        tuple(shown.lines),
        None,
        profiled,
        report=report,
        report_seconds=time.perf_counter() - began,
    )


def _write_html(folder: Path, report: Report, registry: Registry, fold: BatchFold) -> Path:
    from pytest_finbot.reports.html import RegistrySeries, write_html

    return write_html(folder, report, RegistrySeries(registry.objects, fold))


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


class _Gone:
    """Files that records speak of, and that somebody removed meanwhile."""

    def __init__(self, registry: Registry, opened: OpenBatch) -> None:
        self._registry, self._opened = registry, opened
        self._runs = 0
        self._gone: list[str] = []

    def add(self, record: Mapping[str, Any]) -> None:
        """Look for the files of one record."""
        folder = self._opened.run_folder(record["name"])
        tables = record.get("tables") or {}
        lost = [f"{folder / name}" for name in record.get("artifacts") or () if not (folder / name).exists()]
        lost += [
            f"object {record[name]}"
            for name in ("series", "fills", "marks")
            if record.get(name) and name not in tables and not self._registry.objects.has(record[name])
        ]
        self._runs += bool(lost)
        self._gone += lost[: _MOST_GONE - len(self._gone)]

    def problems(self) -> Iterator[str]:
        """In a line what is gone, where something is."""
        if self._runs:
            words = "1 run" if self._runs == 1 else f"{self._runs:,} runs"
            first = ", ".join(self._gone[:3])
            yield f"files of {words} are gone that were written during the batch: {first}, …"


def _copy_logs(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    if source.is_dir():
        for log in sorted(source.iterdir()):
            shutil.copyfile(log, target / log.name)
