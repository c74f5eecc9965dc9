"""Whatever happened to a baseline's files, reading gives what was written or names the file."""

import dataclasses
import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.baselines.store import read_baseline, write_baseline
from pytest_finbot.errors import BaselineError


@pytest.fixture
def files(book, tmp_path):
    return write_baseline(tmp_path, book.baseline(book()))


def refused(folder, run="held"):
    """The message with which the baseline is refused."""
    with pytest.raises(BaselineError) as caught:
        read_baseline(folder, run)
    return str(caught.value)


def rewrite(path, change):
    document = json.loads(path.read_text())
    changed = change(document)
    path.write_text(json.dumps(document if changed is None else changed))


# -------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.9, 0.999])
def test_a_json_cut_short_is_told(files, part):
    raw = files[0].read_bytes()
    files[0].write_bytes(raw[: int(len(raw) * part)])
    message = refused(files[0].parent)
    assert str(files[0]) in message
    assert "cannot be read" in message
    assert "finbot baseline remove" in message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"not JSON", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b'{"format": NaN}', "NaN is not JSON"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "is not a baseline"),
        (b"null", "is not a baseline"),
        (b'"finbot-baseline"', "is not a baseline"),
        (b"{}", "is not a baseline"),
        (b'{"format": "finbot-registry", "version": 1}', "is not a baseline"),
    ],
)
def test_a_json_that_is_no_baseline_is_told(files, content, why):
    files[0].write_bytes(content)
    message = refused(files[0].parent)
    assert str(files[0]) in message
    assert why in message


@pytest.mark.parametrize("version", ["x", "1", None, 0, -1, 1.0, True, [1]])
def test_a_version_that_is_none_is_told(files, version):
    rewrite(files[0], lambda document: document.update(version=version))
    message = refused(files[0].parent)
    assert f"{files[0]} has version {version!r}, expected 1" in message


def test_a_newer_version_is_refused_and_says_what_to_do(files):
    rewrite(files[0], lambda document: document.update(version=2))
    assert refused(files[0].parent) == (
        f"baseline {files[0]} has version 2, this pytest-finbot reads up to 1; upgrade pytest-finbot"
    )


NEEDED = ["version", "batch", "run", "accepted", "metrics", "undefined", "fingerprint", "values"]


@pytest.mark.parametrize("key", NEEDED)
def test_a_part_that_is_missing_is_named(files, key):
    rewrite(files[0], lambda document: document.__delitem__(key))
    message = refused(files[0].parent)
    assert str(files[0]) in message
    assert key in message


@pytest.mark.parametrize("key", NEEDED)
@pytest.mark.parametrize("value", [None, 7, [], [["at", "x"]]])
def test_a_part_of_another_kind_is_named(files, key, value):
    rewrite(files[0], lambda document: document.update({key: value}))
    message = refused(files[0].parent)
    assert str(files[0]) in message
    assert key in message


def test_a_metric_that_is_no_value_is_named(files):
    rewrite(files[0], lambda document: document["metrics"].update(sharpe={"value": 1}))
    assert "metric sharpe is {'value': 1}" in refused(files[0].parent)


@pytest.mark.parametrize("key", ["at", "by", "reason", "commit"])
def test_an_acceptance_without_one_of_its_facts_is_told(files, key):
    rewrite(files[0], lambda document: document["accepted"].__delitem__(key))
    assert f"there is no {key}" in refused(files[0].parent)


# ------------------------------------------------------------------------------- pairs


def test_half_a_baseline_is_told(files):
    document_path, table_path = files
    raw = document_path.read_bytes()
    document_path.unlink()
    assert f"{document_path} is missing, held.parquet is there" in refused(document_path.parent)
    document_path.write_bytes(raw)
    table_path.unlink()
    assert f"{table_path} is missing, held.json is there" in refused(document_path.parent)


def test_a_baseline_under_another_name_is_told(files):
    for path in files:
        path.rename(path.with_stem("other"))
    message = refused(files[0].parent, "other")
    assert str(files[0].with_stem("other")) in message
    assert "is that of run 'held', and was renamed" in message


