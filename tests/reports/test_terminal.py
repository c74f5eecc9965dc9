"""What a terminal is told of a report: a table that fits, and nothing in it that does anything."""

import dataclasses

import pytest
from rich.cells import cell_len

from pytest_finbot.baselines.facts import Difference
from pytest_finbot.contracts import CheckResult, Verdict
from pytest_finbot.reports.facts import BatchFacts, GateFacts, WaiverFacts
from pytest_finbot.reports.report import ComparisonFact, Report, RunFacts, ShardFacts
from pytest_finbot.reports.terminal import MOST_ROWS, batch_lines, harmless, harmless_text
from tests.reports.hostile import MESSAGES, NAMES, SURROGATE

FACTS = BatchFacts(
    batch_id="batch-20261121T000000Z-aaaaaa",
    batch_name="core",
    description="",
    source="finbot.yaml",
    status="partial",
    started_at="2026-11-21T00:00:00.000+00:00",
    finished_at="2026-11-21T00:00:01.000+00:00",
    seconds=1.0,
    expected=3,
    recorded=3,
    success=0,
    failed=3,
    not_run=0,
    deselected=0,
    error_categories={"regression": 3},
    problems=(),
    notes=(),
    provenance={},
    gate=GateFacts("baselines/core", "any", {"moved": 3}),
    file="finbot.yaml",
)


def moved(name, bp=10.0, change=-12.5, **more):
    largest = Difference("2020-01-03", 100.0, 99.0, -1.0, bp / 1e4)
    final = Difference("2020-01-09", 100.0, 100.0 + change, change, change / 100.0)
    comparison = ComparisonFact("moved", "refactor", first_session="2020-01-02", largest=largest, final=final)
    return RunFacts(
        name, f"b/{name}", "failed", verdict="moved", category="regression", comparison=comparison, **more
    )


def broken(name, error="it broke", status="failed"):
    return RunFacts(name, f"b/{name}", status, category="engine_error", phase="simulate", error=error)


def lines(report, width=80):
    return [harmless(line.text) for line in batch_lines(report, width=width)]


def table_of(said):
    """The lines of the table."""
    start = next(number for number, line in enumerate(said) if line.startswith("  RUN"))
    return said[start:]


def test_a_row_says_how_far_when_and_since_when():
    said = lines(Report(FACTS, changed=(moved("core_us"),), failed=(broken("other", "first\nsecond"),)))
    head, row, failed, accept = table_of(said)
    assert row == "  core_us  moved      -12.50  +10.0 bp on 2020-01-03  2020-01-02"
    assert head.index("WHAT") == row.index("moved")
    assert failed == "  other    engine_error in simulate: first"
    assert accept == (
        "  accept it: pytest --finbot-batch finbot.yaml --finbot-accept 'core_us' --finbot-reason '…'"
    )


def test_numbers_that_are_very_large_or_small_say_something_and_cost_no_column():
    changed = (moved("huge", 1e305, -1.25e300), moved("fee", -0.001, -0.01), moved("core_us"))
    head, huge, fee, core, *_ = table_of(lines(Report(FACTS, changed=changed)))
    assert head.split() == ["RUN", "WHAT", "NAV", "CHANGE", "FURTHEST", "SINCE"]
    assert huge.split()[1:] == ["moved", "-1.25e+300", "+1e+305", "bp", "on", "2020-01-03", "2020-01-02"]
    assert fee.split()[1:] == ["moved", "-0.01", "-0.001", "bp", "on", "2020-01-03", "2020-01-02"]
    assert core.split()[1:] == ["moved", "-12.50", "+10.0", "bp", "on", "2020-01-03", "2020-01-02"]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
