"""Whether what a report counts and what it lists can be true together: a verdict is made of the counts."""

from __future__ import annotations

from collections import Counter

from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.report import Report


def counts_agree(batch: BatchFacts) -> bool:
    """Whether every run that was expected is counted once, and every failure by its category."""
    counts = (batch.expected, batch.recorded, batch.success, batch.failed, batch.not_run, batch.deselected)
    return (
        min(counts) >= 0
        and batch.recorded + batch.not_run == batch.expected
        and batch.success + batch.failed == batch.recorded
        and sum(batch.error_categories.values()) == batch.failed
    )


def lists_agree(report: Report) -> bool:
    """Whether no more runs are listed as failed, not run, missing or of a verdict than are counted."""
    batch, listed = report.batch, (*report.changed, *report.failed, *report.others)
    gate = batch.gate
    counted = Counter({"failed": batch.failed, "not_run": batch.not_run})
    counted["missing"] = 0 if gate is None else len(gate.missing)
    verdicts = Counter({} if gate is None else gate.verdicts)
    return Counter(run.status for run in listed if run.status != "success") <= counted and (
        Counter(run.comparison.verdict for run in listed if run.comparison is not None) <= verdicts
    )
