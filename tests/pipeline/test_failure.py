"""What an exception becomes in the record."""

import json

import numpy as np
import pytest

from pytest_finbot.contracts import ErrorCategory
from pytest_finbot.errors import DataError, EngineError, RunTimeoutError
from pytest_finbot.pipeline.failure import MAX_MESSAGE, categorize, describe


def raised(error):
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize(
    ("error", "phase", "category"),
    [
        (DataError("no prices"), "simulate", ErrorCategory.DATA),
        (EngineError("wrong shape"), "market_data", ErrorCategory.ENGINE),
        (RunTimeoutError("late"), "simulate", ErrorCategory.TIMEOUT),
        (MemoryError(), "simulate", ErrorCategory.MEMORY),
        (np._core._exceptions._ArrayMemoryError((1,), np.dtype(float)), "simulate", ErrorCategory.MEMORY),
        (ImportError("no module named bt"), "simulate", ErrorCategory.ENVIRONMENT),
        (KeyError("fast_period"), "simulate", ErrorCategory.ENGINE),
        (ValueError("maximum leverage exceeded"), "simulate", ErrorCategory.ENGINE),
        (RuntimeError("the room is full"), "simulate", ErrorCategory.ENGINE),
        (OSError("gone"), "market_data", ErrorCategory.DATA),
        (ZeroDivisionError(), "analytics", ErrorCategory.UNKNOWN),
    ],
)
def test_type_decides_first_then_phase_and_words_never(error, phase, category):
    assert categorize(error, phase) is category


def test_our_own_errors_are_told_without_a_traceback():
    info = describe(raised(DataError("AAPL has no price on 2020-01-02")), "market_data")
    assert info.expected
    assert info.traceback is None
    assert info.message == "AAPL has no price on 2020-01-02"


def test_an_error_of_ours_with_a_foreign_cause_keeps_the_cause():
    def fail():
        try:
            raise ValueError("deep down")
        except ValueError as error:
            raise EngineError("on top") from error

    with pytest.raises(EngineError) as caught:
        fail()
    assert "deep down" in describe(caught.value, "simulate").traceback


class UnspeakableError(Exception):
    def __str__(self):
        raise RuntimeError("cannot be said")


def test_an_exception_whose_message_raises_is_still_told():
    info = describe(raised(UnspeakableError()), "simulate")
    assert "UnspeakableError" in info.message
    assert info.traceback
    json.dumps(info.message + info.traceback)


def test_a_huge_message_is_cut_and_says_so():
    info = describe(raised(ValueError("x" * 10_000_000)), "simulate")
    assert len(info.message) < MAX_MESSAGE + 100
    assert "cut: 9,990,000 of 10,000,000 characters" in info.message


def test_a_plugins_word_comes_first():
    info = describe(raised(ValueError()), "simulate", lambda error, phase: ErrorCategory.DATA)
    assert info.category is ErrorCategory.DATA
    info = describe(raised(ValueError()), "simulate", lambda error, phase: None)
    assert info.category is ErrorCategory.ENGINE
