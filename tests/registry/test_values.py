"""Configuration values come back equal and of the same type, or are refused with their path."""

import enum
import functools
import json
import sys
import types
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.strict_json import decode, encode
from pytest_finbot.registry.values import from_json, to_json


class Colour(enum.Enum):
    RED = "red"
    DEEP = (1, date(2020, 1, 1))


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    CLOSE = "close"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Pair = namedtuple("Pair", "one other")


def round_trip(value):
    return from_json(decode(encode(to_json(value, "config"), "config")))


def same(one, other):
    """Equal, of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, datetime):
        return one == other and one.utcoffset() == other.utcoffset()
    if isinstance(one, float):
        return repr(one) == repr(other)
    return bool(one == other)


BERLIN = ZoneInfo("Europe/Berlin")
VALUES = [
    *(
        None,
        True,
        0,
        -7,
        2**53 - 1,
        2**53,
        -(2**70),
        10**5000,
        1.5,
        -0.0,
        1e300,
        "",
        "ü \ud800 \n",
        [],
        (),
        {},
    ),
    *(
        [1, [2.0, (3,)]],
        (1,),
        {"a": {"b": (1, None)}},
        {"$date": "2020-01-01", "x": 1},
        {"$dict": {"$dict": 1}},
    ),
    *(date(1, 1, 1), date(2020, 2, 29), timedelta(days=-3, microseconds=1), timedelta.max),
    *(datetime(2020, 1, 1), datetime(2020, 1, 1, 9, 30, 0, 1), datetime(2020, 1, 1, tzinfo=UTC)),
    datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-5, minutes=30))),
    datetime(2020, 7, 1, tzinfo=BERLIN),
    datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN),
    datetime(2020, 10, 25, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(1850, 1, 1, tzinfo=BERLIN),  # an offset with seconds
    *(time(9, 30), time(9, 30, 0, 5), time(9, 30, tzinfo=UTC)),
    *(Decimal("1.10"), Decimal("-0"), Decimal("1E+400")),
    *(Colour.RED, Colour.DEEP, Level.HIGH, Word.CLOSE, Access.READ, Access.READ | Access.WRITE, Access(0)),
    *(Path("data/prices.csv"), Path("/"), PurePosixPath("a/b"), PureWindowsPath("C:\\x\\y")),
    *(np.float64(0.1), np.float32(0.1), np.float16(0.1), np.float64(3), np.int8(-1), np.int64(2**62)),
    *(np.uint64(2**64 - 1), np.bool_(True), np.str_("x"), np.datetime64("2020-01-01"), np.datetime64("2020")),
    *(
        np.datetime64("2020-01-01T00:00:00.000000001"),
        np.datetime64("2019-12-26", "W"),
        np.timedelta64(3, "D"),
    ),
    *(np.arange(6).reshape(2, 3), np.array([]), np.zeros((2, 0)), np.array(1.5), np.array(["a", "bc"])),
    *(np.array([0.1, 2], dtype="f4"), np.array([True]), np.array(["2020-01-01"], dtype="M8[D]")),
    *(np.array([1], dtype=">i2"), np.array([2**64 - 1], dtype="u8"), np.array([5], dtype="m8[ns]")),
    *(pd.Timestamp("2020-01-01"), pd.Timestamp("2020-01-01 09:30:00.000000001"), pd.Timestamp("1677-09-22")),
    *(
        pd.Timestamp("2020-01-01", tz="UTC"),
        pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"),
    ),
    *(pd.Timestamp("2020-01-01T00:00+05:30"), pd.Timestamp("2020-01-01").as_unit("s")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_it_comes_back_equal_and_of_the_same_type(value):
    assert same(round_trip(value), value)
    assert same(round_trip({"x": [value]}), {"x": [value]})


def test_a_zone_comes_back_by_name_and_a_naive_datetime_stays_naive():
    assert round_trip(datetime(2020, 7, 1, tzinfo=BERLIN)).tzinfo.key == "Europe/Berlin"
    assert round_trip(datetime(2020, 7, 1)).tzinfo is None
    assert str(round_trip(pd.Timestamp("2020-07-01", tz="Europe/Berlin")).tz) == "Europe/Berlin"
    assert round_trip(pd.Timestamp("2020-01-01").as_unit("s")).unit == "s"


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters()),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(BERLIN), allow_imaginary=False),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Colour.RED, Level.HIGH, Word.CLOSE, Access.READ | Access.WRITE]),
    st.text("ab./", max_size=5).map(Path),
    st.floats(allow_nan=False, allow_infinity=False).map(np.float64),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(np.float32),
    st.integers(-(2**31), 2**31 - 1).map(np.int32),
    st.booleans().map(np.bool_),
    st.dates().map(np.datetime64),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4).map(np.array),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(st.sampled_from("$dicta"), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(TREES)
def test_any_tree_of_values_comes_back(value):
    assert same(round_trip(value), value)


class Unknown:
    def __str__(self):
        raise AssertionError("nobody makes text of it")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"runs": [1, {"x": Unknown()}]}, "test_values.Unknown, which cannot be kept"),
        ({"runs": [1, {"x": Unknown()}]}, "config.runs[1].x is of type "),
        ({"x": float("nan")}, "config.x is nan; expected a finite number"),
        ([np.float64("inf")], "config[0] is inf; expected a finite number"),
        ({"x": np.array([[1.0, 2.0], [3.0, np.nan]])}, "config.x[1, 1] is nan; expected a finite number"),
        (np.datetime64("NaT", "D"), "config is NaT; expected a date"),
        (pd.NaT, ".NaTType, which cannot be kept"),
        (Decimal("NaN"), "config is Decimal('NaN'); expected a finite number"),
        ({1: "x"}, "config has the key 1 of type int; expected text"),
        ({np.str_("k"): 1}, "config has the key"),
        ((1, {2, 3}), "config[1] is of type set"),
        (b"raw", "config is of type bytes"),
        (1j, "config is of type complex"),
        (np.complex128(1), "config is of NumPy type complex128"),
        (np.array([Unknown()]), "config is of NumPy type object"),
        (np.zeros(10_001), "config is an array of 10,001 elements; at most 10,000"),
        (OrderedDict(a=1), "collections.OrderedDict, which cannot be kept; make it a plain dict"),
        (Pair(1, 2), "make it a plain tuple: tuple(...)"),
        (types.MappingProxyType({}), "make it a dict: dict(...)"),
        (pd.Series([1]), "config is of type pandas"),
        (pd.Timedelta(1), "cannot be kept"),
        (lambda: None, "config is of type function"),
        (functools.partial(print), "config is of type functools.partial"),
        (time(9, tzinfo=BERLIN), "config is a time of day in Europe/Berlin"),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_with_its_path_and_type(value, said):
    with pytest.raises(RegistryError) as caught:
        to_json(value, "config")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_value_that_contains_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(RegistryError, match="nested more than 100 deep; does it contain itself"):
        to_json(endless)


def test_what_is_written_reads_as_what_it_is():
    written = to_json({"since": date(2020, 1, 1), "$x": Path("a"), "e": Colour.RED, "n": np.float64(0.5)})
    assert json.loads(json.dumps(written)) == {
        "$dict": {
            "since": {"$date": "2020-01-01"},
            "$x": {"$path": "a"},
            "e": {"$enum": f"{Colour.__module__}:Colour", "name": "RED", "value": "red"},
            "n": {"$numpy": "float64", "value": 0.5},
        }
    }


def test_whole_numbers_that_other_readers_of_json_would_round_are_text():
    assert to_json(2**53 - 1) == 2**53 - 1
    assert to_json(2**53) == {"$int": "0x20000000000000"}
    assert to_json(-(2**53)) == {"$int": "-0x20000000000000"}


def test_reading_an_enum_imports_nothing_and_gives_the_plain_value_instead(tmp_path, monkeypatch):
    (tmp_path / "finbot_evil.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert from_json(
        {"$enum": "finbot_evil:Colour", "name": "RED", "value": {"$date": "2020-01-01"}}
    ) == date(2020, 1, 1)
    assert "finbot_evil" not in sys.modules


def test_reading_an_enum_does_not_ask_a_module_for_names_it_makes_up(monkeypatch):
    module = types.ModuleType("finbot_lazy")
    module.__getattr__ = lambda name: pytest.fail(f"asked for {name}")
    monkeypatch.setitem(sys.modules, "finbot_lazy", module)
    assert from_json({"$enum": "finbot_lazy:Colour", "name": "RED", "value": 1}) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "GREEN"},
        {"value": "crimson"},
        {"$enum": f"{Colour.__module__}:Shade"},
        {"$enum": "os:system"},
        {"$enum": "builtins:eval"},
    ],
)
def test_an_enum_that_is_another_today_gives_the_plain_value(changed):
    written = to_json(Colour.RED) | changed
    assert from_json(written) == changed.get("value", "red")
    assert type(from_json(written)) is str


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"a": [{"$money": 3}]}, "value.a[0] is of type '$money', which this pytest-finbot does not know"),
        ({"$date": "yesterday"}, "value cannot be read as $date"),
        ({"$date": 3}, "value cannot be read as $date"),
        ({"$numpy": "object", "value": 1}, "value cannot be read as $numpy"),
        ({"$array": "<f8", "shape": [3], "values": [1.0]}, "value cannot be read as $array"),
        ({"$timedelta": [1, 2, 3, 4, 5, 6, 7, 8, 9]}, "value cannot be read as $timedelta"),
        ({"$enum": 3, "name": "x", "value": 1}, "value cannot be read as $enum"),
        ({"$decimal": "x"}, "value cannot be read as $decimal"),
        ({"$path": "x", "pure": "Path"}, "value cannot be read as $path"),
        ({"$dict": [1]}, "value cannot be read as $dict"),
    ],
)
def test_damaged_values_are_told_by_path_and_type(written, said):
    with pytest.raises(RegistryError) as caught:
        from_json(written)
    assert said in str(caught.value)
