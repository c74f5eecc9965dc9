"""What became of the runs of a resumed session, for the terminal: counted, and some named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_finbot.session.resuming import EarlierResults

WHY = "finbot_resume"
"""User property of a test of a resumed batch: ``done``, or why its run was executed again."""
STALE = "finbot_stale"
"""User property of a test whose run has no valid record and was not to be executed."""
_MOST_NAMED = 20


@dataclass(slots=True)
class ResumedRuns:
    """Reasons by run as reports come in; memory does not grow with runs that were done."""

    done: int = 0
    again: Counter[str] = field(default_factory=Counter)
    named: list[str] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)
    """Node ids of runs whose record holds no longer, and that were not to be executed."""
    seen: set[str] = field(default_factory=set)
    """Node ids of runs of which it is known whether their record holds."""

    def note(self, node_id: str, why: str) -> None:
        """Take down why a run was executed, or that it was not."""
        self.seen.add(node_id)
        run = node_id.partition("::")[2]
        if why == EarlierResults.DONE:
            self.done += 1
            return
        self.again[_kind(why)] += 1
        if len(self.named) < _MOST_NAMED:
            self.named.append(f"{run}: {why}")

    def problems(self, prefix: str, expected: Sequence[str], batch_id: str) -> Iterator[str]:
        """What keeps the batch, whose node ids begin with ``prefix``, from being known to be as recorded."""
        stale = [name for name in expected if f"{prefix}{name}" in self.stale]
        if stale:
            yield (
                f"{_named(stale)} without a valid record, and not executed (--finbot-retry-failed); "
                f"to do so: --finbot-resume {batch_id}"
            )
        known = self.seen | self.stale
        left = [name for name in expected if f"{prefix}{name}" not in known]
        if left:
            yield (
                f"{_named(left)} not looked at in this session: nobody knows whether what is recorded "
                "still holds"
            )

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


def _kind(why: str) -> str:
    """``why`` without what is different from run to run."""
    if why.startswith(("its ", "it ")):
        return "damaged or missing"
    return why.partition(":")[0].partition(" (")[0]


def _named(names: Sequence[str]) -> str:
    some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"{len(names):,} run{'' if len(names) == 1 else 's'} ({some})"
