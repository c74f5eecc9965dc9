"""Fixed weights, moving averages, momentum, risk parity: small examples worked out by hand."""

import itertools

import numpy as np
import pytest

from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.resolve import target_weights

MONTHLY = {"rebalance_freq": "M"}


@pytest.fixture(scope="session")
def decide(a_spec, a_market):
    """Decisions as {row: weights} for closes given by symbol."""

    def run(strategy, closes, params=None, **changes):
        market = a_market(np.array(list(closes.values()), float).T, symbols=tuple(closes))
        spec = a_spec(closes, strategy, params=params or {}, **changes)
        targets = target_weights(spec, market)
        return dict(zip(targets.rows.tolist(), targets.weights.tolist(), strict=True))

    return run


# ------------------------------------------------------------------------- fixed weights


def test_without_weights_every_symbol_gets_its_equal_part(decide):
    closes = {"A": [1] * 24, "B": [1] * 24, "C": [1] * 24, "D": [1] * 24}
    # 2020-02-03 is the 24th weekday from 2020-01-01
    assert decide("fixed_weights", closes, **MONTHLY) == {0: [0.25] * 4, 23: [0.25] * 4}


def test_buy_and_hold_decides_once(decide):
    closes = {"A": [1] * 30, "B": [1] * 30}
    weights = {"B": 1.5, "A": -0.5}
    assert decide("fixed_weights", closes, {"weights": weights}, rebalance_freq="none") == {0: [-0.5, 1.5]}


def test_a_symbol_without_a_weight_is_not_held(decide):
    assert decide("fixed_weights", {"A": [1], "B": [1], "C": [1]}, {"weights": {"B": 1}}) == {0: [0, 1, 0]}


# ------------------------------------------------------------------------ moving averages


def test_a_crossover_decides_only_where_a_signal_changes(decide):
    closes = [10, 10, 13, 13, 13, 7, 7, 7, 16]
    # fast (2):       10   11.5 13  13  10  7   7   11.5    from row 1
    # slow (3):            11   12  13  11  9   7   10      from row 2
    assert decide("sma_crossover", {"A": closes}, {"fast": 2, "slow": 3}) == {2: [1], 4: [0], 8: [1]}


def test_the_first_decision_waits_for_a_full_slow_window(decide):
    assert decide("sma_crossover", {"A": [1, 2, 3, 4, 5, 6]}, {"fast": 1, "slow": 4}) == {3: [1]}
    assert decide("sma_crossover", {"A": [1, 2, 3]}, {"fast": 1, "slow": 4}) == {}


def test_a_falling_price_is_never_bought_and_needs_no_decision(decide):
    assert decide("sma_crossover", {"A": [6, 5, 4, 3, 2, 1]}, {"fast": 1, "slow": 3}) == {}


def test_a_change_of_one_symbol_sets_the_weights_of_all(decide):
    closes = {"A": [1, 2, 3, 4, 5, 6], "B": [6, 5, 4, 3, 9, 1]}
    # B: close against mean of 3: 4<5, 3<4, 9>5.33, 1<4.33
    expected = {2: [0.5, 0], 4: [0.5, 0.5], 5: [0.5, 0]}
    assert decide("sma_crossover", closes, {"fast": 1, "slow": 3}) == expected


@pytest.mark.parametrize("price", [0.1, 100.1, 1e-7 / 3, 1e9 / 7])
def test_a_price_that_stands_still_is_not_traded_for_rounding(decide, price):
    assert decide("sma_crossover", {"A": [price] * 50_000}, {"fast": 3, "slow": 7}) == {}


@pytest.mark.parametrize("jump", [1.1, 1.7, 3.3])
def test_a_price_that_stands_still_after_a_jump_is_sold_once(decide, jump):
    closes = [0.1] * 7 + [0.1 * jump] * 3000
    assert decide("sma_crossover", {"A": closes}, {"fast": 3, "slow": 7}) == {7: [1], 13: [0]}


def test_averages_agree_with_plain_means_on_a_long_walk(decide):
    source = np.random.default_rng(5)
    closes = 100 * np.cumprod(1 + source.normal(0, 0.01, 3000))
    held, expected = 0.0, {}
    for row in range(199, 3000):
        wanted = float(closes[row - 49 : row + 1].mean() > closes[row - 199 : row + 1].mean())
        if wanted != held:
            held, expected[row] = wanted, [wanted]
    assert len(expected) > 5
    assert decide("sma_crossover", {"A": closes}) == expected


# ------------------------------------------------------------------------------- momentum

RISES = {"A": [10, 10, 10, 11], "B": [10, 10, 10, 13], "C": [10, 10, 10, 12], "D": [10, 10, 10, 9]}


def test_the_best_by_return_are_held_in_equal_parts(decide):
    assert decide("momentum_rotation", RISES, {"top": 2, "lookback": 3}) == {3: [0, 0.5, 0.5, 0]}


