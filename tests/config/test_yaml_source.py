"""YAML as values with lines; what may not stand in a batch file is told with its line."""

import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.config import yaml_source
from pytest_finbot.config.source import SourceSyntaxError, read_document
from pytest_finbot.config.yaml_source import read_yaml
from pytest_finbot.errors import BatchFileError


def read(text: str):
    return read_yaml(textwrap.dedent(text))


def fault(text: str) -> tuple[int, str]:
    with pytest.raises(SourceSyntaxError) as caught:
        read(text)
    return caught.value.line, caught.value.message


def problems(tmp_path, text: str) -> list[str]:
    path = tmp_path / "file.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return [f"{problem.line}: {problem.key}: {problem.message}" for problem in read_document(path).problems]


def test_values_are_what_they_say():
    tree = read("""\
        a: [1, 2.5, x, 'true', "1", true, null]
        b: {c: {d: []}, e: {}}
        f:
        g: |
          two
          lines
        """)
    assert tree.root == {
        "a": [1, 2.5, "x", "true", "1", True, None],
        "b": {"c": {"d": []}, "e": {}},
        "f": None,
        "g": "two\nlines\n",
    }
    assert not tree.oddities


def test_keys_are_text_whatever_they_look_like():
    assert read("{no: 1, 600519: 2, 000001: 3, true: 4, null: 5, 1.0: 6}").root == {
        "no": 1,
        "600519": 2,
        "000001": 3,
        "true": 4,
        "null": 5,
        "1.0": 6,
    }


def test_dates_stay_text():
    assert read("[2020-01-02]").root == ["2020-01-02"]


def test_every_key_and_item_has_its_line():
    tree = read("""\
        # a comment
        runs:
          - id: a
            params: {fast: 1,
                     slow: 2}
          - id: b
            symbols:
              - AAA
              - BBB
        """)
    line = tree.positions.line
    assert line(("runs",)) == 2
    assert line(("runs", 0)) == 3
    assert line(("runs", 0, "params", "slow")) == 5
    assert line(("runs", 1)) == 6
    assert line(("runs", 1, "symbols", 1)) == 9


def test_what_is_not_there_has_the_line_of_its_nearest_parent():
    line = read("a:\n  b: 1\nc:\n  - 5\n").positions.line
    assert line(("a", "x", "y")) == 1
    assert line(("a", "b", "x")) == 2
    assert line(("c", 7)) == 3
    assert line(("nowhere",)) == 1


def test_a_key_given_twice_is_told_with_both_lines(tmp_path):
    assert problems(tmp_path, "a: 1\nruns:\n  - x: 1\n    y: 2\n    x: 3\n") == [
        "5: runs[0].x: the key 'x' is given twice; it was first given on line 3"
    ]


def test_what_is_inside_the_second_of_two_equal_keys_has_its_own_line():
    tree = read("b: 2\na: {x: 1}\na:\n  y: 1\n")
    assert tree.root == {"a": {"y": 1}, "b": 2}
    assert [tree.positions.line(path) for path in (("a",), ("b",), ("a", "y"))] == [3, 1, 4]


def test_a_duplicate_inside_a_value_that_a_duplicate_replaced_is_told_too(tmp_path):
    told = problems(tmp_path, "a: {b: 1, b: 2}\na: {c: 1}\n")
    assert [line.split(":")[0] for line in sorted(told)] == ["1", "2"]


def test_an_alias_stands_for_what_its_anchor_names():
    tree = read("""\
        one: &weights {AAA: 0.5}
        two: *weights
        three: [&name x, *name]
        &key four: *key
        """)
    assert tree.root == {"one": {"AAA": 0.5}, "two": {"AAA": 0.5}, "three": ["x", "x"], "four": "four"}
    assert tree.positions.line(("two", "AAA")) == 1


def test_merge_keys_give_way_to_own_keys_and_to_earlier_ones():
    tree = read("""\
        a: &a {x: 1, y: 1}
        b: &b {y: 2, z: 2}
        c:
          <<: [*a, *b]
          x: 3
        d:
          z: 4
          <<: *b
        """)
    assert tree.root["c"] == {"x": 3, "y": 1, "z": 2}
    assert tree.root["d"] == {"z": 4, "y": 2}
    line = tree.positions.line
    assert [line(("c", key)) for key in "xyz"] == [5, 1, 2]
    assert [line(("d", key)) for key in "zy"] == [7, 2]


