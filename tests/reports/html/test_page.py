"""The page: one file of bounded size that loads nothing, runs nothing of others, and tells what it lacks."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from typing import Any

import pytest

from pytest_finbot.contracts import CheckResult, Verdict
from pytest_finbot.errors import MissingDependencyError, ReportError
from pytest_finbot.reports.html import NoSeries, bokeh, html_report
from pytest_finbot.reports.html.policy import json_text, script_text
from pytest_finbot.reports.report import Report
from pytest_finbot.reports.words import shown
from tests.reports.hostile import MESSAGES, NAMES, SURROGATE
from tests.reports.html.made_pages import Made, Parsed, a_report

MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def page() -> str:
    return html_report(a_report(runs=6, changed=2, failed=1), Made())


@pytest.mark.parametrize(("runs", "changed", "most"), [(50, 5, 2), (1_000, 20, 6)])
def test_the_page_stays_small(runs: int, changed: int, most: int) -> None:
    page = html_report(a_report(runs, changed), Made())
    assert len(page.encode()) < most * MEGABYTE
    assert len(json.loads(Parsed(page).data)["charts"]) == changed


def test_nothing_is_loaded_and_only_our_scripts_run(page: str) -> None:
    found = Parsed(page)
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "style", (tag, value)
        if name in ("src", "href", "action", "srcset", "data", "poster"):
            assert value.startswith(("#", "data:")), (tag, name, value)
    assert not {"link", "iframe", "object", "embed", "img", "base", "form"} & set(found.tags)
    [policy] = [
        value for tag, name, value in found.attributes if name == "content" and "default-src" in value
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in found.scripts]
    assert sorted(rules["script-src"].split()) == sorted(f"'sha256-{one}'" for one in hashes)
    [nonce] = [value for tag, name, value in found.attributes if (tag, name) == ("style", "nonce")]
    assert rules["style-src"] == f"'nonce-{nonce}'"
    assert found.tags.index("meta") < found.tags.index("script")


def test_no_two_pages_let_styles_by_the_same_word(page: str) -> None:
    nonces = [
        {name: value for tag, name, value in Parsed(one).attributes if tag == "style"}["nonce"]
        for one in (page, html_report(a_report(runs=6, changed=2, failed=1), Made()))
    ]
    assert nonces[0] != nonces[1]
    assert min(map(len, nonces)) == 32


def hostile(name: str, message: str) -> Report:
    """A report that says ``name`` and ``message`` wherever somebody's words can be."""

    def said(value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(
                value,
                **{
                    one.name: said(getattr(value, one.name))
                    for one in dataclasses.fields(value)
                    if one.init
                    and one.name not in ("status", "expires", "state", "verdict", "kind", "verdicts")
                },
            )
        if isinstance(value, dict):
            return {key: said(child) for key, child in value.items()}
        if isinstance(value, tuple):
            return tuple(said(child) for child in value)
        if isinstance(value, str) and value and not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return message if "\n" in value or " " in value else name
        return value

    report: Report = said(a_report(runs=4, changed=1, failed=1))
    return dataclasses.replace(
        report,
        batch=dataclasses.replace(report.batch, problems=(message,), notes=(message,), description=message),
    )


@pytest.mark.parametrize("number", range(max(len(NAMES), len(MESSAGES))))
def test_what_others_say_is_text(number: int) -> None:
    # What is empty is left out, which is another page.
    name, message = NAMES[number % len(NAMES)] or " ", MESSAGES[number % len(MESSAGES)] or " "
    plain = Parsed(html_report(hostile("name", "a message"), NoSeries("no")))
    found = Parsed(html_report(hostile(name, message), NoSeries("no")))
    assert found.tags == plain.tags
    known = {(tag, attribute) for tag, attribute, _ in plain.attributes}
    assert {(tag, attribute) for tag, attribute, _ in found.attributes} == known
    assert [row[0] for row in json.loads(found.data)["rows"]] == [shown(name)] * 4
    assert shown(name) in found.text


def test_a_lone_surrogate_costs_nothing() -> None:
    page = html_report(hostile(SURROGATE, SURROGATE), NoSeries("no"))
    page.encode()
    assert "U+D800" in page


def test_it_says_how_to_accept_and_what_is_out_of_tolerance(page: str) -> None:
    found = Parsed(page).text
    assert "--finbot-accept='*' --finbot-reason \"…\"" in found
    assert "First session out of tolerance: 2020-01-02 (" in found
    report = a_report()
    [run] = report.changed
    assert run.comparison is not None
    within = dataclasses.replace(run, comparison=dataclasses.replace(run.comparison, first_checks=()))
    found = Parsed(html_report(dataclasses.replace(report, changed=(within,)), Made())).text
    assert "First session that differs at all: 2020-01-02; none is out of tolerance." in found


def test_a_check_that_was_not_made_is_not_said_to_be_out_of_its_limit() -> None:
    report = a_report()
    [run] = report.changed
    skipped = CheckResult("calendar", Verdict.SKIPPED, "no calendar is given")
    for checks, said in (
        ((*run.checks, *run.checks, skipped), "2 checks out of their limits, 1 check not made"),
        ((*run.checks, skipped, skipped), "1 check out of its limit, 2 checks not made"),
        ((skipped,), "1 check not made"),
    ):
        one = dataclasses.replace(report, changed=(dataclasses.replace(run, checks=checks),))
        found = Parsed(html_report(one, NoSeries("no"))).text
        assert said in found
        assert ("out of its limit" in found or "out of their limits" in found) == ("out of" in said)


def test_what_is_not_drawn_is_told() -> None:
    report = a_report(runs=60, changed=25)
    found = Parsed(html_report(report, Made(30, unreadable=("moved_3", "run_5", "run_6"))))
    assert "No chart is drawn, because object moved_3 is missing." in found.text
    assert (
        "The 20 changed runs that are furthest from their baselines have charts below; 5 more" in found.text
    )
    assert "NAV of 2 unchanged runs is not drawn, because object run_5 is missing." in found.text
    assert len(json.loads(found.data)["charts"]) == 19


def test_a_page_without_any_series_needs_no_bokeh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bokeh, "find_spec", lambda name: None)
    page = html_report(a_report(), NoSeries("its registry is on another machine"))
    assert "This result is not drawn, because its registry is on another machine." in page
    assert len(page) < 100_000
    with pytest.raises(MissingDependencyError, match=r"pip install 'pytest-finbot\[html\]'"):
        html_report(a_report(), Made(30))


