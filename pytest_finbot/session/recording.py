"""A run executed and remembered: in the process that asked for it, at once, before pytest hears of it."""

from __future__ import annotations

import dataclasses
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finbot.contracts import RetrySpec, RunRecord, RunSpec, RunStatus
from pytest_finbot.errors import FinbotError, RegistryError
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.session.attempt import (
    Attempt,
    Executor,
    OpenBatch,
    UnrecordedError,
    now,
    record_outcome,
)
from pytest_finbot.session.cancelling import CancelRequest, CancelWatch
from pytest_finbot.session.max_rss import in_words
from pytest_finbot.session.resuming import EarlierResults

if TYPE_CHECKING:
    from pytest_finbot.pipeline.execute import Log
    from pytest_finbot.registry.protocol import BatchWriter, Registry
    from pytest_finbot.session.isolated import IsolatedExecutor
    from pytest_finbot.session.log_stream import LogStream
    from pytest_finbot.session.max_rss import MemoryWatch


class CancelledError(Exception):
    """The batch was cancelled: the run was not executed, or was ended, and has no record."""

    def __init__(self, request: CancelRequest) -> None:
        super().__init__(f"not run: the batch was cancelled ({request.reason})")


class NotToBeExecutedError(Exception):
    """``--finbot-retry-failed``: the run did not fail, and what is recorded of it holds no longer."""

    def __init__(self, why: str) -> None:
        super().__init__(f"not run (--finbot-retry-failed): {why}")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run's final record. ``why`` is said in a resumed batch only: ``done``, or why it ran again."""

    record: RunRecord
    why: str | None = None

    @property
    def done(self) -> bool:
        """It was not executed: what an earlier session recorded is valid."""
        return self.why == EarlierResults.DONE


