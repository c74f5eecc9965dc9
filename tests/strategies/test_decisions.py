"""What a strategy of one's own may return, and what it is told otherwise."""

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.contracts import TargetWeights
from pytest_finbot.errors import EngineError
from pytest_finbot.strategies.decisions import as_target_weights


@pytest.fixture
def market(a_market):
    return a_market(np.ones((4, 2)))  # 2020-01-01 to 2020-01-06 over a weekend, symbols A and B


@pytest.fixture
def read(market):
    return lambda decisions: as_target_weights(decisions, "mine:bold", market)


@pytest.fixture
def refused(market):
    def check(decisions, *expected):
        with pytest.raises(EngineError) as error:
            as_target_weights(decisions, "mine:bold", market)
        assert str(error.value).startswith("strategy 'mine:bold': ")
        for words in expected:
            assert words in str(error.value)

    return check


def frame(dates, **columns):
    return pd.DataFrame(columns, index=pd.DatetimeIndex(dates))


def same(targets, rows, weights):
    assert targets.rows.dtype == np.int64
    assert targets.weights.dtype == np.float64
    assert targets.rows.tolist() == rows
    assert targets.weights.tolist() == weights


def test_an_array_decides_at_its_rows_that_are_not_all_nan(read):
    nan = np.nan
    same(read(np.array([[nan, nan], [0.5, 0.5], [nan, nan], [1, 0]])), [1, 3], [[0.5, 0.5], [1, 0]])
    same(read(np.ones((4, 2), int)), [0, 1, 2, 3], [[1, 1]] * 4)
    same(read(np.full((4, 2), nan)), [], [])


def test_a_frame_decides_at_its_sessions_with_columns_in_any_order(read):
    same(
        read(frame(["2020-01-02", "2020-01-06"], B=[0.25, 1.0], A=[0.75, 0.0])),
        [1, 3],
        [[0.75, 0.25], [0, 1]],
    )
    same(read(frame(["2020-01-03"], A=[1], B=[0.5])), [2], [[1, 0.5]])
    same(read(frame([], A=np.empty(0), B=np.empty(0))), [], [])


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_the_resolution_of_a_frames_index_does_not_matter(read, unit):
    dates = pd.DatetimeIndex(["2020-01-02"]).as_unit(unit)
    same(read(pd.DataFrame({"A": [1.0], "B": [0.0]}, index=dates)), [1], [[1, 0]])


def test_plain_dates_and_nullable_numbers_will_do(read):
    decisions = frame(["2020-01-02"], A=[1.0], B=[0.5])
    decisions.index = [day.date() for day in decisions.index]
    same(read(decisions.astype("Float64")), [1], [[1, 0.5]])


def test_target_weights_may_hold_lists(read):
    same(read(TargetWeights([0, 2], [[0, 1], [1, 0]])), [0, 2], [[0, 1], [1, 0]])
    same(read(TargetWeights([], np.empty((0, 2)))), [], [])


def test_a_wrong_shape_is_told_with_what_was_expected(refused):
    refused(
        np.ones((3, 4)), "got weights of shape (3, 4), expected (T, N)=(4, 2): 4 sessions, 2 symbols (A, B)"
    )
    refused(np.ones(4), "got weights of shape (4,), expected (T, N)=(4, 2)")
    refused(
        TargetWeights(np.arange(3), np.ones((3, 4))),
        "got weights of shape (3, 4), expected (K, N)=(3, 2): 3 decisions, 2 symbols (A, B)",
    )
    refused(TargetWeights(np.arange(1), np.ones((3, 2))), "expected (K, N)=(1, 2): 1 decision, 2 symbols")


def test_a_weight_that_is_not_finite_is_told_with_session_and_symbol(refused):
    nan = np.nan
    refused(
        np.array([[1, 1], [0.5, nan], [nan, 1], [1, 1]]), "weight of B at 2020-01-02 is nan", "2 such in all"
    )
    refused(TargetWeights(np.array([2]), np.array([[np.inf, 0]])), "weight of A at 2020-01-03 is inf")
    refused(frame(["2020-01-06"], B=[nan], A=[nan]), "weight of A at 2020-01-06 is nan")
    refused(frame(["2020-01-06"], A=[1.0], B=[None]).astype("Float64"), "weight of B at 2020-01-06 is nan")


