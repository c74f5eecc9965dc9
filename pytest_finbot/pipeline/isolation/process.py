"""One forked process as its parent holds it: start it, see that it died, end it."""

from __future__ import annotations

import mmap
import os
import selectors
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from pytest_finbot.pipeline.isolation.channel import Say
from pytest_finbot.pipeline.isolation.descendants import end_tree
from pytest_finbot.pipeline.isolation.inside import ASK_FOR_STACK, Ends, flush_c_streams, serve
from pytest_finbot.pipeline.isolation.output import Collected

_HELD = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 5.0
"""Seconds to wait for a killed process; the kernel may hold one that waits for a lost disk."""

_ANSWER = 0.1
"""Seconds in which a process must begin to say where it stands; a fifth of that between two words of it."""

_open_here: set[int] = set()
"""The parent's ends of all processes: none is for a younger sibling to inherit."""


def available() -> str | None:
    """``None`` where jobs can run in a forked child; else why not."""
    return None if hasattr(os, "fork") else f"this platform ({sys.platform}) has no os.fork"


@contextmanager
def signals_held() -> Iterator[set[signal.Signals]]:
    """Ctrl-C waits meanwhile: a process that was forked must not be forgotten. Gives the former mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Process:
    """Forked at once; executes the jobs that are sent over ``channel``.

    To be made under :func:`signals_held`. Raises OSError where nothing can be forked.
    """

    def __init__(
        self, work: Callable[[bytes, Say], bytes], close: Iterable[int], mask: set[signal.Signals]
    ) -> None:
        self.owner = os.getpid()
        self.exit_code: int | None = None
        """Once it is waited for; negative: the signal. ``None`` also where somebody else waited for it."""
        self._waited_for = False
        with ExitStack() as mine, ExitStack() as its:
            self.begun = mine.enter_context(mmap.mmap(-1, 1))
            """Shared: 1 once the child has received its job."""
            self.selector = mine.enter_context(selectors.DefaultSelector())
            self.channel, channel = socket.socketpair()
            mine.enter_context(self.channel)
            its.enter_context(channel)
            self.stdout, stdout = _pipe(mine, its)
            self.stderr, stderr = _pipe(mine, its)
            self._stack, stack = _pipe(mine, its)
            self._fds = {self.channel.fileno(), self.stdout, self.stderr, self._stack}
            if isinstance(self.selector, selectors.EpollSelector):
                self._fds.add(self.selector.fileno())
            ends = Ends(self.owner, channel, stdout, stderr, stack, self.begun)
            not_its = {*close, *_open_here, *self._fds}
            _flush()
            self.pid = _fork()
            if self.pid == 0:
                serve(ends, work, not_its, mask)
            with suppress(OSError):  # the child does the same, and may be through, or dead
                os.setpgid(self.pid, self.pid)
            self.pidfd = _pidfd(self.pid)
            if self.pidfd is not None:
                mine.callback(os.close, self.pidfd)
                self.selector.register(self.pidfd, selectors.EVENT_READ)
                self._fds.add(self.pidfd)
            self.channel.setblocking(False)
            self.selector.register(self.channel, selectors.EVENT_READ)
            for fd in (self.stdout, self.stderr):
                os.set_blocking(fd, False)
                self.selector.register(fd, selectors.EVENT_READ)
            os.set_blocking(self._stack, False)
            _open_here.update(self._fds)
            self._mine = mine.pop_all()

    def dead(self) -> bool:
        """It ended, by itself or not."""
        if self._waited_for:
            return True
        if not hasattr(os, "waitid"):
            return self._wait(os.WNOHANG)
        try:
            # Not taken off the list of processes yet: its group is still to be ended under its number.
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return self._wait(os.WNOHANG)

    def stack(self) -> str | None:
        """Where its threads stand, as the interpreter writes it; ``None`` where it does not answer."""
        if self.dead():
            return None
        os.kill(self.pid, ASK_FOR_STACK)
        written = Collected()
        with selectors.DefaultSelector() as selector:
            selector.register(self._stack, selectors.EVENT_READ)
            until = time.monotonic() + _ANSWER
            while (rest := until - time.monotonic()) > 0:
                if selector.select(rest):
                    if not written.read(self._stack):
                        break
                    until = min(until, time.monotonic() + _ANSWER / 5)
        return written.text() or None

    def leave(self, grace: float) -> None:
        """Tell an idle process to go; end it where it does not within ``grace`` seconds."""
        self.selector.unregister(self.channel)
        self.channel.close()
        until = time.monotonic() + grace
        while not self.dead() and time.monotonic() < until:
            if self.pidfd is None:
                time.sleep(0.001)
            else:
                self.selector.select(until - time.monotonic())
        self.end()

    def end(self) -> int:
        """End it with all that it started; how many processes those were. It can be read from still."""
        left = 0 if self._waited_for else end_tree(self.pid)
        until = time.monotonic() + _PATIENCE
        while not self._wait(os.WNOHANG) and time.monotonic() < until:
            time.sleep(0.0005)
        return left

    def forget(self) -> None:
        """Close this side's ends."""
        _open_here.difference_update(self._fds)
        self._mine.close()

    def _wait(self, options: int) -> bool:
        if self._waited_for:
            return True
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:  # SIGCHLD is ignored in this process, or somebody waits for any child
            self._waited_for = True
            return True
        if pid:
            self.exit_code = os.waitstatus_to_exitcode(status)
            self._waited_for = True
        return bool(pid)


def _pipe(mine: ExitStack, its: ExitStack) -> tuple[int, int]:
    """A pipe's ends: to read here, to write in the child."""
    read, write = os.pipe()
    mine.callback(os.close, read)
    its.callback(os.close, write)
    return read, write


def _fork() -> int:
    with warnings.catch_warnings():
        # As an error it would be raised here and the child be nobody's. xdist's workers have threads;
        # none of ours holds a lock that a child needs.
        warnings.filterwarnings("ignore", r"This process \(pid=\d+\) is multi-threaded", DeprecationWarning)
        return os.fork()


def _flush() -> None:
    """What is printed and not yet written is this process's, and no child's to write again."""
    for stream in {
        id(each): each for each in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    }.values():
        # One that is closed or broken says so to who prints next.
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
    flush_c_streams()


def _pidfd(pid: int) -> int | None:
    """A descriptor that is readable once the process ended, where the system has such."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None
