"""Rolling volatility and Sharpe ratio: those of every window by itself, and why there is none."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.valuation.rolling import WINDOWS, rolling, rolling_facts

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the oracle warns of is its own affair
    import empyrical

SESSIONS = np.datetime64("2020-01-01", "D") + np.arange(400)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-0.3, 0.4), min_size=2, max_size=80).map(np.array), st.integers(2, 30))
def test_every_window_is_what_numpy_says_of_it_alone(returns, window):
    found = rolling(returns, SESSIONS[: len(returns)], window)

    for end in range(len(returns)):
        if end + 1 < window:
            assert np.isnan(found.volatility[end])
            assert np.isnan(found.sharpe[end])
            continue
        own = returns[end + 1 - window : end + 1]
        deviation = np.std(own, ddof=1)
        assert found.volatility[end] == pytest.approx(deviation * np.sqrt(252), rel=1e-9, abs=1e-12)
        if deviation > 1e-9:
            assert found.sharpe[end] == pytest.approx(
                own.mean() / deviation * np.sqrt(252), rel=1e-9, abs=1e-9
            )


def test_they_are_those_of_empyrical():
    returns = np.random.default_rng(3).normal(0.0004, 0.01, 300)

    found = rolling(returns, SESSIONS[:300], 63)

    assert found.volatility[62:] == pytest.approx(empyrical.roll_annual_volatility(returns, window=63))
    assert found.sharpe[62:] == pytest.approx(empyrical.roll_sharpe_ratio(returns, window=63))


def test_a_very_large_return_does_not_blur_the_windows_after_it():
    returns = np.tile([0.001, -0.001], 200)
    returns[100] = 1e9

    found = rolling(returns, SESSIONS, 63)

    assert found.volatility[170] == pytest.approx(np.std(returns[108:171], ddof=1) * np.sqrt(252), rel=1e-12)


def test_before_the_window_is_full_there_is_none_and_the_day_is_told():
    returns = np.random.default_rng(3).normal(0.0, 0.01, 64)

    found = rolling(returns, SESSIONS[:64], 63)

    assert np.flatnonzero(~np.isnan(found.volatility)).tolist() == [62, 63]
    assert found.volatility_gaps == f"the window of 63 sessions is not full before {SESSIONS[62]}"
    assert found.sharpe_gaps == found.volatility_gaps


@pytest.mark.parametrize("window", WINDOWS)
def test_a_run_shorter_than_the_window_has_none_and_says_how_short_it_is(window):
    undefined = {}
    found = rolling(np.full(10, 0.01), SESSIONS[:10], window)

    facts = rolling_facts(found, SESSIONS[:10], undefined)

    assert (facts.volatility, facts.volatility_last, facts.sharpe, facts.sharpe_last) == (None,) * 4
    reason = f"fewer than {window} sessions: there are 10"
    assert undefined == {
        f"rolling_{name}_{window}{last}": reason
        for name in ("volatility", "sharpe")
        for last in ("", ".last")
    }


def test_a_flat_stretch_has_volatility_zero_and_no_sharpe_ratio():
    returns = np.concatenate((np.random.default_rng(3).normal(0.0, 0.01, 63), np.full(80, 0.001)))
    sessions, undefined = SESSIONS[:143], {}

    found = rolling(returns, sessions, 63)
    facts = rolling_facts(found, sessions, undefined)

    assert facts.volatility.min == pytest.approx(0.0, abs=1e-12)
    assert facts.volatility.min_on == str(SESSIONS[125])
    assert facts.sharpe is not None
    assert facts.sharpe_last is None
    assert (
        f"volatility is zero, so there is no ratio, on 18 of 81 sessions, the first {SESSIONS[125]}"
        in found.sharpe_gaps
    )
    assert undefined == {"rolling_sharpe_63.last": found.sharpe_gaps}


def test_returns_whose_squares_are_no_numbers_have_no_deviation():
    returns = np.full(70, 0.01)
    returns[0] = 1e200

    found = rolling(returns, SESSIONS[:70], 63)

    assert np.isnan(found.volatility[62])
    assert np.isfinite(found.volatility[63:]).all()
    assert "not a finite number on 1 of 8 sessions" in found.volatility_gaps


def test_the_extremes_are_dated_to_the_last_session_of_their_window():
    returns = np.zeros(200)
    returns[150] = 0.2

    facts = rolling_facts(rolling(returns, SESSIONS[:200], 63), SESSIONS[:200], {})

    assert facts.volatility.max_on == str(SESSIONS[150])
    assert facts.volatility_last == facts.volatility.max
    assert facts.volatility.min_on == str(SESSIONS[62])


def test_a_window_of_one_session_is_refused():
    with pytest.raises(ValueError, match="a window of 1 sessions has no standard deviation"):
        rolling(np.zeros(5), SESSIONS[:5], 1)
