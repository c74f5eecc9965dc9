"""The batch summary's section on prices and marks: what runs had to do without, each thing once."""

import json

import pytest

from pytest_finbot.reports import price_facts, warning_facts
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.rows import SummaryRow
from pytest_finbot.reports.summary import write_summary

FACTS = BatchFacts(
    batch_id="batch-20260101T000000Z-aaaaaa",
    batch_name="small",
    description="",
    source="finbot.yaml",
    status="completed",
    started_at="2026-01-01T00:00:00.000+00:00",
    finished_at="2026-01-01T00:00:02.000+00:00",
    seconds=2.0,
    expected=3,
    recorded=3,
    success=3,
    failed=0,
    not_run=0,
    deselected=0,
    error_categories={},
    problems=(),
    notes=(),
    provenance={},
)
FALLBACK = {"session": "2012-10-19", "asset": "KO", "from_session": "2012-10-18", "age": 1}
UNMARKED = {"session": "2012-10-26", "asset": "KO", "why": "its last price is of 2012-10-18"}


def missing(policy, filled=None, dropped=0, look_ahead=False):
    return {
        "missing": {
            "policy": policy,
            "filled": filled or {},
            "dropped": [],
            "dropped_count": dropped,
            "first": "2012-10-19" if filled or dropped else None,
            "look_ahead": look_ahead,
        }
    }


def odd(*messages, count=None):
    findings = [{"kind": "jump", "severity": "odd", "message": message} for message in messages]
    return {"odd": findings, "odd_count": len(messages) if count is None else count}


def row(name, data_notes=None, mark_notes=None):
    return SummaryRow.of_record(
        {
            "run_id": f"{FACTS.batch_id}/{name}",
            "name": name,
            "status": "success",
            "data_notes": data_notes or {},
            "mark_notes": mark_notes or {},
        }
    )


@pytest.fixture
def told(tmp_path):
    """The section (empty where there is none) and the JSON document of a summary of these rows."""

    def write(*rows):
        paths = write_summary(tmp_path, FACTS, rows)[1]
        words = paths["md"].read_text()
        _, _, section = words.partition("## Prices and marks\n")
        return section.partition("\n## ")[0], json.loads(paths["json"].read_text())

    return write


