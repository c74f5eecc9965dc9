"""How far a session with workers is: a line below pytest's own on a terminal, now and then one in a log.

On a terminal the line is drawn below the one that pytest is writing, and taken away before pytest writes
again: what it prints is the same with and without. Where nobody looks on (a pipe, CI), there is a whole
line every half a minute, and none in a session that is shorter.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_finbot.contracts import Verdict

if TYPE_CHECKING:
    from _pytest._io.terminalwriter import TerminalWriter

VERDICT: Final = "finbot.verdict"
"""User property of a test whose run was compared."""
EVERY: Final = 30.0
"""Seconds between two lines in a log."""
_QUIET: Final = -2
"""Verbosity (``-qq``) from which nothing is said."""


class Progress:
    """Counts of the runs that are ours. ``expected`` are all that were selected."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.expected = self.done = self.failed = self.moved = 0
        self.began = clock()

    def expect(self, runs: int) -> None:
        self.expected += runs
        self.began = self.clock()

    def hear(self, report: pytest.TestReport) -> None:
        """Count the report of one run."""
        self.done += 1
        verdict = dict(report.user_properties).get(VERDICT)
        if verdict == Verdict.MOVED:
            self.moved += 1
        elif report.failed:
            self.failed += 1

    def words(self) -> str:
        """``finbot: 12 of 48 done, 1 failed, 2 moved, 3.4 runs/s, about 11 s left``."""
        parts = [
            f"{self.done:,} of {self.expected:,} done",
            f"{self.failed:,} failed",
            f"{self.moved:,} moved",
        ]
        seconds = self.clock() - self.began
        if self.done and seconds > 0:
            rate = self.done / seconds
            parts.append(f"{rate:.3g} runs/s")
            if self.done < self.expected:
                parts.append(f"about {_in_words((self.expected - self.done) / rate)} left")
        return f"finbot: {', '.join(parts)}"


def _in_words(seconds: float) -> str:
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02} min"


class ProgressLine:
    """Registered on the controller of a session with workers that has a terminal reporter of pytest's own."""

    def __init__(self, progress: Progress, writer: TerminalWriter, ours: Callable[[str], bool]) -> None:
        self._progress = progress
        self._writer = writer
        self._ours = ours
        self._in_place = _in_place(writer)
        self._drawn = False
        self._last = progress.clock()

    @classmethod
    def asked(cls, config: pytest.Config, ours: Callable[[str], bool]) -> ProgressLine | None:
        """The line, unless the session is to be quiet or something else draws the terminal.

        ``ours`` tells whether a node id is that of a run.
        """
        from _pytest.terminal import TerminalReporter

        reporter = config.pluginmanager.getplugin("terminalreporter")
        if type(reporter) is not TerminalReporter or not config.pluginmanager.hasplugin("dsession"):
            return None
        if config.get_verbosity() <= _QUIET or config.option.no_header:
            return None
        return cls(Progress(), config.get_terminal_writer(), ours)

    def expect(self, runs: int) -> None:
        self._progress.expect(runs)
        self._last = self._progress.clock()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, Any, Any]:
        counted = _counts(report) and self._ours(report.nodeid)
        if counted:
            self._progress.hear(report)
        drawn = self._drawn
        self._take_away()
        result = yield
        if self._in_place:
            if drawn or counted:
                self._draw()
        elif counted:
            self._tell()
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True, optionalhook=True)
    def pytest_testnodedown(self) -> Generator[None, Any, Any]:
        self._take_away()
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self) -> None:
        self._take_away()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self) -> Generator[None, Any, Any]:
        """Inside of pytest's own, which writes ``[100%]`` when the loop is over."""
        try:
            return (yield)
        finally:
            self._take_away()

    def _tell(self) -> None:
        """A whole line, where the last one is long ago."""
        now = self._progress.clock()
        if now - self._last < EVERY:
            return
        self._last = now
        if self._writer.width_of_current_line:
            self._writer.line()
        self._writer.line(self._progress.words())
        self._writer.flush()

    def _draw(self) -> None:
        """Write the line below the current one, and go back to where the cursor was."""
        words = self._progress.words()[: max(self._writer.fullwidth - 1, 0)]
        self._raw(f"\n\r\x1b[2K{words}\x1b[A{self._column()}")
        self._drawn = True

    def _take_away(self) -> None:
        if self._drawn:
            self._raw(f"\n\r\x1b[2K\x1b[A{self._column()}")
            self._drawn = False

    def _column(self) -> str:
        """To the column that pytest writes in next; a line that is too long goes on in the next one."""
        width = max(self._writer.fullwidth, 1)
        return f"\x1b[{self._writer.width_of_current_line % width + 1}G"

    def _raw(self, text: str) -> None:
        # By its own methods the writer would take this for a part of the line it is in.
        self._writer._file.write(text)
        self._writer.flush()


def _counts(report: pytest.TestReport) -> bool:
    """Once for a run: when it was called, or could not be."""
    return report.when == "call" or (report.when == "setup" and not report.passed)


def _in_place(writer: TerminalWriter) -> bool:
    """Whether there is a terminal that can go back a line."""
    file = writer._file
    return (
        hasattr(file, "isatty")
        and file.isatty()
        and sys.platform != "win32"
        and os.environ.get("TERM", "dumb") != "dumb"
        and "CI" not in os.environ
    )
