"""Objects are their values: equal ones share a file, and a changed one is found out."""

import hashlib
import os
import stat
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.objects import ObjectStore, table_hash

DAYS = np.array(["2020-01-02", "2020-01-03", "2020-01-06"], dtype="datetime64[D]")


def a_table(**changes):
    columns = {
        "session": DAYS,
        "nav": np.array([100.0, 101.5, np.nan]),
        "quantity:BRK.B": np.array([0.0, -3.0, 1e-300]),
        "rows": np.array([1, -2, 2**62]),
        "asset": np.array(["AAA", "B\u00e9", ""], dtype=object),
    }
    return {**columns, **changes}


@pytest.fixture
def store(tmp_path):
    return ObjectStore(tmp_path / "series")


def test_a_table_comes_back_as_it_was(store):
    digest = store.put_table(a_table())
    back = store.get_table(digest, verify=True)
    assert list(back) == list(a_table())
    for name, values in a_table().items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype
    assert store.path_of(digest).parts[-3:] == ("series", digest[:2], f"{digest}.parquet")


def test_the_hash_is_of_the_values_alone_whatever_writes_the_file():
    """Written out by hand: neither pyarrow nor a file has a part in it."""
    columns = {"session": DAYS, "nav": np.array([1.0, -0.0, np.nan]), "asset": np.array(["a", "b", "c"])}
    said = b"".join(
        [
            b'finbot-table 1\n[["session", "date", 3], ["nav", "float64", 3], ["asset", "text", 3]]\n',
            np.array([18263, 18264, 18267], dtype="<i8").tobytes(),
            np.array([1.0, 0.0, np.nan], dtype="<f8").tobytes(),
            b'["a", "b", "c"]\n',
        ]
    )
    assert table_hash(columns) == hashlib.sha256(said).hexdigest()


def test_equal_values_are_one_file_and_it_is_not_written_again(store, tmp_path):
    digest = store.put_table(a_table())
    path = store.path_of(digest)
    written = path.stat().st_ino  # whoever writes it again puts another file in its place
    for again in (store, ObjectStore(tmp_path / "series")):  # one that knows, one that must look
        assert again.put_table(a_table()) == digest
    assert path.stat().st_ino == written
    assert [file for file in (tmp_path / "series").rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize(
    "change",
    [
        {"nav": np.array([100.0, 101.5, 0.0])},
        {"nav": np.array([100.0, np.nextafter(101.5, 102), np.nan])},
        {"session": DAYS + np.timedelta64(1, "D")},
        {"asset": np.array(["AAA", "Bé", "x"])},
        {"rows": np.array([1.0, -2.0, 2.0**62])},
    ],
)
def test_another_value_is_another_object(change):
    assert table_hash(a_table(**change)) != table_hash(a_table())


def test_names_and_order_of_columns_count():
    nav, cash = np.array([1.0]), np.array([2.0])
    hashes = {
        table_hash({"nav": nav, "cash": cash}),
        table_hash({"cash": cash, "nav": nav}),
        table_hash({"nav": cash, "cash": nav}),
        table_hash({"nav": nav, "cash2": cash}),
    }
    assert len(hashes) == 4


def test_text_that_looks_like_more_of_it_is_not_mistaken():
    assert table_hash({"a": np.array(["x", 'y","z'])}) != table_hash({"a": np.array(["x", "y", "z"])})
    assert table_hash({"a": np.array(['x","y', "z"])}) != table_hash({"a": np.array(["x", 'y","z'])})


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float64, st.shared(st.integers(0, 5), key="rows")),
    hnp.arrays(np.int64, st.shared(st.integers(0, 5), key="rows")),
)
def test_any_table_is_kept_and_verified(tmp_path_factory, real, whole):
    store = ObjectStore(tmp_path_factory.mktemp("objects"), durable=False)
    digest = store.put_table({"real": real, "whole": whole})
    back = store.get_table(digest, verify=True)
    np.testing.assert_array_equal(back["real"], real)
    np.testing.assert_array_equal(back["whole"], whole)


def test_nan_and_zero_have_one_spelling_each():
    negative = np.copysign(np.array([np.nan, 0.0]), -1.0)
    assert np.signbit(negative).all()
    assert table_hash({"x": negative}) == table_hash({"x": np.array([np.nan, 0.0])})


def test_the_memory_layout_does_not_matter_and_the_input_is_left_alone(store):
    matrix = np.array([[1.0, -0.0], [3.0, 4.0]])
    matrix.flags.writeable = False
    assert table_hash({"x": matrix[:, 1]}) == table_hash({"x": np.array([0.0, 4.0])})
    store.put_table({"x": matrix[:, 1]})
    assert np.signbit(matrix[0, 1])
    assert table_hash({"x": np.array([1.5, 2.5], dtype=">f8")}) == table_hash({"x": np.array([1.5, 2.5])})


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (np.array([1.0], dtype=np.float32), "dtype float32"),
        (np.array([None, "x"], dtype=object), "dtype object"),
        (np.array(["2020-01-01"], dtype="datetime64[ns]"), "datetime64"),
        (np.array(["NaT"], dtype="datetime64[D]"), "NaT"),
        (np.ones((2, 2)), "shape"),
    ],
)
def test_what_makes_no_column_is_refused_by_name(store, column, words):
    with pytest.raises(RegistryError, match="'odd'") as refused:
        store.put_table({"odd": column})
    assert words in str(refused.value)