def line_of(section, run):
    (line,) = [line for line in section.splitlines() if line.startswith(f"| `{run}` |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_where_nothing_is_missing_or_odd_there_is_no_section(told):
    section, document = told(row("plain"), row("none_missing", missing("forward_fill")), row("x", None))
    assert section == ""
    assert document["prices"]["runs_with_missing_prices"] == 0
    assert document["odd"] == []


def test_each_run_tells_its_policy_what_it_put_in_and_what_it_left_out(told):
    section, document = told(
        row("filled", missing("forward_fill", {"KO": 5, "XOM": 2})),
        row("dropped", missing("drop", dropped=6)),
        row("plain"),
    )
    assert line_of(section, "filled")[:4] == ["`forward_fill`", "7 of `KO`, `XOM`", "0", "2012-10-19"]
    assert line_of(section, "dropped")[:4] == ["`drop`", "0", "6", "2012-10-19"]
    assert "`plain`" not in section
    assert "LOOK-AHEAD" not in section
    assert document["prices"]["runs_with_missing_prices"] == 2


def test_look_ahead_is_said_in_clear_words_and_of_each_run(told):
    section, document = told(
        row("drawn", missing("interpolate", {"KO": 6}, look_ahead=True), {"look_ahead_count": 4, "held": 9}),
        row("could_but_did_not", missing("backfill", look_ahead=True)),
        row("had_no_need", missing("backfill", look_ahead=True), {"fallback_count": 1, "held": 9}),
    )
    assert "**LOOK-AHEAD in 1 run:** `drawn`." in section
    assert "nobody could have traded on them" in section
    assert line_of(section, "drawn")[0] == "`interpolate`, **LOOK-AHEAD**"
    assert line_of(section, "drawn")[5] == "4"
    assert "could_but_did_not" not in section
    assert line_of(section, "had_no_need")[0] == "`backfill`"
    assert document["prices"]["look_ahead_runs"] == 1


def test_old_marks_and_positions_without_one_are_told_by_the_first(told):
    section, _ = told(
        row("engine_without_marks", None, {"fallback_count": 5, "fallbacks": [FALLBACK], "held": 9}),
        row("unmarked", None, {"unmarked_count": 1, "unmarked": [UNMARKED], "held": 9}),
        row("closes", None, {"fallback_count": 2, "fallbacks": [{**FALLBACK, "age": 0}], "held": 9}),
    )
    cells = line_of(section, "engine_without_marks")
    assert cells[0] == "`error`"
    assert cells[4] == "5: first `KO` on 2012-10-19, at the price of 2012-10-18"
    assert line_of(section, "unmarked")[6] == "1: first `KO` on 2012-10-26"
    assert (
        line_of(section, "closes")[4]
        == "2: first `KO` on 2012-10-19, at the market's close for want of a mark"
    )


def test_the_same_finding_of_many_runs_is_told_once_the_most_frequent_first(told):
    section, document = told(
        row("a", odd("KO: jump", "XOM: jump")),
        row("b", odd("XOM: jump", "XOM: jump")),
        row("c", odd("XOM: jump")),
        row("d"),
    )
    assert "The prices of 3 runs are odd" in section
    assert section.index("| 3 | XOM: jump |") < section.index("| 1 | KO: jump |")
    assert section.count("XOM: jump") == 1
    assert document["odd"] == [
        {"kind": "jump", "message": "XOM: jump", "runs": 3, "run": "a"},
        {"kind": "jump", "message": "KO: jump", "runs": 1, "run": "a"},
    ]


def test_lists_are_bounded_and_what_is_left_out_is_counted(told, monkeypatch):
    monkeypatch.setattr(price_facts, "MOST_RUNS", 2)
    monkeypatch.setattr(price_facts, "MOST_FINDINGS", 3)
    monkeypatch.setattr(price_facts, "_MOST_KEPT", 5)
    filled = missing("backfill", {f"S{n}": 1 for n in range(7)}, look_ahead=True)
    rows = [row(f"run_{n}", {**filled, **odd(f"finding {n}", count=4)}) for n in range(8)]
    section, document = told(*rows)
    assert "**LOOK-AHEAD in 8 runs:** `run_0`, `run_1`, `run_2`, `run_3`, `run_4`, …." in section
    assert line_of(section, "run_0")[1] == "7 of `S0`, `S1`, `S2`, `S3`, `S4` and 2 more"
    assert "`run_2` |" not in section
    assert "6 more had prices missing; they are in `batch_summary.json`." in section
    assert section.count("| 1 | finding") == 3
    # Three of each run are beyond what its record names; the last three runs' are too many.
    assert document["prices"] == {
        "runs_with_missing_prices": 8,
        "look_ahead_runs": 8,
        "odd_runs": 8,
        "odd_not_listed": 2,
        "odd_not_told_apart": 8 * 3 + 3,
    }
    assert "2 more are in `batch_summary.json`, with the runs that have them. 27 further findings" in section


def test_warnings_of_runs_are_told_once_but_for_what_is_told_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(warning_facts, "MOST_WARNINGS", 2)
    monkeypatch.setattr(warning_facts, "_MOST_KEPT", 3)

    def warned(name, *messages):
        record = {**row(name, odd("KO: jump")).record, "warnings": ["KO: jump", *messages]}
        return SummaryRow.of_record(record)

    rows = [
        warned("a", "data.missing: interpolate looks ahead: 6 prices"),
        warned("b", "NAV is -1.00", "cash is -5.00 after the withdrawal"),
        warned("c", "cash is -5.00 after the withdrawal", "third"),
        warned("d", "fourth"),
    ]
    words = write_summary(tmp_path, FACTS, rows)[1]["md"].read_text()
    section = words.partition("## Warnings\n")[2].partition("\n## ")[0]
    assert section.strip().splitlines()[2:] == [
        "| 2 | `b` | cash is -5.00 after the withdrawal |",
        "| 1 | `b` | NAV is -1.00 |",
        "",
        "2 more are in `batch_summary.json`.",
    ]
    assert "## Warnings" not in write_summary(tmp_path, FACTS, rows[:1])[1]["md"].read_text()


def test_a_part_is_listed_with_the_day_its_metrics_are_from(tmp_path):
    record = {
        "run_id": f"{FACTS.batch_id}/dual.wf01_out",
        "name": "dual.wf01_out",
        "status": "success",
        "start_date": "2010-01-04",
        "end_date": "2013-01-03",
        "part": {"of": "dual", "kind": "out_of_sample", "number": 1, "own_from": "2012-01-04"},
    }
    words = write_summary(tmp_path, FACTS, [SummaryRow.of_record(record)])[1]["md"].read_text()
    assert "| 2012-01-04, executed from 2010-01-04 | 2013-01-03 |" in words


def test_a_finding_cannot_be_markup(told):
    section, _ = told(row("a", odd("K|O <b>: *jump*\nnext")))
    assert r"| 1 | K\|O &lt;b&gt;: \*jump\* next |" in section


def test_every_line_of_the_json_after_the_runs_is_whole(tmp_path):
    """Other documents copy it line by line, and put something in front of its last line."""
    for rows in ((), (row("a", odd("KO: jump")),)):
        lines = write_summary(tmp_path, FACTS, rows)[1]["json"].read_text().splitlines()
        assert lines[-1] == "]}"
        json.loads("\n".join(lines[:-1]) + '],"reports":{}}')
