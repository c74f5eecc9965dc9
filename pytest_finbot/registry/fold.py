"""A batch's status and counts, worked out from its segments and never kept anywhere.

Lines of the controller: ``begin`` {at, expected, deselected}, ``crash`` (the record of a run
whose process died), ``cancel`` {at, reason}, ``end`` {at, exitstatus (pytest's own, before the
gate)}, and in a segment of its own, when all was summed up, ``facts`` {at, began (the ``at`` of its
``begin``), facts (a hash)}. Lines of those who execute: ``start`` {name, attempt, at} and ``run`` (the
record). Of others: ``cancel`` by whoever asks for it, ``delete`` {at, name, attempt}. Other kinds are
passed over.

Each session that goes on with a batch begins anew: its ``begin`` may say in ``gone`` which runs
are expected no longer, and a ``cancel`` of before counts no longer.

Of several records of one run the highest attempt wins, then the word of the process that
executed it over the controller's crash record, then the latest, where a record that was
compared anew counts from then on. In which order segments are read makes no difference.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pytest_finbot.contracts import BatchStatus, ErrorCategory, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.layout import segments
from pytest_finbot.registry.records import unseal
from pytest_finbot.registry.segments import Line, LineProblem, read_segment, segment_name

_LARGEST = 2**62
"""No count of ours is near it, and any store of numbers has room for it."""
_OPEN_FILES = 32
"""Segments kept open while records are read; a batch may have more than a process may open."""
_BUFFER = 1 << 16
"""Bytes that are read at once: records mostly follow each other as they are asked for."""


class _Final(NamedTuple):
    """Where a run's record is. The larger of two is the one that counts.

    A tuple, not the record: 10,000 runs cost a few megabytes whatever they recorded.
    """

    attempt: int
    own: bool
    finished_at: str
    offset: int
    checksum: int
    length: int
    status: str
    category: str
    segment: int
    verdict: str


def fold_batch(folder: Path, *, writer_alive: bool | None = None) -> BatchFold:
    """Fold the segments in a batch's folder.

    ``writer_alive`` is what the caller knows of the controller's process: False makes of a
    batch that began and did not end one that is over. Raises RegistryError where a segment
    cannot be read or holds a line of a newer version; lines that cannot be read are
    ``problems``.
    """
    folding = _Folding(heads=True)
    for number, path in enumerate(segments(folder)):
        folding.read(number, path)
    return folding.result(writer_alive)


@dataclass(frozen=True, eq=False)
class BatchFold:
    """What a batch has come to. Names are in the order in which they were expected."""

    status: BatchStatus
    expected: tuple[str, ...]
    """Runs that owe a record."""
    deselected: int
    """Runs of the batch file that were never asked for."""
    error_categories: Mapping[str, int]
    """Failed runs by category; one that does not say is ``unknown``."""
    verdicts: Mapping[str, int]
    """Recorded runs by the verdict of their comparison; those that were not compared are not here."""
    cancel_reason: str | None
    problems: tuple[str, ...]
    """Everything that is not as it should be, each with its file and line where it has one."""
    notes: tuple[str, ...]
    """Lines whose writing was cut short, as where a writer is killed: nothing that was kept is lost."""
    _paths: tuple[Path, ...]
    _finals: Mapping[str, _Final]
    _started: Mapping[str, int]
    _ended: bool = False
    facts: str | None = None
    """The hash of what the last session that began knew when it ended; ``None``: that is not recorded."""
    deleted: tuple[str, ...] = ()
    """Runs that were deleted, and not asked for since: they count nowhere."""

    @property
    def expected_count(self) -> int:
        return len(self.expected)

    @property
    def recorded(self) -> int:
        """Expected runs that have a record."""
        return len(self._finals)

    @property
    def success(self) -> int:
        return self.recorded - self.failed

    @property
    def failed(self) -> int:
        return sum(self.error_categories.values())

    @property
    def not_run_count(self) -> int:
        return self.expected_count - self.recorded

    @cached_property
    def not_run(self) -> tuple[str, ...]:
        """Expected runs without a record: never a success."""
        return tuple(name for name in self.expected if name not in self._finals)

    @cached_property
    def unfinished(self) -> tuple[str, ...]:
        """Runs whose last attempt was started and left no record."""
        return tuple(
            name
            for name in self.expected
            if name in self._started
            and (name not in self._finals or self._finals[name].attempt < self._started[name])
        )

    @cached_property
    def attempts(self) -> dict[str, int]:
        """The highest attempt known of each expected run, 0 where none was started."""
        return {
            name: max(self._started.get(name, 0), self._finals[name].attempt if name in self._finals else 0)
            for name in self.expected
        }

    def records(self, order: Iterable[str] | None = None) -> Iterator[dict[str, Any]]:
        """The record of each run that has one, as JSON without its envelope.

        ``order`` names the runs, all expected ones by default. One record is in memory at a
        time. Raises RegistryError where a segment has changed or gone since the fold.
        """
        for _, record, _ in self._read(self.expected if order is None else order):
            if record is not None:
                yield record

    def expected_records(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """Each expected run with its record, or None for one that is not run."""
        for name, record, _ in self._read(self.expected):
            yield name, record

    def expected_lines(self) -> Iterator[tuple[str, dict[str, Any] | None, bytes]]:
        """As :meth:`expected_records`, with the line of each; empty for one that is not run."""
        return self._read(self.expected)

    @property
    def ended(self) -> bool:
        """Whether the last session that began has also ended; a killed one has not."""
        return self._ended

    def finals(self) -> Iterator[tuple[str, Path, int, int]]:
        """Each recorded run's name with its record's segment, offset and length in bytes."""
        for name, final in self._finals.items():
            yield name, self._paths[final.segment], final.offset, final.length

    def _read(self, names: Iterable[str]) -> Iterator[tuple[str, dict[str, Any] | None, bytes]]:
        files: dict[int, BinaryIO] = {}
        try:
            for name in names:
                final = self._finals.get(name)
                if final is None:
                    yield name, None, b""
                    continue
                path = self._paths[final.segment]
                with telling("read", path):
                    if final.segment not in files:
                        if len(files) == _OPEN_FILES:
                            files.pop(next(iter(files))).close()
                        files[final.segment] = path.open("rb", _BUFFER)
                    file = files[final.segment]
                    file.seek(final.offset)
                    raw = file.read(final.length)
                yield name, _record(raw, name, path), raw
        finally:
            for file in files.values():
                file.close()


class _Begin(NamedTuple):
    at: str
    ended: bool
    expected: list[str]
    deselected: int
    gone: list[str]


@dataclass(slots=True)
class _Folding:
    """What the lines read so far come to."""

    passed_over: tuple[bytes, ...] = ()
    """How lines begin that are of no interest to who folds."""
    heads: bool = False
    """Whether of a record no more is needed than a fold needs."""
    paths: list[Path] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)
    begins: list[_Begin] = field(default_factory=list)
    cancels: list[tuple[str, str]] = field(default_factory=list)
    deleted: dict[str, tuple[str, int]] = field(default_factory=dict)
    finals: dict[str, _Final] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)
    known_at_end: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By when a session began: when it told what it knew, and the hash of that."""

    def read(self, number: int, path: Path) -> None:
        """Add a segment. A controller's session is one segment: its begin, its end."""
        self.paths.append(path)
        begin: _Begin | None = None
        for line in read_segment(path, self.problems, self.passed_over, heads=self.heads):
            kind = line.value["kind"]
            try:
                if kind in ("run", "crash"):
                    self._final(number, line, own=kind == "run")
                elif kind == "start":
                    name, attempt = _text(line, "name"), _number(line, "attempt", 1)
                    self.started[name] = max(attempt, self.started.get(name, 0))
                elif kind == "begin":
                    if begin is not None:
                        self.begins.append(begin)
                    begin = _Begin(
                        _text(line, "at"),
                        False,
                        _names(line, "expected"),
                        _number(line, "deselected", 0),
                        _names(line, "gone") if "gone" in line.value else [],
                    )
                elif kind == "cancel":
                    self.cancels.append((_text(line, "at"), _text(line, "reason")))
                elif kind == "delete":
                    deletion = (_text(line, "at"), _number(line, "attempt", 1))
                    name = _text(line, "name")
                    self.deleted[name] = max(deletion, self.deleted.get(name, deletion))
                elif kind == "end" and begin is not None:
                    begin = begin._replace(ended=True)
                elif kind == "facts":
                    said = (_text(line, "at"), _text(line, "facts"))
                    began = _text(line, "began")
                    self.known_at_end[began] = max(said, self.known_at_end.get(began, said))
            except ValueError as error:
                message = f"the {kind} line cannot be used and is not counted: {error}"
                self.problems.append(LineProblem(segment_name(path), line.number, message))
        if begin is not None:
            self.begins.append(begin)

    def _final(self, segment: int, line: Line, *, own: bool) -> None:
        name, status = _text(line, "name"), RunStatus(_text(line, "status"))
        category = ""
        if status == RunStatus.FAILED:
            error = line.value.get("error")
            said = error.get("category") if isinstance(error, dict) else None
            category = sys.intern(said) if isinstance(said, str) and said else ErrorCategory.UNKNOWN.value
        final = _Final(
            _number(line, "attempt", 1),
            own,
            _text(line, "compared_at" if line.value.get("compared_at") else "finished_at"),
            line.offset,
            line.checksum,
            line.length,
            status.value,
            category,
            segment,
            sys.intern(said) if isinstance(said := line.value.get("verdict"), str) else "",
        )
        known = self.finals.get(name)
        if known is None or final > known:
            self.finals[name] = final

    def result(self, writer_alive: bool | None) -> BatchFold:
        self.begins.sort()
        expected = self._expected()
        left_the_file = {name for begin in self.begins for name in begin.gone}
        gone = left_the_file | self.deleted.keys()
        cancels = [cancel for cancel in self.cancels if not self.begins or cancel[0] >= self.begins[-1].at]
        # What the batch file held when it was last begun; it may have lost runs since before.
        last = self.begins[-1] if self.begins else None
        runs = 0 if last is None else len(set(last.expected)) + last.deselected
        owed = set(expected)
        strangers = sorted(name for name in self.finals if name not in owed and name not in gone)
        finals = {
            name: final
            for name, final in self.finals.items()
            if name in owed and final.attempt > self.deleted.get(name, ("", 0))[1]
        }
        categories = Counter(f.category for f in finals.values() if f.status == RunStatus.FAILED)
        verdicts = Counter(f.verdict for f in finals.values() if f.verdict)
        status = batch_status(
            begun=bool(self.begins),
            over=bool(self.begins) and (self.begins[-1].ended or writer_alive is False),
            cancelled=bool(cancels),
            expected=len(expected),
            success=len(finals) - categories.total(),
            failed=categories.total(),
        )
        return BatchFold(
            status=status,
            expected=expected,
            deselected=max(runs - len(expected) - len(self.deleted.keys() - set(expected)), 0),
            error_categories=dict(sorted(categories.items())),
            verdicts=dict(sorted(verdicts.items())),
            cancel_reason=min(cancels)[1] if cancels else None,
            problems=(*(str(p) for p in self.problems if not p.unwritten), *self._about(strangers)),
            notes=tuple(str(problem) for problem in self.problems if problem.unwritten),
            _paths=tuple(self.paths),
            _finals=finals,
            _started=self.started,
            _ended=last is not None and last.ended,
            facts=None if last is None else self.known_at_end.get(last.at, ("", None))[1],
            deleted=tuple(name for name in self.deleted if name not in owed | left_the_file),
        )

    def _expected(self) -> tuple[str, ...]:
        """What all sessions together owe, in the order in which it was first asked for."""
        expected: dict[str, str] = {}
        for begin in self.begins:
            for name in begin.gone:
                expected.pop(name, None)
            for name in begin.expected:
                expected[name] = begin.at
        return tuple(name for name, at in expected.items() if at > self.deleted.get(name, ("", 0))[0])

    def _about(self, strangers: list[str]) -> Iterator[str]:
        if strangers and not self.begins:
            yield f"{len(strangers):,} runs are recorded, but no line tells that the batch began: none counts"
            return
        for name in strangers:
            where = segment_name(self.paths[self.finals[name].segment])
            yield f"{where}: run {name!r} is recorded but was not expected; it is not counted"


