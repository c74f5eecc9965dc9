"""Arrow's arrays and NumPy's, held to what pyarrow itself makes of them; without pandas."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from pytest_finbot.arrow import from_arrow, no_value, to_arrow

DAYS = np.array(["1969-12-31", "2020-02-29", "9999-12-31"], "datetime64[D]")


def given(*values, dtype=object):
    return np.array(values, dtype=dtype)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (given(1.5, np.nan, -0.0, np.inf, dtype=float), None),
        (given(1.5, dtype=float), pa.float64()),
        (np.arange(10.0)[::3], None),
        (given(1, -(2**62), dtype=np.int64), pa.int64()),
        (given(0, 3, dtype=np.int32), None),
        (DAYS, None),
        (DAYS, pa.date32()),
        (DAYS[:0], pa.date32()),
        (given("2020-02-29", "NaT", dtype="datetime64[D]"), None),
        (given("KO", "", "ü€", "a\0b"), None),
        (given("KO", None), pa.string()),
        (given(dtype=object), pa.string()),
        (given(dtype=object), None),
        (given(dtype=float), None),
        (given(1, 2), None),
        (given(True, False, dtype=bool), None),
        (given(1, 2, dtype=np.int64), pa.float64()),
        (given("a", "b", dtype=str), None),
        (given(1.5, dtype=np.float32), None),
        (DAYS.astype("datetime64[ns]")[:2], None),
    ],
)
def test_to_arrow_is_what_pyarrow_makes(values, kind):
    made = to_arrow(values, kind)
    made.validate(full=True)
    assert made.type == pa.array(values, type=kind).type
    assert repr(made.to_pylist()) == repr(pa.array(values, type=kind).to_pylist())


@pytest.mark.parametrize("values", [given("\ud800"), given(1.5, "KO")])
def test_what_pyarrow_refuses_is_refused(values):
    with pytest.raises((UnicodeEncodeError, pa.ArrowException)):
        to_arrow(values, pa.string())


def columns():
    floats = pa.array([1.5, None, float("nan"), -0.0, 5.0] * 3)
    days = pa.array(DAYS)
    yield floats
    yield floats.slice(1, 12)
    yield floats.slice(3, 2)
    yield pa.array([], pa.float64())
    yield pa.array([1, 2, 3], pa.int8()).slice(1)
    yield pa.array([1, 2, 3], pa.uint64())
    yield pa.array([1, None], pa.int32())
    yield pa.array([1.5, None], pa.float32())
    yield days
    yield days.slice(1, 1)
    yield pa.array([1, None], pa.date32())
    yield pa.array([0, 86_400_000], pa.date64())
    for unit in ("s", "ms", "us", "ns"):
        yield pa.array([0, 86_400_000], pa.timestamp(unit))
    yield pa.array([0, None], pa.timestamp("ms"))
    yield pa.array(["KO", None])
    yield pa.array([True, None])


@pytest.mark.parametrize("column", list(columns()), ids=lambda column: f"{column.type}-{len(column)}")
def test_from_arrow_is_what_to_numpy_gives(column):
    for values in (column, pa.chunked_array([column]), pa.chunked_array([column, column.slice(1)])):
        plain = isinstance(values, pa.Array)
        expected = values.to_numpy(zero_copy_only=False) if plain else values.to_numpy()
        found = from_arrow(values)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        if found.dtype.kind == "f":
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_a_column_without_any_chunk_is_empty():
    for kind in (pa.float64(), pa.date32(), pa.int64()):
        found = from_arrow(pa.chunked_array([], type=kind))
        assert len(found) == 0
        assert found.dtype == pa.chunked_array([], type=kind).to_numpy().dtype


def test_no_value_is_of_its_type_and_none():
    assert no_value(pa.string()).as_py() is None
    assert no_value(pa.string()).type == pa.string()


IMPORTS_NO_PANDAS = """
import sys, numpy as np, pyarrow as pa
from pytest_finbot.arrow import from_arrow, no_value, to_arrow
for values in ([1.5], [1], ["2020-01-02"]):
    given = np.array(values, "datetime64[D]" if isinstance(values[0], str) else None)
    assert (from_arrow(to_arrow(given)) == given).all()
    assert (from_arrow(pa.chunked_array([to_arrow(given)])) == given).all()
assert to_arrow(np.array(["KO"], object), pa.string()).to_pylist() == ["KO"]
no_value(pa.string())
assert "pandas" not in sys.modules
"""


def test_none_of_it_imports_pandas():
    subprocess.run([sys.executable, "-c", IMPORTS_NO_PANDAS], check=True)
