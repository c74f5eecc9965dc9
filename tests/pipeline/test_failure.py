"""What an exception becomes in the record; its category has tests of its own."""

import json

import pytest

from pytest_finbot.contracts import ErrorCategory
from pytest_finbot.errors import DataError, EngineError
from pytest_finbot.pipeline.failure import MAX_MESSAGE, describe


def raised(error):
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


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
