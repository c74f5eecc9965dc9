"""The quick reader of JSON takes nothing that the standard library's does not, and reads it the same."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.registry.strict_json import decode, encode

TEXT = st.text(st.characters(), max_size=12)  # surrogates too
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**80), 2**80)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(TEXT, child, max_size=3),
    max_leaves=10,
)
BYTES = st.sampled_from(
    [bytes([n]) for n in b'{}[]",:\\/0123456789-+.eE \t\n\rutfnalsNI\x00\x7f\x80\xc3\xa9\xed\xff']
)


def refuse(word):
    raise ValueError(word)


def of_the_library(raw):
    return json.JSONDecoder(parse_constant=refuse).decode(raw.decode("utf-8"))


def same(one, other):
    """Equal, of equal types, with the sign of zero and the order of keys."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return one == other


@given(JSON, st.booleans())
def test_values_are_read_as_the_library_reads_them(value, ascii_only):
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "backslashreplace")
    assert same(decode(raw), of_the_library(raw))
    assert same(decode(encode(value, "it")), of_the_library(encode(value, "it")))


@given(
    JSON, st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["put", "set", "cut"]), BYTES), max_size=4)
)
def test_damaged_text_is_refused_or_read_as_the_library_reads_it(value, damages):
    raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace")
    for at, how, byte in damages:
        at %= len(raw) + 1
        raw = raw[:at] + (b"" if how == "cut" else byte) + raw[at + (how != "put") :]
    try:
        expected = of_the_library(raw)
    except ValueError:
        with pytest.raises(ValueError):
            decode(raw)
    else:
        assert same(decode(raw), expected)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused_by_name(word):
    with pytest.raises(ValueError, match=f"^{word} is not JSON$"):
        decode(b'{"nav":[1.0,' + word.encode() + b"]}")


def test_what_is_nested_too_deeply_is_refused():
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(b"[" * 100_000 + b"]" * 100_000)


def test_of_two_keys_of_one_name_the_last_counts():
    assert decode(b'{"a":1,"a":2}') == {"a": 2}


def test_half_a_character_is_read_as_it_was_written():
    assert decode(b'"\\ud800"') == "\ud800"
