"""A baseline comes back bit for bit, takes little room, and is not written without need."""

import dataclasses
import json
import math
import os
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.baselines import store
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.store import baseline_names, month_end_navs, read_baseline, remove_baseline
from pytest_finbot.baselines.store import write_baseline as write
from pytest_finbot.config.expand import load_batch
from pytest_finbot.contracts import RunStatus, Verdict
from pytest_finbot.errors import BaselineError
from pytest_finbot.pipeline.execute import execute

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = [
    "BRK.B",
    "a:b",
    "quantity:x",
    "market_value:x",
    "ÆØÅ 日本",
    "nav",
    "session",
    "",
    "a.b.list.element",
    '"',
    "\\",
]

FILES = settings(max_examples=60, deadline=None)


# -------------------------------------------------------------------------- round trip


@FILES
@given(st.data())
def test_a_result_comes_back_bit_for_bit(book, tmp_path_factory, data):
    names = data.draw(
        st.lists(st.sampled_from(NAMES) | st.text(st.characters(codec="utf-8")), max_size=4, unique=True)
    )
    result = book(data.draw(st.integers(1, 9)), seed=data.draw(st.integers(0, 9)), names=names)
    for _ in range(data.draw(st.integers(0, 3))):
        series = data.draw(st.sampled_from(["nav", "cash", "market_values", "quantity"]))
        if getattr(result, series).size:
            result = book.put(result, series, 0, data.draw(st.floats()))
    if len(result.fills):
        result = book.fill(result, "price", 0, data.draw(st.floats()))
    if data.draw(st.booleans()):
        result = book.pick(result, [])
    without = data.draw(st.sets(st.sampled_from(["cash", "market_values", "quantity", "fills"])))
    result = dataclasses.replace(result, **dict.fromkeys(without))
    result = dataclasses.replace(
        book.metric(result, sharpe=None, cagr=data.draw(st.floats(allow_nan=False, allow_infinity=False))),
        undefined={"sharpe": "flat « ü »"},
    )
    folder = tmp_path_factory.mktemp("baselines")
    written = book.baseline(result)
    write(folder, written)
    back = read_baseline(folder, "held")
    assert book.bits(back.result) == book.bits(result)
    assert book.compare(result, back.result, "exact").verdict is Verdict.IDENTICAL
    assert back.fingerprint == written.fingerprint
    assert (back.batch, back.run, back.acceptance) == ("small", "held", written.acceptance)


def test_a_result_that_only_knows_its_nav_and_fills_comes_back(book, tmp_path):
    whole = book()
    result = RunResult(whole.sessions, whole.nav, whole.assets, fills=whole.fills)
    write(tmp_path, book.baseline(result))
    assert book.bits(read_baseline(tmp_path, "held").result) == book.bits(result)


def test_results_without_assets_or_sessions_come_back(book, tmp_path):
    for result in (book(assets=0), book.with_nav([])):
        write(tmp_path, book.baseline(result))
        back = read_baseline(tmp_path, "held").result
        assert book.bits(back) == book.bits(result)


def test_nothing_accepted_is_no_baseline(tmp_path):
    assert read_baseline(tmp_path / "not there", "held") is None
    assert baseline_names(tmp_path / "not there") == ()


# ------------------------------------------------------------------------------- files


def test_identical_results_give_identical_files(book, tmp_path):
    files = []
    for folder in ("one", "two"):
        paths = write(tmp_path / folder, book.baseline(book()))
        files.append([path.read_bytes() for path in paths])
    assert files[0] == files[1]
    write(tmp_path / "two", book.baseline(book(seed=1)))
    assert (tmp_path / "two" / "held.parquet").read_bytes() != files[0][1]
    assert [path.name for path in sorted((tmp_path / "one").iterdir())] == ["held.json", "held.parquet"]


