"""What holds for every built-in strategy: no look-ahead, no unit of price, no order of symbols."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import Factor, FactorBundle
from pytest_finbot.strategies.resolve import BUILT_IN, target_weights

BUNDLE = FactorBundle(
    factors=(
        Factor("momentum_8d", 0.4),
        Factor("trend_strength_6", 0.2),
        Factor("rv_5", 0.3, -1),
        Factor("reversal_2d", 0.1),
        Factor("learned", 0.5),
    ),
    winsorize=True,
    winsorize_limits=(0.1, 0.9),
)
RUNS = {
    "fixed_weights": {"params": {"weights": {"A": 0.5, "C": -0.2}}},
    "sma_crossover": {"params": {"fast": 2, "slow": 5}},
    "momentum_rotation": {"params": {"top": 2, "lookback": 6, "absolute": True}},
    "dual_momentum": {"params": {"safe": "B", "lookback": 6}},
    "risk_parity": {"params": {"lookback": 6}},
    "multifactor_long_short": {"params": {"quantile": 0.4}, "bundle": BUNDLE},
}
FREQUENCIES = ["D", "W", "M"]
every_strategy = pytest.mark.parametrize("strategy", sorted(RUNS))


def random_walk(seed, sessions=60, symbols=5):
    source = np.random.default_rng(seed)
    closes = 50.0 * np.cumprod(1.0 + source.normal(0.0, 0.03, (sessions, symbols)), axis=0)
    learned = source.normal(size=(sessions, symbols))
    learned[: sessions // 4] = np.nan
    learned[source.random(learned.shape) < 0.1] = np.nan
    return closes, learned


@pytest.fixture(scope="session")
def a_run(a_spec):
    return lambda strategy, symbols="ABCDE", **changes: a_spec(
        symbols, strategy, **{**RUNS[strategy], **changes}
    )


@pytest.fixture(scope="session")
def market_of(a_market):
    return lambda closes, learned, symbols=None: a_market(
        closes, factors={"learned": learned}, symbols=symbols
    )


def test_every_built_in_strategy_is_held_to_this():
    assert sorted(RUNS) == sorted(BUILT_IN)


@every_strategy
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 60), freq=st.sampled_from(FREQUENCIES))
def test_cutting_the_future_off_changes_no_decision_before(a_run, market_of, strategy, seed, cut, freq):
    closes, learned = random_walk(seed)
    spec = a_run(strategy, rebalance_freq=freq)
    whole = target_weights(spec, market_of(closes, learned))
    part = target_weights(spec, market_of(closes[:cut], learned[:cut]))
    before = whole.rows < cut
    assert part.rows.tolist() == whole.rows[before].tolist()
    assert part.weights.tobytes() == whole.weights[before].tobytes()


@every_strategy
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(1, 60))
def test_another_future_changes_no_decision_before(a_run, market_of, strategy, seed, cut):
    closes, learned = random_walk(seed)
    others, other_learned = random_walk(seed + 1)
    spec = a_run(strategy)
    one = target_weights(spec, market_of(closes, learned))
    two = target_weights(
        spec,
        market_of(np.vstack([closes[:cut], others[cut:]]), np.vstack([learned[:cut], other_learned[cut:]])),
    )
    assert one.rows[one.rows < cut].tolist() == two.rows[two.rows < cut].tolist()
    assert one.weights[one.rows < cut].tobytes() == two.weights[two.rows < cut].tobytes()


@every_strategy
@pytest.mark.parametrize("unit", [100.0, 1 / 3])
def test_prices_in_another_unit_give_the_same_weights(a_run, market_of, strategy, unit):
    closes, learned = random_walk(3)
    spec = a_run(strategy)
    one, two = (target_weights(spec, market_of(prices, learned)) for prices in (closes, closes * unit))
    assert len(one.rows) > 0
    assert one.rows.tolist() == two.rows.tolist()
    np.testing.assert_allclose(one.weights, two.weights, rtol=1e-9)


@every_strategy
@pytest.mark.parametrize("seed", range(5))
def test_symbols_in_another_order_get_the_same_weights(a_run, market_of, strategy, seed):
    closes, learned = random_walk(seed)
    order = np.random.default_rng(seed).permutation(5)
    symbols = tuple("ABCDE"[number] for number in order)
    one = target_weights(a_run(strategy), market_of(closes, learned))
    two = target_weights(
        a_run(strategy, symbols=symbols), market_of(closes[:, order], learned[:, order], symbols)
    )
    assert one.rows.tolist() == two.rows.tolist()
    np.testing.assert_allclose(one.weights[:, order], two.weights, rtol=1e-9)


@every_strategy
def test_a_window_shorter_than_the_history_needed_ends_in_no_decision_but_no_error(
    a_run, market_of, strategy
):
    closes, learned = random_walk(1)
    targets = target_weights(a_run(strategy), market_of(closes[:2], learned[:2]))
    assert targets.weights.shape == (len(targets.rows), 5)
    assert len(targets.rows) == (2 if strategy == "fixed_weights" else 0)
