"""From an exception to the one category, phase, message and traceback that are recorded."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

from pytest_finbot.contracts import ErrorCategory, ErrorInfo
from pytest_finbot.pipeline.categories import categorize, is_ours

MAX_MESSAGE = 10_000
MAX_TRACEBACK = 60_000
_MAX_NAME = 200

Categorize = Callable[[BaseException, str], ErrorCategory | None]
"""A plug-in's word on an exception raised in a phase; ``None`` where it has nothing to say."""

_HOOK: Final = "pytest_finbot_categorize_error"
_PACKAGE: Final = str(Path(__file__).resolve().parents[1]) + os.sep

# By the slots of BaseException itself: a subclass may have properties of these names.
_cause_of: Final = BaseException.__dict__["__cause__"].__get__
_frames_of: Final = BaseException.__dict__["__traceback__"].__get__
_name_of: Final = type.__dict__["__qualname__"].__get__


def describe(error: BaseException, phase: str, categorize_hook: Categorize | None = None) -> ErrorInfo:
    """What is recorded of ``error``. Raises nothing but KeyboardInterrupt, whatever ``error`` does.

    Our own errors are told by their message; a foreign exception keeps its traceback,
    without the frames of this package that led to the user's code.

    ``categorize_hook`` has the first word on the category. Where it raises, or answers with what
    is no category, the category is the one found here, and the hook's fault is told after the
    run's own message and traceback.
    """
    category, broken = _asked(categorize_hook, error, phase)
    # Ours say in their message what they were raised from; a user's code may not.
    told = is_ours(error) and (_cause_of(error) is None or _raised_by_us(error))
    message = _cut(_message(error), MAX_MESSAGE)
    trace = None if told else _cut(_traceback(error), MAX_TRACEBACK)
    if broken is not None:
        fault = _cut(f"{_name(broken)}: {_message(broken)}", MAX_MESSAGE)
        message += f"\n(the hook {_HOOK} failed, and the category is the run's own: {fault})"
        hooks = _cut(_traceback(broken, chain=False), MAX_TRACEBACK)
        trace = f"{'' if trace is None else trace + chr(10)}Of the hook {_HOOK}, which failed:\n{hooks}"
    return ErrorInfo(
        category=category or categorize(error, phase),
        phase=phase,
        type=_name(error),
        message=message,
        traceback=trace,
        expected=is_ours(error),
    )


def _asked(
    hook: Categorize | None, error: BaseException, phase: str
) -> tuple[ErrorCategory | None, BaseException | None]:
    """The hook's answer, and what went wrong with it."""
    if hook is None:
        return None, None
    try:
        answer = hook(error, phase)
        return None if answer is None else ErrorCategory(answer), None
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001 - a plug-in's mistake must not hide why the run failed
        return None, broken


def _raised_by_us(error: BaseException) -> bool:
    frames: TracebackType | None = _frames_of(error)
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    return frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def _name(error: BaseException) -> str:
    return _cut(_name_of(type(error)), _MAX_NAME)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001 - a foreign __str__ may raise anything; the run's outcome must still be told
        return f"<{_name(error)} whose message cannot be read: {_name(broken)}>"


def _traceback(error: BaseException, *, chain: bool = True) -> str:
    frames: TracebackType | None = _frames_of(error)
    theirs = frames
    while theirs is not None and theirs.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        theirs = theirs.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, theirs or frames, chain=chain))
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001 - as above: formatting asks the exception for much
        return _places(theirs or frames) + f"{_name(error)} (not printable: {_name(broken)})\n"


def _places(frames: TracebackType | None) -> str:
    """The lines that led there, without their text: nothing of it can fail."""
    lines = ["Traceback (most recent call last):\n"]
    while frames is not None:
        code = frames.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {frames.tb_lineno}, in {code.co_name}\n')
        frames = frames.tb_next
    return "".join(lines)


def _cut(text: str, limit: int) -> str:
    # A lone surrogate (an undecodable file name) has no UTF-8, and no report could be written.
    # By str itself: what a foreign __str__ returns may be a subclass with methods of its own.
    text = str.encode(text, "utf-8", "backslashreplace").decode("utf-8")
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… cut: {len(text) - 2 * half:,} of {len(text):,} characters …\n{text[-half:]}"
