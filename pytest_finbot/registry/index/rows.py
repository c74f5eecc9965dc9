"""What an index keeps of a record and of a batch."""

from __future__ import annotations

import json
import math
import sys
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import rfc8785

from pytest_finbot.contracts import BatchStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.files import FilesRegistry
from pytest_finbot.registry.fold import BatchFold, _Folding
from pytest_finbot.registry.ids import run_id
from pytest_finbot.registry.index.shapes import MANIFEST, RECORD, brief, wrong
from pytest_finbot.registry.layout import segments
from pytest_finbot.registry.queries import utc_text
from pytest_finbot.registry.records import VERSION
from pytest_finbot.registry.segments import Line, LineProblem, segment_name
from pytest_finbot.registry.strict_json import decode

METRICS = ("final_nav", "total_return", "cagr", "sharpe", "max_drawdown", "trades")
_NOTHING: Mapping[str, Any] = {}
_MOST = 2**62
"""Whole numbers beyond it cannot be kept, and count nothing that exists."""
_LONGEST_SHARD = 20
_UTC_LENGTH = len("2026-11-21T09:15:02.123+00:00")


class Facts(NamedTuple):
    """What is kept of one record, beside what the fold tells."""

    run_id: str | None
    """Where the record has another than :func:`~pytest_finbot.registry.ids.run_id` gives."""
    status: str
    category: str | None
    verdict: str | None
    engine: str
    strategy: str
    tags: str
    """A JSON list."""
    started_at: str
    seconds: float
    config: str | None
    data: str | None
    code: str | None
    environment: str | None
    series: str | None
    metrics: list[float | None]


class IndexedRun(NamedTuple):
    """A run's final record, and where it is (bytes)."""

    name: str
    attempt: int
    facts: Facts
    revision: str
    """Of the session that executed it."""
    segment: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class IndexedBatch:
    """All that is indexed of a batch."""

    batch_id: str
    name: str
    created_at: str
    ended_at: str | None
    revision: str
    status: BatchStatus
    status_if_dead: BatchStatus
    """Its status if its controller is dead; the same as ``status`` where that is settled."""
    expected: int
    recorded: int
    success: int
    failed: int
    not_run: int
    deselected: int
    error_categories: Mapping[str, int]
    verdicts: Mapping[str, int]
    cancel_reason: str | None
    problems: tuple[str, ...]
    runs: list[IndexedRun] = field(default_factory=list)
    shard: str = ""
    """``2/8``: which share of its batch file's runs it is."""

    @property
    def run_seconds(self) -> float:
        try:
            return math.fsum(run.facts.seconds for run in self.runs)
        except OverflowError:  # each is a number, and all together are more than one can be
            return sys.float_info.max


_STARTS = b'{"v":%d,"kind":"start"' % VERSION
"""Which run was begun is not kept here; half of all lines say it."""


