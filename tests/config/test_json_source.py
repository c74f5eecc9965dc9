"""JSON: the values of the standard parser, and the lines it does not tell."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.config.json_source import read_json
from pytest_finbot.config.source import SourceSyntaxError, read_document

numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
text = st.text(st.characters(codec="utf-8"), max_size=10)
documents = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=5),
    max_leaves=25,
)


def every_path(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, child in value.items():
            yield from every_path(child, (*path, key))
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from every_path(child, (*path, number))


@settings(deadline=None)
@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_values_are_those_of_the_standard_parser(value, ascii_only, indent):
    told = read_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent))
    assert json.dumps(told.root) == json.dumps(value)
    assert not told.oddities
    assert not told.unusual


@settings(deadline=None)
@given(st.dictionaries(text, documents, min_size=1, max_size=4))
def test_lines_rise_through_an_indented_file_one_a_value(value):
    tree = read_json(json.dumps(value, indent=1))
    lines = [tree.positions.line(path) for path in every_path(value)]
    assert lines == sorted(set(lines))
    assert lines[:2] == [1, 2]


def problems(tmp_path, content: str) -> list[str]:
    path = tmp_path / "file.json"
    path.write_text(content, encoding="utf-8")
    return [f"{problem.line}: {problem.key}: {problem.message}" for problem in read_document(path).problems]


def test_a_key_given_twice_is_told_with_both_lines(tmp_path):
    assert problems(tmp_path, '{"runs": [\n{"x": 1,\n"y": {},\n"x": [2]}]}') == [
        "4: runs[0].x: the key 'x' is given twice; it was first given on line 2"
    ]


def test_what_is_inside_the_second_of_two_equal_keys_has_its_own_line():
    tree = read_json('{"a": {"x": 1},\n"b": 2,\n"a": {"y":\n 1,\n"z": 2}}')
    assert tree.root == {"a": {"y": 1, "z": 2}, "b": 2}
    assert [tree.positions.line(path) for path in (("a",), ("b",), ("a", "y"), ("a", "z"))] == [3, 2, 3, 5]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_told(tmp_path, word):
    (told,) = problems(tmp_path, f'{{"a":\n {{"b": [1,\n {word}]}}}}')
    assert told.startswith("3: a.b[1]: the value is ")
    assert told.endswith("expected a finite number")


def test_a_whole_number_beyond_2_to_the_53_is_told(tmp_path):
    (told,) = problems(tmp_path, '{"a": 9007199254740993, "b": 9007199254740992}')
    assert told.startswith("1: a: 9007199254740993 is beyond 2**53")


def test_a_syntax_error_has_its_line():
    with pytest.raises(SourceSyntaxError, match="not valid JSON") as caught:
        read_json('{"a": 1,\n "b": }')
    assert caught.value.line == 2


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_file_is_told(content):
    with pytest.raises(SourceSyntaxError, match="the file is empty"):
        read_json(content)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_bottomless_nesting_is_refused_without_a_crash(depth):
    with pytest.raises(SourceSyntaxError, match="nested more than 64 levels"):
        read_json("[" * depth + "]" * depth)


def test_a_number_of_thousands_of_digits_is_refused_without_a_crash():
    with pytest.raises(SourceSyntaxError, match="thousands of digits"):
        read_json('{"a": ' + "9" * 5000 + "}")


def test_half_a_surrogate_pair_is_refused_with_its_line():
    with pytest.raises(SourceSyntaxError, match="surrogate") as caught:
        read_json('{"a": "\\ud83d\\ude00",\n"b": "\\ud800"}')
    assert caught.value.line == 2
