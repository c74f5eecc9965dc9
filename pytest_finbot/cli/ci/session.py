"""What the steps after the run say of it: the reports of its batches, and how it ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finbot.cli.ci.left import REPORT, Asked, Left, LeftBatch, folder_of, read_asked, read_left
from pytest_finbot.errors import FinbotError, ParameterError

if TYPE_CHECKING:
    from pytest_finbot.reports.report import Report, ReportVerdict


@dataclass(frozen=True, slots=True)
class Told:
    """A batch, and its report where there is one; otherwise ``why_not``."""

    batch: LeftBatch
    folder: Path
    """Where its reports lie."""
    report: Report | None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """The session of one job. ``left`` is ``None`` where pytest's end is not known, see ``why``."""

    left: Left | None
    why: str
    batches: tuple[Told, ...] = ()
    folder: Path | None = None
    asked: Asked = dataclasses.field(default_factory=Asked)

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Session:
        """Whatever is there; nothing is raised for what is not."""
        folder = folder_of(environment)
        try:
            left = read_left(folder)
        except ParameterError as error:
            return cls(None, str(error), folder=folder, asked=read_asked(folder))
        assert folder is not None
        batches = tuple(_told(batch, folder / "artifact" / batch.folder) for batch in left.batches)
        return cls(left, left.why, batches, folder, read_asked(folder))

    @property
    def reports(self) -> tuple[Report, ...]:
        return tuple(told.report for told in self.batches if told.report is not None)

    @property
    def green(self) -> bool:
        """Whether the job ends with status 0."""
        return self.left is not None and self.left.status == 0

    @property
    def beside(self) -> str:
        """Why the job is red where no batch is; empty where one is, or none."""
        if self.green or not self.whole or not all(report.green for report in self.reports):
            return ""
        status = "unknown" if self.left is None else self.left.status
        return (
            f"The job is red all the same: pytest ended with status {status}, for a reason that is not "
            "in these backtests (another test of the session, say). Its log has it."
        )

    @property
    def whole(self) -> bool:
        """Whether every batch, and every batch file that was asked for, has a report."""
        asked = max(len(self.batches), len(set(self.asked.files)), 1)
        return len(self.reports) >= asked

    @property
    def verdict(self) -> ReportVerdict:
        """The worst of the batches'; ``incomplete`` where one is not known, ``failed`` for any other red."""
        from pytest_finbot.reports.report import WORST_FIRST

        if not self.whole:
            return "incomplete"
        worst = min((report.verdict for report in self.reports), key=WORST_FIRST.index)
        if not self.green and worst in ("passed", "not_gated"):
            # An ordinary test of the same session, say, or a job that was cancelled at its end.
            return "failed"
        return worst

    @property
    def worst_first(self) -> list[Told]:
        from pytest_finbot.reports.report import WORST_FIRST

        def rank(told: Told) -> int:
            return WORST_FIRST.index(told.report.verdict) if told.report is not None else -1

        return sorted(self.batches, key=rank)


def _told(batch: LeftBatch, folder: Path) -> Told:
    from pytest_finbot.reports.reading import read_report

    if batch.status is None:
        return Told(batch, folder, None, batch.reason or "it left no summary")
    try:
        return Told(batch, folder, read_report((folder / REPORT).read_bytes()))
    except OSError as error:
        return Told(batch, folder, None, f"{REPORT} cannot be read: {error.strerror or error}")
    except FinbotError as error:
        return Told(batch, folder, None, str(error))
