"""From an exception to the one category, phase, message and traceback that are recorded."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

from pytest_finbot.contracts import ErrorCategory, ErrorInfo
from pytest_finbot.errors import FinbotError

MAX_MESSAGE = 10_000
MAX_TRACEBACK = 60_000

Categorize = Callable[[BaseException, str], ErrorCategory | None]
"""A plug-in's word on an exception raised in a phase; ``None`` where it has nothing to say."""

_PACKAGE = str(Path(__file__).resolve().parents[1])
_BY_PHASE = {"market_data": ErrorCategory.DATA, "simulate": ErrorCategory.ENGINE}


def categorize(error: BaseException, phase: str) -> ErrorCategory:
    """The category of ``error`` raised in ``phase``: by our own type, then type, then phase.

    Words are not looked at: "maximum leverage exceeded" is no timeout. What neither type
    nor phase decides is ``unknown``.
    """
    if isinstance(error, FinbotError):
        return error.category
    if isinstance(error, MemoryError):
        return ErrorCategory.MEMORY
    if isinstance(error, ImportError):
        return ErrorCategory.ENVIRONMENT
    return _BY_PHASE.get(phase, ErrorCategory.UNKNOWN)


def describe(error: BaseException, phase: str, categorize_hook: Categorize | None = None) -> ErrorInfo:
    """What is recorded of ``error``. Never raises, whatever ``str(error)`` does.

    Our own errors are told by their message; a foreign exception keeps its traceback,
    without the frames of this package that led to the user's code.
    """
    category = categorize_hook(error, phase) if categorize_hook is not None else None
    # Ours say in their message what they were raised from; a user's code may not.
    expected = isinstance(error, FinbotError) and (error.__cause__ is None or _raised_by_us(error))
    return ErrorInfo(
        category=category or categorize(error, phase),
        phase=phase,
        type=type(error).__qualname__,
        message=_cut(_message(error), MAX_MESSAGE),
        traceback=None if expected else _cut(_traceback(error), MAX_TRACEBACK),
        expected=isinstance(error, FinbotError),
    )


def _raised_by_us(error: BaseException) -> bool:
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    return frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001 - a foreign __str__ may raise anything; the run's outcome must still be told
        return f"<{type(error).__qualname__} whose message cannot be read: {type(broken).__qualname__}>"


def _traceback(error: BaseException) -> str:
    frames = error.__traceback__
    theirs = frames
    while theirs is not None and theirs.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        theirs = theirs.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, theirs or frames))
    except Exception as broken:  # noqa: BLE001 - as above: formatting calls the foreign __str__
        lines = traceback.format_tb(theirs or frames)
        return "".join(lines) + f"{type(error).__qualname__} (not printable: {type(broken).__qualname__})\n"


def _cut(text: str, limit: int) -> str:
    # A lone surrogate (an undecodable file name) has no UTF-8, and no report could be written.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… cut: {len(text) - 2 * half:,} of {len(text):,} characters …\n{text[-half:]}"
