"""What the terminal says of a batch when its session ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.terminal import Line, batch_lines
from pytest_finbot.reports.words import spent

if TYPE_CHECKING:
    from pytest_finbot.reports.report import Report

SLOW: Final = 1.0
"""Seconds from which it is told in any case how long the reports took."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A batch of a session that has ended; without ``facts`` there is a reason for that."""

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
    nothing: str = "no run was selected"
    """Why there are no facts, where that is no failure."""
    report_seconds: float | None = None
    """From the end of the last run until all files of the report were written."""

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

    def lines(self, width: int = 80, *, verbose: bool = False) -> Iterator[Line]:
        """Counts, the gate, what moved and failed, where the rest is; ``width`` is the terminal's."""
        facts, report = self.facts, self.report
        if self.failure is not None:
            yield Line(
                f"{self.name}: the batch could not be summed up, so it is not green: {self.failure}", "red"
            )
            return
        if facts is None or report is None:
            yield Line(f"{self.name}: {self.nothing}; nothing was recorded")
            return
        summary = str(_short(self.reports["md"]))
        yield from batch_lines(report, width=width, shown=self.shown, summary=summary)
        if self.profiled and facts.time_spent is not None:
            workers = facts.time_spent.workers
            yield Line(f"  time of {workers} worker{'' if workers == 1 else 's'}: {spent(facts.time_spent)}")
            yield Line(f"  profiles in {_short(self.reports['md']).parent / 'runs' / '<run>' / 'profile'}")
        if self.report_seconds is not None and (verbose or self.report_seconds > SLOW):
            yield Line(f"  reports made in {self.report_seconds:.1f} s")
        yield Line(f"  batch {facts.batch_id}, summary {summary}")
        if "html" in self.reports:
            yield Line(f"  HTML report {_short(self.reports['html'])}")


def _short(path: Path) -> Path:
    """``path`` from the current folder, where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