def test_the_json_is_made_to_be_read_in_a_review(book, tmp_path):
    result = dataclasses.replace(book(sessions=45), undefined={"sortino": "no session lost"})
    document_path, _ = write(tmp_path, book.baseline(result))
    text = document_path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert text.splitlines()[1].startswith("  ")
    document = json.loads(text)
    assert list(document)[:5] == ["format", "version", "batch", "run", "accepted"]
    assert (document["format"], document["version"]) == ("finbot-baseline", 1)
    assert document["accepted"] == {
        "at": "2026-11-21T09:15:02Z",
        "by": "Ada <ada@example.org>",
        "reason": "first",
        "commit": "abc",
    }
    assert document["metrics"] == result.metrics
    assert document["undefined"] == {"sortino": "no session lost"}
    assert document["sessions"] == {"count": 45, "first": "2015-01-02", "last": "2015-03-05"}
    assert document["fills"] == 36
    assert document["month_end_nav"] == {
        "2015-01": result.nav[20],
        "2015-02": result.nav[40],
        "2015-03": result.nav[44],
    }
    assert document["fingerprint"]["data"].keys() == {"hash", "field"}  # the parts fill pages
    assert document["fingerprint"]["config"]["settings"] == {"fast": 50}


def test_month_ends_are_the_last_session_of_each_month(book):
    result = book.with_nav([1.0, 2.0, math.nan])
    days = np.array(["2019-12-31", "2020-01-02", "2020-03-05"], dtype="datetime64[D]")
    result = dataclasses.replace(result, sessions=days)
    assert month_end_navs(result) == {"2019-12": 1.0, "2020-01": 2.0, "2020-03": None}
    assert month_end_navs(book.with_nav([])) == {}


def test_the_table_is_left_alone_where_only_the_words_about_it_change(book, tmp_path):
    baseline = book.baseline(book())
    document_path, table_path = write(tmp_path, baseline)
    before, text = os.stat(table_path), document_path.read_text()
    again = dataclasses.replace(baseline.acceptance, reason="again")
    write(tmp_path, dataclasses.replace(baseline, acceptance=again))
    after = os.stat(table_path)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    words = document_path.read_text().splitlines()
    changed = [line for line, was in zip(words, text.splitlines(), strict=True) if line != was]
    assert [line.split(":")[0].strip() for line in changed] == ['"reason"', '"document"']


def test_a_table_of_the_same_values_in_other_bytes_is_left_alone(book, tmp_path):
    import pyarrow.parquet as pq

    baseline = book.baseline(book())
    _, table_path = write(tmp_path, baseline)
    pq.write_table(pq.read_table(table_path), table_path, compression="snappy")  # as another version would
    theirs = table_path.read_bytes()
    write(tmp_path, baseline)
    assert table_path.read_bytes() == theirs
    assert book.bits(read_baseline(tmp_path, "held").result) == book.bits(baseline.result)
    write(tmp_path, book.baseline(book(seed=1)))
    assert book.bits(read_baseline(tmp_path, "held").result) == book.bits(book(seed=1))


def test_a_damaged_table_is_written_anew(book, tmp_path):
    _, table_path = write(tmp_path, book.baseline(book()))
    table_path.write_bytes(table_path.read_bytes()[:200])
    write(tmp_path, book.baseline(book()))
    assert read_baseline(tmp_path, "held") is not None


def test_another_digest_of_the_data_is_written_though_the_values_are_the_same(book, tmp_path):
    from pytest_finbot.fingerprint import sha256_of_json

    baseline = book.baseline(book())
    write(tmp_path, baseline)
    parts = {"AAA": {"2015": "f" * 32}}
    data = {"hash": sha256_of_json(parts), "field": "close", "parts": parts}
    write(tmp_path, dataclasses.replace(baseline, fingerprint={**baseline.fingerprint, "data": data}))
    assert read_baseline(tmp_path, "held").fingerprint["data"] == data


def test_names_are_of_what_is_there_whole_or_not(book, tmp_path):
    for run in ("b", "a"):
        write(tmp_path, book.baseline(book(), run))
    (tmp_path / "c.parquet").write_bytes(b"")
    (tmp_path / "d.json").write_bytes(b"")
    (tmp_path / ".a.json.77-00.tmp").write_bytes(b"")
    (tmp_path / "README.md").write_bytes(b"")
    assert baseline_names(tmp_path) == ("a", "b", "c", "d")


