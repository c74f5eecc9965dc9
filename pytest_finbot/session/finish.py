"""The end of a batch: folded from its records into facts, summary files and a few lines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.reports.facts import NOT_GATED, BatchFacts
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.summary import write_summary

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.session.recording import OpenBatch


@dataclass(frozen=True, slots=True)
class Finished:
    """What the terminal says of a batch when the session ends."""

    name: str
    status: BatchStatus | None
    facts: BatchFacts | None = None
    reports: dict[str, Path] = field(default_factory=dict)
    failure: str | None = None

    @classmethod
    def nothing_selected(cls, name: str) -> Finished:
        return cls(name, None)

    @classmethod
    def without_summary(cls, name: str, why: str) -> Finished:
        """Nothing can be said for sure of a batch whose end could not be worked out or written."""
        return cls(name, None, failure=why)

    @property
    def green(self) -> bool:
        """Every selected run succeeded, all that was recorded can be read, and the summary is there."""
        if self.failure is not None:
            return False
        if self.facts is None:
            return True
        return self.status is BatchStatus.COMPLETED and not self.facts.problems

    def lines(self) -> Iterator[str]:
        """A few lines of plain text: counts, the gate, where the rest is."""
        facts = self.facts
        if self.failure is not None:
            yield f"{self.name}: the batch could not be summed up, so it is not green: {self.failure}"
            return
        if facts is None:
            yield f"{self.name}: no run was selected; nothing was recorded"
            return
        counts = [f"{facts.success} of {facts.expected} runs succeeded"]
        if facts.failed:
            categories = ", ".join(f"{n} {name}" for name, n in sorted(facts.error_categories.items()))
            counts.append(f"{facts.failed} failed ({categories})")
        if facts.not_run:
            counts.append(f"{facts.not_run} not run")
        if facts.deselected:
            counts.append(f"{facts.deselected} deselected")
        yield f"{self.name}: {', '.join(counts)}: {facts.status}"
        for problem in facts.problems:
            yield f"  problem: {problem}"
        yield f"  {facts.gate}"
        yield f"  batch {facts.batch_id}, summary {self.reports['md']}"


def finish_batch(registry: Registry, batch: Batch, opened: OpenBatch, seconds: float) -> Finished:
    """Fold the batch, write its summary and logs into the output folder.

    ``seconds`` is the time since the batch began. Raises OSError or RegistryError where
    the summary cannot be written: a session without a summary is not green.
    """
    manifest = registry.manifest(opened.batch_id)
    started_at, provenance = manifest["created_at"], manifest["provenance"]
    del manifest  # 10,000 specs
    fold = registry.fold(opened.batch_id)
    facts = BatchFacts(
        batch_id=opened.batch_id,
        batch_name=batch.batch_name,
        description=batch.description,
        source=batch.path.name,
        status=str(fold.status),
        started_at=started_at,
        finished_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        seconds=round(seconds, 3),
        expected=fold.expected_count,
        recorded=fold.recorded,
        success=fold.success,
        failed=fold.failed,
        not_run=fold.not_run_count,
        deselected=fold.deselected,
        error_categories=fold.error_categories,
        problems=tuple(fold.problems),
        provenance=provenance,
        gate=NOT_GATED,
    )
    _copy_logs(registry.logs_folder(opened.batch_id), opened.output / "logs")
    reports = write_summary(opened.output, facts, _rows(fold, opened.batch_id))
    return Finished(batch.batch_name, fold.status, facts, reports)


def _rows(fold: BatchFold, batch_id: str) -> Iterator[SummaryRow]:
    """A row per expected run, in the order of the batch file."""
    for name, record in fold.expected_records():
        yield SummaryRow.not_run(batch_id, name) if record is None else SummaryRow.of_record(record)


def _copy_logs(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    if source.is_dir():
        for log in sorted(source.iterdir()):
            shutil.copyfile(log, target / log.name)
