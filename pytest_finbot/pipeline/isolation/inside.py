"""The child's side: it settles in, executes jobs until there are none, and exits."""

from __future__ import annotations

import ctypes
import faulthandler
import functools
import gc
import io
import logging
import mmap
import os
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn, TextIO

from pytest_finbot.pipeline.isolation.channel import (
    MESSAGE,
    RESULT,
    RESULT_AND_LEFT,
    Say,
    receive_frame,
    send_frame,
)

# The system's own: ``os._exit`` may be a stand-in of the session, or of coverage.
_exit: Callable[[int], NoReturn] = getattr(sys.modules.get("posix"), "_exit", os._exit)

ASK_FOR_STACK = signal.SIGURG
"""Makes the child write where its threads stand. Where foreign code took its handler away, it is ignored."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_parents: list[object] = []
"""What this process inherited and must not let go: a stream that is freed writes what it still holds."""


@dataclass(slots=True)
class Ends:
    """The child's ends of what connects it with its parent, and the parent's number."""

    parent: int
    channel: socket.socket
    stdout: int
    stderr: int
    stack: int
    begun: mmap.mmap


def serve(
    ends: Ends, work: Callable[[bytes, Say], bytes], close: Iterable[int], mask: set[signal.Signals]
) -> NoReturn:
    """Execute jobs until the parent closes the channel. Never returns, whatever happens.

    ``close``: descriptors that are the parent's only. ``mask``: signals to block, as the parent did.
    """
    status = 1
    try:
        streams = _settle(ends, close, mask)
        _execute_jobs(ends, work, streams)
        status = 0
    except BaseException:  # noqa: BLE001 - nothing may get out into the parent's code, of which this is a copy
        traceback.print_exc()
    finally:
        _exit(status)


def _execute_jobs(ends: Ends, work: Callable[[bytes, Say], bytes], streams: dict[str, TextIO]) -> None:
    me, lock = os.getpid(), threading.Lock()

    def say(message: bytes) -> None:
        if os.getpid() != me:
            raise RuntimeError("only the process that executes the job can send messages")
        with lock:
            send_frame(ends.channel, MESSAGE, message)

    while (received := receive_frame(ends.channel)) is not None:
        ends.begun[0] = 1
        for name, stream in streams.items():
            setattr(sys, name, stream)  # a former job may have left others there
        value = work(received[1], say)
        if os.getpid() != me:
            _exit(0)  # a copy that the job made of this process and let return: the job is not its own
        left = _something_left()
        for stream in (sys.stdout, sys.stderr):
            try:
                if stream is not None:
                    stream.flush()
            except (ValueError, OSError, AttributeError):
                left = True  # the job closed it, or put something else there: no child for the next one
        flush_c_streams()
        with lock:
            send_frame(ends.channel, RESULT_AND_LEFT if left else RESULT, value)
        del received, value


def _something_left() -> bool:
    """Whether processes or threads of the job live on. Dead children are put away."""
    if threading.active_count() > 1:
        return True
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _settle(ends: Ends, close: Iterable[int], mask: set[signal.Signals]) -> dict[str, TextIO]:
    _parents.extend((sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__))
    os.setpgid(0, 0)
    _bind_to_parent(ends.parent)
    for fd in close:
        if fd not in (0, 1, 2):
            _close(fd)
    streams = _standard_streams(ends)
    for name, stream in streams.items():
        setattr(sys, name, stream)
    faulthandler.enable(file=2)
    # Not by dump_traceback_later: where pytest armed that in the parent, to touch it here waits for ever.
    faulthandler.register(ASK_FOR_STACK, file=ends.stack, all_threads=True)
    _own_hooks()
    _own_logging()
    _own_signals(mask)
    # Garbage of the parent is the parent's to collect: it may write to files, or remove folders.
    gc.freeze()
    return streams


def _bind_to_parent(parent: int) -> None:
    """Die with the parent, and adopt what descendants leave behind, where the system can do that."""
    if sys.platform != "linux":
        return
    prctl = _libc().prctl
    prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)
    if os.getppid() != parent:  # it died before it was watched
        _exit(0)


def _standard_streams(ends: Ends) -> dict[str, TextIO]:
    """Put 0, 1 and 2 where they belong, and text streams of their own on them."""
    # Where the parent has no 0, 1 or 2, these may be among them: above first, before any is overwritten.
    sources = [_above(os.open(os.devnull, os.O_RDONLY)), _above(ends.stdout), _above(ends.stderr)]
    ends.stack = _above(ends.stack)
    if ends.channel.fileno() < 3:
        ends.channel = socket.socket(fileno=_above(ends.channel.detach()))
    for target, source in enumerate(sources):
        os.dup2(source, target)
        os.close(source)
    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    stdout, stderr = (
        # As ``python -u``: what was printed is out, however the process ends.
        io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8", "backslashreplace", write_through=True)
        for fd in (1, 2)
    )
    return {
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
        "__stdin__": stdin,
        "__stdout__": stdout,
        "__stderr__": stderr,
    }


def _above(fd: int) -> int:
    """``fd``, or a copy in its place, beyond 0, 1 and 2."""
    if fd > 2:
        return fd
    import fcntl

    copy = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return copy


def _own_hooks() -> None:
    """What the parent hung in to watch Python code collects into lists that nobody reads here."""
    sys.settrace(None)
    sys.setprofile(None)
    threading.settrace(None)
    threading.setprofile(None)
    sys.excepthook = sys.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


def _own_logging() -> None:
    """Log records go to the job's streams; what pytest hung in keeps them for a report made elsewhere."""
    for handler in logging.getLogger().handlers[:]:
        if type(handler).__module__.startswith("_pytest."):
            logging.getLogger().removeHandler(handler)
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        handler = reference()
        if not isinstance(handler, logging.StreamHandler):
            continue
        stream: Any = handler.stream
        # Not by setStream: it flushes the former one, and what that holds is the parent's.
        if stream is _parents[1] or stream is _parents[4]:
            handler.stream = sys.stdout
        elif stream is _parents[2] or stream is _parents[5]:
            handler.stream = sys.stderr


def _own_signals(mask: set[signal.Signals]) -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def flush_c_streams() -> None:
    """Write what C code printed by ``printf`` and the C library still holds."""
    _libc().fflush(None)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return  # it was closed in the parent already
