"""Moves that somebody answers for until a day."""

from __future__ import annotations

import json

import pytest

MOVED = "- {id: equal}\n- {id: first, params: {weights: {AAA: 0.5}}}\n"


def waiver(run: str = "first", check: str = "*", expires: str = "2099-12-31") -> str:
    return (
        f"- {{run: {run}, check: '{check}', reason: new sizing, reviewer: Ada, expires: {expires}, "
        "link: https://example.org/1}\n"
    )


@pytest.fixture
def moved(project):
    project.gated(MOVED.replace("0.5", "1.0"))
    text = (project.path / "finbot.yaml").read_text()
    project.write("finbot.yaml", text.replace("AAA: 1.0", "AAA: 0.5"))
    return project


def test_without_a_waiver_it_is_a_move(moved):
    assert moved.pytest().ret == 1
    assert moved.verdicts() == {"equal": "identical", "first": "moved"}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_waived_move_passes_and_is_shown_in_every_report(moved, workers):
    moved.write("waivers.yaml", waiver())
    result = moved.pytest("-n", workers)
    assert result.ret == 0
    assert moved.verdicts() == {"equal": "identical", "first": "waived"}
    result.stdout.fnmatch_lines(
        [
            "*Compared with baselines/small: 1 identical, 1 waived.*",
            "*moved (waived): first, final NAV -200.00*",
        ]
    )
    assert "new sizing" in (moved.output / "batch_summary.md").read_text()
    shown = moved.summary()["gate"]["waivers"][0]
    assert (shown["state"], shown["reviewer"], shown["link"]) == ("active", "Ada", "https://example.org/1")


def test_in_the_batch_file_it_is_the_same(moved):
    text = (moved.path / "finbot.yaml").read_text()
    moved.write("finbot.yaml", f"waivers:\n{waiver()}" + text)
    assert moved.pytest().ret == 0
    assert moved.verdicts()["first"] == "waived"


def test_a_move_that_is_waived_in_part_is_still_a_move(moved):
    moved.write("waivers.yaml", waiver(check="nav"))
    assert moved.pytest().ret == 1
    assert moved.verdicts()["first"] == "moved"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_an_expired_waiver_fails_even_where_nothing_moves(moved, workers):
    text = (moved.path / "finbot.yaml").read_text()
    moved.write("finbot.yaml", text.replace("AAA: 0.5", "AAA: 1.0"))
    assert moved.pytest("-n", workers).ret == 0
    moved.write("waivers.yaml", waiver(expires="2020-01-01"))
    result = moved.pytest("-n", workers)
    assert result.ret == 1
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*waiver expired: first *, until 2020-01-01, by Ada (waivers.yaml:1)"])


def test_an_expired_waiver_excuses_nothing(moved):
    moved.write("waivers.yaml", waiver(expires="2020-01-01"))
    assert moved.pytest().ret == 1
    assert moved.verdicts()["first"] == "moved"


def test_a_waiver_that_matches_nothing_is_told(moved):
    moved.write("waivers.yaml", waiver() + waiver(run="frist"))
    result = moved.pytest()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*waiver matches nothing that moved: frist *(waivers.yaml:2)"])
    assert [entry["state"] for entry in moved.summary()["gate"]["waivers"]] == ["active", "unused"]


def test_a_new_run_cannot_be_waived(moved):
    moved.baseline("first").unlink()
    moved.baseline("first").with_suffix(".parquet").unlink()
    moved.write("waivers.yaml", waiver())
    assert moved.pytest().ret == 1
    assert moved.verdicts()["first"] == "new"


def test_accepting_a_waived_move_ends_it(moved):
    moved.write("waivers.yaml", waiver())
    assert moved.accept(reason="reviewed").ret == 0
    (moved.path / "waivers.yaml").unlink()
    assert moved.pytest().ret == 0
    assert json.loads(moved.baseline("first").read_text())["accepted"]["reason"] == "reviewed"


def test_an_informational_move_is_shown_and_fails_nothing(moved):
    text = (moved.path / "finbot.yaml").read_text()
    moved.write("finbot.yaml", "checks: {informational: true}\n" + text)
    result = moved.pytest()
    assert result.ret == 0
    assert moved.verdicts() == {"equal": "identical", "first": "moved"}
    result.stdout.fnmatch_lines(
        ["*moved (informational: fails nothing): first, final NAV -200.00, first on *"]
    )
    assert "(informational)" in (moved.output / "batch_summary.md").read_text()
