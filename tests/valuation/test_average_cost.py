"""Average cost: the vectorised scan against the method as one would do it on paper."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import Fills
from pytest_finbot.valuation.average_cost import average_cost


def fills_of(trades):
    """Fills from (session, asset, quantity, price)."""
    session, asset, quantity, price = zip(*trades, strict=True)
    zeros = np.zeros(len(trades))
    return Fills(
        np.array(session, np.int64),
        np.array(asset, np.int64),
        np.array(quantity),
        np.array(price),
        zeros,
        zeros,
    )


def on_paper(trades, multiplier, splits=None):
    """Realised P&L of each fill and the basis after it, one fill at a time."""
    held, average, last = {}, {}, {}
    realised, change = [], []
    for session, asset, quantity, price in trades:
        position, cost = held.get(asset, 0.0), average.get(asset, 0.0)
        before = position * cost * multiplier[asset]
        if splits is not None:
            for row in range(last.get(asset, -1) + 1, session + 1):
                position *= splits[row, asset]
                cost /= splits[row, asset]
            last[asset] = session
        gain = 0.0
        if position * quantity >= 0:
            after = position + quantity
            cost = (position * cost + quantity * price) / after
        elif abs(quantity) <= abs(position):
            gain = -quantity * (price - cost)
            after = position + quantity
        else:
            gain = position * (price - cost)
            after, cost = position + quantity, price
        held[asset], average[asset] = after, cost
        realised.append(gain * multiplier[asset])
        change.append(after * cost * multiplier[asset] - before)
    return realised, change


def test_buying_twice_and_selling_half_realises_against_the_mean_price():
    found = average_cost(
        fills_of([(0, 0, 10.0, 100.0), (1, 0, 10.0, 110.0), (2, 0, -10.0, 120.0)]), np.ones(1), None
    )

    assert found.realised.tolist() == [0.0, 0.0, 150.0]
    assert found.basis_change.tolist() == [1000.0, 1100.0, -1050.0]


def test_a_short_position_gains_when_it_is_bought_back_lower():
    found = average_cost(fills_of([(0, 0, -10.0, 100.0), (1, 0, 4.0, 90.0)]), np.ones(1), None)

    assert found.realised.tolist() == [0.0, 40.0]
    assert found.basis_change.tolist() == [-1000.0, 400.0]


def test_a_fill_through_zero_closes_the_old_and_opens_the_new_at_its_price():
    found = average_cost(
        fills_of([(0, 0, 10.0, 100.0), (1, 0, -15.0, 110.0), (2, 0, 5.0, 100.0)]), np.ones(1), None
    )

    assert found.realised.tolist() == [0.0, 100.0, 50.0]
    assert found.basis_change.tolist() == [1000.0, -1550.0, 550.0]


def test_a_split_changes_units_and_average_but_realises_nothing():
    splits = np.array([[1.0], [2.0]])

    found = average_cost(
        fills_of([(0, 0, 10.0, 100.0), (1, 0, -20.0, 50.0)]), np.ones(1), np.cumprod(splits, axis=0)
    )

    assert found.realised.tolist() == [0.0, 0.0]


def test_a_contract_multiplier_scales_the_gain():
    found = average_cost(fills_of([(0, 0, 1.0, 4000.0), (1, 0, -1.0, 4010.0)]), np.array([50.0]), None)

    assert found.realised.tolist() == [0.0, 500.0]


def test_a_billion_units_of_one_asset_leave_a_millionth_of_another_exact():
    trades = [(0, 0, 1e12 / 3, 1e-6), (0, 1, 1e-6, 90_000.0), (1, 1, -1e-6, 100_000.0)]

    assert average_cost(fills_of(trades), np.ones(2), None).realised[2] == pytest.approx(0.01, rel=1e-12)


TRADES = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 2),
        # Whole units reach exactly zero and cross it often.
        st.integers(-6, 6).filter(bool).map(float) | st.floats(0.01, 10.0) | st.floats(-10.0, -0.01),
        st.floats(1.0, 1000.0),
    ),
    min_size=1,
    max_size=60,
).map(lambda trades: sorted(trades, key=lambda trade: trade[0]))


@settings(max_examples=150, deadline=None)
@given(trades=TRADES, seed=st.integers(0, 99))
def test_any_history_comes_out_as_it_does_on_paper(trades, seed):
    splits = np.random.default_rng(seed).choice([1.0, 1.0, 1.0, 2.0, 0.5], (10, 3))
    multiplier = np.array([1.0, 50.0, 0.1])

    found = average_cost(fills_of(trades), multiplier, np.cumprod(splits, axis=0))

    realised, change = on_paper(trades, multiplier, splits)
    scale = (
        1e-9 * sum(abs(quantity * price) * multiplier[asset] for _, asset, quantity, price in trades) * 1e3
    )
    np.testing.assert_allclose(np.cumsum(found.realised), np.cumsum(realised), rtol=0, atol=scale)
    np.testing.assert_allclose(np.cumsum(found.basis_change), np.cumsum(change), rtol=0, atol=scale)
