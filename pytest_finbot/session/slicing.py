"""Runs cut into slices of time, so that a batch can be run, and repeated, piece by piece.

A slice is executed from its run's first session, so that positions, cash and whatever the strategy
has learnt are those of the whole run; what comes before the slice is carried, and only its own
sessions count. Slices need nothing of one another: they can be run in any order, on any worker,
and one that failed can be repeated alone. What that costs is that the sessions before a slice are
computed again with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finbot.config.comparing import cut_alike
from pytest_finbot.contracts import PartSpec, RunSpec
from pytest_finbot.errors import DataError, ParameterError

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch

MOST_SLICES = 100_000


class NoSessionsError(ParameterError):
    """No run of a batch has a session where slices are asked for."""


@dataclass(frozen=True, slots=True)
class Slicing:
    """How runs are cut: sessions from ``first`` to ``last``, in pieces of ``days`` calendar days.

    ``None``: from the run's own start, to its own end, in one piece. Pieces are counted from
    ``first``, so that all runs are cut on the same days; without it from each run's start.
    ``target`` is a day: only the slices that it falls into are wanted.
    """

    first: date | None = None
    last: date | None = None
    days: int | None = None
    target: date | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Slicing | None:
        """What the command line asks for; ``None`` where it asks for whole runs. Raises UsageError."""
        option = config.option
        first, last, target = option.finbot_from, option.finbot_to, option.finbot_target_date
        days = option.finbot_chunk_days
        if (first, last, days, target) == (None, None, None, None):
            return None
        if first is not None and last is not None and last < first:
            raise pytest.UsageError(f"finbot: --finbot-to {last} is before --finbot-from {first}")
        if target is not None and ((first and target < first) or (last and target > last)):
            asked = " ".join(f"--finbot-{name} {day}" for name, day in (("from", first), ("to", last)) if day)
            raise pytest.UsageError(f"finbot: --finbot-target-date {target} is outside of {asked}")
        if option.finbot_accept is not None:
            raise pytest.UsageError(
                "finbot: --finbot-accept accepts whole runs, and a slice is none; leave out "
                "--finbot-from, --finbot-to, --finbot-chunk-days and --finbot-target-date"
            )
        if target is not None and days is None and first is None and last is None:
            first = last = target
        return cls(first, last, days, target)

    def to_json(self) -> dict[str, Any]:
        """What the batch's manifest keeps: the cut, without the day that was asked for this time."""
        return {
            "from": None if self.first is None else self.first.isoformat(),
            "to": None if self.last is None else self.last.isoformat(),
            "chunk_days": self.days,
        }

    def wanted(self, spec: RunSpec) -> bool:
        """Whether ``spec``, a slice, is one that the target day falls into."""
        if self.target is None or spec.part is None:
            return True
        return _own_start(spec) <= self.target <= spec.end_date


def options_of(slicing: dict[str, Any] | None) -> list[str]:
    """The command line's words for what a manifest keeps of :class:`Slicing`."""
    words = {"from": "--finbot-from", "to": "--finbot-to", "chunk_days": "--finbot-chunk-days"}
    return [
        f"{option}={slicing[key]}"
        for key, option in words.items()
        if slicing is not None and slicing.get(key) is not None
    ]