class _Reading(_Folding):
    """A fold that keeps the facts of each record that counts, so that none is decoded twice."""

    __slots__ = ("batch_id", "environments", "facts")

    def __init__(self, batch_id: str) -> None:
        super().__init__(passed_over=(_STARTS,))
        self.batch_id = batch_id
        self.facts: dict[str, Facts] = {}
        self.environments: dict[tuple[Any, ...], str | None] = {}

    def _final(self, segment: int, line: Line, *, own: bool) -> None:
        attempt = line.value.get("attempt")
        if isinstance(attempt, int) and attempt > _MOST:
            raise ValueError(f"attempt is {brief(attempt)}, expected a whole number up to 2**62")
        _Folding._final(self, segment, line, own=own)
        name = line.value["name"]
        final = self.finals[name]
        if final.offset == line.offset and final.segment == segment:
            self.facts[name] = self._facts(line.value, final.category, final.verdict)
            for message in wrong(line.value, RECORD):
                self.problems.append(LineProblem(segment_name(self.paths[segment]), line.number, message))

    def limit_deselected(self, path: Path, first: int) -> None:
        """Of the sessions from the ``first`` on, which ``path`` tells: no number that cannot be kept."""
        for at, begin in enumerate(self.begins[first:], start=first):
            if begin.deselected > _MOST:
                message = f"deselected is {brief(begin.deselected)}, expected a number up to 2**62"
                self.problems.append(LineProblem(segment_name(path), 1, f"{message}; 0 is taken"))
                self.begins[at] = begin._replace(deselected=0)

    def _facts(self, record: dict[str, Any], category: str, verdict: str) -> Facts:
        get = record.get
        fingerprint = get("fingerprint")
        part = fingerprint.get if isinstance(fingerprint, dict) else _NOTHING.get
        found = get("metrics")
        metric = found.get if isinstance(found, dict) else _NOTHING.get
        values = [_real(metric(name)) for name in METRICS]
        tags, said = get("tags"), get("run_id")
        derived = run_id(self.batch_id, record["name"], record["attempt"])
        return Facts(
            said if said != derived and isinstance(said, str) else None,
            record["status"],
            category or None,
            verdict or None,
            _text(get("engine")) or "",
            _text(get("strategy")) or "",
            _tags(tags) if tags else "[]",
            utc(get("started_at")) or "",
            _real(get("seconds")) or 0.0,
            _text(part("config")),
            _hash_of(part("data")),
            _hash_of(part("code")),
            self._environment(part("environment")),
            _text(get("series")),
            values,
        )

    def _environment(self, versions: object) -> str | None:
        if not isinstance(versions, dict):
            return None
        try:
            key = tuple(versions.items())
            known = self.environments.get(key, "")
        except TypeError:  # a version that is itself a list or a mapping
            return _hash_of_versions(versions)
        if known == "":
            known = self.environments[key] = _hash_of_versions(versions)
        return known


def read_batch(registry: FilesRegistry, folder: Path) -> IndexedBatch:
    """What is to be indexed of the batch in ``folder``; what cannot be read is in ``problems``."""
    try:
        return _read_batch(registry, folder)
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        # Files hold whatever somebody wrote there: a shape that nobody thought of is that
        # batch's problem, and hides no other.
        return _unreadable(folder.name, f"{folder}: cannot be read: {type(error).__name__}: {error}")


def _unreadable(batch_id: str, problem: str) -> IndexedBatch:
    return IndexedBatch(
        batch_id=batch_id,
        name="",
        created_at=_time_in(batch_id),
        ended_at=None,
        revision="",
        status=BatchStatus.PARTIAL,
        status_if_dead=BatchStatus.PARTIAL,
        expected=0,
        recorded=0,
        success=0,
        failed=0,
        not_run=0,
        deselected=0,
        error_categories={},
        verdicts={},
        cancel_reason=None,
        problems=(problem,),
    )


def _read_batch(registry: FilesRegistry, folder: Path) -> IndexedBatch:
    batch_id = folder.name
    problems: list[str] = []
    manifest = _manifest(registry, batch_id, problems)
    created_at = utc(manifest.get("created_at"))
    if created_at is None and manifest:
        problems.append(
            f"{batch_id}/manifest.json: created_at is {manifest.get('created_at')!r}, expected a time; "
            "the one in the batch's id is taken"
        )
    problems += [f"{batch_id}/manifest.json: {message}" for message in wrong(manifest, MANIFEST)]
    reading = _Reading(batch_id)
    ends: list[str] = []
    revisions: list[tuple[str, str]] = []
    unread = False
    try:
        paths = segments(folder)
    except RegistryError as error:
        problems.append(f"{batch_id}: {error}")
        paths, unread = [], True
    for number, path in enumerate(paths):
        begins = len(reading.begins)
        try:
            reading.read(number, path)
            if len(reading.begins) > begins:
                reading.limit_deselected(path, begins)
                _sessions(path, ends, revisions)
        except RegistryError as error:
            unread = True
            # Said by file name in any case; the fold's own words often have it already.
            where = "" if segment_name(path) in str(error) else f"{segment_name(path)}: "
            problems.append(f"{where}{error}")
    fold = reading.result(None)
    dead = fold.status if fold.ended else reading.result(False).status
    revision = _revision(manifest)
    return IndexedBatch(
        batch_id=batch_id,
        name=_text(manifest.get("batch_name")) or "",
        created_at=created_at or _time_in(batch_id),
        ended_at=max(ends) if fold.ended and ends else None,
        revision=revision,
        status=_never_more_than_known(fold.status, unread),
        status_if_dead=_never_more_than_known(dead, unread),
        expected=fold.expected_count,
        recorded=fold.recorded,
        success=fold.success,
        failed=fold.failed,
        not_run=fold.not_run_count,
        deselected=fold.deselected,
        error_categories=fold.error_categories,
        verdicts=fold.verdicts,
        cancel_reason=fold.cancel_reason,
        problems=(*problems, *fold.problems, *fold.notes),
        runs=_runs(reading, fold, [("", revision), *sorted(revisions)]),
        shard=_shard(manifest),
    )


