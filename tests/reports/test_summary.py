"""The summary in three formats: the same facts, whole or not at all."""

import csv
import dataclasses
import json

import pytest

from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.markdown import page
from pytest_finbot.reports.reading import read_report
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.summary import write_summary
from tests.reports.hostile import MESSAGES, NAMES, SURROGATE

FACTS = BatchFacts(
    batch_id="batch-20260101T000000Z-aaaaaa",
    batch_name="small",
    description="a | b",
    source="finbot.yaml",
    status="partial",
    started_at="2026-01-01T00:00:00.000+00:00",
    finished_at="2026-01-01T00:00:02.000+00:00",
    seconds=2.0,
    expected=3,
    recorded=2,
    success=1,
    failed=1,
    not_run=1,
    deselected=0,
    error_categories={"engine_error": 1},
    problems=(),
    notes=(),
    provenance={"git commit": "abc"},
)


def a_record(name, status="success", **more):
    return {
        "run_id": f"{FACTS.batch_id}/{name}",
        "name": name,
        "status": status,
        "attempt": 1,
        "seconds": 0.25,
        "worker": "gw0",
        "engine": "portfolio",
        "strategy": "fixed_weights",
        "start_date": "2020-01-01",
        "end_date": "2020-12-31",
        "metrics": {"final_nav": 1234.5, "sharpe": None, "trades": 3},
        **more,
    }


def three_rows():
    error = {"category": "engine_error", "phase": "simulate", "message": "a | <b>\nsecond line"}
    return [
        SummaryRow.of_record(a_record("good")),
        SummaryRow.of_record(a_record("bad", "failed", error=error)),
        SummaryRow.not_run(FACTS.batch_id, "gone"),
    ]


@pytest.mark.parametrize("start", list("=+-@"))
def test_text_in_the_csv_is_no_formula_and_no_second_line_and_numbers_stay_numbers(tmp_path, start):
    said = f"{start}cmd|' /C calc'!A0"
    error = {"category": "engine_error", "phase": "simulate", "message": said}
    rows = [
        SummaryRow.of_record(a_record(said, "failed", strategy=said, error=error, metrics={"sharpe": -1.5})),
        SummaryRow.of_record(
            a_record("tab", "failed", error={**error, "message": f"\t{said}\r\n\x1b[2Jé\x85"})
        ),
    ]
    path = write_summary(tmp_path, FACTS, rows)[1]["csv"]
    with path.open(newline="", encoding="utf-8") as file:
        formula, tab = csv.DictReader(file)
    assert {formula[column] for column in ("run", "strategy", "error")} == {f"'{said}"}
    assert formula["sharpe"] == "-1.5"
    assert tab["error"] == f"\\t{said}\\r\\n\\x1b[2Jé\\x85"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_every_run_is_in_every_format(tmp_path):
    paths = write_summary(tmp_path, FACTS, three_rows())[1]
    with paths["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["status"], row["final_nav"], row["sharpe"]) for row in rows] == [
        ("good", "success", "1234.5", ""),
        ("bad", "failed", "1234.5", ""),
        ("gone", "not_run", "", ""),
    ]
    summary = json.loads(paths["json"].read_text())
    assert [run["status"] for run in summary["runs"]] == ["success", "failed", "not_run"]
    words = paths["md"].read_text()
    assert "1 of 3 backtests failed. 1 of 3 backtests did not run." in words
    assert "Nothing is gated" in words
    assert r"a \| &lt;b&gt; second line" in words
    assert words.index("## Failed") < words.index("## Runs")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "batch_report.json",
        "batch_summary.csv",
        "batch_summary.json",
        "batch_summary.md",
    ]


def test_two_that_write_into_one_folder_leave_whole_files(tmp_path):
    """The second begins and ends while the first has written half of it."""

    def rows():
        yield SummaryRow.of_record(a_record("first"))
        write_summary(tmp_path, FACTS, three_rows())
        yield SummaryRow.of_record(a_record("last"))

    _, paths = write_summary(tmp_path, FACTS, rows())
    assert [run["name"] for run in json.loads(paths["json"].read_text())["runs"]] == ["first", "last"]
    with paths["csv"].open(newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == ["first", "last"]
    assert sorted(tmp_path.iterdir()) == sorted(paths.values())


def test_a_number_that_is_not_json_is_refused_and_leaves_no_file(tmp_path):
    row = SummaryRow.of_record(a_record("nan", metrics={"final_nav": float("nan")}))
    with pytest.raises(ValueError, match="JSON"):
        write_summary(tmp_path, FACTS, [row])
    assert not list(tmp_path.glob("batch_summary.*"))


def test_a_long_batch_is_listed_in_part_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "MOST_RUNS", 2)
    rows = [SummaryRow.of_record(a_record(f"run_{number}")) for number in range(5)]
    words = write_summary(tmp_path, dataclasses.replace(FACTS, expected=5), rows)[1]["md"].read_text()
    assert "run_1" in words
    assert "run_2" not in words
    assert "3 more ran; they are in `batch_summary.csv`" in words


def test_what_others_read_holds_every_name_and_message_as_it_is(tmp_path):
    """CSV, JSON and the report, each parsed; a text that a table would calculate is marked in CSV alone."""
    said = [(f"r{n}", message) for n, message in enumerate((*NAMES, *MESSAGES, SURROGATE))]
    rows = [
        SummaryRow.of_record(
            a_record(name, "failed", strategy=text[:200], error={"category": "crash", "message": text})
        )
        for name, text in said
    ]
    facts = dataclasses.replace(FACTS, description=NAMES[0], notes=NAMES, problems=NAMES)
    report, paths = write_summary(tmp_path, facts, rows)
    document = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert document["notes"] == list(NAMES)
    with paths["csv"].open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    again = read_report(paths["report"].read_bytes())
    assert again.batch == report.batch
    for (name, text), run, line, fact in zip(said, document["runs"], table, again.failed, strict=True):
        text = text.encode("utf-8", "backslashreplace").decode()
        assert (run["name"], run["error"]["message"]) == (name, text)
        assert (fact.run, fact.error) == (name, text[:4_000])
        assert line["run"] == name
        assert None not in line
        assert not line["error"].startswith(("=", "+", "-", "@", "\t", "\r"))


def test_an_empty_batch_proves_nothing(tmp_path):
    empty = dataclasses.replace(FACTS, expected=0, success=0, failed=0, not_run=0)
    assert "nothing is proven" in write_summary(tmp_path, empty, [])[1]["md"].read_text()


def test_a_failure_without_a_category_counts_as_unknown():
    row = SummaryRow.of_record(a_record("odd", "failed", error=None))
    assert row.error_category == "unknown"
