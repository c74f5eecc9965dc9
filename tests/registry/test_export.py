"""Recorded runs for other tools: the same rows in every format, whole or not at all."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from pytest_finbot.contracts import RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.queries import RunFilter
from pytest_finbot.registry.strict_json import decode
from pytest_finbot.registry.upkeep import export as module
from pytest_finbot.registry.upkeep.export import COLUMNS, export

OLD, NEW = "batch-20261120T091502Z-3f9c1a", "batch-20261121T091502Z-3f9c1a"


def batch(registry, batch_id, records):
    provenance = {"git commit": "abc"}
    registry.create_batch({"batch_id": batch_id, "batch_name": "small", "provenance": provenance})
    main = registry.open_writer(batch_id, "main")
    names = list(dict.fromkeys(record["name"] for record in records))
    main.append("begin", {"at": "1", "expected": [*names, "not run"], "deselected": 0})
    for record in records:
        day = batch_id[6:14]
        at = f"{day[:4]}-{day[4:6]}-{day[6:]}T09:15:03.000+00:00"
        usual = {"attempt": 1, "status": "success", "started_at": at, "finished_at": at, "seconds": 0.25}
        run = {"run_id": f"{batch_id}/{record['name']}", "batch_id": batch_id}
        main.append("run", {**run, **usual, **record})
    main.close()


@pytest.fixture
def registry(tmp_path):
    registry = open_registry(tmp_path / ".finbot")
    error = {
        "category": "data_error",
        "phase": "load",
        "type": "DataError",
        "message": '=cmd()|"x"\nü,\ud800',
    }
    batch(registry, OLD, [{"name": "a", "metrics": {"cagr": 0.1, "zone": "CET", "trades": 3}}])
    batch(
        registry,
        NEW,
        [
            {"name": "a", "metrics": {"cagr": 0.5}},
            {"name": "a", "attempt": 2, "metrics": {"cagr": 1 / 3, "best": None, "zone": 5}},
            {
                "name": "b",
                "status": "failed",
                "error": error,
                "tags": ["x", "y"],
                "fingerprint": {"config": "c" * 64},
            },
        ],
    )
    return registry


def rows(registry, kind, **options):
    out = io.BytesIO()
    exported = export(registry, kind, out, **options)
    assert exported.problems == ()
    if kind == "jsonl":
        found = [decode(line) for line in out.getvalue().splitlines()]
    else:
        found = list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))
    assert len(found) == exported.runs
    return found


def test_a_row_a_run_with_its_final_record_newest_batch_first(registry):
    found = rows(registry, "csv")
    assert list(found[0]) == [*COLUMNS, "metric.best", "metric.cagr", "metric.trades", "metric.zone"]
    assert [(row["run_id"], row["attempt"]) for row in found] == [
        (f"{NEW}/a", "2"),
        (f"{NEW}/b", "1"),
        (f"{OLD}/a", "1"),
    ]
    first, failed, old = found
    assert float(first["metric.cagr"]) == 1 / 3
    assert (first["metric.best"], first["metric.zone"], old["metric.zone"]) == ("", "5", "CET")
    assert (failed["error_category"], failed["tags"], failed["config_hash"]) == (
        "data_error",
        "x;y",
        "c" * 64,
    )
    assert (failed["batch_name"], failed["commit"], failed["metric.cagr"]) == ("small", "abc", "")


def test_text_that_a_spreadsheet_takes_for_a_formula_is_made_text(registry):
    [_, failed, _] = rows(registry, "csv")
    assert failed["error_message"] == '\'=cmd()|"x"\nü,\\ud800'


def test_json_lines_are_the_records_themselves(registry):
    expected = [record for batch_id in (NEW, OLD) for record in registry.fold(batch_id).records()]
    assert rows(registry, "jsonl") == expected


def test_parquet_has_the_same_rows_with_types(registry, tmp_path, monkeypatch):
    import pyarrow.parquet as pq

    monkeypatch.setattr(module, "_ROWS", 2)
    export(registry, "parquet", tmp_path / "runs.parquet")
    with pq.ParquetFile(tmp_path / "runs.parquet") as file:
        assert file.num_row_groups == 2
        table = file.read()
    assert table.column_names == list(rows(registry, "csv")[0])
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert (kinds["attempt"], kinds["seconds"], kinds["metric.cagr"]) == ("int64", "double", "double")
    assert (kinds["metric.zone"], kinds["metric.trades"], kinds["name"]) == ("string", "double", "string")
    assert table.column("metric.cagr").to_pylist() == [1 / 3, None, 0.1]
    assert table.column("metric.zone").to_pylist() == ["5", None, "CET"]


def test_an_empty_registry_is_a_table_without_rows(tmp_path):
    import pyarrow.parquet as pq

    registry = open_registry(tmp_path / ".finbot")
    assert rows(registry, "csv") == rows(registry, "jsonl") == []
    export(registry, "parquet", tmp_path / "runs.parquet")
    assert pq.read_table(tmp_path / "runs.parquet").column_names == list(COLUMNS)


@pytest.mark.parametrize(
    ("only", "names"),
    [
        (RunFilter(batch=OLD), ["a"]),
        (RunFilter(name="a*"), ["a", "a"]),
        (RunFilter(status=RunStatus.FAILED), ["b"]),
        (RunFilter(tag="x"), ["b"]),
        (RunFilter(since=datetime(2026, 11, 21, tzinfo=UTC)), ["a", "b"]),
        (RunFilter(until=datetime(2026, 11, 21)), ["a"]),
        (RunFilter(since=datetime(2026, 11, 21, 9, 15, 3, tzinfo=UTC)), ["a", "b"]),
        (RunFilter(until=datetime(2026, 11, 20, 9, 15, 3, tzinfo=UTC)), []),
        (RunFilter(name="a", status=RunStatus.FAILED), []),
    ],
)
def test_filters_have_to_hold_all(registry, only, names):
    assert [row["name"] for row in rows(registry, "csv", only=only)] == names


def test_a_file_is_not_overwritten_unasked_and_never_half_written(registry, tmp_path, monkeypatch):
    path = tmp_path / "runs.csv"
    path.write_text("mine")
    with pytest.raises(RegistryError, match=r"runs.csv exists already.*--force"):
        export(registry, "csv", path)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_csv", full)
        with pytest.raises(RegistryError, match=r"cannot write .*runs.csv: No space left"):
            export(registry, "csv", path, overwrite=True)
    assert path.read_text() == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == [".finbot", "runs.csv"]
    export(registry, "csv", path, overwrite=True)
    assert path.read_text().startswith("run_id,")


def test_what_cannot_be_read_is_told_and_hides_nothing(registry, tmp_path):
    (registry.batch_folder(OLD) / "manifest.json").write_text("{")
    [path] = registry.batch_folder(NEW).glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    exported = export(registry, "jsonl", tmp_path / "runs.jsonl")
    assert exported.runs == 2
    assert len(exported.problems) == 2
    assert any(f"batch {OLD}: " in problem for problem in exported.problems)
    assert len(json.loads("[" + ",".join((tmp_path / "runs.jsonl").read_text().splitlines()) + "]")) == 2


def test_a_wrong_format_or_batch_is_refused(registry, tmp_path):
    with pytest.raises(RegistryError, match=r"format 'cvs' is unknown.*did you mean 'csv'"):
        export(registry, "cvs", tmp_path / "x")
    with pytest.raises(RegistryError, match="there is no batch"):
        export(registry, "csv", tmp_path / "x", only=RunFilter(batch="batch-20261119T091502Z-3f9c1a"))
    assert not (tmp_path / "x").exists()


def test_a_number_that_no_float_holds_is_written_digit_by_digit(tmp_path):
    import pyarrow.parquet as pq

    registry = open_registry(tmp_path / ".finbot")
    large = {"orders": 2**53 + 1, "volume": 10**400, "trades": 2**53}
    batch(registry, OLD, [{"name": "a", "metrics": large}, {"name": "b", "metrics": {"orders": 1}}])
    out = io.BytesIO()
    export(registry, "csv", out)
    [first, _] = csv.DictReader(io.StringIO(out.getvalue().decode()))
    assert {name: int(first[f"metric.{name}"]) for name in large} == large
    export(registry, "parquet", tmp_path / "runs.parquet")
    rows = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    assert (rows[0]["metric.orders"], rows[1]["metric.orders"]) == (str(2**53 + 1), "1")
    assert (int(rows[0]["metric.volume"]), rows[0]["metric.trades"]) == (10**400, float(2**53))
