"""Rankings by a bundle of factors: who is long, who is short, and by how much."""

import numpy as np
import pytest

from pytest_finbot.contracts import Factor, FactorBundle
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.multifactor_long_short import bundle_scores
from pytest_finbot.strategies.resolve import target_weights

LEARNED = FactorBundle(factors=(Factor("learned", 1.0),))
NAN = np.nan


@pytest.fixture(scope="session")
def decide(a_spec, a_market):
    """Decisions as {row: weights} from values of the factor ``learned`` alone, a row a session."""

    def run(values, bundle=LEARNED, **changes):
        values = np.array(values, float)
        market = a_market(np.ones_like(values), factors={"learned": values})
        spec = a_spec(market.symbols, "multifactor_long_short", bundle=bundle, **changes)
        targets = target_weights(spec, market)
        return dict(zip(targets.rows.tolist(), targets.weights.tolist(), strict=True))

    return run


def test_the_top_is_long_the_bottom_short_half_of_gross_on_each_side(decide):
    assert decide([[3, 1, 5, 2, 4]]) == {0: [0, -0.5, 0.5, 0, 0]}
    assert decide([[3, 1, 5, 2, 4]], params={"quantile": 0.4}) == {0: [0, -0.25, 0.25, -0.25, 0.25]}


def test_gross_exposure_is_what_the_run_allows(decide):
    assert decide([[2, 1, 3]], max_gross_exposure=1.5) == {0: [0, -0.75, 0.75]}
    assert decide([[2, 1, 3]], max_gross_exposure=1.5, params={"long_only": True}) == {0: [0, 0, 1.5]}


def test_long_only_puts_everything_into_the_top(decide):
    assert decide([[1, 2, 3, 4]], params={"long_only": True, "quantile": 0.5}) == {0: [0, 0, 0.5, 0.5]}
    assert decide([[1, 2, 3, 4]], params={"long_only": True, "quantile": 1.0}) == {0: [0.25] * 4}


@pytest.mark.parametrize(
    ("names", "quantile", "side"),
    [(2, 0.2, 1), (3, 0.5, 1), (9, 0.2, 1), (10, 0.2, 2), (10, 0.3, 3), (100, 0.29, 29)],
)
def test_a_side_has_the_quantile_rounded_down_but_one_at_least(decide, names, quantile, side):
    weights = decide([np.arange(names)], params={"quantile": quantile})[0]
    assert weights == [-0.5 / side] * side + [0.0] * (names - 2 * side) + [0.5 / side] * side


def test_a_symbol_without_a_value_is_left_out_and_fewer_than_two_decide_nothing(decide):
    values = [[1, NAN, 3], [NAN, NAN, 3], [NAN, NAN, NAN], [NAN, 1, 2]]
    assert decide(values) == {0: [-0.5, 0, 0.5], 3: [0, -0.5, 0.5]}


def test_a_symbol_that_lacks_one_of_two_factors_is_not_ranked(a_spec, a_market):
    bundle = FactorBundle(factors=(Factor("learned", 1.0), Factor("other", 1e-6)))
    market = a_market(np.ones((1, 3)), factors={"learned": [[9, 2, 1]], "other": [[NAN, 1, 1]]})
    spec = a_spec("ABC", "multifactor_long_short", bundle=bundle)
    assert target_weights(spec, market).weights.tolist() == [[0, 0.5, -0.5]]


def test_of_equal_scores_the_earlier_symbol_ranks_higher(decide):
    assert decide([[7, 7, 7]]) == {0: [0.5, 0, -0.5]}


def test_a_low_value_is_good_where_the_direction_says_so(decide):
    bundle = FactorBundle(factors=(Factor("learned", 1.0, -1),))
    assert decide([[3, 1, 2]], bundle) == {0: [-0.5, 0.5, 0]}


def test_scores_add_up_directed_weighted_and_standardized_factors(a_market):
    market = a_market([[10, 10, 10], [10, 20, 30]], factors={"learned": [[NAN] * 3, [5, 1, 3]]})
    bundle = FactorBundle(factors=(Factor("momentum_1d", 0.5), Factor("learned", 0.25, -1)))
    # momentum 0, 1, 2 -> -1, 0, 1; learned 5, 1, 3 -> 1, -1, 0
    scores = bundle_scores(bundle, market, np.array([0, 1]))
    np.testing.assert_allclose(scores, [[NAN] * 3, [-0.75, 0.25, 0.5]], atol=1e-12)


def test_raw_values_are_added_where_the_bundle_does_not_standardize(a_market):
    market = a_market(np.ones((1, 3)), factors={"learned": [[0, 50, 100]]})
    bundle = FactorBundle(factors=(Factor("learned", 2.0),), zscore=False)
    assert bundle_scores(bundle, market, np.array([0])).tolist() == [[0, 100, 200]]
    held_in = FactorBundle(
        factors=bundle.factors, zscore=False, winsorize=True, winsorize_limits=(0.25, 0.75)
    )
    assert bundle_scores(held_in, market, np.array([0])).tolist() == [[50, 100, 150]]


def test_a_price_factor_decides_once_its_history_is_full(a_spec, a_market):
    bundle = FactorBundle(factors=(Factor("momentum_2d", 1.0),))
    market = a_market([[1, 1], [1, 1], [1, 2], [3, 2]])
    targets = target_weights(a_spec("AB", "multifactor_long_short", bundle=bundle), market)
    assert targets.rows.tolist() == [2, 3]
    assert targets.weights.tolist() == [[-0.5, 0.5], [0.5, -0.5]]


def test_a_factor_that_nothing_brings_is_named(a_spec, a_market):
    spec = a_spec("AB", "multifactor_long_short", bundle=LEARNED)
    with pytest.raises(ParameterError, match=r"factor 'learned' of the bundle is neither .*rv_<n>"):
        target_weights(spec, a_market(np.ones((3, 2))))