def test_the_table_of_another_run_is_told(book, files):
    other = write_baseline(files[0].parent, book.baseline(book(seed=1), "other"))
    files[1].write_bytes(other[1].read_bytes())
    assert f"{files[1]} does not hold the values held.json names" in refused(files[0].parent)


def test_a_table_of_equal_values_and_other_digests_of_the_data_is_told(book, files):
    from pytest_finbot.fingerprint import sha256_of_json

    parts = {"AAA": {"2015": "f" * 32}}
    other = book.baseline(book(), "other")
    data = {**other.fingerprint["data"], "parts": parts, "hash": sha256_of_json(parts)}
    other = dataclasses.replace(other, fingerprint={**other.fingerprint, "data": data})
    _, table_path = write_baseline(files[0].parent, other)
    files[1].write_bytes(table_path.read_bytes())
    assert f"{files[1]} does not hold the values" in refused(files[0].parent)


@pytest.mark.parametrize("series", ["nav", "cash", "market_values", "quantity", "fills"])
def test_one_value_that_was_changed_is_told(book, files, series):
    result = book()
    if series == "fills":
        now = book.fill(result, "fee", 9, np.nextafter(result.fills.fee[9], 1e9))
    else:
        values = getattr(result, series)
        where = 5 if values.ndim == 1 else (5, 1)
        now = book.put(result, series, where, np.nextafter(values[where], np.inf))
    other = write_baseline(files[0].parent / "other", book.baseline(now))
    files[1].write_bytes(other[1].read_bytes())
    assert f"{files[1]} does not hold the values" in refused(files[0].parent)


@pytest.mark.parametrize("details", [{}, {"version": 1, "dbta": None}, {"version": 2, "data": None}])
def test_a_table_of_another_version_than_its_json_is_told(files, details):
    import pyarrow.parquet as pq

    table = pq.read_table(files[1])
    about = json.loads(table.schema.metadata[b"finbot-baseline"])
    changed = json.dumps({**about, "details": details})
    pq.write_table(table.replace_schema_metadata({"finbot-baseline": changed}), files[1])
    assert f"{files[1]} is not of the version that held.json says" in refused(files[0].parent)


# ------------------------------------------------------------------------------- table


@pytest.mark.parametrize("part", [0.0, 0.0005, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_table_cut_short_is_told(files, part):
    raw = files[1].read_bytes()
    files[1].write_bytes(raw[: int(len(raw) * part)])
    message = refused(files[0].parent)
    assert f"{files[1]} cannot be read" in message
    assert "finbot baseline remove" in message


def test_a_folder_in_the_place_of_a_file_is_told(files):
    files[1].unlink()
    files[1].mkdir()
    assert f"{files[1]} cannot be read" in refused(files[0].parent)
    files[0].unlink()
    files[0].mkdir()
    assert f"{files[0]} cannot be read" in refused(files[0].parent)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_byte_can_change_without_being_told_or_making_no_difference(book, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flipped")
    baseline = book.baseline(book(sessions=6, assets=2))
    paths = write_baseline(folder, baseline)
    path = paths[1]
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(raw))
    try:
        back = read_baseline(folder, "held")
    except BaselineError as error:
        told = str(error)
    else:
        told = str(path)
        assert book.bits(back.result) == book.bits(baseline.result)
        assert back.fingerprint == baseline.fingerprint
    assert str(path) in told


def drop(name):
    return lambda pa, table: table.drop_columns([name])


def cast(name, kind):
    def change(pa, table):
        number = table.column_names.index(name)
        return table.set_column(number, name, table.column(name).cast(getattr(pa, kind)()))

    return change


def another(name, values):
    def change(pa, table):
        number = table.column_names.index(name)
        return table.set_column(number, name, pa.array(values(table)))

    return change


def strange_asset(table):
    lists = table.column("fills").to_pylist()
    lists[0][0]["asset"] = "GONE"
    return lists


def a_hole(column):
    def values(table):
        found = table.column(column).to_pylist()
        found[3] = None
        return found

    return values


def a_hole_in_the_fills(table):
    lists = table.column("fills").to_pylist()
    lists[0][0]["fee"] = None
    return lists


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (drop("nav"), "its column 'nav' is not there"),
        (drop("session"), "its column 'session' is not there"),
        (drop("cash"), "its column 'cash' is not there"),
        (drop("quantity:A1"), "its column 'quantity:A1' is not there"),
        (drop("market_value:A2"), "its column 'market_value:A2' is not there"),
        (drop("fills"), "its column 'fills' is not there"),
        (cast("nav", "string"), "its column 'nav' is string, expected double"),
        (cast("nav", "float32"), "its column 'nav' is float, expected double"),
        (cast("session", "string"), "its column 'session' is string, expected date32"),
        (another("fills", lambda table: [1.0] * 30), "its column 'fills' is double"),
        (another("fills", lambda table: [[1.0]] * 30), "its column 'fills' is list<"),
        (another("fills", strange_asset), "its fills are of GONE, which is none of its assets"),
        (another("fills", a_hole_in_the_fills), "its column 'fills' has holes"),
        (another("fills", a_hole("fills")), "its column 'fills' has holes"),
        (another("nav", a_hole("nav")), "its column 'nav' has holes"),
        (another("session", a_hole("session")), "its column 'session' has holes"),
        (lambda pa, table: table.append_column("more", table.column("nav")), "no baseline has: more"),
        (lambda pa, table: table.append_column("nav", table.column("nav")), ""),
        (lambda pa, table: table.replace_schema_metadata({}), "has no b'finbot-baseline'"),
        (lambda pa, table: table.replace_schema_metadata({"finbot-baseline": "[]"}), "its metadata are []"),
        (lambda pa, table: table.replace_schema_metadata({"finbot-baseline": "{}"}), "has no 'assets'"),
        (lambda pa, table: table.replace_schema_metadata({"finbot-baseline": "x"}), "Expecting value"),
        (lambda pa, table: table.slice(0, 0), "does not hold the values"),
        (lambda pa, table: table.slice(1), "does not hold the values"),
    ],
)
def test_a_table_with_other_columns_is_told(files, change, why):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(change(pa, pq.read_table(files[1])), files[1])
    message = refused(files[0].parent)
    assert str(files[1]) in message
    assert why in message


