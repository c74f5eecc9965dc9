"""Attempts executed in a child process that can be ended: what it says, and what its death means."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_finbot.config.manifest import spec_from_json, spec_to_json
from pytest_finbot.contracts import ErrorCategory, ErrorInfo, PhaseResult, RunRecord, RunSpec, RunStatus
from pytest_finbot.engines.resolve import OWN as OWN_ENGINE
from pytest_finbot.errors import ParameterError, RegistryError, RunMemoryError
from pytest_finbot.pipeline.execute import Log
from pytest_finbot.pipeline.isolation import Child, Ended, available
from pytest_finbot.pipeline.isolation.limits import memory_bound, memory_limit_available
from pytest_finbot.registry.ids import run_id
from pytest_finbot.registry.liveness import HELD
from pytest_finbot.registry.records import record_from_json, record_to_json
from pytest_finbot.session.attempt import Attempt, Executor, OpenBatch, UnrecordedError, described, now
from pytest_finbot.session.max_rss import MemoryWatch
from pytest_finbot.strategies.resolve import BUILT_IN as STRATEGIES

# Bound now: in a child, a run may have replaced what the module holds.
_dumps, _loads = json.dumps, json.loads
_PACKAGE = str(Path(__file__).resolve().parents[1])
_MOST_TRACE = 20_000
"""Characters of what a dying interpreter said that go into the record."""


def isolates(spec: RunSpec) -> bool:
    """Whether ``spec`` is executed in a child. Raises ParameterError where it has to be and cannot."""
    if spec.isolation == "inline":
        return False
    bounded = spec.timeout is not None or spec.memory_limit is not None
    why_not = available()
    if spec.memory_limit is not None and why_not is None:
        why_not = memory_limit_available()
    if why_not is not None:
        if spec.isolation == "process" or bounded:
            raise ParameterError(
                f"run {spec.name} asks for {_asked(spec)}, which is not to be had here: {why_not}"
            )
        return False
    return spec.isolation == "process" or bounded or _foreign(spec)


def _foreign(spec: RunSpec) -> bool:
    """Whether code that is not ours takes part in it."""
    return spec.engine != OWN_ENGINE or (spec.strategy != "" and spec.strategy not in STRATEGIES)


def _asked(spec: RunSpec) -> str:
    if spec.timeout is not None:
        return "a timeout"
    return "a memory_limit" if spec.memory_limit is not None else "isolation: process"


def _load_libraries(spec: RunSpec) -> None:
    """What a run needs, loaded before the fork: once, and not on the time of a run."""
    names = ["pyarrow.compute", "pyarrow.csv", "pyarrow.parquet"]
    if _foreign(spec):
        names.append("pandas")  # what users' strategies and other engines are written with
    if spec.data.calendar is not None:
        names.append("exchange_calendars")
    for name in names:
        if name not in sys.modules:
            importlib.import_module(name)


class IsolatedExecutor:
    """Executes attempts in one child of this process, which is replaced when one goes wrong."""

    def __init__(
        self, executor: Executor, batches: Mapping[Path, OpenBatch], memory: MemoryWatch | None = None
    ) -> None:
        self._executor = executor
        self._batches = batches
        self._memory = memory
        self._child = Child(self._work, close=HELD)

    def execute(
        self,
        attempt: Attempt,
        log: Log,
        cancelled: Callable[[], bool],
        keep_output: Callable[[str, str], None],
    ) -> RunRecord | None:
        """The attempt's record; ``None`` where it was ended because the batch was cancelled.

        ``keep_output`` gets what the run wrote to stdout and stderr, bounded. Raises
        UnrecordedError as :meth:`Executor.execute` does.
        """
        spec = attempt.spec
        _load_libraries(spec)
        story = _Story(log)
        job = {
            "batch": str(attempt.batch.path),
            "spec": spec_to_json(spec),
            "number": attempt.number,
            "started_at": attempt.started_at,
            "worker": attempt.worker,
        }
        ended = self._child.run(
            _dumps(job, allow_nan=False).encode(),
            timeout=spec.timeout,
            said=story.hear,
            cancelled=cancelled,
        )
        keep_output(ended.output.stdout, ended.output.stderr)
        if ended.how == "cancelled":
            return None
        if ended.how == "finished" and ended.value is not None:
            try:
                told = _loads(ended.value)
                if "unrecorded" in told:
                    raise UnrecordedError(told["unrecorded"])
                record = record_from_json(told["record"])
            except UnrecordedError:
                raise
            except (ValueError, KeyError, TypeError, RegistryError):
                self._child.close()
                return _ended_record(attempt, ended, story)
            if record.status is RunStatus.FAILED:
                self._child.close()  # what it broke in its process is no neighbour's matter
            self._replace_beyond_limit(attempt, log)
            if ended.left_children:
                record = replace(record, warnings=(*record.warnings, _left(ended.left_children)))
            return record
        return _ended_record(attempt, ended, story)

    def _replace_beyond_limit(self, attempt: Attempt, log: Log) -> None:
        """After an attempt: a child that has taken too much memory takes no further run."""
        size = None if self._memory is None else self._memory.passed(self._child.pid)
        if size is None or self._memory is None:
            return
        self._child.close()
        if not isolates(attempt.spec):
            return  # it was moved here by its worker, whose memory any child begins with: told there
        self._memory.replaced += 1
        about = {"run": attempt.spec.name, "attempt": attempt.number, "rss": size}
        log("memory", {**about, "limit": self._memory.limit, "done": "replaced"})

    def close(self) -> None:
        self._child.close()

    def _work(self, job: bytes, say: Callable[[bytes], None]) -> bytes:
        """In the child: execute, record what is big, hand back the record."""
        told = _loads(job)
        spec = spec_from_json(told["spec"])
        attempt = Attempt(
            self._batches[Path(told["batch"])], spec, told["number"], told["started_at"], told["worker"]
        )

        def log(kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
            say(_dumps({"kind": kind, "payload": dict(payload), "flush": flush}).encode())

        try:
            record = self._executor.execute(attempt, log, lambda: _bounds(spec), contained=True)
        except UnrecordedError as error:
            return _dumps({"unrecorded": str(error)}).encode()
        return _dumps({"record": record_to_json(record)}, allow_nan=False).encode()


@contextmanager
def _bounds(spec: RunSpec) -> Iterator[None]:
    """The run's memory limit; passing it is told as that, with where it happened."""
    try:
        with memory_bound(spec.memory_limit):
            yield
    except MemoryError as error:
        if spec.memory_limit is None:
            raise
        # Its frames hold what it allocated: once they are told, let go of them.
        where = _innermost(error)
        said = str(error) or "MemoryError"
        error.__traceback__ = None
        raise RunMemoryError(
            f"it passed its memory_limit of {spec.memory_limit / 2**20:,.0f} MiB in {where}: {said}"
        ) from None


