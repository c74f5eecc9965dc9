"""How far a mark may be from the market's close, as a batch file writes it, and as a hash reads it."""

import dataclasses
from datetime import date

import pytest

from pytest_finbot.config.limits import LimitError, read_deviation
from pytest_finbot.contracts import DataSpec, MarkSpec, RunSpec
from pytest_finbot.fingerprint.config import config_document

SPEC = RunSpec("r", "portfolio", "s", {}, ("A",), date(2020, 1, 1), date(2020, 2, 1), 1e5, DataSpec("x"))


@pytest.mark.parametrize(
    ("written", "read"), [("0.5 %", 0.005), ("5 bp", 0.0005), (0.01, 0.01), (0, 0.0), (1000, 1000.0)]
)
def test_a_deviation_is_a_fraction_and_may_be_large(written, read):
    assert read_deviation(written) == read


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (-0.1, "-0.1 is not at least 0"),
        ("5 pp", "'5 pp' is a difference between fractions; write '5 %'"),
        (False, "got false; a large number (1000) lets everything pass"),
        (None, "a large number (1000) lets everything pass"),
        ("off", "a large number (1000) lets everything pass"),
        (True, "expected a number of 0 or more, or text such as 0.5 %, got true"),
        ("x", "expected a number of 0 or more, or text such as 0.5 %, got the text 'x'"),
    ],
)
def test_a_deviation_that_cannot_be_read(written, words):
    with pytest.raises(LimitError) as raised:
        read_deviation(written)
    assert words in str(raised.value)
    assert "write false" not in str(raised.value)


def test_the_key_of_a_batch_file_is_read_and_refused_in_its_place(folder):
    (run,) = folder.runs("- {id: a, marks: {max_deviation: 0.5 %}}").runs
    assert run.marks == MarkSpec(max_deviation=0.005)
    (problem,) = folder.run_problems("- {id: a, marks: {max_deviation: false}}")
    assert str(problem).startswith(
        "finbot.yaml:9: runs[0].marks.max_deviation: expected a number of 0 or more, or text such as 0.5 %, "
        "got false"
    )


def test_the_usual_deviation_leaves_every_hash_as_it_was():
    def said(marks):
        return config_document(dataclasses.replace(SPEC, marks=marks)).get("marks")

    assert said(MarkSpec()) is None
    assert said(MarkSpec(max_age=3)) == {"max_age": 3, "max_unmarked": 0.05}
    assert said(MarkSpec(max_deviation=0.005)) == {
        "max_age": 5,
        "max_unmarked": 0.05,
        "max_deviation": 0.005,
    }
