"""A batch's rows, one after the other, become its report: memory stays bounded, whatever their number."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Final

from pytest_finbot.baselines.facts import (
    Acceptance,
    Curve,
    Difference,
    FillFact,
    FillMove,
    MetricMove,
    PositionMove,
)
from pytest_finbot.baselines.metrics import PREFIX
from pytest_finbot.contracts import SERIES_CHECKS, CheckResult, Verdict
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.price_facts import PriceTally
from pytest_finbot.reports.ranking import RANKED_BY, Configurations
from pytest_finbot.reports.report import (
    MOST_CHANGED,
    MOST_FAILED,
    MOST_OTHERS,
    CauseFact,
    ComparisonFact,
    PriceFacts,
    Report,
    RunFacts,
    ShardFacts,
)
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.warning_facts import WarningTally

NEAR: Final = 0.8
"""Part of a limit from which a check that passed is near it."""
MOST_CHECKS: Final = 40
MOST_CAUSES: Final = 40
_LONGEST: Final = 4_000
"""Characters of a message; of a traceback, its last ones."""


class ReportMaker:
    """Takes rows in the order of the batch file; gives the report when all have passed."""

    def __init__(self, configurations: Configurations, shards: ShardFacts | None = None) -> None:
        self._configurations = configurations
        self._shards = shards
        self._metrics: dict[str, Mapping[str, Any]] = {}
        self._changed: list[tuple[float, int, RunFacts]] = []
        """A heap: the nearest to its baseline on top, the first to be left out."""
        self._changed_count = 0
        self._failed: list[RunFacts] = []
        self._failed_count = 0
        self._others: list[RunFacts] = []
        self._others_count = 0
        self._near = 0
        self.prices = PriceTally()
        self._warnings = WarningTally()

    def add(self, row: SummaryRow) -> None:
        """Count ``row``, and keep what the report says of it."""
        if row.record is not None:
            self.prices.add(row.record)
            self._warnings.add(row.record)
        if row.status == "success":
            self._metrics[row.run] = {name: row.metrics.get(name) for name in RANKED_BY}
        near = _near(row)
        self._near += near is not None
        line = self._configurations.lines.get(row.run, 0)
        if row.changed:
            self._changed_count += 1
            run = run_facts(row, line, near)
            entry = (run.distance, -self._changed_count, run)
            if len(self._changed) < MOST_CHANGED:
                heapq.heappush(self._changed, entry)
            else:
                heapq.heappushpop(self._changed, entry)
        elif row.status != "success":
            self._failed_count += 1
            if len(self._failed) < MOST_FAILED:
                self._failed.append(run_facts(row, line, near))
        else:
            self._others_count += 1
            if len(self._others) < MOST_OTHERS:
                self._others.append(run_facts(row, line, near))

    def report(self, batch: BatchFacts) -> Report:
        """What all rows and the facts of the batch come to."""
        rankings, more = self._configurations.ranked(self._metrics)
        prices, warned = self.prices, self._warnings
        return Report(
            batch=batch,
            # The furthest first; of the equally far, in the order of the batch file.
            changed=tuple(run for _, _, run in sorted(self._changed, key=lambda one: (-one[0], -one[1]))),
            changed_not_listed=self._changed_count - len(self._changed),
            failed=tuple(self._failed),
            failed_not_listed=self._failed_count - len(self._failed),
            others=tuple(self._others),
            others_not_listed=self._others_count - len(self._others),
            near=self._near,
            rankings=rankings,
            rankings_not_listed=more,
            prices=PriceFacts(
                tuple(prices.runs),
                prices.not_listed,
                prices.look_ahead_runs,
                tuple(prices.look_ahead_named),
                prices.odd_runs,
                prices.odd,
                prices.odd_not_listed,
                prices.odd_not_told_apart,
            ),
            warnings=warned.listed,
            warnings_not_listed=warned.not_listed,
            shards=self._shards,
        )


def run_facts(row: SummaryRow, line: int = 0, near: float | None = None) -> RunFacts:
    """What a report says of one run."""
    record: Mapping[str, Any] = row.record or {}
    told = row.changed or row.status != "success"
    return RunFacts(
        run=row.run,
        run_id=row.run_id,
        status=row.status,
        line=line,
        engine=row.engine,
        strategy=row.strategy,
        bundle=row.bundle,
        start_date=row.start_date,
        end_date=row.end_date,
        own_from=row.own_from,
        verdict=row.verdict,
        category=row.error_category,
        phase=row.error_phase,
        error=_error_words(row)[:_LONGEST],
        traceback=str((record.get("error") or {}).get("traceback") or "")[-_LONGEST:],
        seconds=row.runtime_seconds,
        attempt=row.attempt,
        worker=row.worker,
        near=near,
        metrics=dict(row.metrics),
        comparison=comparison_fact(record["comparison"]) if told and record.get("comparison") else None,
        checks=tuple(_told_checks(record)) if told else (),
    )


def _error_words(row: SummaryRow) -> str:
    """What went wrong. Of an error that nobody foresaw its kind is said: ``'AAPL'`` alone says nothing."""
    error = (row.record or {}).get("error") or {}
    kind = error.get("type")
    return f"{kind}: {row.error}" if kind and not error.get("expected", True) else row.error


def comparison_fact(comparison: Mapping[str, Any]) -> ComparisonFact:
    """A comparison's JSON, as a record has it, as facts of the report."""
    c = comparison
    first_fill = c.get("first_fill")
    curve = c.get("curve")
    accepted = c.get("accepted")
    return ComparisonFact(
        verdict=c["verdict"],
        preset=c["preset"],
        informational=c.get("informational", False),
        reason=c.get("reason"),
        first_session=c.get("first_session"),
        first_checks=tuple(c.get("first_checks") or ()),
        nav_at_first=_difference(c.get("nav_at_first")),
        cash_at_first=_difference(c.get("cash_at_first")),
        positions=tuple(PositionMove(**position) for position in c.get("positions") or ()),
        positions_not_listed=c.get("positions_not_listed", 0),
        first_fill=None
        if first_fill is None
        else FillMove(first_fill["number"], _fill(first_fill["baseline"]), _fill(first_fill["now"])),
        largest=_difference(c.get("largest")),
        final=_difference(c.get("final")),
        course=c.get("course"),
        curve=None if curve is None else Curve(tuple(curve["sessions"]), tuple(curve["bp"])),
        metrics=tuple(MetricMove(**metric) for metric in c.get("metrics") or ()),
        baseline_metrics=dict(c.get("baseline_metrics") or {}),
        causes=tuple(
            CauseFact(cause["part"], cause["detail"][:_LONGEST])
            for cause in (c.get("causes") or ())[:MOST_CAUSES]
        ),
        waived_by=tuple(c.get("waived_by") or ()),
        source=c.get("source"),
        accepted=None if accepted is None else Acceptance(**accepted),
        accepting=c.get("accepting", False),
    )


def _difference(value: Mapping[str, Any] | None) -> Difference | None:
    return None if value is None else Difference(**value)


def _fill(value: Mapping[str, Any] | None) -> FillFact | None:
    return None if value is None else FillFact(**value)


def _told_checks(record: Mapping[str, Any]) -> list[CheckResult]:
    return [
        CheckResult(
            name=check["name"],
            verdict=Verdict(check["verdict"]),
            message=(check.get("message") or "")[:_LONGEST],
            value=check.get("value"),
            limit=check.get("limit"),
            session=check.get("session"),
            asset=check.get("asset"),
        )
        for check in record.get("checks") or ()
        if check["verdict"] not in ("identical", "within")
    ][:MOST_CHECKS]


def _near(row: SummaryRow) -> float | None:
    """The largest part of a limit that a check against the baseline uses up, from :data:`NEAR` on."""
    if row.verdict != "within" or row.record is None:
        return None
    most = max(
        (
            check["value"] / check["limit"]
            for check in row.record.get("checks") or ()
            if check.get("limit")
            and check.get("value") is not None
            and (check["name"] in SERIES_CHECKS or check["name"].startswith(PREFIX))
        ),
        default=0.0,
    )
    return most if most >= NEAR else None