def _shard(manifest: Mapping[str, Any]) -> str:
    shard = manifest.get("shard")
    if not isinstance(shard, dict):
        return ""
    return f"{shard.get('index')}/{shard.get('count')}"[:_LONGEST_SHARD]


def _runs(reading: _Reading, fold: BatchFold, revisions: list[tuple[str, str]]) -> list[IndexedRun]:
    """``revisions`` of the sessions by when they began; the batch was created at the first."""
    found = []
    for name, path, offset, length in fold.finals():
        facts = reading.facts[name]
        revision = revisions[0][1]
        if len(revisions) > 1 and facts.started_at:
            revision = revisions[max(bisect_right(revisions, facts.started_at, key=_when), 1) - 1][1]
        found.append(
            IndexedRun(name, reading.finals[name].attempt, facts, revision, path.name, offset, length)
        )
    return found


def _when(revision: tuple[str, str]) -> str:
    return revision[0]


def _never_more_than_known(status: BatchStatus, unread: bool) -> BatchStatus:
    """What could not be read may hold a failure: such a batch is not called completed."""
    return BatchStatus.PARTIAL if unread and status is BatchStatus.COMPLETED else status


def _manifest(registry: FilesRegistry, batch_id: str, problems: list[str]) -> dict[str, Any]:
    try:
        return registry._created(batch_id)
    except RegistryError as error:
        problems.append(f"{batch_id}/manifest.json: {error}")
        return {}


def _sessions(path: Path, ends: list[str], revisions: list[tuple[str, str]]) -> None:
    """Add when the sessions in a controller's segment ended, and the revisions of those that
    went on with the batch by when they began. Few lines are decoded for it."""
    with path.open("rb") as file:
        for raw in file:
            head = raw[:64]
            went_on = b'"begin"' in head and b'"provenance"' in raw
            if not went_on and b'"end"' not in head:
                continue
            try:
                line = decode(raw)
            except ValueError:
                continue  # told by the fold already
            at = utc(line.get("at")) if isinstance(line, dict) else None
            if not at or not raw.endswith(b"\n"):
                continue
            if line.get("kind") == "end":
                ends.append(at)
            elif line.get("kind") == "begin" and isinstance(line.get("provenance"), dict):
                revisions.append((at, _revision(line)))


def _revision(told: Mapping[str, Any]) -> str:
    """The commit that a manifest or a session's begin tells, ``+`` behind it for a changed tree."""
    provenance = told.get("provenance")
    if not isinstance(provenance, dict):
        return ""
    said = _text(provenance.get("git commit"))
    if said is None or said.startswith("unknown"):
        return ""
    return f"{said}+" if provenance.get("git dirty") == "yes" else said


def utc(text: object) -> str | None:
    """A time as records have it; one in another zone is turned, one without is taken as UTC."""
    if not isinstance(text, str):
        return None
    if len(text) == _UTC_LENGTH and text.endswith("+00:00") and text[10] == "T" and text.isascii():
        return text
    try:
        return utc_text(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _time_in(batch_id: str) -> str:
    return utc_text(datetime.strptime(batch_id[6:21] + "+0000", "%Y%m%dT%H%M%S%z"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _tags(tags: object) -> str:
    return json.dumps([tag for tag in tags if isinstance(tag, str)]) if isinstance(tags, list) else "[]"


def _real(value: object) -> float | None:
    if type(value) is float:
        # 1e999 is JSON, and read as infinite. Plus 0.0: SQLite knows no negative zero.
        return value + 0.0 if math.isfinite(value) else None
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _hash_of(part: object) -> str | None:
    return _text(part.get("hash")) if isinstance(part, dict) else None


def _hash_of_versions(versions: dict[str, Any]) -> str | None:
    try:
        return sha256_of_json(versions)
    except (rfc8785.CanonicalizationError, RecursionError):
        return None
