"""The report: what it holds of a batch, its verdict, and that it survives a journey as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pytest

from pytest_finbot.errors import ReportError
from pytest_finbot.reports import making
from pytest_finbot.reports.facts import GateFacts
from pytest_finbot.reports.making import ReportMaker
from pytest_finbot.reports.ranking import Configurations
from pytest_finbot.reports.reading import read_report
from pytest_finbot.reports.report import Report, ShardFacts
from pytest_finbot.reports.rows import SummaryRow
from tests.reports.test_summary import FACTS, a_record

GATE = GateFacts("baselines", "any", {"identical": 3})
FINE = dataclasses.replace(
    FACTS,
    status="completed",
    expected=3,
    recorded=3,
    success=3,
    failed=0,
    not_run=0,
    error_categories={},
    problems=(),
    gate=GATE,
)


def moved(name: str, bp: float, **more: Any) -> dict[str, Any]:
    relative = bp / 1e4
    difference = {"session": "2020-01-02", "baseline": 1e5, "now": 1e5 * (1 + relative)}
    difference |= {"change": 1e5 * relative, "relative": relative}
    return a_record(
        name,
        "failed",
        verdict="moved",
        error={"category": "regression", "phase": "checks", "message": f"moved: {name}"},
        comparison={
            "verdict": "moved",
            "preset": "refactor",
            "first_session": "2020-01-02",
            "first_checks": ["nav"],
            "largest": difference,
            "final": difference,
            "curve": {"sessions": ["2020-01-02"], "bp": [bp]},
            "causes": [{"part": "code", "detail": "strategies"}],
            "metrics": [{"name": "sharpe", "baseline": 1.0, "now": 0.5, "judgement": "worse"}],
            "accepted": {"at": "2026-01-01T00:00:00Z", "by": "A", "reason": "first", "commit": "abc"},
            "positions": [{"asset": "AAPL", "baseline": 1.0, "now": 2.0}],
            "first_fill": {
                "number": 1,
                "baseline": None,
                "now": {"session": "2020-01-02", "asset": "AAPL", "quantity": 1.0, "price": 2.0, "fee": 0.0},
            },
        },
        checks=[{"name": "nav", "verdict": "moved", "message": "apart", "value": 1.0, "limit": 0.5}],
        **more,
    )


def report_of(*records: dict[str, Any], facts: Any = FINE, manifest: dict[str, Any] | None = None) -> Report:
    maker = ReportMaker(Configurations(manifest or {}))
    for record in records:
        maker.add(SummaryRow.of_record(record))
    return maker.report(facts)


def test_a_report_survives_its_journey_as_json() -> None:
    facts = dataclasses.replace(
        FINE, success=1, failed=2, error_categories={"regression": 1, "engine_error": 1}, status="partial",
        gate=dataclasses.replace(GATE, verdicts={"identical": 1, "moved": 1}),
    )  # fmt: skip
    report = report_of(moved("far", -300.0), a_record("fine"), a_record("bad", "failed"), facts=facts)
    raw = json.dumps(report.to_json(), allow_nan=False).encode()
    again = read_report(raw)
    assert again == report
    assert again.changed[0].causes == ("code changed: strategies",)


def test_a_report_of_ten_thousand_missing_runs_can_be_read() -> None:
    gone = tuple(f"gone{number}" for number in range(10_000))
    facts = dataclasses.replace(FINE, gate=dataclasses.replace(GATE, missing=gone))
    report = report_of(a_record("fine"), facts=facts)
    assert read_report(json.dumps(report.to_json()).encode()).missing == 10_000


def test_the_furthest_run_comes_first_whatever_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MOST_CHANGED", 2)
    report = report_of(moved("a", 10.0), moved("b", -30.0), moved("c", 20.0), moved("d", -30.0))
    assert [run.run for run in report.changed] == ["b", "d"]
    assert report.changed_not_listed == 2
    assert report.worst is not None
    assert report.worst.run == "b"


def test_runs_lie_in_the_list_of_what_became_of_them() -> None:
    report = report_of(a_record("fine"), a_record("bad", "failed"), moved("far", 1.0))
    assert [run.run for run in report.others] == ["fine"]
    assert [run.run for run in report.failed] == ["bad"]
    assert [run.run for run in report.changed] == ["far"]
    assert report.changed[0].checks[0].name == "nav"


@pytest.mark.parametrize(
    ("changes", "verdict", "green"),
    [
        ({}, "passed", True),
        ({"gate": None}, "not_gated", True),
        ({"problems": ("the record is damaged",)}, "incomplete", False),
        ({"expected": 0, "recorded": 0, "success": 0}, "incomplete", False),
        ({"not_run": 1, "status": "partial"}, "incomplete", False),
        ({"status": "running"}, "incomplete", False),
        ({"status": "cancelled"}, "incomplete", False),
        ({"failed": 1, "status": "partial", "error_categories": {"engine_error": 1}}, "failed", False),
        ({"failed": 1, "status": "partial", "error_categories": {"regression": 1}}, "changed", False),
        ({"gate": dataclasses.replace(GATE, missing=("gone",))}, "changed", False),
    ],
)
def test_the_verdict_and_whether_it_is_green(changes: dict[str, Any], verdict: str, green: bool) -> None:
    report = report_of(facts=dataclasses.replace(FINE, **changes))
    assert (report.verdict, report.green) == (verdict, green)


def test_a_missing_shard_is_never_green() -> None:
    whole = dataclasses.replace(report_of(), shards=ShardFacts(2, "hash", (1, 2)))
    assert whole.green
    part = dataclasses.replace(whole, shards=ShardFacts(3, "hash", (1, 3)))
    assert (part.verdict, part.green) == ("incomplete", False)
    assert part.shards is not None
    assert part.shards.missing == (2,)


def test_runs_near_a_limit_are_counted() -> None:
    def within(name: str, check: str, value: float) -> dict[str, Any]:
        checks = [{"name": check, "verdict": "within", "value": value, "limit": 1.0}]
        return a_record(name, verdict="within", checks=checks)

    report = report_of(
        within("near", "metrics.sharpe", 0.9), within("far", "nav", 0.5), within("books", "cash_roll", 0.99)
    )
    assert report.near == 1
    assert [run.near for run in report.others] == [0.9, None, None]


def test_configurations_of_one_study_are_ranked_with_what_differs() -> None:
    manifest = {
        "common": {
            "symbols": ["A", "B"],
            "start_date": "2020-01-01",
            "end_date": "2021-01-01",
            "strategy": "sma",
            "params": {"fast": 20, "slow": 200},
        },
        "runs": [
            {"name": "one", "line": 3, "params": {"fast": 20, "slow": 200}},
            {"name": "two", "line": 4, "params": {"fast": 50, "slow": 200}},
            {"name": "three", "line": 5, "params": {"fast": 99, "slow": 200}},
            {"name": "elsewhere", "line": 6, "symbols": ["C"]},
            {"name": "four", "line": 7, "params": {"fast": 50, "slow": 20}},
            {"name": "five", "line": 8, "params": {"fast": 50, "slow": 200}},
            {"name": "six", "line": 9, "params": {"fast": 50, "slow": 200}},
            {"name": "seven", "line": 10, "params": {"fast": 50, "slow": 200}},
        ],
    }
    records = [
        a_record(name, metrics={"sharpe": sharpe, "total_return": 0.1, "max_drawdown": -0.2})
        for name, sharpe in (
            *(("one", 1.0), ("two", 3.0), ("three", 2.0), ("elsewhere", 9.0)),
            *(("four", 4.0), ("five", 1.0), ("six", 2.0), ("seven", None)),
        )
    ]
    report = report_of(*records, manifest=manifest)
    (group,) = report.rankings
    assert (group.symbols, group.start_date) == (2, "2020-01-01")
    sharpe = group.rankings[0]
    assert (sharpe.metric, sharpe.runs, sharpe.undefined) == ("sharpe", 7, 1)
    # What most of them have is not repeated.
    assert [(one.run, one.value, one.settings) for one in sharpe.best] == [
        ("four", 4.0, {"slow": "20"}),
        ("two", 3.0, {}),
        ("three", 2.0, {"fast": "99"}),
    ]
    assert [(one.run, one.settings) for one in sharpe.worst] == [
        ("five", {}),
        ("one", {"fast": "20"}),
        ("six", {}),
    ]
    assert report.others[1].line == 4


def test_configurations_that_differ_at_the_end_of_a_long_setting_are_ranked() -> None:
    def ranked(weights: list[dict[str, float]]) -> list[tuple[str, Mapping[str, str]]]:
        runs = [{"name": f"r{n}", "line": 1, "params": {"weights": one}} for n, one in enumerate(weights)]
        records = [a_record(f"r{n}", metrics={"sharpe": n}) for n in range(len(weights))]
        (group,) = report_of(*records, manifest={"common": {"symbols": ["A"]}, "runs": runs}).rankings
        return [(one.run, one.settings) for one in group.rankings[0].best + group.rankings[0].worst]

    few = [{"AAPL": 0.3333333333333333, "JNJ": 0.3333333333333333, "XOM": n / 10} for n in range(3)]
    assert ranked(few) == [("r2", {"weights.XOM": "0.2"}), ("r0", {"weights.XOM": "0.0"})]
    many = [{**{f"SYMBOL_{k}": 0.01 for k in range(60)}, "Z": n / 10} for n in range(3)]
    best, worst = ranked(many)
    assert (best[0], worst[0]) == ("r2", "r0")
    assert len(best[1]["weights"]) == 60


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "is no report"),
        ({"version": 99}, "has version 99"),
        ({"surprise": 1}, "no report has the key 'surprise'"),
        ({"near": "many"}, "near"),
        ({"near": 10**30}, "whole number is too large"),
        ({"made_by": "x" * 30_000}, "30,000 characters"),
        ({"others": [{"run": "a", "run_id": "b", "status": "success", "onclick": "x"}]}, "onclick"),
        ({"others": [{}] * 100_001}, "100,001 entries"),
        ({"shards": {"count": 2**62, "plan": "x", "present": [1]}}, "shards"),
    ],
)
def test_a_strangers_report_is_refused_with_the_reason(change: dict[str, Any], said: str) -> None:
    document = {**report_of().to_json(), **change}
    with pytest.raises(ReportError, match=said):
        read_report(json.dumps(document).encode(), "theirs")


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[]", b"{" * 100_000, b'{"near": NaN}', b'{"near": 1e999}', b"[" * 100_000]
)
def test_what_is_no_report_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(ReportError):
        read_report(raw)


def test_of_an_error_that_nobody_foresaw_its_kind_is_told() -> None:
    def words(**error: Any) -> str:
        (run,) = report_of(a_record("bad", "failed", error={"phase": "simulate", **error})).failed
        return run.error

    assert words(type="KeyError", message="'AAPL'", expected=False) == "KeyError: 'AAPL'"
    assert words(type="DataError", message="no price of AAPL", expected=True) == "no price of AAPL"
    assert words(message="a record of an older version") == "a record of an older version"


def test_the_limit_that_is_told_is_that_of_nav_where_nav_is_out_of_it() -> None:
    checks = [
        {"name": "coverage", "verdict": "moved", "value": 3.0, "limit": 0.0},
        {"name": "cash", "verdict": "skipped"},
        {"name": "nav", "verdict": "moved", "value": 0.1, "limit": 0.01},
    ]
    (run,) = report_of({**moved("far", -300.0), "checks": checks}).changed
    assert run.limited is not None
    assert (run.limited.name, run.limited.limit) == ("nav", 0.01)
    (run,) = report_of({**moved("far", -300.0), "checks": checks[:2]}).changed
    assert run.limited is not None
    assert run.limited.name == "coverage"
    (run,) = report_of({**moved("far", -300.0), "checks": checks[1:2]}).changed
    assert run.limited is None
