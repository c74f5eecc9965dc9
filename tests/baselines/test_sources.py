"""Where baselines are found: a folder, a recorded batch."""

import dataclasses
import json

import numpy as np
import pytest

from pytest_finbot.baselines.sources import BatchSource, FolderSource
from pytest_finbot.baselines.store import write_baseline
from pytest_finbot.contracts import CheckResult, ErrorCategory, ErrorInfo, PhaseResult, RunStatus, Verdict
from pytest_finbot.errors import BaselineError, NotComparableError
from pytest_finbot.registry.left_out import reason_of


def failed(category, message="no\nreally", phase="checks"):
    return {"status": RunStatus.FAILED, "error": ErrorInfo(category, phase, "Error", message)}


def test_a_folder_gives_what_was_accepted_and_says_where(book, tmp_path):
    write_baseline(tmp_path, book.baseline(book(), "held"))
    write_baseline(tmp_path, book.baseline(book(), "also"))
    source = FolderSource(tmp_path, "baselines/small")
    assert source.names() == ("also", "held")
    found = source.find("held")
    assert book.compare(book(), found.result, "exact").verdict is Verdict.IDENTICAL
    assert found.shown == "baselines/small/held.json"
    assert source.find("new") is None
    (tmp_path / "also.json").write_text("{")
    with pytest.raises(BaselineError, match=r"also\.json cannot be read"):
        source.find("also")


def test_a_recorded_batch_gives_its_results_bit_for_bit(book, batch):
    batch.record("held", book.engine(seed=1))
    batch.record("large", book.engine(sessions=400, seed=2))
    source = batch.source()
    assert source.names() == ("held", "large", "other")
    for run, engine in [("held", book.engine(seed=1)), ("large", book.engine(sessions=400, seed=2))]:
        found = source.find(run)
        assert book.compare(book.of(engine), found.result, "exact").verdict is Verdict.IDENTICAL
        assert (found.run, found.batch, found.acceptance) == (run, "small", None)
        assert found.shown == f"batch:{batch.id}"
    assert source.find("nobody") is None


def test_a_run_without_fills_or_with_marks_that_are_missing_is_given_as_it_was(book, batch):
    engine = book.engine(seed=1)
    mark = engine.mark.copy()
    mark[3, 1] = np.nan
    batch.record("held", dataclasses.replace(engine, mark=mark))
    batch.record("other", dataclasses.replace(engine, fills=type(engine.fills).none()))
    assert np.isnan(batch.source().find("held").result.market_values[3, 1])
    assert len(batch.source().find("other").result.fills) == 0


def test_what_the_run_depended_on_comes_with_it(book, batch):
    batch.record("held", book.engine(), fingerprint={"config": "c" * 64, "environment": {"numpy": "2.4"}})
    fingerprint = batch.source().find("held").fingerprint
    assert fingerprint["environment"] == {"numpy": "2.4"}
    assert fingerprint["config"]["hash"] == "c" * 64
    assert fingerprint["config"]["settings"]["params"] == {"fast": 50}


def test_a_run_that_gave_no_result_there_is_not_comparable(book, batch):
    batch.record("held", None, **failed(ErrorCategory.DATA, "no prices for AAPL\nin 2018"))
    with pytest.raises(NotComparableError) as caught:
        batch.source().find("held")
    assert str(caught.value) == (f"batch:{batch.id}: run held gave no result there: no prices for AAPL")


@pytest.mark.parametrize("message", ["", None])
def test_an_error_without_words_is_no_second_error(book, batch, message):
    batch.record("held", None, **failed(ErrorCategory.ENGINE, message or ""))
    with pytest.raises(NotComparableError, match="run held gave no result there"):
        batch.source().find("held")


def test_a_result_that_failed_by_itself_is_nothing_to_compare_with(book, batch):
    batch.record("held", book.engine(), **failed(ErrorCategory.ENGINE, "the books do not add up\ncash"))
    with pytest.raises(NotComparableError) as caught:
        batch.source().find("held")
    assert "run held is nothing to compare with: it failed (engine_error: the books do not add up)" in str(
        caught.value
    )


def test_a_result_that_was_not_deterministic_is_nothing_to_compare_with(book, batch):
    twice = CheckResult("determinism", Verdict.MOVED, "two results")
    batch.record("held", book.engine(), checks=(twice,))
    with pytest.raises(NotComparableError, match="it is not deterministic"):
        batch.source().find("held")


def test_a_result_whose_checks_were_left_out_is_nothing_to_compare_with(book, batch):
    skipped = PhaseResult("checks", "skipped", 0.0, reason=reason_of(["marks"]))
    batch.record("held", book.engine(), phases=(skipped,))
    with pytest.raises(NotComparableError, match="nothing of it was proven"):
        batch.source().find("held")


def test_a_result_of_which_only_reports_were_left_out_is_proven(book, batch):
    phases = (
        PhaseResult("risk", "skipped", 0.0, reason=reason_of(["checks"])),
        PhaseResult("checks", "success", 0.1),
    )
    batch.record("held", book.engine(), phases=phases)
    assert batch.source().find("held") is not None


def test_a_result_that_only_moved_can_be_compared_with(book, batch):
    batch.record("held", book.engine(), **failed(ErrorCategory.REGRESSION))
    assert batch.source().find("held").result.nav[-1] == book.engine().nav[-1]


def test_a_run_that_left_no_record_there_is_not_comparable(book, batch):
    with pytest.raises(NotComparableError, match="run held was expected there and left no record"):
        batch.source().find("held")


def test_a_recorded_result_that_is_damaged_is_a_baseline_error_that_names_run_and_file(book, batch):
    engine = book.engine(sessions=400)
    batch.record("held", engine)
    [series] = [
        path for path in (batch.registry.root / "series").rglob("*.parquet") if "quantity:A0" in columns(path)
    ]
    whole = series.read_bytes()
    series.write_bytes(whole[:500])
    with pytest.raises(BaselineError) as caught:
        batch.source().find("held")
    assert not isinstance(caught.value, NotComparableError)
    assert f"the result of run held cannot be read: object {series}" in str(caught.value)
    series.unlink()
    with pytest.raises(BaselineError, match="is missing"):
        batch.source().find("held")


def columns(path):
    import pyarrow.parquet as pq

    return " ".join(pq.read_schema(path).names)


def test_fills_of_an_asset_that_the_run_does_not_have_are_told(book, batch):
    from pytest_finbot.registry.objects import table_hash

    table = {
        "session": np.array(["2015-01-02"], dtype="datetime64[D]"),
        "asset": np.array(["GONE"], dtype=object),
        **{name: np.array([1.0]) for name in ("quantity", "price", "fee", "slippage")},
    }
    small = {
        name: column.astype(str).tolist() if name == "session" else column.tolist()
        for name, column in table.items()
    }
    record = batch.record("held", book.engine(), write=False)
    batch.write(
        dataclasses.replace(record, fills=table_hash(table), tables={**record.tables, "fills": small})
    )
    with pytest.raises(BaselineError, match=r"its fills have no column or asset 'GONE'"):
        batch.source().find("held")


def test_a_source_reads_nothing_before_it_is_asked(batch):
    source = BatchSource(batch.registry, "batch-20200101T000000Z-000000")
    assert source.shown == "batch:batch-20200101T000000Z-000000"


def test_the_found_result_is_strict_json_where_it_is_told(book, batch):
    batch.record("held", book.engine(seed=1))
    compared = book.compare(book(seed=2), batch.source().find("held").result)
    assert json.dumps(compared.to_json(), allow_nan=False)
    assert compared.verdict is Verdict.MOVED