def test_columns_of_different_lengths_are_refused(store):
    with pytest.raises(RegistryError, match=r"different lengths: \[1, 2\]"):
        store.put_table({"a": np.ones(1), "b": np.ones(2)})


def test_a_swapped_object_is_found_when_asked(store):
    good, other = store.put_table(a_table()), store.put_table({"nav": np.ones(3)})
    store.path_of(good).write_bytes(store.path_of(other).read_bytes())
    store.get_table(good)
    with pytest.raises(RegistryError, match=f"{good}.*does not hold the values"):
        store.get_table(good, verify=True)


def test_a_damaged_object_and_a_missing_one_are_named(store):
    digest = store.put_table(a_table())
    store.path_of(digest).write_bytes(b"not Parquet")
    with pytest.raises(RegistryError, match=f"{digest}.parquet cannot be read"):
        store.get_table(digest)
    store.path_of(digest).unlink()
    with pytest.raises(RegistryError, match=f"{digest}.parquet is missing"):
        store.get_table(digest)


def test_an_empty_file_left_by_a_power_cut_is_written_anew(store, tmp_path):
    digest = store.put_table(a_table())
    store.path_of(digest).write_bytes(b"")
    assert ObjectStore(tmp_path / "series").put_table(a_table()) == digest
    assert store.path_of(digest).stat().st_size > 0
    assert table_hash(store.get_table(digest, verify=True)) == digest


def test_an_object_that_is_wanted_again_is_young_again(store, tmp_path):
    """A prune leaves young objects alone, and must not take one that somebody is about to name."""
    path = store.path_of(store.put_table(a_table()))
    os.utime(path, ns=(1, 1))
    ObjectStore(tmp_path / "series").put_table(a_table())
    assert time.time() - path.stat().st_mtime < 600


def test_json_objects_are_kept_alike(store, tmp_path):
    value = {"AAA": {"2020": "ab", "2021": "cd"}}
    digest = sha256_of_json(value)
    store.put_json(digest, value)
    path = store.path_of(digest, ".json")
    written = path.stat().st_ino
    ObjectStore(tmp_path / "series").put_json(digest, value)
    assert path.stat().st_ino == written
    assert store.get_json(digest, verify=True) == value
    path.write_text('{"AAA":{}}')
    with pytest.raises(RegistryError, match="does not hold the values"):
        store.get_json(digest, verify=True)
    path.write_text("{")
    with pytest.raises(RegistryError, match="cannot be read"):
        store.get_json(digest)
    path.unlink()
    with pytest.raises(RegistryError, match="is missing"):
        store.get_json(digest)


def test_json_that_is_not_strict_is_refused_and_leaves_nothing(store, tmp_path):
    with pytest.raises(RegistryError, match="x is nan"):
        store.put_json("0" * 64, {"x": float("nan")})
    assert not (tmp_path / "series").exists()


@pytest.mark.parametrize("digest", ["", "ab", "../../../etc/passwd", "A" * 64, "0" * 63 + "\n"])
def test_what_is_no_hash_never_becomes_a_path(store, digest):
    with pytest.raises(RegistryError, match="cannot name an object"):
        store.path_of(digest)


def test_an_object_is_synced_with_its_folder_before_it_is_named(tmp_path, monkeypatch):
    done = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(source, target):
        done.append("name")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    ObjectStore(tmp_path / "a").put_table(a_table())
    assert done[-3:] == ["file", "name", "folder"]
    done.clear()
    ObjectStore(tmp_path / "b", durable=False).put_table(a_table())
    assert done == ["name"]


def test_a_write_that_fails_leaves_nothing_behind(store, tmp_path, monkeypatch):
    def full(_source, _target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(RegistryError, match=r"cannot write object .*: No space left on device"):
            store.put_table(a_table())
    assert [file for file in (tmp_path / "series").rglob("*") if file.is_file()] == []
    store.get_table(store.put_table(a_table()), verify=True)


def test_float_columns_are_byte_stream_split_under_zstd(store):
    """What the size of a registry rests on, also for names with dots."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(store.path_of(store.put_table(a_table()))) as file:
        group = file.metadata.row_group(0)
        columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    for name in ("nav", "quantity:BRK.B"):
        assert "BYTE_STREAM_SPLIT" in columns[name].encodings
        assert columns[name].compression == "ZSTD"
        assert not columns[name].has_dictionary_page
    assert columns["asset"].has_dictionary_page
