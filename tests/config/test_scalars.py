"""Plain scalars: the core schema of YAML 1.2, nothing cleverer."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.config.scalars import ScalarReader, is_unusual, resolve


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_null(text):
    assert resolve(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("false", False), ("FALSE", False)]
)
def test_true_and_false_are_bools(text, value):
    assert resolve(text) is value


@pytest.mark.parametrize("text", ["yes", "no", "on", "off", "Yes", "NO", "ON", "OFF", "y", "n", "Y", "N"])
def test_the_words_of_yaml_1_1_stay_text(text):
    assert resolve(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e5", 1e5),
        ("1.5e-3", 1.5e-3),
        ("1E+2", 100.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("0.0", 0.0),
        ("+1.5", 1.5),
        ("12", 12),
        ("-12", -12),
        ("+3", 3),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
    ],
)
def test_numbers(text, value):
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-02",
        "2020-01-02T10:00:00",
        "1_000",
        "1:30",
        "1.2.3",
        "e5",
        ".",
        "-",
        "+",
        "1e",
        "nan",
        "inf",
        "NaN",
        "Infinity",
        "1 2",
        "12a",
        "0x",
        "0o8",
        "\u0661",
    ],
)
def test_what_only_looks_like_something_stays_text(text):
    assert resolve(text) == text


@pytest.mark.parametrize("text", ["000001", "007", "00.5", "-01"])
def test_leading_zeros_are_not_lost(text):
    assert resolve(text) == text


@pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.inf", "+.Inf", "1e999", "9" * 5000])
def test_what_is_no_finite_number_is_recognised_so_that_it_can_be_reported(text):
    value = resolve(text)
    assert isinstance(value, float)
    assert not math.isfinite(value)


def test_a_reader_remembers_that_a_number_was_unusual():
    reader = ScalarReader()
    assert reader(str(2**53)) == 2**53
    assert not reader.unusual
    reader(str(2**53 + 1))
    assert reader.unusual
    assert reader.known[str(2**53)] == 2**53


def test_bools_are_not_unusual_numbers():
    assert not is_unusual(True)
    assert is_unusual(-(2**53) - 1)
    assert is_unusual(math.nan)


@settings(deadline=None)
@given(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(10**30), max_value=10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
)
def test_a_json_scalar_means_the_same_in_yaml(value):
    text = json.dumps(value)
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)