def test_a_quoted_merge_key_is_a_key():
    assert read("'<<': {a: 1}").root == {"<<": {"a": 1}}


@pytest.mark.parametrize("text", ["<<: 5", "<<: [{a: 1}, x]"])
def test_only_mappings_can_be_merged(text):
    assert fault(text) == (1, "'<<' must name a mapping or a list of mappings")


def test_an_alias_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    line, message = fault("\n".join(lines))
    assert line == 7
    assert "5,000,000" in message


def test_merging_counts_against_the_limit_too(monkeypatch):
    monkeypatch.setattr(yaml_source, "MOST_VALUES", 50)
    _, message = fault("a: &a {k0: 0, k1: 0, k2: 0, k3: 0}\nb: [" + ", ".join(["{<<: *a}"] * 10) + "]")
    assert "50" in message


def test_an_alias_to_itself_is_refused():
    assert fault("a: &a\n  - *a\n") == (2, "the alias '*a' stands inside the value it names")


def test_an_alias_to_nothing_is_refused():
    assert fault("a: 1\nb: *a\n") == (2, "the alias '*a' names no anchor before it")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("a: !!python/object:os.system x", "!!python/object:os.system"),
        ("a: !mine {x: 1}", "!mine"),
        ("a: !!set {x}", "!!set"),
        ("!mine a: 1", "!mine"),
        ("a: !!timestamp 2020-01-02", "!!timestamp"),
    ],
)
def test_tags_other_than_core_are_refused(text, tag):
    assert fault(text) == (1, f"the tag '{tag}' is not supported; leave it out")


def test_core_tags_are_understood():
    tree = read("{a: !!str 5, b: !!float 5, c: !!int '5', d: !!map {}, e: !!seq [], f: ! 5, g: !!null ''}")
    assert tree.root == {"a": "5", "b": 5.0, "c": 5, "d": {}, "e": [], "f": "5", "g": None}
    assert type(tree.root["b"]) is float
    assert fault("a:\n  b: !!int x") == (2, "'x' is not what its tag '!!int' says")


def test_a_tagged_nan_is_told(tmp_path):
    assert problems(tmp_path, "a: !!float .nan")[0].startswith("1: a: the value is not a number (NaN)")


def test_a_syntax_error_has_its_line_and_the_parsers_words():
    line, message = fault("a: 1\nb: [1, 2\nc: 3\n")
    assert line == 3
    assert message.startswith("not valid YAML: ")
    assert "expected ',' or ']'" in message


def test_control_characters_are_refused_with_their_line():
    line, message = fault("a: 1\nb: \x00\n")
    assert line == 2
    assert "0x00" in message


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "~"])
def test_an_empty_file_is_told(text):
    assert fault(text) == (0, "the file is empty")


def test_a_second_document_is_refused():
    assert fault("a: 1\n---\nb: 2\n") == (2, "a second document begins here; expected one")


def test_a_list_cannot_be_a_key():
    assert fault("a: 1\n? [x]\n: 2\n")[0] == 2


def test_bottomless_nesting_is_refused_without_a_crash():
    assert fault("a: " + "[" * 5000 + "]" * 5000) == (1, "nested more than 64 levels deep")


def test_a_file_whose_top_is_no_mapping_is_refused(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("- a\n")
    with pytest.raises(BatchFileError, match="expected a mapping at the top of the file, got a list"):
        read_document(path)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    document = read_document(path)
    assert document.root == {"a": 1, "b": 2}
    assert document.positions.line(("b",)) == 2


def test_a_file_that_is_not_utf8_is_refused_with_the_line(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_bytes(b"a: 1\nb: caf\xe9\n")
    with pytest.raises(BatchFileError) as caught:
        read_document(path)
    assert caught.value.problems[0].line == 2
    assert "not UTF-8: byte 0xe9" in caught.value.problems[0].message


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), values, min_size=1))
def test_the_pure_python_parser_gives_the_same(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    fast, slow = read_yaml(text), yaml_source._Builder(yaml.SafeLoader(text)).document()
    assert fast.root == slow.root
    for key in value:
        assert fast.positions.line((key,)) == slow.positions.line((key,))
