"""Comparisons with another engine in words: in the summary, and in the terminal."""

import dataclasses
import json

import pytest

from pytest_finbot.reports.compared import (
    MOST_TOLD,
    ComparedCheck,
    ComparedFacts,
    DifferencePart,
    NavApart,
    compared_lines,
)
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.summary import write_summary

BATCH = BatchFacts(
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
WITHIN = ComparedFacts(
    run="mine",
    engine="bt",
    reference="ref",
    reference_engine="portfolio",
    preset="cross_engine",
    informational=True,
    verdict="within",
    apart_since="2020-01-03",
    final=NavApart("2020-01-09", 1000.0, 1010.0, 10.0, 0.01),
    furthest=NavApart("2020-01-07", 900.0, 918.0, 18.0, 0.02),
    fills=1200,
    reference_fills=1300,
    rejected_orders=0,
    reference_rejected_orders=0,
    parts=(
        DifferencePart("fill timing", "close", "next_close", 9.0, 95.0, "2020-01-07"),
        DifferencePart("units", "fractional", "whole", 0.5),
    ),
    rest=0.5,
    same=("cash buffer", "costs", "rejections"),
)
MOVED = dataclasses.replace(
    WITHIN,
    verdict="moved",
    informational=False,
    first_session="2020-01-06",
    first_checks=("nav",),
    moved=(ComparedCheck("nav", "3 of 6 sessions out of tolerance", 18.0, 9.0),),
)
NOTHING = ComparedFacts(
    "mine", "bt", "ref", "portfolio", "cross_engine", True, "not_comparable", why_not="ref failed (timeout)"
)


def page(tmp_path, *compared, **changes):
    facts = dataclasses.replace(BATCH, compared=compared, **changes)
    write_summary(tmp_path, facts, ())
    text = (tmp_path / "batch_summary.json").read_text(encoding="utf-8")
    assert len(json.loads(text)["compared"]) == len(compared)
    return (tmp_path / "batch_summary.md").read_text(encoding="utf-8")


def test_a_line_says_how_far_apart_two_engines_are_and_why():
    assert list(compared_lines([WITHIN])) == [
        "  mine (bt) against ref (portfolio): within, "
        "final NAV 1,000.00 → 1,010.00 (+10.00, +1.00 %, +100.0 bp), "
        "furthest apart +200.0 bp on 2020-01-07, 1,200 fills, 1,300 there",
        "    of +10.00: fill timing +9.00, units +0.50, the engine's own +0.50",
    ]


def test_what_fails_comes_first_and_the_rest_is_counted():
    lines = list(compared_lines([WITHIN, NOTHING, MOVED]))
    heads = [line.split(": ")[1] for line in lines if not line.startswith("    ")]
    assert [head.split(",")[0] for head in heads] == [
        "moved (fails the gate)",
        "not comparable (informational",
        "within",
    ]
    assert "first out of tolerance on 2020-01-06 (nav)" in lines[0]
    assert "not comparable (informational: fails nothing): ref failed (timeout)" in lines[2]
    many = [dataclasses.replace(NOTHING, run=f"run_{n}") for n in range(MOST_TOLD + 3)]
    lines = list(compared_lines(many))
    assert len(lines) == MOST_TOLD + 1
    assert lines[-1] == "  and 3 more compared with another run"


def test_what_is_left_by_rounding_alone_is_nothing():
    rounded = dataclasses.replace(WITHIN, rest=-3e-11)
    assert list(compared_lines([rounded]))[1].endswith("the engine's own +0.00")
    assert rounded.rest == -3e-11


def test_no_difference_is_not_split():
    same = dataclasses.replace(WITHIN, final=NavApart("2020-01-09", 5.0, 5.0, 0.0, 0.0), furthest=None)
    assert len(list(compared_lines([same]))) == 1


@pytest.mark.parametrize(
    ("facts", "regressions"),
    [(WITHIN, 0), (MOVED, 1), (NOTHING, 0), (dataclasses.replace(NOTHING, informational=False), 1)],
)
def test_what_fails_the_gate_is_counted_and_said_first(tmp_path, facts, regressions):
    assert dataclasses.replace(BATCH, compared=(facts,)).regressions == regressions
    text = page(tmp_path, facts)
    first = text.split("**")[1]
    if regressions:
        assert first == "1 is out of tolerance against another engine, or could not be compared with it."
    else:
        assert first == "All 3 backtests ran and their books add up."


def test_the_section_has_both_tables(tmp_path):
    text = page(
        tmp_path, MOVED, NOTHING, dataclasses.replace(WITHIN, parts=(), rest=None, why_not_split="no")
    )
    assert (
        "| `mine` | `bt` | `ref` | `portfolio` | **moved** "
        "| 1,000.00 → 1,010.00 (+10.00, +1.00 %, +100.0 bp) | +2.00 %, +200.0 bp on 2020-01-07 "
        "| 2020-01-03 | 2020-01-06: `nav` | 1,200 | 1,300 |"
    ) in text
    assert "not comparable (informational): ref failed (timeout)" in text
    assert "| +9.00 (close → next\\_close) |  | +0.50 (fractional → whole) |  |  | +0.50 |" in text
    assert "| `mine` | +10.00 | cannot be split: no | | | | | |" in text
    assert len(text.split("## Compared with another engine")) == 2


def test_words_of_others_are_no_markup(tmp_path):
    hostile = "<b>@all | `x` \n# head"
    facts = dataclasses.replace(
        NOTHING, run="a|b", engine="own:`x`", why_not=hostile, notes=(hostile,), informational=False
    )
    split = dataclasses.replace(WITHIN, parts=(), rest=None, why_not_split=hostile)
    text = page(tmp_path, facts, split)
    section = text.partition("## Compared")[2].partition("\n## ")[0]
    assert "<b>" not in section
    assert "@all" not in section
    assert "\n# head" not in section


def test_what_is_no_number_is_said_to_be_none(tmp_path):
    odd = dataclasses.replace(
        WITHIN,
        final=NavApart("2020-01-09", 1000.0, None, None, None),
        furthest=NavApart("2020-01-07", 900.0, None, None, None),
        parts=(),
        rest=None,
        why_not_split="the difference is no number",
    )
    assert "1,000.00 → no number" in page(tmp_path, odd)
    assert "final NAV 1,000.00 → no number" in next(compared_lines([odd]))


def test_of_many_the_first_fifty_are_listed(tmp_path):
    text = page(tmp_path, *(dataclasses.replace(WITHIN, run=f"run_{n}") for n in range(53)))
    assert "3 more are in `batch_summary.json`." in text
    assert text.count("| `run_49` |") == 2
    assert "`run_50`" not in text
