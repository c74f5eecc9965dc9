"""A line of numbers in eight heights."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.reports.sparkline import BLOCKS, GAP, sparkline

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], ""),
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([8, 1], "█▁"),
        ([5, 5, 5], "▄▄▄"),
        ([-0.0, 0.0], "▄▄"),
        ([1, None, 2], "▁ █"),
        ([None, None], "  "),
        ([math.nan, 1, math.inf, 2], " ▁ █"),
        ([-1.7e308, 0, 1.7e308], "▁▅█"),
        ([1e-320, 2e-320], "▁█"),
        ([0.0, 5e-324], "▄▄"),
    ],
)
def test_the_least_is_low_the_greatest_high_and_what_is_missing_a_gap(values, drawn):
    assert sparkline(values) == drawn


def test_of_more_than_fit_the_last_are_drawn_on_their_own_scale():
    assert sparkline([1000, 1, 2], width=2) == "▁█"
    with pytest.raises(ValueError, match="width is 0"):
        sparkline([1], width=0)


@given(st.lists(st.none() | NUMBERS))
def test_one_character_a_value_and_no_greater_one_is_lower(values):
    drawn = sparkline(values)
    assert len(drawn) == len(values)
    assert [char == GAP for char in drawn] == [value is None for value in values]
    heights = [
        (value, BLOCKS.index(char)) for value, char in zip(values, drawn, strict=True) if value is not None
    ]
    ordered = [height for _, height in sorted(heights)]
    assert ordered == sorted(ordered)
    known = [value for value in values if value is not None]
    if known and min(known) < max(known):
        assert drawn[values.index(min(known))] == BLOCKS[0]
        assert drawn[values.index(max(known))] == BLOCKS[-1]
