"""One metric of a run over its batches: its moves, and the cause of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_finbot.contracts import Cause
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.index import Index
    from pytest_finbot.registry.queries import RunRow


@dataclass(frozen=True, slots=True)
class Move:
    """A record whose value is another than that of the one before, or the first with a value."""

    run_id: str
    at: str
    value: float | str
    first: bool
    """Nothing was looked at before it that has a value."""
    change: float | None
    """Against the value before; ``None`` for the first, and where one of them is text."""
    fraction: float | None
    """The change as a fraction of the value before; ``None`` where that is 0, or there is none."""
    commit: str
    causes: tuple[tuple[str, str], ...]
    """What differed from the record before, as part and detail; none for the first."""
    unchanged: int = 0
    """Records with the same value that followed."""


@dataclass(slots=True)
class Track:
    """The records of one run in the batches of one name, oldest first."""

    batch_name: str
    times: list[str] = field(default_factory=list)
    values: list[float | str | None] = field(default_factory=list)
    """Of every record; ``None`` where it has no such metric."""
    earlier: int = 0
    """Older records, which were not looked at."""
    moves: list[Move] = field(default_factory=list)
    others: set[str] = field(default_factory=set)
    """Metrics that its records have, to name the nearest."""

    @property
    def known(self) -> list[float | str]:
        return [value for value in self.values if value is not None]

    @property
    def numbers(self) -> list[float]:
        return [value for value in self.values if isinstance(value, float)]


class Historian:
    """Reads the records behind the index's rows. Raises RegistryError where one cannot be read."""

    def __init__(self, registry: FilesRegistry, index: Index, metric: str) -> None:
        self._registry = registry
        self._index = index
        self._metric = metric
        self._sources: dict[str, Any] = {}
        self.problems: list[str] = []
        """Of batches whose manifests cannot be used: what differs is told by hashes alone."""

    def tracks(self, rows: Sequence[RunRow], limit: int | None = None) -> list[Track]:
        """``rows``, oldest first, by the names of their batches: two batches are no one history.

        Only the newest ``limit`` of all of them are looked at.
        """
        found: dict[str, Track] = {}
        before: dict[str, tuple[RunRow, float | str]] = {}
        skipped = 0 if limit is None else max(len(rows) - limit, 0)
        earlier = Counter(row.batch_name for row in rows[:skipped])
        for row in rows[skipped:]:
            track = found.setdefault(row.batch_name, Track(row.batch_name, earlier=earlier[row.batch_name]))
            value = self._value(row, track)
            track.times.append(row.started_at)
            track.values.append(value)
            if value is None:
                continue
            last = before.get(row.batch_name)
            if last is not None and last[1] == value:
                track.moves[-1] = _once_more(track.moves[-1])
            else:
                track.moves.append(self._move(row, value, last))
            before[row.batch_name] = (row, value)
        return list(found.values())

    def _value(self, row: RunRow, track: Track) -> float | str | None:
        # What the index keeps need not be read again.
        if self._metric in _INDEXED and (known := getattr(row, self._metric)) is not None:
            track.others.update(_INDEXED)
            return float(known)
        metrics = _object(self._index.record(row.run_id), "metrics")
        track.others.update(metrics)
        value = metrics.get(self._metric)
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        try:
            number = float(value)
        except OverflowError:  # a whole number beyond what a float can be
            return None
        return number if math.isfinite(number) else None

    def _move(self, row: RunRow, value: float | str, last: tuple[RunRow, float | str] | None) -> Move:
        if last is None:
            return Move(row.run_id, row.started_at, value, True, None, None, row.commit, ())
        change = fraction = None
        if isinstance(value, float) and isinstance(last[1], float):
            change = _finite(value - last[1])
            if change is not None and last[1]:
                fraction = _finite(change / abs(last[1]))
        return Move(
            row.run_id,
            row.started_at,
            value,
            False,
            change,
            fraction,
            row.commit,
            tuple((cause.part, cause.detail) for cause in self._causes(last[0], row)),
        )

    def _causes(self, old: RunRow, new: RunRow) -> tuple[Cause, ...]:
        from pytest_finbot.fingerprint import explain

        return explain(self._dependencies(old), self._dependencies(new), moved=True)

    def _dependencies(self, row: RunRow) -> Mapping[str, Any]:
        """The full fingerprint of a record; of one from no batch file, what it says itself."""
        from pytest_finbot.baselines.dependencies import dependencies_of_record
        from pytest_finbot.baselines.sources import BatchSource
        from pytest_finbot.cli.naming import using_manifest
        from pytest_finbot.errors import RegistryError

        record = self._index.record(row.run_id)
        source = self._sources.setdefault(row.batch_id, BatchSource(self._registry, row.batch_id))
        try:
            with using_manifest(row.batch_id):
                spec = source.spec_of(record)
        except RegistryError as error:
            spec = None
            if str(error) not in self.problems:
                self.problems.append(str(error))
        if spec is not None:
            return dependencies_of_record(self._registry.objects, record, spec)
        fingerprint = _object(record, "fingerprint")
        return {**fingerprint, "config": {"hash": fingerprint.get("config")}}


_INDEXED = ("final_nav", "total_return", "cagr", "sharpe", "max_drawdown", "trades")


def _object(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _once_more(move: Move) -> Move:
    import dataclasses

    return dataclasses.replace(move, unchanged=move.unchanged + 1)