def batch_status(
    *, begun: bool, over: bool, cancelled: bool, expected: int, success: int, failed: int
) -> BatchStatus:
    """The status that counts of records come to.

    Cancelled stays cancelled. Completed is only what expects runs and has a success of
    each; a batch that expects nothing proves nothing, and is partial when it is over.
    """
    if cancelled:
        return BatchStatus.CANCELLED
    if not begun:
        return BatchStatus.PENDING
    if expected > 0 and success == expected:
        return BatchStatus.COMPLETED
    if not over:
        return BatchStatus.RUNNING
    return BatchStatus.FAILED if success == 0 and failed > 0 else BatchStatus.PARTIAL


def _record(raw: bytes, name: str, path: Path) -> dict[str, Any]:
    try:
        record = unseal(raw, segment_name(path))
    except ValueError:
        record = {}
    if record.get("name") != name:
        raise RegistryError(f"{path} changed while it was read: the record of run {name} is no longer there")
    del record["v"], record["kind"]
    return record


def _text(line: Line, key: str) -> str:
    value = line.value.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is {value!r}, expected text")
    return value


def _number(line: Line, key: str, least: int) -> int:
    value = line.value.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _LARGEST:
        raise ValueError(f"{key} is {value!r}, expected a whole number from {least} on")
    return value


def _names(line: Line, key: str) -> list[str]:
    value = line.value.get(key)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{key} is not a list of names")
    return value