def test_runs_that_are_not_listed_are_counted() -> None:
    report = dataclasses.replace(a_report(), others_not_listed=8_000, changed_not_listed=3)
    page = html_report(report, Made(30))
    assert "8,000 more unchanged runs are not in this page" in page
    assert "3 more changed runs are not in this page" in page


def test_numbers_beyond_a_float_cost_a_cell_and_not_the_page() -> None:
    report = a_report()
    [run] = report.changed
    assert run.comparison is not None
    assert run.comparison.largest is not None
    huge = dataclasses.replace(run.comparison.largest, change=1e308, relative=1e307)
    comparison = dataclasses.replace(run.comparison, largest=huge, final=huge)
    run = dataclasses.replace(run, comparison=comparison, metrics={"final_nav": 10**400, "sharpe": "text"})
    page = html_report(dataclasses.replace(report, changed=(run,)), Made(30))
    assert json.loads(Parsed(page).data)["rows"][0][4:6] == [1e308, None]


def test_json_cannot_end_its_script() -> None:
    value = {"a": "</script><!-- & \u2028 \u2029 ü"}
    text = json_text(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    assert json.loads(text) == value
    with pytest.raises(ValueError):
        json_text(float("nan"))


@pytest.mark.parametrize("source", ["x = '</SCRIPT >'", "<!-- x"])
def test_a_script_that_would_end_is_refused(source: str) -> None:
    with pytest.raises(ReportError, match=r"mine\.js"):
        script_text(source, "mine.js")
    assert script_text("a\r\nb", "mine.js") == "a\nb"