class RunRecorder:
    """Executes runs and records them under one writer's name (``main``, ``gw0`` …)."""

    def __init__(
        self,
        registry: Registry,
        batches: Mapping[Path, OpenBatch],
        worker: str,
        executor: Executor,
        watches: Mapping[str, CancelWatch] | None = None,
        stream: LogStream | None = None,
        memory: MemoryWatch | None = None,
    ) -> None:
        self._registry = registry
        self._batches = batches
        self._worker = worker
        self._executor = executor
        self._watches = watches or {}
        self._stream = stream
        self._writers: dict[str, BatchWriter] = {}
        self._attempts: dict[tuple[str, str], int] = {}
        self._isolated: IsolatedExecutor | None = None
        self.memory = memory
        self.moved = False
        """The last attempt was executed in a child because this process has too much memory."""
        self.lost_lines = 0
        """Lines of the log that could not be written."""
        self.why_lost = ""
        self._earlier = {
            batch.batch_id: EarlierResults(registry, batch, executor.reruns)
            for batch in batches.values()
            if batch.resumed
        }

    def run(self, path: Path, spec: RunSpec) -> Recorded:
        """Execute ``spec`` of the batch file ``path`` and return its durable record.

        In a resumed batch a valid record is taken as it is; a failed run is tried again as
        its ``retries`` say, and each attempt recorded. Raises UnrecordedError where the
        record could not be written (the run then counts as not run, whatever came of it),
        CancelledError where the batch was cancelled meanwhile.
        """
        batch = self._batches[path]
        why = None
        if batch.batch_id in self._earlier:
            earlier = self._earlier[batch.batch_id].of(spec)
            why = earlier.why
            self._note(batch, "resume", {"run": spec.name, "why": why})
            if earlier.again is not None:
                self._append(batch, earlier.again)
                return Recorded(earlier.again, why)
            if earlier.record is not None:
                return Recorded(earlier.record, why)
            if batch.only is not None and spec.name not in batch.only:
                raise NotToBeExecutedError(why)
        tries = 0
        while True:
            tries += 1
            record = self._attempt(batch, spec)
            if not _tries_again(record, spec.retries, tries):
                return Recorded(record, why)
            self._wait(batch, spec.retries, tries)

    def _attempt(self, batch: OpenBatch, spec: RunSpec) -> RunRecord:
        self._unless_cancelled(batch)
        attempt = Attempt(batch, spec, self._next_number(batch, spec.name), now(), self._worker)
        unwritten: RegistryError | None = None
        try:
            self.writer(batch).append(
                "start", {"name": spec.name, "attempt": attempt.number, "at": attempt.started_at}, sync=False
            )
        except RegistryError as error:
            unwritten = error  # what the run comes to is told all the same
        lost = self.lost_lines
        record = self._execute(attempt)
        if self.lost_lines > lost:
            words = f"{self.lost_lines - lost} lines of its log could not be written: {self.why_lost}"
            record = dataclasses.replace(record, warnings=(*record.warnings, words))
        if unwritten is not None:
            raise UnrecordedError.of(spec.name, record_outcome(record), unwritten) from unwritten
        self._append(batch, record)
        return record

    def _execute(self, attempt: Attempt) -> RunRecord:
        from pytest_finbot.session.isolated import isolates

        def log(kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
            self._note(attempt.batch, kind, payload, flush=flush)

        self.moved = False
        if not isolates(attempt.spec):
            size = None if self.memory is None else self.memory.passed(os.getpid())
            if size is None:
                return self._executor.execute(attempt, log)
            record = self._beyond(attempt, log, size)
            if record is not None:
                return record
        record = self._isolation().execute(
            attempt,
            log,
            lambda: self._ends_at_once(attempt.batch),
            lambda out, err: self._tell_output(attempt, out, err),
        )
        if record is None:
            self._unless_cancelled(attempt.batch)
            raise RegistryError(f"run {attempt.spec.name} was ended, and nobody asked for it")
        return record

    def _beyond(self, attempt: Attempt, log: Log, size: int) -> RunRecord | None:
        """The attempt's record, executed here although this process has passed its limit; ``None``
        where it is to be executed in a child, which gives back all that it takes.
        """
        from pytest_finbot.pipeline.isolation import available

        assert self.memory is not None, "asked for by its word"
        assert self.memory.limit is not None, "asked for by its word"
        why_not = "isolation: inline is asked for" if attempt.spec.isolation == "inline" else available()
        about = {"run": attempt.spec.name, "attempt": attempt.number, "rss": size, "limit": self.memory.limit}
        log("memory", {**about, "done": "moved" if why_not is None else "nothing"})
        if why_not is None:
            self.moved = True
            self.memory.moved += 1
            return None
        record = self._executor.execute(attempt, log)
        words = (
            f"it was executed in a process whose memory ({in_words(size)}) had passed the "
            f"{in_words(self.memory.limit)} of --finbot-max-rss, and cannot be replaced: {why_not}"
        )
        return dataclasses.replace(record, warnings=(*record.warnings, words))

    def _append(self, batch: OpenBatch, record: RunRecord) -> None:
        try:
            self.writer(batch).append("run", record_to_json(record))
        except (OSError, RegistryError) as error:
            raise UnrecordedError.of(record.name, record_outcome(record), error) from error

    def _next_number(self, batch: OpenBatch, name: str) -> int:
        key = batch.batch_id, name
        if key not in self._attempts and batch.batch_id in self._earlier:
            self._attempts[key] = self._earlier[batch.batch_id].attempts(name)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        return self._attempts[key]

    def _wait(self, batch: OpenBatch, retries: RetrySpec, tries: int) -> None:
        until = time.monotonic() + backoff_seconds(retries, tries, random.SystemRandom().random)
        while (left := until - time.monotonic()) > 0:
            self._unless_cancelled(batch)
            time.sleep(min(left, 0.2))

    # ----------------------------------------------------------------------- cancelling

    def _unless_cancelled(self, batch: OpenBatch) -> None:
        watch = self._watches.get(batch.batch_id)
        request = watch.asked() if watch is not None else None
        if request is not None:
            raise CancelledError(request)

    def _ends_at_once(self, batch: OpenBatch) -> bool:
        watch = self._watches.get(batch.batch_id)
        request = watch.asked() if watch is not None else None
        return request is not None and request.at_once

    # --------------------------------------------------------------------------- writing

    def attempt(self, batch: OpenBatch, name: str) -> int:
        """The attempt at a run that this process made last; 0 where it made none."""
        return self._attempts.get((batch.batch_id, name), 0)

    def _tell_output(self, attempt: Attempt, stdout: str, stderr: str) -> None:
        """What a child wrote: kept, and written here as well, for pytest to show with a failure."""
        self.keep_output(attempt.batch, attempt.spec.name, attempt.number, stdout, stderr)
        sys.stdout.write(stdout)
        sys.stderr.write(stderr)

    def keep_output(self, batch: OpenBatch, name: str, attempt: int, stdout: str, stderr: str) -> None:
        """What a run wrote, kept in the log."""
        said = {stream: text for stream, text in (("stdout", stdout), ("stderr", stderr)) if text}
        if said:
            self._note(batch, "output", {"run": name, "attempt": attempt, **said})

    def _note(self, batch: OpenBatch, kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
        """A line in the log. Its loss costs nothing that is counted, so it fails no run."""
        try:
            self.writer(batch).log(kind, payload, flush=flush)
            if self._stream is not None:
                self._stream.write(batch.batch_id, kind, payload)
        except FinbotError as error:
            self.lost_lines += 1
            self.why_lost = str(error)

    def writer(self, batch: OpenBatch) -> BatchWriter:
        """This process's writer for ``batch``, opened at first use."""
        if batch.batch_id not in self._writers:
            self._writers[batch.batch_id] = self._registry.open_writer(batch.batch_id, self._worker)
        return self._writers[batch.batch_id]

    def close(self) -> None:
        """End the child, if there is one, and close the writers."""
        try:
            if self._isolated is not None:
                self._isolated.close()
        finally:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
            if self._stream is not None:
                self._stream.close()
                self._stream = None

    def _isolation(self) -> IsolatedExecutor:
        if self._isolated is None:
            from pytest_finbot.session.isolated import IsolatedExecutor

            self._isolated = IsolatedExecutor(self._executor, self._batches, self.memory)
        return self._isolated


def _tries_again(record: RunRecord, retries: RetrySpec, tries: int) -> bool:
    return (
        tries < retries.attempts
        and record.status is RunStatus.FAILED
        and record.error is not None
        and record.error.category in retries.on
    )


def backoff_seconds(retries: RetrySpec, tries: int, chance: Callable[[], float]) -> float:
    """Seconds between attempt number ``tries`` and the next: doubled each time, half of it by chance."""
    longest = retries.backoff * 2.0 ** min(tries - 1, 30)
    return longest * (0.5 + 0.5 * chance()) if retries.jitter else longest