@pytest.mark.parametrize(
    "about",
    [
        {"assets": 7, "series": [], "details": {}},
        {"assets": [1, 2], "series": ["quantity"], "details": {}},
        {"assets": ["A0"], "series": None, "details": {}},
        {"assets": ["A0"], "series": "cash", "details": {}},
        {"assets": [["A0"]], "series": ["fills"], "details": {}},
        {
            "assets": ["A0", "A1", "A2"],
            "series": ["cash", "quantity", "market_values", "fills"],
            "details": 1,
        },
    ],
)
def test_metadata_of_another_kind_are_told(files, about):
    import pyarrow.parquet as pq

    table = pq.read_table(files[1])
    pq.write_table(table.replace_schema_metadata({"finbot-baseline": json.dumps(about)}), files[1])
    assert str(files[1]) in refused(files[0].parent)


# ------------------------------------------------------------------------------- kills

KILLS = """
    import json, os, random, signal, sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[2])
    from conftest import Book
    from pytest_finbot.baselines.store import read_baseline, write_baseline
    from pytest_finbot.errors import BaselineError

    book, folder = Book(), Path(sys.argv[1])
    both = [book.baseline(book(sessions=400, assets=5, seed=seed)) for seed in (0, 1)]
    write_baseline(folder, both[0])
    bits = [book.bits(one.result) for one in both]
    chance, found = random.Random(7), []
    for _ in range(40):
        ready, told = os.pipe()
        child = os.fork()
        if not child:
            os.write(told, b"!")
            while True:
                for one in both:
                    write_baseline(folder, one)
        os.read(ready, 1)
        time.sleep(chance.uniform(0.0, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        try:
            back = book.bits(read_baseline(folder, "held").result)
            found.append(bits.index(back) if back in bits else "wrong")
        except BaselineError as error:
            found.append("told" if str(folder / "held.") in str(error) else str(error))
    print(json.dumps(found))
"""


def test_a_process_killed_while_it_accepts_leaves_a_whole_baseline_or_one_that_tells(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLS), str(tmp_path), str(__file__.rpartition("/")[0])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found) == 40
    assert set(found) <= {0, 1, "told"}
    assert {0, 1} & set(found)
