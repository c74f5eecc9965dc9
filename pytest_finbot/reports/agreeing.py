"""Whether what a report counts and what it lists can be true together: a verdict is made of the counts."""

from __future__ import annotations

from collections import Counter

from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.report import Report


def counts_agree(batch: BatchFacts) -> bool:
    """Whether every run that was expected is counted once, every failure by its category, and no more
    runs were compared than recorded; completed is only what has a success of each."""
    counts = (batch.expected, batch.recorded, batch.success, batch.failed, batch.not_run, batch.deselected)
    verdicts = () if batch.gate is None else tuple(batch.gate.verdicts.values())
    return (
        min((*counts, batch.unproven, *batch.error_categories.values(), *verdicts)) >= 0
        and sum(verdicts) <= batch.recorded
        and (batch.status != "completed" or batch.success == batch.expected)
        and batch.recorded + batch.not_run == batch.expected
        and batch.success + batch.failed == batch.recorded
        and sum(batch.error_categories.values()) == batch.failed
    )


def lists_agree(report: Report) -> bool:
    """Whether no more runs are listed of a status, or of a verdict, than are counted."""
    batch, listed = report.batch, (*report.changed, *report.failed, *report.others)
    gate = batch.gate
    counted = Counter({"success": batch.success, "failed": batch.failed, "not_run": batch.not_run})
    counted["missing"] = 0 if gate is None else len(gate.missing)
    verdicts = Counter({} if gate is None else gate.verdicts)
    return (
        min(report.changed_not_listed, report.failed_not_listed, report.others_not_listed) >= 0
        and Counter(run.status for run in listed) <= counted
        and Counter(run.comparison.verdict for run in listed if run.comparison is not None) <= verdicts
    )
