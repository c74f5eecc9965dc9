"""What holds for any two results: equal ones are identical, and no move beyond a limit passes."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_finbot.contracts import Verdict

LIMITS = {"exact": 0.0, "refactor": 1e-9, "rounding": 1e-6}
"""Presets that hold every series and the fills, and their limit."""

SERIES = ("nav", "cash", "market_values", "quantity")
STRANGE = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -1e308, 1e308]
PASSED = (Verdict.IDENTICAL, Verdict.WITHIN)

presets = st.sampled_from(sorted(LIMITS))
factors = st.floats(1.01, 1e9) | st.sampled_from([math.nan, math.inf, -math.inf])


@st.composite
def shapes(draw):
    return {
        "sessions": draw(st.integers(1, 20)),
        "assets": draw(st.integers(0, 4)),
        "seed": draw(st.integers(0, 2**32 - 1)),
        # Books in debt have a NAV that is negative, or crosses 0.
        "debt": draw(st.sampled_from([0.0, 100_000.0, 100_300.0, 250_000.0])),
    }


@st.composite
def strange(draw, book):
    """A result with values in it that no result should have."""
    result = book(**draw(shapes()))
    for _ in range(draw(st.integers(0, 4))):
        series = draw(st.sampled_from(SERIES))
        size = getattr(result, series).size
        if size:
            where = np.unravel_index(draw(st.integers(0, size - 1)), getattr(result, series).shape)
            result = book.put(result, series, where, draw(st.sampled_from(STRANGE)))
    if len(result.fills):
        for _ in range(draw(st.integers(0, 2))):
            column = draw(st.sampled_from(["quantity", "price", "fee"]))
            number = draw(st.integers(0, len(result.fills) - 1))
            result = book.fill(result, column, number, draw(st.sampled_from(STRANGE)))
    value = draw(st.sampled_from([None, 0, 0.0, 1.5, math.nan, math.inf, "2015-01-02"]))
    result = book.metric(result, sharpe=value)
    without = draw(st.sets(st.sampled_from(["cash", "market_values", "quantity", "fills"])))
    return dataclasses.replace(result, **dict.fromkeys(without))


def copy_with_other_zeros(result):
    """Equal values in other memory; what was 0.0 is -0.0."""

    def other(values):
        return None if values is None else np.where(values == 0, -values, values)

    changes = {name: other(getattr(result, name)) for name in SERIES}
    if result.fills is not None:
        columns = ("quantity", "price", "fee")
        changes["fills"] = dataclasses.replace(
            result.fills, **{name: other(getattr(result.fills, name)) for name in columns}
        )
    return dataclasses.replace(result, metrics=dict(result.metrics), **changes)


@settings(deadline=None)
@given(st.data(), presets | st.sampled_from(["parity", "cross_engine"]))
def test_identical_inputs_are_identical(book, data, preset):
    result = data.draw(strange(book))
    for twin in (result, copy_with_other_zeros(result)):
        compared = book.compare(twin, result, preset)
        assert compared.verdict is Verdict.IDENTICAL
        assert {check.verdict for check in compared.checks} == {Verdict.IDENTICAL}
        assert not compared.fails


@settings(max_examples=200, deadline=None)
@given(st.data(), presets, factors, st.sampled_from([1, -1]))
def test_no_perturbation_beyond_its_limit_passes_and_it_is_found_where_it_is(
    book, data, preset, factor, sign
):
    baseline = book(**data.draw(shapes()))
    series = data.draw(st.sampled_from(SERIES))
    values = getattr(baseline, series)
    assume(values.size)
    where = np.unravel_index(data.draw(st.integers(0, values.size - 1)), values.shape)
    row, column = int(where[0]), int(where[-1])
    scale = book.scale(baseline, series)[column if series == "quantity" else row]
    bound = LIMITS[preset] * scale
    old = values[where]
    new = old + sign * factor * bound if bound else np.nextafter(old, sign * math.inf)
    if math.isfinite(new):
        assume(abs(new - old) > bound)
    now = book.put(baseline, series, where, new)
    compared = book.compare(now, baseline, preset)
    assert compared.verdict is Verdict.MOVED
    assert compared.fails
    assert compared.first_session == str(baseline.sessions[row])
    assert compared.first_checks == (series,)
    assert compared.nav_at_first.session == compared.first_session
    if values.ndim == 2:
        assert book.check(compared, series).asset == baseline.assets[column]
        assert [position.asset for position in compared.positions] == [baseline.assets[column]]
    # The other way round as well: what was accepted may be the strange one. A scale that
    # shrank or grew with it (by less than half) cannot hide it.
    back = book.compare(baseline, now, preset)
    if not math.isfinite(new) or not bound or (factor > 3.0 and abs(new - old) < 0.5 * scale):
        assert back.verdict is Verdict.MOVED
        assert back.first_session == compared.first_session


@settings(deadline=None)
@given(st.data(), st.sampled_from(["refactor", "rounding"]))
def test_perturbations_within_their_limits_are_never_moved(book, data, preset):
    baseline = book(**data.draw(shapes()))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    changes = {}
    for series in data.draw(st.sets(st.sampled_from(SERIES), min_size=1)):
        values, scale = getattr(baseline, series), book.scale(baseline, series)
        if series == "market_values":
            scale = scale[:, np.newaxis]
        changes[series] = values + random.uniform(-0.99, 0.99, values.shape) * LIMITS[preset] * scale
    now = dataclasses.replace(baseline, **changes)
    compared = book.compare(now, baseline, preset)
    assert compared.verdict in PASSED
    assert not compared.fails


@settings(deadline=None)
@given(st.data(), presets)
def test_the_earliest_of_many_moves_is_the_one_that_is_told(book, data, preset):
    baseline = book(**{**data.draw(shapes()), "assets": 3})
    places = data.draw(
        st.lists(st.tuples(st.sampled_from(SERIES), st.integers(0, len(baseline.nav) - 1)), min_size=1)
    )
    now = baseline
    for series, row in places:
        where = row if series in ("nav", "cash") else (row, 1)
        now = book.put(now, series, where, getattr(baseline, series)[where] + 1e6)
    first = min(row for _, row in places)
    compared = book.compare(now, baseline, preset)
    assert compared.first_session == str(baseline.sessions[first])
    assert set(compared.first_checks) == {series for series, row in places if row == first}


@settings(deadline=None)
@given(st.data(), presets)
def test_the_order_of_assets_makes_no_difference(book, data, preset):
    result = book(**{**data.draw(shapes()), "assets": 4})
    order = data.draw(st.permutations(range(4)))
    other = in_order(result, order)
    assert book.compare(other, result, preset).verdict is Verdict.IDENTICAL
    assert book.compare(result, other, preset).verdict is Verdict.IDENTICAL
    changed = book.put(result, "market_values", (0, 2), result.market_values[0, 2] + 5e5)
    told = book.compare(in_order(changed, order), result, preset)
    assert told == book.compare(changed, result, preset)
    assert [position.asset for position in told.positions] == ["A2"]


def in_order(result, order):
    place = np.argsort(np.array(order))
    return dataclasses.replace(
        result,
        assets=tuple(result.assets[n] for n in order),
        quantity=result.quantity[:, order],
        market_values=result.market_values[:, order],
        fills=dataclasses.replace(result.fills, asset=place[result.fills.asset]),
    )


@settings(deadline=None)
@given(st.data(), presets, st.booleans())
def test_an_asset_that_is_never_held_is_no_move(book, data, preset, added):
    result = book(**data.draw(shapes()))
    empty = np.zeros((len(result.nav), 1))
    wide = dataclasses.replace(
        result,
        assets=("AAPL", *result.assets),
        quantity=np.hstack([empty, result.quantity]),
        market_values=np.hstack([empty, result.market_values]),
        fills=dataclasses.replace(result.fills, asset=result.fills.asset + 1),
    )
    now, baseline = (wide, result) if added else (result, wide)
    assert book.compare(now, baseline, preset).verdict is Verdict.IDENTICAL


@settings(deadline=None)
@given(st.data(), presets | st.just("parity"), st.booleans())
def test_a_session_that_is_gone_or_new_is_a_move_of_that_day(book, data, preset, gone):
    whole = book(**data.draw(shapes()))
    row = data.draw(st.integers(0, len(whole.nav) - 1))
    less = book.sessions(whole, np.arange(len(whole.nav)) != row)
    now, baseline = (less, whole) if gone else (whole, less)
    compared = book.compare(now, baseline, preset)
    assert compared.verdict is Verdict.MOVED
    sessions = book.check(compared, "sessions")
    assert sessions.verdict is Verdict.MOVED
    assert sessions.session == compared.first_session == str(whole.sessions[row])
    side = "is not in this result" if gone else "is not in the baseline"
    assert f"{whole.sessions[row]} {side}" in sessions.message


@settings(deadline=None)
@given(st.data(), presets, st.sampled_from(["dropped", "twice", "swapped", "another day", "another asset"]))
def test_fills_are_the_same_ones_in_the_same_order(book, data, preset, how):
    baseline = book(**{**data.draw(shapes()), "assets": data.draw(st.integers(2, 4))})
    count = len(baseline.fills)
    number = data.draw(st.integers(0, count - 2))
    rows = list(range(count))
    if how == "dropped":
        now = book.pick(baseline, rows[:number] + rows[number + 1 :])
    elif how == "twice":
        now = book.pick(baseline, rows[: number + 1] + rows[number:])
        number += 1  # its first appearance is where it was
    elif how == "swapped":
        rows[number], rows[number + 1] = rows[number + 1], rows[number]
        now = book.pick(baseline, rows)
    elif how == "another day":
        later = baseline.fills.session[number] + np.timedelta64(1, "D")
        now = book.fill(baseline, "session", number, later)
    else:
        now = book.fill(baseline, "asset", number, (baseline.fills.asset[number] + 1) % len(baseline.assets))
    compared = book.compare(now, baseline, preset)
    assert compared.verdict is Verdict.MOVED
    fewer = ["coverage"] if how == "dropped" else []
    assert [check.name for check in compared.moved_checks] == [*fewer, "fills"]
    assert compared.first_fill.number == number + 1
    back = book.compare(baseline, now, preset)
    assert back.verdict is Verdict.MOVED
    assert back.first_fill.number == number + 1
    assert (back.first_fill.now, back.first_fill.baseline) == (
        compared.first_fill.baseline,
        compared.first_fill.now,
    )


@settings(deadline=None)
@given(st.data(), presets, st.sampled_from(["quantity", "price", "fee"]), factors, st.sampled_from([1, -1]))
def test_no_fill_beyond_its_limit_passes_in_either_direction(book, data, preset, column, factor, sign):
    baseline = book(**{**data.draw(shapes()), "assets": 2, "debt": 0.0})
    number = data.draw(st.integers(0, len(baseline.fills) - 1))
    # Each scale is at most this: the largest NAV, price or quantity of these books.
    scale = {"quantity": 2_000.0, "price": 200.0, "fee": 400_000.0}[column]
    old = getattr(baseline.fills, column)[number]
    new = old + sign * factor * max(LIMITS[preset] * scale, 1e-6)
    now = book.fill(baseline, column, number, new)
    compared = book.compare(now, baseline, preset)
    assert compared.verdict is Verdict.MOVED
    assert (compared.first_fill.number, compared.first_checks) == (number + 1, ("fills",))
    if not math.isfinite(new):
        back = book.compare(now=baseline, baseline=now, preset=preset)
        assert back.verdict is Verdict.MOVED
        assert back.first_fill.number == number + 1


@settings(max_examples=200, deadline=None)
@given(st.data(), presets)
def test_any_two_results_get_one_verdict_and_only_equal_ones_pass_exactly(book, data, preset):
    baseline, now = data.draw(strange(book)), data.draw(strange(book))
    compared = book.compare(now, baseline, preset)
    assert compared == book.compare(now, baseline, preset)
    assert (compared.verdict is Verdict.MOVED) == bool(compared.moved_checks)
    if compared.verdict is Verdict.NOT_COMPARABLE:
        assert compared.reason
    if preset == "exact" and compared.verdict in PASSED:
        assert np.array_equal(now.nav, baseline.nav, equal_nan=True)


@pytest.mark.parametrize("sessions", [0, 1])
def test_the_least_there_can_be_of_a_result_is_compared_too(book, sessions):
    result = book(sessions=sessions, assets=0) if sessions else book.with_nav([])
    assert not len(result.nav) or result.quantity.shape == (1, 0)
    compared = book.compare(result, result)
    expected = Verdict.IDENTICAL if sessions else Verdict.NOT_COMPARABLE
    assert compared.verdict is expected
