"""What became of the runs of a resumed session, for the terminal: counted, and some named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_finbot.session.resuming import EarlierResults

WHY = "finbot_resume"
"""User property of a test of a resumed batch: ``done``, or why its run was executed again."""
_MOST_NAMED = 20


@dataclass(slots=True)
class ResumedRuns:
    """Reasons by run as reports come in; memory does not grow with runs that were done."""

    done: int = 0
    again: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)

    def note(self, run: str, why: str) -> None:
        """Take down why ``run`` was executed, or that it was not."""
        if why == EarlierResults.DONE:
            self.done += 1
            return
        self.again[why.partition(":")[0].partition(" (")[0]] += 1
        if len(self.named) < _MOST_NAMED:
            self.named.append(f"{run}: {why}")

    def lines(self) -> Iterator[str]:
        """Nothing where nothing was resumed."""
        executed = self.again.total()
        if not self.done and not executed:
            return
        kinds = ", ".join(f"{count:,} {why}" for why, count in sorted(self.again.items()))
        yield f"resumed: {self.done:,} done before, {executed:,} executed now{f' ({kinds})' if kinds else ''}"
        for words in self.named:
            yield f"  {words}"
        if executed > len(self.named):
            yield f"  and {executed - len(self.named):,} more; the log of the batch names each"