def test_removing_removes_what_there_is_and_tells_it(book, tmp_path):
    paths = write(tmp_path, book.baseline(book()))
    write(tmp_path, book.baseline(book(), "other"))
    assert remove_baseline(tmp_path, "held") == list(paths)
    assert remove_baseline(tmp_path, "held") == []
    (tmp_path / "other.json").unlink()
    assert remove_baseline(tmp_path, "other") == [tmp_path / "other.parquet"]
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------- what cannot be accepted


@pytest.mark.parametrize("value", [math.nan, math.inf, True, [1.0], np.int64(3)])
def test_a_metric_without_a_word_in_json_is_refused_by_name_and_nothing_is_written(book, tmp_path, value):
    with pytest.raises(
        BaselineError, match=r"held\.json: metric house_metric is .*, expected a finite number"
    ):
        write(tmp_path / "baselines", book.baseline(book.metric(book(), house_metric=value)))
    assert not (tmp_path / "baselines").exists()


def test_results_that_a_file_cannot_hold_are_refused(book, tmp_path):
    result = book()
    with pytest.raises(BaselineError, match="names assets twice: A0"):
        write(tmp_path, book.baseline(dataclasses.replace(result, assets=("A0", "A0", "A2"))))
    stray = book.fill(result, "session", 3, np.datetime64("2015-01-04"))
    with pytest.raises(BaselineError, match="a fill of the result is on 2015-01-04, which is none of"):
        write(tmp_path, book.baseline(stray))
    with pytest.raises(BaselineError, match="not in order: 2015-01-02 comes after 2015-01-08"):
        write(tmp_path, book.baseline(book.pick(result, [3, 0])))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(book, tmp_path):
    (tmp_path / "baselines").write_text("a file")
    with pytest.raises(BaselineError, match=r"cannot write baseline .*held\.json: Not a directory"):
        write(tmp_path / "baselines", book.baseline(book()))


def test_when_the_second_file_cannot_be_written_reading_tells(book, tmp_path, monkeypatch):
    write(tmp_path, book.baseline(book()))
    whole = store.write_file

    def until_the_json(path, data, *, durable):
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        whole(path, data, durable=durable)

    monkeypatch.setattr(store, "write_file", until_the_json)
    with pytest.raises(BaselineError, match="No space left on device"):
        write(tmp_path, book.baseline(book(seed=1)))
    with pytest.raises(BaselineError, match=r"held\.parquet does not hold the values held\.json names"):
        read_baseline(tmp_path, "held")


# -------------------------------------------------------------------------------- size


def test_twelve_years_of_ten_shares_stay_below_300_kb(book, tmp_path):
    prices = EXAMPLES / "data" / "prices.csv.gz"
    assert prices.is_file(), f"the example's prices are missing: {prices}"
    [spec] = [run for run in load_batch(EXAMPLES / "finbot.yaml").runs if run.name == "equal_weight_monthly"]
    spec = dataclasses.replace(spec, start_date=date(2010, 1, 4), end_date=date(2021, 12, 31))
    run = execute(spec, lambda kind, payload, *, flush=True: None)
    assert run.status is RunStatus.SUCCESS, run.error
    result = RunResult.of_engine(run.result, run.books.market_values, run.metrics, run.undefined_metrics)
    assert result.quantity.shape == (3021, 10)
    fingerprint = {**run.fingerprint, "data": {**run.fingerprint["data"], "parts": run.market.digest.parts}}
    baseline = book.baseline(result, spec.name, fingerprint=fingerprint)
    document_path, table_path = write(tmp_path, baseline)
    assert table_path.stat().st_size < 300_000
    assert document_path.stat().st_size < 40_000
    back = read_baseline(tmp_path, spec.name)
    assert book.bits(back.result) == book.bits(result)
