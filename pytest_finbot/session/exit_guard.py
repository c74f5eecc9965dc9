"""Nobody leaves the session's own process with a success that was not earned.

A run executed in the process that owns the session could end it by ``os._exit(0)``: no hook
is called, no record written, and CI sees 0. While the guard stands, such a call made during a
run raises instead, and becomes that run's crash; made at any other time, it exits with no
less than the session's own status. Children of the process exit as they like.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pytest_finbot.errors import RunCrashError

UNFINISHED = 3
"""Exit status of a session that was left before its end (pytest's internal error)."""


class ExitGuard:
    """Stands in for ``os._exit`` in one process, from :meth:`install` on."""

    def __init__(self) -> None:
        self._exit = os._exit
        self._pid = os.getpid()
        self._in_run = False
        self.least = UNFINISHED
        """The status that an exit has at least; the session's, once it is known."""

    def install(self) -> None:
        os._exit = self._guarded

    def remove(self, exitstatus: int) -> None:
        """Give ``os._exit`` back; who still holds the guard exits with ``exitstatus`` at least."""
        self.least = exitstatus
        if os._exit == self._guarded:
            os._exit = self._exit

    @contextmanager
    def run(self) -> Iterator[None]:
        """A run is being executed."""
        self._in_run = True
        try:
            yield
        finally:
            self._in_run = False

    def _guarded(self, status: int) -> NoReturn:
        if os.getpid() != self._pid:
            self._exit(status)
        if self._in_run:
            raise RunCrashError(f"the run called os._exit({status}), which ends the process it runs in")
        self._exit(status or self.least)
