"""A batch's records folded into facts and rows: by the session that ends, and whenever it is asked later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.baselines.headline import signed_money
from pytest_finbot.registry.records import record_text
from pytest_finbot.reports.coverage_facts import CoverageTally
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.phase_facts import PhaseTally
from pytest_finbot.reports.rows import SummaryRow

if TYPE_CHECKING:
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.reports.session_facts import SessionFacts


MOST_EXCUSED: Final = 20


class RecordsTally:
    """What is counted of all records of a batch as they pass by.

    ``since``: see :class:`~..phase_facts.PhaseTally`.
    """

    def __init__(self, since: str = "") -> None:
        self.phases = PhaseTally(since)
        self.coverage = CoverageTally()

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record."""
        self.phases.add(record)
        self.coverage.add(record)


class Excused:
    """Runs that moved and fail nothing, a line each for the terminal, noted as rows pass by."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def passing(self, rows: Iterable[SummaryRow]) -> Iterator[SummaryRow]:
        """``rows`` as they are."""
        told = left = 0
        for row in rows:
            moved = row.status == "success" and row.verdict in ("moved", "waived")
            if moved and not row.comparison["accepting"]:
                if told < MOST_EXCUSED:
                    told += 1
                    self.lines.append(_excused(row))
                else:
                    left += 1
            yield row
        if left:
            self.lines.append(f"  and {left:,} more that moved and fail nothing")


def _excused(row: SummaryRow) -> str:
    why = "waived" if row.verdict == "waived" else "informational: fails nothing"
    size = "" if row.final_nav_change is None else f", final NAV {signed_money(row.final_nav_change)}"
    day = f", first on {row.first_session}" if row.first_session else ""
    return f"  moved ({why}): {row.run}{size}{day}"


def batch_facts(
    fold: BatchFold,
    batch_id: str,
    manifest: Mapping[str, Any],
    session: SessionFacts,
    tally: RecordsTally,
) -> BatchFacts:
    """The batch as a whole. ``tally`` has counted all of its records.

    ``manifest`` may lack anything but runs: of a batch that was not recorded by a session, say.
    """
    gate = session.gate
    return BatchFacts(
        batch_id=batch_id,
        batch_name=str(manifest.get("batch_name") or ""),
        description=str(manifest.get("description") or ""),
        source=PurePath(str(manifest.get("file") or "")).name,
        status=str(fold.status),
        started_at=str(manifest.get("created_at") or ""),
        finished_at=session.finished_at,
        seconds=session.seconds,
        expected=fold.expected_count,
        recorded=fold.recorded,
        success=fold.success,
        failed=fold.failed,
        not_run=fold.not_run_count,
        deselected=fold.deselected,
        error_categories=fold.error_categories,
        problems=(*session.problems, *fold.problems, *tally.phases.problems()),
        notes=(*session.notes, *fold.notes, *tally.coverage.notes()),
        provenance=manifest.get("provenance") or {},
        gate=None if gate is None else dataclasses.replace(gate, verdicts=fold.verdicts),
        unproven=tally.phases.unproven,
        phases=tally.phases.phases(),
        time_spent=session.time_spent,
        stitched=session.stitched,
        compared=session.compared,
        fail_on=session.fail_on,
        file=str(manifest.get("source") or ""),
        empty_share=session.empty_share,
    )


def summary_rows(
    fold: BatchFold,
    batch_id: str,
    missing: Sequence[str] = (),
    seen: Callable[[Mapping[str, Any]], None] = lambda record: None,
) -> Iterator[SummaryRow]:
    """A row per expected run, in the order of the batch file; then the missing ones.

    Each record is read once: ``seen`` is called with it before its row is given.
    """
    for name, record, line in fold.expected_lines():
        if record is None:
            yield SummaryRow.not_run(batch_id, name)
        else:
            seen(record)
            yield SummaryRow.of_record(record, record_text(line))
    for name in missing:
        yield SummaryRow.missing(batch_id, name)
