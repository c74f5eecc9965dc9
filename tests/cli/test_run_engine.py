"""What a page tells of an engine of others, and of the reference that a run is compared with."""

import pytest

from pytest_finbot.cli.run_engine import tell_engine
from pytest_finbot.cli.show import NOTHING, Page

CONVENTIONS = {
    "fill": "next_close",
    "sized_at": "decision",
    "units": "whole",
    "costs": "from_cash: of value",
    "cash_buffer": 0.02,
    "short_of_cash": "rejects",
    "cent": 0.0,
    "notes": ["sales go first"],
}
LADDER = {
    "reference": "built_in",
    "final_nav": 1000.0,
    "steps": [
        {"step": "fill timing", "reference": "close", "run": "next_close", "final_nav": 990.5},
        {"step": "units", "reference": "fractional", "run": "whole", "final_nav": 991.0},
    ],
}


@pytest.fixture
def told(capsys):
    def of(record):
        page = Page()
        tell_engine(record, page)
        page.show()
        return capsys.readouterr().out

    return of


def test_conventions_and_what_is_derived(told):
    text = told({"engine": "other", "native": {"conventions": CONVENTIONS, "derived": ["fees: rebuilt"]}})

    assert text.splitlines() == [
        "",
        "as the engine executes orders",
        "  fill           next_close",
        "  sized at       decision",
        "  units          whole",
        "  costs          from_cash: of value",
        "  cash buffer    0.02",
        "  short of cash  rejects",
        "  note: sales go first",
        "  derived: fees: rebuilt",
    ]


def test_the_built_in_engine_does_what_its_settings_say(told):
    assert told({"engine": "portfolio", "native": {"conventions": CONVENTIONS}}) == ""


def test_each_step_from_the_reference_with_what_it_comes_to(told):
    text = told({"engine": "other", "ladder": LADDER})

    assert "from the conventions of built_in to its own, by the built-in engine" in text
    rows = [line.split() for line in text.splitlines()[2:]]
    assert ["as", "the", "reference", NOTHING, NOTHING, "1,000.00", NOTHING] in rows
    assert ["fill", "timing", "close", "next_close", "990.50", "-9.50"] in rows
    assert ["units", "fractional", "whole", "991.00", "+0.50"] in rows


def test_why_it_cannot_be_split(told):
    text = told({"engine": "other", "ladder": {"reference": "built_in", "why_not": "no\x1b weights"}})

    assert "cannot be told: no\\x1b weights" in text


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, []),
        ({"engine": None, "native": [1], "ladder": "x"}, []),
        (
            {
                "engine": "other",
                "native": {"conventions": 7, "derived": 3},
                "ladder": {"reference": "built_in", "steps": [4], "final_nav": "?"},
            },
            ["from the conventions of built_in to its own, by the built-in engine"],
        ),
    ],
)
def test_a_damaged_record_is_no_crash(told, record, said):
    lines = told(record).splitlines()

    assert [line for line in lines if line.startswith(("as the engine", "from the"))] == said