def test_a_table_fits_the_terminal_and_a_name_keeps_both_ends(width):
    names = [f"momentum_{'very_' * 12}{end}" for end in ("one", "two")]
    report = Report(
        dataclasses.replace(FACTS, gate=None),
        changed=tuple(map(moved, names)),
        failed=(broken("x" * 90, "y" * 200),),
    )
    said = table_of(lines(report, width))
    assert all(cell_len(line) <= max(width, 40) for line in said)
    assert [line.split()[0].endswith(end) for line, end in zip(said[1:3], ("one", "two"), strict=True)] == [
        True,
        True,
    ]


def test_so_many_rows_and_failures_are_never_crowded_out():
    report = Report(
        FACTS,
        changed=tuple(moved(f"m{number}") for number in range(100)),
        changed_not_listed=7,
        failed=tuple(broken(f"f{number}") for number in range(30)),
    )
    said = lines(report)
    rows = [line for line in said if line.startswith(("  m", "  f"))]
    assert len(rows) == MOST_ROWS
    assert sum(line.startswith("  f") for line in rows) == 5
    assert "  and 92 more that moved, 25 more that failed or were not run: see the summary" in said


def test_what_was_not_run_comes_last_and_is_not_silent():
    report = Report(FACTS, failed=(broken("left", status="not_run"), broken("wrong")))
    rows = [line for line in lines(report) if "  left" in line or "  wrong" in line]
    assert rows == ["  wrong  engine_error in simulate: it broke", "  left   not run: it left no record"]


def test_what_cannot_be_accepted_into_a_folder_has_no_command():
    for source in ("batch:batch-1", "git:HEAD (abc)"):
        gate = dataclasses.replace(FACTS.gate, source=source)
        report = Report(dataclasses.replace(FACTS, gate=gate), changed=(moved("one"),))
        assert "accept" not in "\n".join(lines(report))
    slices = Report(FACTS, changed=(moved("one.2020-01-02_2020-02-01"),))
    assert "accept" not in "\n".join(lines(slices))


def test_a_run_with_two_results_is_not_said_to_have_moved_nor_to_be_accepted():
    twice = CheckResult("determinism", Verdict.MOVED, "executed again it differs")
    said = "\n".join(lines(Report(FACTS, changed=(moved("one", checks=(twice,)),))))
    assert "one  not deterministic  " in said
    assert "accept" not in said


def is_harmless(line):
    return (
        line.isprintable()
        and "##[" not in line
        and not line.lstrip().startswith("::")
        and line.encode("utf-8") is not None
    )


@pytest.mark.parametrize("name", [*NAMES, SURROGATE])
def test_no_name_does_anything(name):
    waiver = WaiverFacts(name, name, name, name, name, name, "expired", name)
    gate = GateFacts(name, "any", {name: 1}, (name,), (waiver,), (name,), (name,), 1)
    facts = dataclasses.replace(
        FACTS,
        batch_name=name,
        file=name,
        gate=gate,
        problems=(name,),
        notes=(name,),
        error_categories={name: 1},
    )
    report = Report(
        facts,
        changed=(moved(name), dataclasses.replace(moved(name), verdict=name)),
        failed=(broken(name, name),),
        shards=ShardFacts(2, "0" * 64, (1,), (1, 1)),
    )
    said = lines(report)
    assert len(said) == len(list(batch_lines(report, width=80)))
    assert [line for line in said if not is_harmless(line)] == []
    rows = table_of(said)[:4]
    assert all(cell_len(line) <= 80 for line in rows)


@pytest.mark.parametrize("message", [*MESSAGES, SURROGATE], ids=range(len(MESSAGES) + 1))
def test_no_message_of_several_lines_does_anything(message):
    said = harmless_text(f"a\tb\n{message}\n  {message}")
    for line in said.split("\n"):
        assert all(map(is_harmless, line.split("\t"))), line
    assert said.startswith("a\tb\n")


def test_what_is_harmless_stays_as_it_is():
    text = (
        "moved: final NAV 468,619.37 → 225,592.22 (-51.86 %)\n\n  at examples/finbot.yaml::one: é 漢字 #12 ##"
    )
    assert harmless_text(text) == text
