"""Two recorded batches held against each other, run by run; nothing is executed, nothing recorded."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pytest_finbot.baselines.dependencies import dependencies_of_record
from pytest_finbot.baselines.facts import Comparison
from pytest_finbot.baselines.headline import headline
from pytest_finbot.baselines.judge import Gate
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.slices import slice_of
from pytest_finbot.baselines.sources import BatchSource, acceptable
from pytest_finbot.cli.report_made import deleted
from pytest_finbot.contracts import BatchStatus, CheckResult, RunStatus, Verdict
from pytest_finbot.errors import (
    BaselineError,
    FinbotError,
    NotComparableError,
    RegistryError,
    RegressionError,
)
from pytest_finbot.pipeline.failure import describe
from pytest_finbot.pipeline.validity import compares
from pytest_finbot.registry.fold import batch_status
from pytest_finbot.reports.facts import BatchFacts, GateFacts
from pytest_finbot.reports.folding import RecordsTally, batch_facts
from pytest_finbot.reports.html.series import Sides
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.session_facts import SessionFacts, kept_session

if TYPE_CHECKING:
    from pytest_finbot.contracts import FloatArray
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.reports.report import RunFacts

_UNCHANGED = (Verdict.IDENTICAL, Verdict.WITHIN)


class Against:
    """``batch_id`` held against ``other``, by the checks that its own runs were held to.

    Raises RegistryError where one of the two cannot be read, or both are the same.
    """

    def __init__(self, registry: FilesRegistry, batch_id: str, other: str) -> None:
        if batch_id == other:
            raise RegistryError(f"{other} is the batch itself, and can never differ; name another one")
        self._registry = registry
        self._batch_id = batch_id
        self._fold = registry.fold(batch_id)
        self._own = BatchSource(registry, batch_id)
        self._gate = Gate(BatchSource(registry, other))
        self._others = registry.fold(other)
        self._judged: dict[str, dict[str, Any]] = {}
        """What each run's record says otherwise here."""
        self._missing = tuple(name for name in self._others.expected if name not in set(self._fold.expected))

    def facts(self, manifest: Mapping[str, Any]) -> BatchFacts:
        """The batch as a whole: every run is judged."""
        tally = RecordsTally()
        categories: Counter[str] = Counter()
        verdicts: Counter[str] = Counter()
        for record in tally.phases.passing(self._fold.records()):
            said = self._judged[record["name"]] = self._judge(record)
            if said["status"] == RunStatus.FAILED:
                categories[(said["error"] or {}).get("category") or "unknown"] += 1
            if said["verdict"]:
                verdicts[said["verdict"]] += 1
        kept = kept_session(self._registry, self._fold)
        source = self._gate.source.shown
        session = SessionFacts(
            finished_at=kept.finished_at,
            seconds=kept.seconds,
            gate=GateFacts(source=source, fail_on="any", verdicts={}, missing=self._missing),
            problems=(
                # What its own session could not read or write; one that told nothing is known by its records.
                *(kept.problems if self._fold.facts is not None else ()),
                *deleted(self._fold),
                *(f"{source}: {one}" for one in (*self._others.problems, *deleted(self._others))),
            ),
        )
        facts = batch_facts(self._fold, self._batch_id, manifest, session, tally)
        assert facts.gate is not None, "given above"
        failed = categories.total()
        success = facts.recorded - failed
        status = self._fold.status
        if status not in (BatchStatus.CANCELLED, BatchStatus.RUNNING, BatchStatus.PENDING):
            status = batch_status(
                begun=True,
                over=True,
                cancelled=False,
                expected=facts.expected,
                success=success,
                failed=failed,
            )
        return dataclasses.replace(
            facts,
            status=str(status),
            success=success,
            failed=failed,
            error_categories=dict(sorted(categories.items())),
            gate=dataclasses.replace(facts.gate, verdicts=dict(sorted(verdicts.items()))),
        )

    def rows(self) -> Iterator[SummaryRow]:
        """A row per run of the batch, then those that only the other one has. After :meth:`facts`."""
        for name, record in self._fold.expected_records():
            if record is None:
                yield SummaryRow.not_run(self._batch_id, name)
            else:
                yield SummaryRow.of_record({**record, **self._judged[name]})
        why = f"it is in {self._gate.source.shown}, and not in this batch"
        for name in self._missing:
            yield dataclasses.replace(SummaryRow.missing(self._batch_id, name), error=why)

    def _judge(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Status, verdict, comparison, error and checks of ``record`` here."""
        own = [check for check in record.get("checks") or () if not compares(check["name"])]
        plain = {"verdict": None, "comparison": None, "checks": own}
        if acceptable(record) is not None and record.get("status") != RunStatus.SUCCESS:
            return {**plain, "status": RunStatus.FAILED, "error": record.get("error")}
        try:
            comparison = self._compared(record)
        except FinbotError as error:
            # What cannot be read is never a verdict.
            return {**plain, "status": RunStatus.FAILED, "verdict": "error", "error": _told(error)}
        if comparison.verdict in _UNCHANGED:
            own += _checks(comparison) if comparison.verdict is Verdict.WITHIN else ()
        else:
            own += _checks(comparison)
        return {
            "status": RunStatus.FAILED if comparison.fails else RunStatus.SUCCESS,
            "verdict": str(comparison.verdict),
            "comparison": comparison.to_json(),
            "error": _told(RegressionError(headline(comparison))) if comparison.fails else None,
            "checks": own,
        }

    def _compared(self, record: Mapping[str, Any]) -> Comparison:
        spec = self._own.spec_of(record)
        if spec is None:
            raise BaselineError(f"run {record['name']} is recorded, and not in the batch's manifest")
        objects = self._registry.objects
        return self._gate.judge(
            spec.name,
            spec.checks,
            RunResult.of_record(objects, record),
            dependencies_of_record(objects, record, spec),
            sliced=slice_of(spec),
        )

    # ------------------------------------------------------------------ what a page draws

    def sides(self, run: RunFacts) -> Sides:
        """Both results of a run, see :class:`~pytest_finbot.reports.html.series.SeriesSource`."""
        now = baseline = None
        why_not_now = why_not_baseline = ""
        try:
            now = self._result(run)
        except RegistryError as error:
            why_not_now = str(error)
        try:
            found = self._gate.source.find(run.run)
            baseline = None if found is None else found.result
            why_not_baseline = "" if found is not None else f"it is not in {self._gate.source.shown}"
        except (BaselineError, NotComparableError, RegistryError) as error:
            why_not_baseline = str(error)
        return Sides(now, baseline, why_not_now, why_not_baseline)

    def nav(self, run: RunFacts) -> FloatArray:
        """NAV [T] of a run. Raises RegistryError where it has none, or it cannot be read."""
        return self._result(run).nav

    def _result(self, run: RunFacts) -> RunResult:
        for record in self._fold.records([run.run]):
            return RunResult.of_record(self._registry.objects, record)
        raise RegistryError(f"run {run.run_id} left no record")


def _checks(comparison: Comparison) -> list[dict[str, Any]]:
    return [_plain(check) for check in comparison.checks]


def _plain(check: CheckResult) -> dict[str, Any]:
    return {**dataclasses.asdict(check), "verdict": str(check.verdict)}


def _told(error: FinbotError) -> dict[str, Any]:
    """An error as records have it."""
    info = describe(error, "checks")
    return {**dataclasses.asdict(info), "category": str(info.category)}
