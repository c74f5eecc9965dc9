"""How far a batch is, told from its files alone, again and again: nothing is written or locked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.contracts import BatchStatus, RunStatus

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry
    from pytest_finbot.registry.fold import BatchFold

_FAILURES: Final = 5
_STEP: Final = 0.1
"""Seconds after which the end of a batch is noticed, however seldom it is looked at."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A batch at one moment. Times are UTC; ``rate`` is runs a second."""

    batch_id: str
    at: str
    status: BatchStatus
    over: bool
    """Nobody is at work on it any more, or the last session has ended."""
    cancel_reason: str | None
    expected: int
    recorded: int
    success: int
    failed: int
    not_run: int
    rate: float | None
    """Of the last session; ``None`` while nothing of it is recorded, and when it is over."""
    seconds_left: float | None
    under_way: tuple[tuple[str, float], ...]
    """Runs that were started and have no record yet, with seconds since; the longest first."""
    left: tuple[str, ...]
    """Of a batch that is over: runs that were started and left no record."""
    last_failures: tuple[tuple[str, str, str], ...]
    """Name, category and message of those that failed last; the latest last."""
    problems: tuple[str, ...]


class Progress:
    """Looks at one batch. Each line is read once; counts are the fold's, made when lines came.

    ``share`` of one core, at most, is what counting costs: a large batch is counted less often.
    """

    def __init__(self, registry: FilesRegistry, batch_id: str, share: float = 0.1) -> None:
        self._share = share
        self._registry = registry
        self._batch_id = batch_id
        self._folder = registry.batch_folder(batch_id)
        self._read: dict[str, int] = {}
        self._fold: BatchFold | None = None
        self._alive: bool | None = None
        self._stale = True
        self._fold_again = 0.0
        self._began: datetime | None = None
        self._started: dict[str, tuple[int, datetime]] = {}
        self._finished: list[datetime] = []
        self._failures: dict[str, tuple[datetime, str, str]] = {}

    def look(self) -> Snapshot:
        """The batch now. Raises RegistryError where it cannot be read, or is gone."""
        from pytest_finbot.registry.liveness import is_alive

        alive = is_alive(self._folder)  # before the lines: one that has ended has told its end
        if self._follow() or alive is not self._alive:
            self._stale = True
        ended = alive is False and self._alive is not False
        self._alive = alive
        if self._fold is None or (self._stale and (ended or time.monotonic() >= self._fold_again)):
            begun = time.monotonic()
            self._fold = self._registry.fold(self._batch_id, writer_alive=alive)
            self._fold_again = time.monotonic() + (time.monotonic() - begun) / self._share
            self._stale = False
        return self._snapshot(self._fold)

    def wait(self, seconds: float) -> None:
        """Let so much time pass before the next look; less where who is at work ends meanwhile."""
        from pytest_finbot.registry.liveness import is_alive

        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STEP))
            if self._alive and not is_alive(self._folder):
                return

    def _snapshot(self, fold: BatchFold) -> Snapshot:
        now = datetime.now(UTC)
        going = (BatchStatus.PENDING, BatchStatus.RUNNING)
        over = self._alive is not True and fold.status not in going
        # Only a whole count can say that it is over.
        over = over and not self._stale
        rate = None if over else self._rate(now)
        unfinished = fold.unfinished
        under_way = [
            (name, max((now - self._started[name][1]).total_seconds(), 0.0))
            for name in unfinished
            if not over and name in self._started
        ]
        return Snapshot(
            batch_id=self._batch_id,
            at=now.isoformat(timespec="seconds"),
            status=fold.status,
            over=over,
            cancel_reason=fold.cancel_reason,
            expected=fold.expected_count,
            recorded=fold.recorded,
            success=fold.success,
            failed=fold.failed,
            not_run=fold.not_run_count,
            rate=rate,
            # What comes after the last run has no rate.
            seconds_left=fold.not_run_count / rate if rate and fold.not_run_count else None,
            under_way=tuple(sorted(under_way, key=lambda each: (-each[1], each[0]))),
            left=unfinished if over else (),
            last_failures=tuple(
                (name, category, message)
                for name, (_, category, message) in sorted(
                    self._failures.items(), key=lambda entry: (entry[1][0], entry[0])
                )[-_FAILURES:]
            ),
            problems=fold.problems,
        )

    def _rate(self, now: datetime) -> float | None:
        """Records a second of the last session, as long as it has been going."""
        if self._began is None:
            return None
        # What an earlier session recorded says nothing of this one.
        self._finished = [at for at in self._finished if at >= self._began]
        elapsed = (max(now, *self._finished) if self._finished else now) - self._began
        seconds = elapsed.total_seconds()
        return len(self._finished) / seconds if self._finished and seconds > 0 else None

    # ------------------------------------------------------------------------- following

    def _follow(self) -> bool:
        """Read what was added to the segments since the last look; whether anything was."""
        from pytest_finbot.registry.layout import segments

        grown = False
        for path in segments(self._folder):
            for line in self._added(path):
                grown = True
                self._take(line)
        return grown

    def _added(self, path: Path) -> Iterator[dict[str, Any]]:
        """Whole new lines. One that cannot be read is passed over here: the fold tells it."""
        from pytest_finbot.registry.durable import telling
        from pytest_finbot.registry.strict_json import decode

        offset = self._read.get(path.name, 0)
        with telling("read", path):
            if path.stat().st_size <= offset:
                return
            with path.open("rb") as file:
                file.seek(offset)
                raw = file.read()
        whole = raw[: raw.rfind(b"\n") + 1]
        self._read[path.name] = offset + len(whole)
        for line in whole.splitlines():
            try:
                value = decode(line)
            except ValueError:
                value = None
            yield value if isinstance(value, dict) else {}

    def _take(self, line: dict[str, Any]) -> None:
        kind, name = line.get("kind"), line.get("name")
        if kind == "begin":
            at = _moment(line.get("at"))
            if at is not None:
                self._began = at if self._began is None else max(at, self._began)
        elif not isinstance(name, str):
            return
        elif kind == "start":
            attempt, at = line.get("attempt"), _moment(line.get("at"))
            if isinstance(attempt, int) and at is not None:
                self._started[name] = max((attempt, at), self._started.get(name, (0, at)))
        elif kind in ("run", "crash"):
            self._recorded(name, line)

    def _recorded(self, name: str, record: dict[str, Any]) -> None:
        from pytest_finbot.cli.batch_facts import error_of

        at = _moment(record.get("finished_at"))
        if at is None:
            return
        self._finished.append(at)
        self._failures.pop(name, None)
        if record.get("status") == RunStatus.FAILED:
            error = error_of(record)
            said = f"{error['type']}: {error['message']}" if error["type"] else error["message"]
            self._failures[name] = (at, str(error["category"]), said)


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