def test_rows_must_rise_within_the_run(refused):
    refused(
        TargetWeights(np.array([0, 2, 1]), np.ones((3, 2))),
        "must rise in time",
        "row 1 (2020-01-02) follows row 2 (2020-01-03)",
    )
    refused(TargetWeights(np.array([1, 1]), np.ones((2, 2))), "row 1 (2020-01-02) follows row 1")
    refused(TargetWeights(np.array([-1]), np.ones((1, 2))), "row -1 is outside 0 to 3")
    refused(
        TargetWeights(np.array([4]), np.ones((1, 2))), "row 4 is outside", "4 sessions from 2020-01-01 to"
    )
    refused(frame(["2020-01-03", "2020-01-02"], A=[1, 1], B=[0, 0]), "row 1 (2020-01-02) follows row 2")


def test_sessions_that_the_run_does_not_have_are_named(refused):
    refused(
        frame(["2020-01-03", "2020-01-04"], A=[1, 1], B=[0, 0]),
        "2020-01-04 in the index is not a session of the run (1 of 2 rows are not)",
        "4 sessions from 2020-01-01 to 2020-01-06",
    )
    refused(frame(["2020-01-03 16:00"], A=[1], B=[0]), "2020-01-03 16:00:00 in the index is not a session")
    refused(frame(["2020-01-06 16:00"], A=[1], B=[0]), "2020-01-06 16:00:00 in the index is not a session")
    refused(frame([pd.NaT], A=[1], B=[0]), "NaT in the index is not a session")
    refused(frame(["2031-01-01"], A=[1], B=[0]), "2031-01-01 in the index is not a session")


def test_an_index_that_is_not_of_sessions_is_refused(refused):
    refused(pd.DataFrame({"A": [1.0], "B": [0.0]}), "index has dtype int64, expected decision sessions")
    refused(pd.DataFrame({"A": [1.0], "B": [0.0]}, index=["soon"]), "the index is not of dates")
    refused(
        frame(pd.DatetimeIndex(["2020-01-02"], tz="UTC"), A=[1.0], B=[0.0]),
        "time zone UTC",
        "tz_localize(None)",
    )


def test_columns_must_be_the_symbols(refused):
    refused(frame(["2020-01-02"], A=[1.0]), "no column for 'B' (1 of 2 symbols missing)")
    refused(
        frame(["2020-01-02"], A=[1.0], B=[0.0], AA=[0.0]),
        "column 'AA' is not a symbol of the run; did you mean 'A'?",
    )
    twice = frame(["2020-01-02"], A=[1.0], B=[0.0])
    refused(pd.concat([twice, twice[["A"]]], axis=1), "column 'A' is there twice")
    refused(frame(["2020-01-02"], A=[1.0], B=[0.0]).rename(columns={"B": 7}), "column 7 is not a symbol")


def test_weights_must_be_numbers(refused):
    refused(np.full((4, 2), "half"), "weights have dtype <U4, expected float64")
    refused(np.full((4, 2), None), "dtype object")
    refused(np.ones((4, 2), bool), "dtype bool")
    refused(frame(["2020-01-02"], A=[1.0], B=["half"]), "column 'B' has dtype")
    refused(frame(["2020-01-02"], A=[True], B=[0.5]), "column 'A' has dtype bool, expected numbers")
    refused(TargetWeights([0], [[1, 2], [3]]), "weights are not an array")
    refused(TargetWeights(np.array([0.0]), np.ones((1, 2))), "rows have shape (1,) and dtype float64")
    refused(TargetWeights(np.zeros((1, 1), int), np.ones((1, 2))), "rows have shape (1, 1)")


@pytest.mark.parametrize(
    ("decisions", "said"), [(None, "nothing (None)"), ([[1, 0]] * 4, "list"), (7, "int")]
)
def test_anything_else_is_refused_with_what_may_be_returned(refused, decisions, said):
    refused(
        decisions,
        f"returned {said}; expected TargetWeights, a DataFrame (sessions x symbols) or an array [T, N]",
    )