def _innermost(error: BaseException) -> str:
    """The function that raised ``error``, with file and line."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    if frames is None:
        return "unknown code"
    code = frames.tb_frame.f_code
    return f"{code.co_qualname} ({code.co_filename}:{frames.tb_lineno})"


class _Story:
    """What a child told of a run before it ended: its phases, in order."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.phases: list[PhaseResult] = []
        self.phase = "start"

    def hear(self, message: bytes) -> None:
        told = _loads(message)
        payload: dict[str, Any] = told["payload"]
        if told["kind"] == "phase_start":
            self.phase = payload["phase"]
        elif told["kind"] == "phase_result":
            self.phases.append(
                PhaseResult(
                    payload["phase"],
                    payload["status"],
                    payload["seconds"],
                    payload.get("counters", {}),
                    payload.get("reason"),
                )
            )
        self._log(told["kind"], payload, flush=told["flush"])


def _ended_record(attempt: Attempt, ended: Ended, story: _Story) -> RunRecord:
    """The record of a run whose process was ended or died: the parent's word, for lack of its own."""
    spec = attempt.spec
    category, kind, message = _why(spec, ended, story.phase)
    died_in = [] if any(phase.name == story.phase for phase in story.phases) else [story.phase]
    left = max(ended.seconds - sum(phase.seconds for phase in story.phases), 0.0)
    phases = (
        *story.phases,
        *(PhaseResult(name, "failed", round(left, 6), reason=message) for name in died_in),
    )
    return RunRecord(
        run_id=run_id(attempt.batch.batch_id, spec.name),
        batch_id=attempt.batch.batch_id,
        name=spec.name,
        status=RunStatus.FAILED,
        attempt=attempt.number,
        started_at=attempt.started_at,
        finished_at=now(),
        seconds=round(ended.seconds, 6),
        worker=attempt.worker,
        error=ErrorInfo(
            category=category,
            phase=story.phase,
            type=kind,
            message=message,
            traceback=_last_words(ended),
            expected=True,
        ),
        phases=phases,
        seed=spec.seed,
        **described(spec),
    )


def _why(spec: RunSpec, ended: Ended, phase: str) -> tuple[ErrorCategory, str, str]:
    if ended.how == "finished":
        return ErrorCategory.CRASH, "RunCrashError", "its process gave back something that is no record"
    if ended.how == "timeout":
        return (
            ErrorCategory.TIMEOUT,
            "RunTimeoutError",
            f"it took longer than its timeout of {spec.timeout:g} s and was ended in phase {phase}",
        )
    if ended.signal is not None:
        how = f"its process was ended by {ended.signal}"
        if ended.signal == "SIGKILL":
            how += " (by somebody, or by the system for lack of memory)"
    else:
        how = f"its process ended by itself with exit status {ended.exit_code}"
    bounded = (
        "" if spec.memory_limit is None else f"; its memory_limit was {spec.memory_limit / 2**20:,.0f} MiB"
    )
    return ErrorCategory.CRASH, "RunCrashError", f"{how} in phase {phase}{bounded}"


def _left(children: int) -> str:
    plural = "" if children == 1 else "es"
    return f"it left {children} child process{plural} behind, which were ended with it"


def _last_words(ended: Ended) -> str | None:
    """Where the run stood when it was ended or crashed, as far as its interpreter told.

    It has the innermost frame first; those from our package on are how the run was called.
    """
    if ended.stack:
        return "\n".join(_theirs(ended.stack.splitlines()))[:_MOST_TRACE].rstrip()
    stderr = ended.output.stderr
    for mark in ("Fatal Python error:", "Traceback (most recent call last):"):
        at = stderr.rfind(mark)
        if at >= 0:
            words = stderr[at:].encode("utf-8", "backslashreplace").decode()
            lines = [line for line in words.splitlines() if not line.startswith("Extension modules:")]
            if not mark.startswith("Traceback"):
                lines = list(_theirs(lines))
            return "\n".join(lines)[:_MOST_TRACE].rstrip()
    return None


def _theirs(lines: Sequence[str]) -> Iterator[str]:
    """``lines`` without the frames by which each thread got to foreign code."""
    ours = False
    for line in lines:
        frame = line.startswith("  File ")
        ours = frame and (ours or line.startswith(f'  File "{_PACKAGE}'))
        if not ours:
            yield line
