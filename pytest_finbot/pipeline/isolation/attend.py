"""The parent's wait for one job: its messages, its output, its end, the deadline."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Literal

from pytest_finbot.pipeline.isolation.channel import (
    JOB,
    MESSAGE,
    RESULT,
    RESULT_AND_LEFT,
    Incoming,
    Outgoing,
)
from pytest_finbot.pipeline.isolation.output import Collected, Output
from pytest_finbot.pipeline.isolation.process import Process

How = Literal["finished", "timeout", "died", "cancelled"]

_ASK = 0.2
"""Seconds between two questions whether the job is cancelled."""
_LOOK = 0.05
"""Seconds between two looks whether the process lives, where the system does not tell."""


class Attendance:
    """One job in ``process``, from sending it to its end. The process itself is not touched."""

    def __init__(self, process: Process, job: bytes, said: Callable[[bytes], None]) -> None:
        process.begun[0] = 0
        self._process = process
        self._said = said
        self._outgoing = Outgoing(JOB, job)
        self._incoming = Incoming()
        self._streams = {process.stdout: Collected(), process.stderr: Collected()}
        self.value: bytes | None = None
        self.reusable = False
        """Finished, with nothing left behind and everything still connected."""

    def wait(self, deadline: float | None, cancelled: Callable[[], bool]) -> How:
        """How it ended; ``deadline`` is of the monotonic clock. Raises what the two callables raise."""
        process, selector = self._process, self._process.selector
        if not self._outgoing.send(process.channel):
            selector.modify(process.channel, selectors.EVENT_READ | selectors.EVENT_WRITE)
        ask_at = time.monotonic() + _ASK
        while True:
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                return "timeout"
            if now >= ask_at:
                if cancelled():
                    return "cancelled"
                ask_at = now + _ASK
            until = ask_at if deadline is None else min(ask_at, deadline)
            rest = until - now
            if process.pidfd is None:
                rest = min(rest, _LOOK)
            ready = selector.select(rest)
            for key, events in ready:
                if key.fd in self._streams:
                    if not self._streams[key.fd].read(key.fd):
                        self._close_stream(key.fd)
                elif key.fileobj is process.channel:
                    if events & selectors.EVENT_WRITE and self._outgoing.send(process.channel):
                        selector.modify(process.channel, selectors.EVENT_READ)
                    if events & selectors.EVENT_READ:
                        self._incoming.read(process.channel)
                        self._take_frames()
                        if self._incoming.ended:
                            selector.unregister(process.channel)
            if self.value is not None:
                return self._finished()
            if (not ready or process.pidfd is None or any(key.fd == process.pidfd for key, _ in ready)) and (
                process.dead()
            ):
                return self._last_words()

    def _last_words(self) -> How:
        """What a process that is dead by now had sent before."""
        while not self._incoming.ended and self._incoming.read(self._process.channel):
            self._take_frames()
        return "died" if self.value is None else self._finished()

    def _finished(self) -> How:
        self.drain()
        registered = self._process.selector.get_map()
        self.reusable &= all(fd in registered for fd in self._streams)
        return "finished"

    def _take_frames(self) -> None:
        for kind, payload in self._incoming.frames():
            if kind == MESSAGE:
                self._said(payload)
            elif kind in (RESULT, RESULT_AND_LEFT):
                self.value = payload
                self.reusable = kind == RESULT

    def _close_stream(self, fd: int) -> None:
        """The job closed its stdout or stderr: there is nothing more to hear there."""
        if fd in self._process.selector.get_map():
            self._process.selector.unregister(fd)

    def drain(self) -> None:
        """Take the output that is there."""
        for fd, stream in self._streams.items():
            if not stream.drain(fd):
                self._close_stream(fd)

    def output(self) -> Output:
        stdout, stderr = self._streams.values()
        return Output(stdout.text(), stderr.text(), stdout.cut + stderr.cut)