def sliced(batch: Batch, slicing: Slicing, *, only_target: bool) -> Batch:
    """``batch`` with its runs cut; runs that have no session to cut are left out, and noted as that.

    ``only_target``: without the slices that the target day does not fall into. Raises UsageError
    where there are too many, or only a calendar could tell whether one has sessions, and
    NoSessionsError where nothing is left.
    """
    runs: list[RunSpec] = []
    left_out: list[str] = []
    for spec in batch.runs:
        cut = [piece for piece in _slices(spec, slicing) if not only_target or slicing.wanted(piece)]
        runs.extend(cut)
        if not cut:
            left_out.append(spec.name)
        if len(runs) > MOST_SLICES:
            raise pytest.UsageError(
                f"finbot: {batch.path.name}: more than {MOST_SLICES:,} slices; "
                "give a larger --finbot-chunk-days, or a shorter range"
            )
    if not runs:
        day = f" on {slicing.target}" if only_target and slicing.target else " in the range asked for"
        raise NoSessionsError(
            f"{batch.path.name}: no run has a session of its own{day}; they are from "
            f"{min(_own_start(spec) for spec in batch.runs)} to {max(spec.end_date for spec in batch.runs)}"
        )
    _require_calendars(batch, runs)
    notes = list(batch.notes)
    if left_out:
        count = "1 run has" if len(left_out) == 1 else f"{len(left_out):,} runs have"
        some = ", ".join(left_out[:3]) + (", …" if len(left_out) > 3 else "")
        notes.append(f"{count} no session in the range asked for, not run: {some}")
    if any(spec.part is not None and spec.part.kind == "out_of_sample" for spec in batch.runs):
        notes.append(
            "out-of-sample parts are cut into slices, and put together run by run; they are linked to one "
            "NAV only where the batch is run without --finbot-from, --finbot-to and --finbot-chunk-days"
        )
    return dataclasses.replace(
        batch, runs=tuple(runs), run_count=len(runs), left_out=tuple(left_out), notes=tuple(notes)
    )


def _require_calendars(batch: Batch, slices: list[RunSpec]) -> None:
    """Refuse slices of weekend days whose run has no calendar: most would fail for want of sessions."""
    for piece in slices:
        first, last = _own_start(piece), piece.end_date
        days = (last - first).days + 1
        if piece.data.calendar is None and days <= 2 and first.weekday() >= 5 and last.weekday() >= 5:
            whole = piece.part.of if piece.part is not None else piece.name
            raise pytest.UsageError(
                f"finbot: {batch.path.name}:{piece.line}: run {whole}: the slice from {first} to {last} is a "
                "weekend, and without data.calendar nobody can tell whether it has sessions; give "
                "data.calendar (XNYS, weekdays, 24/7), or other days"
            )


def _own_start(spec: RunSpec) -> date:
    own_from = None if spec.part is None else spec.part.own_from
    return own_from or spec.start_date


def _slices(spec: RunSpec, slicing: Slicing) -> Iterator[RunSpec]:
    own_start = _own_start(spec)
    start = own_start if slicing.first is None else max(own_start, slicing.first)
    end = spec.end_date if slicing.last is None else min(spec.end_date, slicing.last)
    for number, (first, last) in enumerate(_pieces(slicing, own_start, start, end), 1):
        if not _has_sessions(spec, first, last):
            continue
        ending = f".{first}_{last}"
        yield dataclasses.replace(
            spec,
            name=f"{spec.name}{ending}",
            end_date=last,
            flows=tuple(flow for flow in spec.flows if flow.date <= last),
            part=PartSpec(of=spec.name, kind="slice", number=number, own_from=first),
            compare_with=cut_alike(spec.compare_with, ending),
        )


def _pieces(slicing: Slicing, own_start: date, start: date, end: date) -> Iterator[tuple[date, date]]:
    """First and last day of each piece between ``start`` and ``end``, both included."""
    if slicing.days is None:
        if start <= end:
            yield start, end
        return
    origin = slicing.first or own_start
    if start > end:
        return
    first = origin + timedelta(days=(start - origin).days // slicing.days * slicing.days)
    # In days of the run: a piece longer than the calendar is the rest of it.
    while (left := (end - first).days) >= slicing.days:
        last = first + timedelta(days=slicing.days - 1)
        yield max(first, start), last
        first = last + timedelta(days=1)
    if left >= 0:
        yield max(first, start), end


def _has_sessions(spec: RunSpec, first: date, last: date) -> bool:
    """Whether the run's calendar has a session in the piece; without a calendar nobody can tell yet."""
    if spec.data.calendar is None or (last - first).days > 14:
        return True
    from pytest_finbot.market.calendars import sessions_between

    try:
        return len(sessions_between(spec.data.calendar, first, last)) > 0
    except DataError:
        return True  # days for which no holidays are recorded: the run itself says so
