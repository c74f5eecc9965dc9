"""A process that executes jobs one after another, and is replaced after anything went wrong."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_finbot.pipeline.isolation.attend import Attendance, How
from pytest_finbot.pipeline.isolation.channel import Say
from pytest_finbot.pipeline.isolation.output import Output
from pytest_finbot.pipeline.isolation.process import Process, signals_held

_GRACE = 0.5
"""Seconds an idle process has to go by itself."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended.

    ``value`` is what it returned, when finished. ``exit_code`` or ``signal`` ("SIGSEGV", …) say how
    its process died by itself. ``seconds`` from the call to the moment its end was known.
    ``left_children``: processes that the job had started, that still ran and were ended.
    ``stack``: after a timeout, where each of its threads stood, innermost frame first; ``None``
    where the process did not answer.
    """

    how: How
    value: bytes | None
    exit_code: int | None
    signal: str | None
    seconds: float
    output: Output
    left_children: int
    stack: str | None = None


class Child:
    """Executes ``work(job, say)`` in a forked process, and ends it with all that it started.

    The process is forked at the first job and used again as long as jobs finish and leave neither
    processes nor threads behind. It is a copy of this process as it is then: what is changed here
    later (modules, variables) a process that is used again does not see.

    ``close``: descriptors that the process shall not hold; looked at whenever one is forked. Not
    for several threads at once. Where there is no fork, see ``available``.
    """

    def __init__(self, work: Callable[[bytes, Say], bytes], *, close: Iterable[int] = ()) -> None:
        self._work = work
        self._close = close
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The process that waits for a job or executes one; ``None`` before the first and after a bad one."""
        return None if self._process is None else self._process.pid

    def run(
        self,
        job: bytes,
        *,
        timeout: float | None = None,
        said: Callable[[bytes], None],
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Ended:
        """Execute ``job``, at most ``timeout`` seconds, and return how it ended.

        ``said`` is called with each message of the job, in order, as it arrives; ``cancelled`` is
        asked every 0.2 seconds. Whatever is raised here meanwhile (KeyboardInterrupt, an error of
        these two) ends the process and goes on. OSError where no process can be forked.
        """
        began = time.monotonic()
        deadline = None if timeout is None else began + timeout
        try:
            while True:
                process, fresh = self._ready()
                attendance = Attendance(process, job, said)
                how = attendance.wait(deadline, cancelled)
                if how != "died" or fresh or process.begun[0]:
                    break
                self._end()  # it died idle, before it knew of the job
            seconds = time.monotonic() - began
            stack = process.stack() if how == "timeout" else None
            left = 0
            if not attendance.reusable:
                left = process.end()
                attendance.drain()
            code = process.exit_code if how == "died" else None
            if not attendance.reusable:
                self._end()
        except BaseException:
            self._end()
            raise
        return Ended(
            how,
            attendance.value if how == "finished" else None,
            code if code is not None and code >= 0 else None,
            _signal_name(-code) if code is not None and code < 0 else None,
            seconds,
            attendance.output(),
            left,
            stack,
        )

    def close(self) -> None:
        """Let the process go; it is ended where it does not go by itself."""
        process = self._process
        if process is not None and process.owner == os.getpid():
            process.leave(_GRACE)
        self._end()

    def _ready(self) -> tuple[Process, bool]:
        """The process for the next job, and whether it is new."""
        if self._process is not None:
            if self._process.owner == os.getpid() and not self._process.dead():
                return self._process, False
            self._end()
        with signals_held() as mask:
            self._process = Process(self._work, self._close, mask)
        return self._process, True

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.owner != os.getpid():  # a copy of this object in a child: not its own
            return
        with signals_held():  # a second Ctrl-C must not leave half of it behind
            process.end()
            process.forget()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
