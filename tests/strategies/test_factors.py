"""Factors from prices, and their treatment across symbols."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pytest_finbot.contracts import Factor, FactorBundle
from pytest_finbot.errors import ParameterError
from pytest_finbot.strategies.cross_section import standardized, winsorized
from pytest_finbot.strategies.factors import is_price_factor, known_price_factors, panel_factors, price_factor

WALK = 100 * np.cumprod(1 + np.random.default_rng(2).normal(0, 0.02, (300, 3)), axis=0)
ROWS = np.array([251, 252, 299])


def by_the_book(name, c, t):
    """The definitions, once more and slowly."""
    return {
        "momentum_12m_excl_1m": lambda: c[t - 21] / c[t - 252] - 1,
        "momentum_90d": lambda: c[t] / c[t - 90] - 1,
        "reversal_5d": lambda: 1 - c[t] / c[t - 5],
        "trend_strength_200": lambda: (c[t] - c[t - 199 : t + 1].mean()) / c[t - 199 : t + 1].std(ddof=1),
        "rv_20": lambda: np.sqrt(252 * np.mean([(c[i] / c[i - 1] - 1) ** 2 for i in range(t - 19, t + 1)])),
    }[name]()


@pytest.mark.parametrize("name", ["momentum_90d", "reversal_5d", "trend_strength_200", "rv_20"])
def test_a_price_factor_is_what_its_definition_says(name):
    values = price_factor(name, WALK, ROWS)
    for k, row in enumerate(ROWS):
        for column in range(3):
            assert values[k, column] == pytest.approx(by_the_book(name, WALK[:, column], row), rel=1e-9)


def test_twelve_months_without_the_last_need_252_sessions_before():
    values = price_factor("momentum_12m_excl_1m", WALK, ROWS)
    assert np.isnan(values[0]).all()
    assert values[1].tolist() == (WALK[231] / WALK[0] - 1).tolist()
    assert values[2, 1] == by_the_book("momentum_12m_excl_1m", WALK[:, 1], 299)


@pytest.mark.parametrize(
    ("name", "first"),
    [("momentum_10d", 10), ("reversal_10d", 10), ("rv_10", 10), ("trend_strength_10", 9), ("momentum_1d", 1)],
)
def test_a_factor_is_unknown_until_its_history_is_full(name, first):
    values = price_factor(name, WALK[:15], np.arange(15))
    assert np.isnan(values[:first]).all()
    assert np.isfinite(values[first:]).all()


def test_a_price_that_stands_still_has_no_trend():
    assert price_factor("trend_strength_5", np.full((9, 1), 0.1), np.array([8])).tolist() == [[0.0]]


@pytest.mark.parametrize(
    "name",
    [
        "momentum_12m_excl_1m",
        "momentum_5d",
        "momentum_126d",
        "trend_strength_2",
        "trend_strength_50",
        "rv_63",
    ],
)
def test_names_that_are_computed(name):
    assert is_price_factor(name)


@pytest.mark.parametrize(
    "name",
    ["momentum_0d", "momentum_d", "momentum_05d", "momentum_126", "rv_", "rv_20d", "rv_-5",
     "trend_strength_1", "ml_alpha_ridge_20d", "momentum_12m_excl_2m", "MOMENTUM_5d", "momentum_5d ",
     "momentum_999999d", ""],
)  # fmt: skip
def test_names_that_are_not_computed(name):
    assert not is_price_factor(name)
    with pytest.raises(ParameterError, match="is not a price factor") as error:
        price_factor(name, WALK, ROWS)
    assert all(pattern in str(error.value) for pattern in known_price_factors())


def test_what_a_bundle_needs_from_a_panel_is_what_prices_do_not_give(a_spec):
    names = ["ml_beta", "rv_20", "quality", "momentum_5d", "ml_beta"]
    bundle = FactorBundle(factors=tuple(Factor(name, 1.0) for name in names))
    assert panel_factors(a_spec("AB", bundle=bundle)) == ("ml_beta", "quality")
    assert panel_factors(a_spec("AB")) == ()


# ------------------------------------------------------------------------- cross-sections


def test_standardized_values_are_distances_in_sample_deviations():
    values = standardized(np.array([[1.0, 2.0, 3.0, np.nan], [5.0, np.nan, 9.0, np.nan]]))
    np.testing.assert_array_equal(values[0], [-1, 0, 1, np.nan])
    np.testing.assert_allclose(values[1], [-(0.5**0.5), np.nan, 0.5**0.5, np.nan])


def test_a_cross_section_without_differences_says_nothing():
    third = 1 / 3
    values = np.array([[0.1, 0.1, 0.1], [third, third, np.nan], [np.nan, 7, np.nan], [np.nan] * 3, [0, 0, 0]])
    np.testing.assert_array_equal(
        standardized(values), [[0, 0, 0], [0, 0, np.nan], [np.nan, 0, np.nan], [np.nan] * 3, [0, 0, 0]]
    )


def test_winsorizing_pulls_the_ends_in_to_the_quantiles():
    values = np.array([[0.0, 10.0, 20.0, 30.0, 100.0]])
    # positions 0.4 and 3.6 of 0..4: 4 and 30 + 0.6 * 70
    np.testing.assert_allclose(winsorized(values, 0.1, 0.9), [[4, 10, 20, 30, 72]])


cross_sections = arrays.arrays(
    np.float64,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.one_of(st.just(np.nan), st.floats(-1e6, 1e6)),
)


@given(cross_sections, st.floats(0, 0.5), st.floats(0.5, 1))
def test_winsorizing_uses_numpys_quantiles_of_what_is_known(values, low, high):
    treated = winsorized(values, low, high)
    for row, result in zip(values, treated, strict=True):
        known = row[~np.isnan(row)]
        expected = row if not len(known) else np.clip(row, np.quantile(known, low), np.quantile(known, high))
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


@given(cross_sections)
def test_standardizing_keeps_what_is_unknown_unknown_and_all_else_finite(values):
    treated = standardized(values)
    np.testing.assert_array_equal(np.isnan(treated), np.isnan(values))
    for given_row, row in zip(values, treated, strict=True):
        known = row[~np.isnan(row)]
        # The square of a smaller spread is no normal number, and has lost its digits.
        if known.any() and np.ptp(given_row[~np.isnan(given_row)]) > 1e-145:
            assert known.mean() == pytest.approx(0.0, abs=1e-6)
            assert known.std(ddof=1) == pytest.approx(1.0)
