"""Which one category an exception belongs to. The first of these that knows decides:

1. *Our own type.* What this package raises says its category itself.
2. *A type of others that can mean one thing only*: memory that was not given, a disk that is
   full or read-only, a package that is not there, a process of a pool that died.
3. *Words*, whole ones and last of what the exception itself says: phrases by which libraries
   without an error of their own report failed allocations, and only on types that say nothing.
   ``maximum leverage exceeded`` is no timeout, ``the room is full`` no lack of memory.
4. *The phase.* What a user's engine or strategy raises is an engine_error, what reading prices
   raises a data_error, what reading the settings raises a parameter_error.
5. Else ``unknown``: the phases after ``simulate`` are our own code, so that nobody can say
   whose mistake it was.

A plug-in's word goes before all of them (see :mod:`pytest_finbot.pipeline.failure`). What an
exception was raised *from* does not decide: who caught that and raised another has judged it.

An exception may lie about its class, and raise wherever it is touched: it is taken for what its
real type says, and a step that it disturbs is left to the next one.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from typing import Final

from pytest_finbot.contracts import ErrorCategory
from pytest_finbot.errors import FinbotError

_BY_PHASE: Final = {
    "config": ErrorCategory.PARAMETER,
    "market_data": ErrorCategory.DATA,
    "simulate": ErrorCategory.ENGINE,
}

_BY_TYPE: Final = ((MemoryError, ErrorCategory.MEMORY), (ImportError, ErrorCategory.ENVIRONMENT))

_BY_ERRNO: Final = {
    errno.ENOMEM: ErrorCategory.MEMORY,
    errno.ENOSPC: ErrorCategory.ENVIRONMENT,
    errno.EDQUOT: ErrorCategory.ENVIRONMENT,
    errno.EROFS: ErrorCategory.ENVIRONMENT,
}

_POOLS: Final = frozenset({"concurrent", "joblib", "loky"})
_BY_CLASS_NAME: Final = {
    # A pool of threads breaks when preparing a thread raised: no process died.
    "BrokenThreadPool": None,
    "BrokenExecutor": ErrorCategory.CRASH,
    "TerminatedWorkerError": ErrorCategory.CRASH,
}
"""By name, because importing the modules that define them would take longer than a run."""

_NO_MEMORY: Final = re.compile(
    r"""
    # "Unable to allocate capital to AAPL" and "rotated out of memory stocks" are other matters.
    \b(?:unable\ to|failed\ to|could\ not|cannot|can't)\ allocate
        \ (?:memory|[\d.,]+\s?(?:[kmgt]i?)?b(?:ytes?)?)\b
    | \bout\ of\ memory(?:\s*$|\s*[.,:;!()\[\]'"]|\ (?:error|while|when|trying|during|allocating)\b)
    | \bbad[_ ]alloc\b
    """,
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_SPEECHLESS: Final = (RuntimeError, OSError)
"""Types that libraries raise for anything at all, themselves or as a base of their own."""

_exceptions: Final = BaseExceptionGroup.__dict__["exceptions"].__get__
"""The members of a group by its own slot, which no property of a subclass hides."""


def categorize(error: BaseException, phase: str) -> ErrorCategory:
    """The category of ``error``, raised in ``phase``. A group has that on which its members agree."""
    categories = {_of_one(member, phase) for member in _members(error)}
    return categories.pop() if len(categories) == 1 else _of_phase(phase)


def is_ours(error: BaseException) -> bool:
    """Whether ``error`` is one of :mod:`pytest_finbot.errors`, whatever it says of itself."""
    # Not isinstance: where the type says no, that asks error.__class__, which may be anything.
    return issubclass(type(error), FinbotError)


def _members(error: BaseException) -> Iterator[BaseException]:
    """``error``, or the exceptions of a group and of the groups in it."""
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if issubclass(type(each), BaseExceptionGroup):
            waiting.extend(_exceptions(each))
        else:
            yield each


def _of_one(error: BaseException, phase: str) -> ErrorCategory:
    for step in _STEPS:
        try:
            category = step(error)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - a foreign __str__ or property may raise anything; the run's outcome must still be told
            category = None
        if category is not None:
            return category
    return _of_phase(phase)


def _of_own_type(error: BaseException) -> ErrorCategory | None:
    said = error.category if issubclass(type(error), FinbotError) else None  # type: ignore[attr-defined]
    return said if type(said) is ErrorCategory else None


def _of_type(error: BaseException) -> ErrorCategory | None:
    kind = type(error)
    for known, category in _BY_TYPE:
        if issubclass(kind, known):
            return category
    if issubclass(kind, OSError):
        return _BY_ERRNO.get(error.errno)  # type: ignore[attr-defined]
    for base in kind.__mro__:
        if base.__name__ in _BY_CLASS_NAME and base.__module__.partition(".")[0] in _POOLS:
            return _BY_CLASS_NAME[base.__name__]
    return None


def _of_words(error: BaseException) -> ErrorCategory | None:
    kind = type(error)
    is_a_librarys = issubclass(kind, _SPEECHLESS) and kind.__module__ != "builtins"
    if not is_a_librarys and kind not in (*_SPEECHLESS, Exception):
        return None
    # An OSError with a number has said what it is; its text may be somebody's file name.
    if issubclass(kind, OSError) and error.errno is not None:  # type: ignore[attr-defined]
        return None
    return ErrorCategory.MEMORY if _NO_MEMORY.search(str(error)) else None


_STEPS: Final[tuple[Callable[[BaseException], ErrorCategory | None], ...]] = (
    _of_own_type,
    _of_type,
    _of_words,
)


def _of_phase(phase: str) -> ErrorCategory:
    return _BY_PHASE.get(phase, ErrorCategory.UNKNOWN)
