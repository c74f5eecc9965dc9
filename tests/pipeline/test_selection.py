"""Phases asked for by name, with all that they need."""

from datetime import date

import pytest

from pytest_finbot.contracts import DataSpec, RunSpec
from pytest_finbot.errors import ParameterError
from pytest_finbot.pipeline.execute import execute
from pytest_finbot.pipeline.phases import PHASES
from pytest_finbot.pipeline.selection import select
from pytest_finbot.registry.left_out import left_out

ORDER = [phase.name for phase in PHASES]


@pytest.mark.parametrize(
    ("asked", "selected"),
    [
        (["market_data"], ["market_data"]),
        (["simulate"], ["market_data", "simulate"]),
        (["risk"], ["market_data", "simulate", "marks", "risk"]),
        (["costs", "risk", "costs"], ["market_data", "simulate", "marks", "risk", "costs"]),
        (["checks"], ["market_data", "simulate", "marks", "analytics", "checks"]),
    ],
)
def test_a_phase_brings_its_prerequisites(asked, selected):
    selection = select(asked)
    assert [name for name in ORDER if name in selection.names] == selected
    assert selection.proves is ("checks" in selected)


def test_nothing_asked_for_is_everything():
    assert select([]) is None


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("market-data", "market_data"), ("mark", "marks"), ("check", "checks")]
)
def test_a_wrong_name_is_told_with_the_nearest(wrong, nearest):
    with pytest.raises(ParameterError, match=rf"no such phase; did you mean '{nearest}'\?"):
        select(["marks", wrong])


def test_every_phase_needs_phases_before_it():
    for number, phase in enumerate(PHASES):
        assert set(phase.needs) <= set(ORDER[:number])


def test_what_was_left_out_is_told_from_what_was_skipped(tmp_path):
    spec = RunSpec(
        name="run",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=("A",),
        start_date=date(2020, 1, 1),
        end_date=date(2020, 2, 1),
        start_capital=1.0,
        data=DataSpec(str(tmp_path / "nowhere.csv")),
    )
    said = []
    outcome = execute(
        spec,
        lambda kind, payload, *, flush=True: said.append((kind, payload["phase"])),
        selection=select(["risk", "marks"]),
    )
    # The price file is not there: what was asked for is skipped for that reason.
    reasons = {phase.name: phase.reason for phase in outcome.phases}
    assert reasons["marks"] == reasons["risk"] == "phase market_data failed"
    assert reasons["checks"] == "not asked for (--finbot-phase risk, marks)"
    record = {
        "phases": [
            {"name": phase.name, "status": phase.status, "reason": phase.reason} for phase in outcome.phases
        ]
    }
    assert left_out(record) == ("analytics", "costs", "checks", "ladder")
    assert [phase for kind, phase in said if kind == "phase_start"] == ["market_data"]
    assert [phase for kind, phase in said if kind == "phase_result"] == ORDER
