"""What the terminal says of one comparison, and the commands that it names."""

from __future__ import annotations

import pytest

from pytest_finbot.contracts import RunRecord, RunStatus
from pytest_finbot.reports.moved_run import comparison_text, moved_run_text

MOVED = {"verdict": "moved", "final": {"baseline": 100.0, "now": 101.0, "change": 1.0, "relative": 0.01}}


def said_of(name, part=None, comparison=MOVED, file="finbot.yaml"):
    record = RunRecord(
        run_id=f"b/{name}",
        batch_id="b",
        name=name,
        status=RunStatus.FAILED,
        attempt=1,
        started_at="",
        finished_at="",
        seconds=1.0,
        worker="main",
        comparison=comparison,
        metrics={"trades": 23, "final_nav": 151049.54, "sharpe": None, "beta": 1.0},
        part=part,
    )
    return moved_run_text(record, where="finbot.yaml:3", batch_file=file, verbose=False)


def test_a_run_that_moved_names_what_looks_closer_and_what_accepts_it():
    text = said_of("held", {"of": "held", "kind": "out_of_sample", "number": 1, "own_from": "2020-01-01"})
    assert "look closer: finbot baseline diff held --file finbot.yaml -v" in text
    assert "--finbot-accept 'held'" in text
    assert "slices" not in text


def test_of_a_new_run_its_figures_are_told():
    text = said_of("held", comparison={"verdict": "new", "reason": "nothing is accepted for it"})
    assert text.startswith("new: nothing is accepted for it\n\n  it gives: final nav 151,049.54, trades 23\n")
    assert "it gives" not in said_of("held")


def test_commands_can_be_pasted_where_the_batch_file_has_blanks():
    text = said_of("held", file="our runs.yaml")
    assert "--file 'our runs.yaml' -v" in text
    assert "--finbot-batch 'our runs.yaml' --finbot-accept" in text


def test_of_a_slice_that_moved_the_whole_run_is_what_can_be_accepted():
    part = {"of": "held", "kind": "slice", "number": 2, "own_from": "2020-02-01"}
    text = said_of("held.2020-02-01_2020-02-28", part)
    assert "run held.2020-02-01_2020-02-28" in text
    assert "look closer" not in text
    assert "accept it:   whole runs are accepted, not slices: without --finbot-from, --finbot-to, " in text
    assert "pytest --finbot-batch finbot.yaml --finbot-accept 'held' --finbot-reason" in text


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("identical", "identical: nothing that is compared differs from the baseline\n"),
        ("within", "within: nothing beyond its limits; final NAV is unchanged\n"),
    ],
)
def test_a_run_that_did_not_move_is_told_in_a_sentence(verdict, words):
    text = comparison_text("held", {"verdict": verdict}, (), verbose=False, where="w", accept="a command")
    assert text.startswith(words)
    assert ("accept it" in text) is (verdict != "identical")
