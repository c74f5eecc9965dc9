"""Hashes say the same of the same, in any process and spelling, and differ where results could."""

import os
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.fingerprint import canonical_json, code_modules, data_digest, sha256_of_json

CODE = """
from pytest_finbot.fingerprint import sha256_of_json
print(sha256_of_json({"b": {"y": 1, "x": [1, 2.5]}, "a": "\\u00e9"}))
"""


def test_the_hash_is_the_same_in_every_process_and_hash_seed():
    seen = {
        subprocess.run(
            [sys.executable, "-c", CODE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(seen) == 1
    assert seen.pop().strip() == sha256_of_json({"a": "\u00e9", "b": {"x": [1, 2.5], "y": 1}})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1: 2}, date(2020, 1, 1)])
def test_what_json_has_no_word_for_is_refused(value):
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical_json({"x": value})


SESSIONS = np.array(["2019-12-31", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")


def test_a_changed_value_is_found_by_symbol_and_year():
    values = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    before = data_digest(SESSIONS, ["A", "B"], {"close": values})
    changed = values.copy()
    changed[2, 1] = np.nextafter(6.0, 7.0)
    after = data_digest(SESSIONS, ["A", "B"], {"close": changed})
    different = [
        (symbol, year)
        for symbol, years in before.parts.items()
        for year, digest in years.items()
        if after.parts[symbol][year] != digest
    ]
    assert different == [("B", "2020")]
    assert before.hash != after.hash


def test_the_same_values_under_another_field_are_other_data():
    values = np.ones((3, 1))
    assert (
        data_digest(SESSIONS, ["A"], {"close": values}).hash
        != data_digest(SESSIONS, ["A"], {"adj_close": values}).hash
    )


@given(st.lists(st.floats(allow_nan=True), min_size=3, max_size=3))
def test_memory_layout_does_not_matter(column):
    values = np.array([column, column]).T
    assert data_digest(SESSIONS, "AB", {"x": values}) == data_digest(
        SESSIONS, "AB", {"x": np.asfortranarray(values)}
    )


def test_source_that_cannot_be_read_is_unknown_not_empty():
    assert code_modules(["sys"]) == {"sys": "unknown"}
    [(name, digest)] = code_modules(["pytest_finbot.errors"]).items()
    assert name == "pytest_finbot.errors"
    assert len(digest) == 64
