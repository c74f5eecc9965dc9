"""The error tree: one subclass per category, and the shape of a mistake in a user's file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_finbot.contracts import ErrorCategory


class FinbotError(Exception):
    """Base of every error raised on purpose. ``category`` is what the record will say.

    These are told to the user by their message alone, so the message says what was wrong,
    where, what was expected, and what to do.
    """

    category = ErrorCategory.UNKNOWN


class DataError(FinbotError):
    """Prices, factors or calendars are missing or not to be trusted."""

    category = ErrorCategory.DATA


class ParameterError(FinbotError):
    """A setting of the run is wrong."""

    category = ErrorCategory.PARAMETER


class MissingParameterError(ParameterError, KeyError):
    """A strategy asked its run's ``params`` for a key that is not there.

    A KeyError too, so that a strategy that expects one can go on. ``given``: the keys there are.
    """

    def __init__(self, key: object, given: Sequence[str]) -> None:
        self.key = key
        self.given = tuple(given)
        # Both are what it is made again from, in another process.
        super().__init__(key, self.given)

    def __str__(self) -> str:
        near = did_you_mean(self.key, self.given) if isinstance(self.key, str) else ""
        known = ", ".join(sorted(self.given))
        there = f" (given: {known})" if known else "; the run gives no params"
        return f"params: the strategy needs the key {self.key!r}, which is missing{near}{there}"


class EngineError(FinbotError):
    """An engine or strategy broke its contract, or its books do not add up."""

    category = ErrorCategory.ENGINE


class RunTimeoutError(FinbotError):
    """A run passed its time limit."""

    category = ErrorCategory.TIMEOUT


class RunMemoryError(FinbotError):
    """A run passed its memory limit."""

    category = ErrorCategory.MEMORY


class RunCrashError(FinbotError):
    """The process that executed a run died."""

    category = ErrorCategory.CRASH


class RegressionError(FinbotError):
    """A run's results are not those that were accepted."""

    category = ErrorCategory.REGRESSION


class BaselineError(FinbotError):
    """An accepted result cannot be read, written or found: nothing can be compared with it.

    A regression as far as anybody can tell: the run itself did nothing wrong, and may have moved.
    """

    category = ErrorCategory.REGRESSION


class NotComparableError(BaselineError):
    """There is a baseline, and it holds no result to compare with."""


class MissingDependencyError(FinbotError):
    """Something that a run needs is not installed here."""

    category = ErrorCategory.ENVIRONMENT


class RegistryError(FinbotError):
    """The registry cannot be read or written. Never a run's own fault; fails the session."""

    category = ErrorCategory.ENVIRONMENT


class ForgeError(FinbotError):
    """GitHub or GitLab cannot be asked, or refuses. Never a run's own fault, and never the gate's word."""

    category = ErrorCategory.ENVIRONMENT


class ReportError(FinbotError):
    """A report cannot be read, made or written."""

    category = ErrorCategory.ENVIRONMENT


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a user's file.

    ``key`` is the path of the offending key (``runs[2].params.fast``), empty where the file
    as a whole is wrong; ``line`` is 1-based, 0 where there is none.
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class BatchFileError(FinbotError):
    """A batch file, or a file it names, cannot be used. Carries every problem found."""

    category = ErrorCategory.PARAMETER

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or ``""`` where nothing known is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
