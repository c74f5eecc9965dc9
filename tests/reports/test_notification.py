"""What somebody is told who is not looking: when, in which words, and that no name is markup in a chat."""

import dataclasses
import re

import pytest

from pytest_finbot.reports.facts import GateFacts
from pytest_finbot.reports.notification import ci_link, no_report, notification, worth_telling
from pytest_finbot.reports.report import ShardFacts
from tests.reports.hostile import NAMES
from tests.reports.test_report import FINE, GATE, moved, report_of
from tests.reports.test_summary import a_record


def facts(verdicts, **more):
    return dataclasses.replace(FINE, gate=dataclasses.replace(GATE, verdicts=verdicts), **more)


CASES = {
    "identical": (report_of(facts=FINE), False, False),
    "within": (report_of(facts=facts({"identical": 2, "within": 1})), True, False),
    "not gated": (report_of(facts=dataclasses.replace(FINE, gate=None)), True, False),
    "moved": (
        report_of(moved("a", -30.0), facts=facts({"moved": 1}, failed=1, error_categories={"regression": 1})),
        True,
        True,
    ),
    "moved and excused": (
        report_of(
            moved("a", -30.0),
            facts=dataclasses.replace(
                FINE,
                gate=GateFacts("baselines", "never", {"moved": 1}),
                fail_on="never",
                failed=1,
                success=2,
                error_categories={"regression": 1},
            ),
        ),
        True,
        True,
    ),
    "failed": (
        report_of(
            a_record("a", "failed"),
            facts=facts({}, failed=1, success=2, error_categories={"engine_error": 1}),
        ),
        True,
        True,
    ),
    "not run": (report_of(facts=facts({"identical": 2}, not_run=1, success=2, recorded=2)), True, True),
    "a problem": (report_of(facts=facts({"identical": 3}, problems=("a file is gone",))), True, True),
    "a shard missing": (
        dataclasses.replace(report_of(facts=FINE), shards=ShardFacts(2, "plan", (1,))),
        True,
        True,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_who_is_told_of_what(case):
    report, changed, failed = CASES[case]
    assert worth_telling(report, "always")
    assert worth_telling(report, "on-change") is changed
    assert worth_telling(report, "on-failure") is failed


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({"identical": 3, "moved": 0}, "nothing moved"),
        ({"identical": 2, "within": 1}, "nothing moved past tolerance"),
        ({"identical": 2, "moved": 1}, "nothing fails the gate"),  # accepted now, or informational
        ({"identical": 2, "within": 1, "waived": 1}, "nothing fails the gate"),
        ({"new": 3}, "nothing fails the gate"),
    ],
)
def test_what_moved_and_passes_is_not_said_to_have_stayed(verdicts, said):
    title, _ = notification(report_of(facts=facts(verdicts)), "")
    assert title.endswith(f": {said} (3 of 3 backtests succeeded)")


def test_the_words():
    title, text = notification(CASES["moved"][0], "https://ci.example/1")
    assert title.endswith(": not as accepted (3 of 3 backtests succeeded)")
    lines = text.splitlines()
    assert lines[0] == "1 moved"
    assert lines[1] == "furthest: a, NAV -300.00 (-0.30 %, -30.0 bp) on 2020-01-02"
    assert lines[2] == "The gate is shut."
    assert lines[-1] == "https://ci.example/1"
    assert "--finbot-fail-on never" in notification(CASES["moved and excused"][0])[1]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_name_mentions_anybody_or_is_markup(name):
    report = report_of(moved(name, -30.0), facts=dataclasses.replace(FINE, batch_name=name, batch_id=name))
    for said in (*notification(report), *no_report(name)):
        assert re.fullmatch(r"[\w .,:()%?+\n-]*", said, re.ASCII), said
        assert max(map(len, said.splitlines()), default=0) < 300


@pytest.mark.parametrize(
    ("environment", "link"),
    [
        ({"GITHUB_SERVER_URL": "https://g", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_ID": "1"}, "https://g/a/b/actions/runs/1"),
        ({"GITHUB_SERVER_URL": "https://g", "GITHUB_REPOSITORY": "a/b"}, ""),
        ({"CI_JOB_URL": "https://gitlab.example/a/-/jobs/1"}, "https://gitlab.example/a/-/jobs/1"),
        ({"BUILD_URL": "http://jenkins:8080/job/a/1/"}, "http://jenkins:8080/job/a/1/"),
        ({"CI_JOB_URL": "https://user:password@host/"}, ""),
        ({"CI_JOB_URL": "javascript:alert(1)"}, ""),
        ({"CI_JOB_URL": "https://host/\n@channel"}, ""),
    ],
)  # fmt: skip
def test_the_link_is_the_jobs(environment, link):
    assert ci_link(environment) == link