def test_of_equal_returns_the_earlier_symbol_is_taken(decide):
    held = decide("momentum_rotation", RISES, {"top": 2, "lookback": 2})
    assert held == {2: [0.5, 0.5, 0, 0], 3: [0, 0.5, 0.5, 0]}


def test_the_sign_of_momentum_matters_only_if_asked_for(decide):
    falls = {"A": [10, 9], "B": [10, 12], "C": [10, 10]}
    params = {"top": 3, "lookback": 1}
    assert decide("momentum_rotation", falls, params) == {1: [1 / 3] * 3}
    assert decide("momentum_rotation", falls, {**params, "absolute": True}) == {1: [0, 1 / 3, 0]}


def test_momentum_decides_at_the_scheduled_sessions_that_have_the_history(decide):
    closes = {"A": np.arange(1, 61), "B": np.ones(60)}  # months begin at rows 0, 23, 43
    assert list(decide("momentum_rotation", closes, {"top": 1, "lookback": 23}, **MONTHLY)) == [23, 43]
    assert list(decide("momentum_rotation", closes, {"top": 1, "lookback": 24}, **MONTHLY)) == [43]


@pytest.mark.parametrize(
    ("closes", "held"),
    [
        ({"A": [10, 11], "SAFE": [10, 10.5], "B": [10, 12]}, "B"),
        ({"A": [10, 11], "SAFE": [10, 10.5], "B": [10, 10.1]}, "A"),
        ({"A": [10, 12], "SAFE": [10, 12], "B": [10, 12]}, "A"),  # not below the safe one; first of equals
        ({"A": [10, 11], "SAFE": [10, 13], "B": [10, 12]}, "SAFE"),
        ({"A": [10, 10], "SAFE": [10, 9], "B": [10, 8]}, None),  # 0 is not above 0
        ({"A": [10, 9], "SAFE": [10, 10], "B": [10, 8]}, None),
        ({"A": [10, 9], "SAFE": [10, 11], "B": [10, 8]}, "SAFE"),
    ],
)
def test_dual_momentum_holds_the_best_the_safe_one_or_cash(decide, closes, held):
    expected = [float(symbol == held) for symbol in closes]
    assert decide("dual_momentum", closes, {"safe": "SAFE", "lookback": 1}) == {1: expected}


# ---------------------------------------------------------------------------- risk parity


def test_weights_go_with_one_over_volatility(decide):
    # Returns of A: +10 %, -10 %; of B: +30 %, -30 %: B moves three times as much
    closes = {"A": [100, 110, 99], "B": [100, 130, 91]}
    assert decide("risk_parity", closes, {"lookback": 2}) == {2: pytest.approx([0.75, 0.25])}


def test_volatility_is_that_of_the_sample_around_its_mean(decide):
    closes = {"A": [100, 101, 103, 100], "B": [50, 51, 50, 53]}
    returns = {s: [after / before - 1 for before, after in itertools.pairwise(c)] for s, c in closes.items()}
    inverse = [1 / np.std(returns[symbol], ddof=1) for symbol in closes]
    expected = [part / sum(inverse) for part in inverse]
    assert decide("risk_parity", closes, {"lookback": 3}) == {3: pytest.approx(expected, rel=1e-12)}


def test_a_symbol_that_does_not_move_gets_nothing_and_the_others_share(decide):
    closes = {"A": [100, 110, 99], "HALTED": [7, 7, 7], "B": [100, 130, 91], "STEADY": [1, 1.1, 1.21]}
    assert decide("risk_parity", closes, {"lookback": 2}) == {2: pytest.approx([0.75, 0, 0.25, 0])}


def test_where_nothing_moves_nothing_is_decided(decide):
    assert decide("risk_parity", {"A": [5, 5, 5, 6], "B": [7, 7, 7, 7]}, {"lookback": 2}) == {3: [1, 0]}


def test_a_long_lookback_over_many_decisions_is_worked_off_in_parts(decide):
    source = np.random.default_rng(8)
    closes = np.cumprod(1 + source.normal(0, 0.01, (4000, 2)), axis=0)
    held = decide("risk_parity", {"A": closes[:, 0], "B": closes[:, 1]}, {"lookback": 100})
    returns = closes[1:] / closes[:-1] - 1
    assert len(held) == 3900
    for row in (100, 1399, 1400, 3999):
        inverse = 1 / returns[row - 100 : row].std(axis=0, ddof=1)
        assert held[row] == pytest.approx((inverse / inverse.sum()).tolist(), rel=1e-9)


def test_a_wrong_parameter_that_was_never_inspected_still_stops_the_strategy(decide):
    with pytest.raises(ParameterError, match=r"strategy sma_crossover: params\.fats: unknown key"):
        decide("sma_crossover", {"A": [1, 2, 3]}, {"fats": 20})
