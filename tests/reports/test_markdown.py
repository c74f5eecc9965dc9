"""The page in Markdown: what it says first, that nobody's words do anything in it, that it always fits."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.baselines.facts import Curve
from pytest_finbot.reports.compared import ComparedCheck, ComparedFacts, NavApart
from pytest_finbot.reports.facts import GateFacts, WaiverFacts
from pytest_finbot.reports.markdown import LIMIT, markdown_report
from pytest_finbot.reports.markdown import page as page_module
from pytest_finbot.reports.markdown.cutting import cut_to_fit
from pytest_finbot.reports.markdown.page import MOST_POINTS, drawn
from pytest_finbot.reports.phase_facts import PhaseFacts
from pytest_finbot.reports.report import Report, RunFacts, ShardFacts
from pytest_finbot.reports.stitched import StitchedFacts, StitchedPart
from pytest_finbot.reports.warning_facts import Warned
from pytest_finbot.reports.words import code, html_name, name, plain, shown
from tests.reports.hostile import MESSAGES, NAMES, SURROGATE
from tests.reports.rendered import Rendered
from tests.reports.test_report import FINE, GATE, moved, report_of
from tests.reports.test_summary import a_record

OURS = {
    *("h1", "h2", "p", "strong", "br", "code", "pre", "hr", "ul", "li", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


MOVED = dataclasses.replace(GATE, verdicts={"moved": 1})


# ------------------------------------------------------------------------------ names and messages


@pytest.mark.parametrize("said", [*MESSAGES, SURROGATE], ids=range(len(MESSAGES) + 1))
@pytest.mark.parametrize("spell", [plain, code, name])
def test_words_of_others_are_shown_and_do_nothing(spell: Callable[[str], str], said: str) -> None:
    if spell is name and len(shown(said)) > 120:
        said = said[:20]  # longer ones are not shown whole
    words = spell(said)
    page = Rendered(
        f"{words}\n\n- {words}\n- x {words}\n\n| a | b |\n|---|---|\n| {words} | x{words}y |\n| c | d |\n\n"
        f"<details>\n<summary>{code(said)}: {html_name(said[:100])}</summary>\n\n{words} x\n\n</details>\n"
    )
    visible = shown(said) or ("(no name)" if spell is name else "")
    assert page.tables == [[["a", "b"], [visible, f"x{visible}y"], ["c", "d"]]]
    assert set(page.tags) - {f"/{tag}" for tag in OURS} <= OURS
    assert page.found_later() == []
    benign = Rendered(page.page.replace(words, "x").replace(code(said), "x")) if words else page
    assert [tag for tag in page.skeleton if tag != "p"] == [tag for tag in benign.skeleton if tag != "p"]


def test_no_long_name_is_shown_whole_and_its_ends_are() -> None:
    assert shown("x") == "x"
    page = Rendered(f"| a |\n|---|\n| {name('first' + 'x' * 500 + 'last')} |\n")
    [[_, [cell]]] = page.tables
    assert len(cell) == 120
    assert cell.startswith("first")
    assert cell.endswith("last")
    assert "…" in cell


# ------------------------------------------------------------------------------ a whole page


def rich(words: str = "calm") -> Report:
    """A report with something in every section, each text of it ``words``."""
    apart = NavApart("2020-01-09", 1000.0, 1010.0, 10.0, 0.01)
    check = ComparedCheck("nav", words, 1.0, 0.5)
    part = StitchedPart("one", "2020-01-01", "2020-01-09", 7, {"final_nav": 1.0})
    gate = GateFacts(
        words,
        "any",
        {"identical": 3, "moved": 1, "within": 1},
        missing=(words,),
        waivers=(WaiverFacts(words, words, words, words, words, words, "expired", words),),
        accepted=(words,),
        refused=(words,),
        unchanged=2,
    )
    facts = dataclasses.replace(
        FINE,
        description=words,
        problems=(words,),
        notes=(words,),
        gate=gate,
        phases=(PhaseFacts("simulate", 3, 1.0, 0.3, 0.5, words, 1, {words: 4}),),
        stitched=(
            StitchedFacts("whole", "slice", (part,), "2020-01-01", "2020-01-09", 7, 1.0, {}, holes=(words,)),
            StitchedFacts("none", "out_of_sample", (), why_not=words),
        ),
        compared=(
            ComparedFacts("a", "bt", "b", "portfolio", "parity", False, "moved", None, False, "2020-01-02",
                          ("nav",), "2020-01-02", apart, apart, (check,), notes=(words,),
                          why_not_split=words),
        ),
        provenance={"git commit": "abc", "host": words},
    )  # fmt: skip
    missing = {"policy": "drop", "filled": {"KO": 1}, "look_ahead": True}
    odd = {"data_notes": {"odd": [{"kind": "jump", "message": words}], "odd_count": 1, "missing": missing}}
    failed = {"error": {"category": "engine_error", "phase": "simulate", "message": words}}
    manifest = {
        "common": {"symbols": ["A"], "start_date": "2020-01-01", "end_date": "2020-12-31"},
        "runs": [
            {"name": n, "line": 3, "strategy": n, "params": {"x": n}} for n in ("fine", "other", "third")
        ],
    }
    report = report_of(
        moved("far", -300.0), moved("near", 20.0), a_record("fine", metrics={"sharpe": 1.0}, **odd),
        a_record("other", metrics={"sharpe": 2.0}), a_record("third", metrics={"sharpe": None}),
        a_record("bad", "failed", **failed), facts=facts, manifest=manifest,
    )  # fmt: skip
    return dataclasses.replace(
        report, warnings=(Warned(words, 2, "fine"),), shards=ShardFacts(3, "plan", (1, 3))
    )


def replaced(value: Any, words: str) -> Any:
    """``value`` with every text in it replaced, those it is known by in a mapping left alone."""
    if isinstance(value, str):
        return words if value else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (one for one in dataclasses.fields(value) if one.init)
        return dataclasses.replace(
            value, **{one.name: replaced(getattr(value, one.name), words) for one in fields}
        )
    if isinstance(value, Mapping):
        return {key: replaced(child, words) for key, child in value.items()}
    if isinstance(value, tuple):
        return tuple(replaced(child, words) for child in value)
    return value


BENIGN = Rendered(markdown_report(replaced(rich(), "calm")))


@pytest.mark.parametrize("said", [*NAMES[:-2], SURROGATE], ids=range(len(NAMES) - 1))
def test_a_report_that_is_hostile_in_every_word_has_the_form_of_any_other(said: str) -> None:
    page = Rendered(markdown_report(replaced(rich(said), said), limit=10**7, size=10**7))
    assert page.skeleton == BENIGN.skeleton
    assert not re.search(r"^\s*/", page.page, re.MULTILINE)  # a command to GitLab, or to a bot
    assert [[len(row) for row in table] for table in page.tables] == [
        [len(row) for row in table] for table in BENIGN.tables
    ]
    assert page.found_later() == []
    told = " ".join(shown(said).replace("_", " ").split())
    if len(told) < 60:
        assert sum(
            " ".join(cell.replace("_", " ").split()).count(told)
            for table in page.tables
            for row in table
            for cell in row
        ) >= sum(cell.count("calm") for table in BENIGN.tables for row in table for cell in row)


def extreme(value: Any, number: float) -> Any:
    """``value`` with ``number`` for every float in it, and for each whole number one of that sign."""
    if isinstance(value, float):
        return number
    if isinstance(value, int) and not isinstance(value, bool):
        return min(int(number), 2**63)
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, ShardFacts)):
        fields = (one for one in dataclasses.fields(value) if one.init)
        return dataclasses.replace(
            value, **{one.name: extreme(getattr(value, one.name), number) for one in fields}
        )
    if isinstance(value, Mapping):
        return {key: extreme(child, number) for key, child in value.items()}
    if isinstance(value, tuple):
        return tuple(extreme(child, number) for child in value)
    return value


@pytest.mark.parametrize("number", [1e308, -1e308, 5e-324, -0.0])
def test_numbers_that_nobody_has_are_shown_all_the_same(number: float) -> None:
    page = markdown_report(extreme(rich(), number))
    assert len(page) <= LIMIT
    assert Rendered(page).found_later() == []
    odd = {"trades": ["x"], "sharpe": "</td>@team", "max_drawdown": True, "final_nav": 10**30}
    report = rich()
    run = dataclasses.replace(report.changed[0], metrics=odd)
    page = markdown_report(dataclasses.replace(report, changed=(run,)))
    assert set(Rendered(page).tags) - {f"/{tag}" for tag in OURS} <= OURS


def test_the_page_says_what_matters_first() -> None:
    page = markdown_report(rich())
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert titles == [
        "Problems of the record", "Changed runs", "Counts", "Ranking", "Causes", "Each changed run", "Gate",
        "Failed and missing runs", "How to accept", "Compared with another engine", "Put together",
        "Prices and marks", "Warnings", "Runs", "Phases", "Notes on the record", "Provenance",
    ]  # fmt: skip
    head = page.partition("\n## ")[0]
    assert "1 of 3 backtests moved past tolerance. 1 accepted backtest is missing. 1 waiver expired." in head
    assert "Shard 2 of 3 is missing." in head
    assert "Worst: `far`, NAV 100,000.00 → 97,000.00 (-3,000.00, -3.00 %, -300.0 bp) on 2020-01-02." in head
    assert "`▄` difference in NAV" in head
    assert (
        "| `far` | moved | 100,000.00 → 97,000.00 (-3,000.00) | -300.0 bp on 2020-01-02 | 2020-01-02 |"
        in page
    )
    assert "`refactor`, `nav` within 0.5 |" in page
    assert (
        "3 bit-identical, 1 within tolerance (near a limit: 0), 1 moved, 0 new, 1 missing, 0 waived" in page
    )
    assert "| code changed: strategies | 2 | `far`, `near` |" in page
    assert "- now: 2020-01-02 buy 1 AAPL at 2, fee 0" in page
    assert "accepted 2026-01-01T00:00:00Z by A at commit `abc`: first" in page
    assert "--finbot-accept='*' --finbot-reason" in page
    assert "| shards | shards 2 of 3, missing 2 |" in page
    assert "| Sharpe | best | `other` | 2.000 | `strategy` other, `x` other |" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "All 3 backtests ran, their books add up, and none fails the gate."),
        ({"gate": None}, "All 3 backtests ran and their books add up."),
        ({"problems": ("damaged",)}, "The record has problems."),
        ({"expected": 0, "recorded": 0, "success": 0}, "No run was selected: nothing is proven."),
        ({"not_run": 1, "status": "partial"}, "1 of 3 backtests did not run."),
        ({"status": "running"}, "The batch did not come to its end: running."),
        ({"failed": 1, "error_categories": {"regression": 1}, "gate": MOVED},
         "1 of 3 backtests moved past tolerance."),
        ({"gate": dataclasses.replace(GATE, missing=("gone",))}, "1 accepted backtest is missing."),
        ({"failed": 2, "error_categories": {"regression": 2},
          "gate": dataclasses.replace(GATE, verdicts={"new": 2, "identical": 1})},
         "2 of 3 backtests have no accepted baseline."),
    ],
)  # fmt: skip
def test_the_verdict_is_never_better_than_the_batch(changes: dict[str, Any], said: str) -> None:
    report = report_of(facts=dataclasses.replace(FINE, **changes))
    assert f"**{said}**" in markdown_report(report)
    part = dataclasses.replace(report, shards=ShardFacts(3, "plan", (1, 3)))
    if batch_is_there := report.batch.expected:
        assert "Shard 2 of 3 is missing." in markdown_report(part)
    assert batch_is_there or "nothing is proven" in markdown_report(part)
    assert ("All 3" in said) is (report.verdict in ("passed", "not_gated"))


def test_a_waived_move_is_in_the_verdict_and_says_who_answers_for_it() -> None:
    facts = dataclasses.replace(FINE, gate=dataclasses.replace(GATE, verdicts={"waived": 1, "identical": 2}))
    run = moved("late", 1.0)
    said = dict(run["comparison"], verdict="waived", waived_by=["agreed (Ada; until 2026-12-31)"])
    page = markdown_report(report_of({**run, "verdict": "waived", "comparison": said}, facts=facts))
    assert "none fails the gate. 1 moved and is waived.**" in page
    assert "| waived: agreed (Ada; until 2026-12-31) |" in page


def test_fewer_parts_in_sample_than_out_of_it_are_shown_as_far_as_they_go() -> None:
    part = StitchedPart("a", "2020-01-01", "2020-01-09", 7, {"sharpe": 1.25})
    for before in ((part,), (None, part)):
        whole = StitchedFacts("whole", "out_of_sample", (part, part), in_sample=before)
        page = markdown_report(report_of(facts=dataclasses.replace(FINE, stitched=(whole,))))
        assert page.count("| `a` | \u2013 | \u2013 | 1.250 | 1.250 |") == 1


def test_a_command_that_people_copy_holds_nothing_but_plain_names() -> None:
    one = report_of(moved("calm", 1.0), facts=dataclasses.replace(FINE, file="sub/finbot.yaml"))
    assert "pytest --finbot-batch sub/finbot.yaml --finbot-accept='calm' " in markdown_report(one)
    assert "finbot-accept='calm' --finbot-reason \"…\"\n" in markdown_report(one)
    hostile = report_of(moved("$(rm -r .)", 1.0), facts=dataclasses.replace(FINE, file="a'; rm -r ."))
    assert "pytest --finbot-batch FILE --finbot-accept='*' " in markdown_report(hostile)
    assert "How to accept" not in markdown_report(report_of(a_record("fine")))


def test_the_first_line_does_not_say_all_where_some_were_not_asked_for() -> None:
    page = markdown_report(report_of(a_record("fine"), facts=dataclasses.replace(FINE, deselected=2)))
    assert "none fails the gate. 2 more were deselected.**" in page


def test_what_accepting_would_refuse_has_no_command() -> None:
    facts = dataclasses.replace(
        FINE, error_categories={"regression": 1}, gate=dataclasses.replace(GATE, verdicts={"moved": 1})
    )
    twice = {**moved("a", 1.0), "checks": [{"name": "determinism", "verdict": "moved", "message": "differs"}]}
    page = markdown_report(report_of(twice, facts=facts))
    assert "How to accept" not in page
    assert "moved past tolerance, or gave another result when executed again.**" in page
    assert "| `a` | moved (not deterministic) |" in page
    slices = report_of(moved("a.2020-01-02_2020-02-01", 1.0), facts=facts)
    other = dataclasses.replace(facts, gate=GateFacts("batch:batch-1", "any", {"moved": 1}))
    for report in (slices, report_of(moved("a", 1.0), facts=other)):
        assert "moved past tolerance.**" in markdown_report(report)
        assert "How to accept" not in markdown_report(report)


# ------------------------------------------------------------------------------ curves


def test_a_curve_is_drawn_by_what_is_furthest_in_each_part() -> None:
    bp = [0.0] * 400
    bp[123] = -50.0
    line = drawn(Curve(tuple(f"day {n}" for n in range(400)), tuple(bp)))
    assert line is not None
    assert len(line.blocks) == 40
    assert line.blocks.count("▁") == 1
    assert (line.first, line.last, line.least, line.greatest) == ("day 0", "day 399", -50.0, 0.0)
    gap = drawn(Curve(("a", "b", "c"), (None, 1.0, None)))
    assert gap is not None
    assert gap.blocks == "·▄·"
    assert drawn(Curve(("a",), (None,))) is None
    assert drawn(None) is None


def test_at_most_three_diagrams_of_at_most_two_hundred_points() -> None:
    def curved(run: RunFacts) -> RunFacts:
        assert run.comparison is not None
        curve = Curve(("2020-01-01\n```", *("2020-01-02",) * 998, "</details>"), (1.5,) * 1000)
        return dataclasses.replace(run, comparison=dataclasses.replace(run.comparison, curve=curve))

    report = report_of(*(moved(f"run_{n}", 10.0 + n) for n in range(5)))
    report = dataclasses.replace(report, changed=tuple(map(curved, report.changed)))
    page = markdown_report(report)
    diagrams = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    assert len(diagrams) == 3
    for diagram in diagrams:
        kind, title, _, _, line = diagram.strip().splitlines()
        assert kind == "xychart-beta"
        assert title.strip() == 'title "Difference in NAV, basis points"'
        assert line.count(",") == MOST_POINTS - 1
    assert Rendered(page).found_later() == []


# ------------------------------------------------------------------------------ limits


@pytest.fixture(scope="module")
def huge() -> Report:
    """More of everything than fits, its names and messages of more bytes than characters."""
    runs = [moved(f"moved_{n}_{'é' * 40}", 1000.0 - n) for n in range(200)]
    error = {"category": "engine_error", "phase": "simulate", "message": "größer <als> | alles @team " * 20}
    runs += [a_record(f"failed_{n}", "failed", error=error) for n in range(200)]
    runs += [a_record(f"fine_{n}_{'é' * 40}") for n in range(2_000)]
    facts = dataclasses.replace(
        FINE,
        expected=2_400, recorded=2_400, success=2_000, failed=400,
        error_categories={"regression": 200, "engine_error": 200},
        problems=("größer " * 100,) * 60,
        notes=("note " * 90,) * 300,
        gate=dataclasses.replace(GATE, verdicts={"moved": 200, "identical": 2_000}, missing=("gone",) * 300),
    )  # fmt: skip
    return report_of(*runs, facts=facts)


@pytest.mark.parametrize(
    ("limit", "size"),
    [
        (LIMIT, 1 << 20),
        (LIMIT, 30_000),
        (20_000, 1 << 20),
        (8_000, 1 << 20),
        (4_000, 1 << 20),
        (2_000, 1 << 20),
    ],
)
def test_a_page_is_never_too_long_and_says_what_it_lacks(huge: Report, limit: int, size: int) -> None:
    page = markdown_report(huge, limit=limit, size=size)
    assert len(page) <= limit
    assert len(page.encode()) <= size
    assert "200 of 2,400 backtests moved past tolerance." in page
    assert "Worst: `moved_0_" in page or "Worst: <code>moved&#95;0&#95;" in page
    assert "**Cut to fit.** Not shown: " in page
    assert "`batch_report.json`" in page
    rendered = Rendered(page)  # every element is closed
    assert rendered.found_later() == []
    for table in rendered.tables:
        assert len({len(row) for row in table}) == 1
    if limit == LIMIT:
        assert "Not shown: the sections " in page
        assert "## How to accept" in page


def test_of_the_folds_those_of_the_furthest_runs_stay() -> None:
    page = markdown_report(report_of(*(moved(f"moved_{n}", 1000.0 - n) for n in range(25))), limit=20_000)
    assert re.search(r"Not shown: \d+ folded parts of Each changed run\.", page)
    kept = re.findall("<summary><code>moved&#95;([0-9]+)", page)
    assert 3 < len(kept) < 25
    assert kept == [str(number) for number in range(len(kept))]
    assert "\n## Provenance\n" in page


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_limit_is_kept(huge: Report, data: st.DataObject) -> None:
    if not hasattr(test_any_limit_is_kept, "page"):
        test_any_limit_is_kept.page = markdown_report(huge, limit=10**7, size=10**7)  # type: ignore[attr-defined]
    limit = data.draw(st.integers(1_500, LIMIT))
    size = data.draw(st.integers(1_500, 2 * LIMIT))
    cut = cut_to_fit(test_any_limit_is_kept.page, limit, size)  # type: ignore[attr-defined]
    assert len(cut) <= limit
    assert len(cut.encode()) <= size
    assert cut.startswith("# small\n\n**200 of 2,400 backtests moved past tolerance.")
    assert len(re.findall("^<details>", cut, re.MULTILINE)) == len(
        re.findall("^</details>", cut, re.MULTILINE)
    )
    assert cut.count("```") % 2 == 0
    again = cut_to_fit(cut, limit, max(size * 2 // 3, 1_500))
    assert again.count("**Cut to fit.**") == 1
    assert len(again.encode()) <= max(size * 2 // 3, 1_500)


def test_what_goes_first_is_what_a_reviewer_needs_least(monkeypatch: pytest.MonkeyPatch) -> None:
    page = markdown_report(rich())

    def titles(limit: int) -> list[str]:
        return re.findall(r"^## (.*)$", cut_to_fit(page, limit, 1 << 20), re.MULTILINE)

    whole = titles(len(page))
    assert titles(len(page) - 1) == [
        title for title in whole if title not in ("Notes on the record", "Phases")
    ]
    assert titles(1_300)[-1] != "Provenance"
    assert "Problems of the record" in titles(1_300)


def test_a_page_without_sections_keeps_whole_lines() -> None:
    page = "# title\n" + "a line of it\n" * 1_000
    cut = cut_to_fit(page, 1_000, 1_000)
    assert cut.startswith("# title\na line of it\n")
    assert len(cut) <= 1_000
    assert "the rest of what stands first" in cut
    assert cut_to_fit("short\n", 1_000, 1_000) == "short\n"
    with pytest.raises(ValueError, match="at least 500"):
        cut_to_fit(page, 499, 1_000)


def test_every_name_that_the_page_knows_is_announced() -> None:
    assert {*page_module.page_facts(rich()), "say"} == page_module.KNOWN
