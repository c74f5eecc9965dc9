"""What is told of engines whose own word on their decisions is all that their orders are held to."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from pytest_finbot.contracts import DataSpec, MarketData, RunSpec, TargetWeights
from pytest_finbot.engines.decisions import decide
from pytest_finbot.engines.portfolio import PortfolioEngine, simulate
from pytest_finbot.pipeline.decided import decision_notes

DAYS = np.arange("2015-03-02", "2015-06-30", dtype="datetime64[D]")
WAVE = np.sin(np.arange(len(DAYS)) / 7.0)
MARKET = MarketData(
    DAYS, ("AAPL", "XOM"), np.column_stack([100.0 + 10.0 * WAVE, 50.0 - 5.0 * WAVE]), "close", "prices.csv"
)
SPEC = RunSpec(
    name="run",
    engine="mine:run",
    strategy="fixed_weights",
    params={},
    symbols=("AAPL", "XOM"),
    start_date=date(2015, 3, 2),
    end_date=date(2015, 6, 29),
    start_capital=100_000.0,
    data=DataSpec("prices.csv"),
)
RESULT = PortfolioEngine().run(SPEC, MARKET)
NOTHING = simulate(SPEC, MARKET, TargetWeights(np.empty(0, np.int64), np.empty((0, 2))))
DECIDED = decide(SPEC, MARKET)


def notes(result, **changes):
    return list(decision_notes(result, dataclasses.replace(SPEC, **changes), MARKET))


@pytest.mark.parametrize("word", [None, DECIDED])
def test_who_decides_as_its_strategy_does_is_told_nothing(word):
    assert notes(dataclasses.replace(RESULT, decisions=word)) == []


def test_who_trades_nothing_is_told_so():
    said = notes(dataclasses.replace(NOTHING, decisions=DECIDED))
    assert said == [
        "engine 'mine:run' traded nothing: NAV is what was paid in, and nothing of a strategy was proven"
    ]


@pytest.mark.parametrize(
    ("word", "day"),
    [
        (NOTHING.decisions, "2015-03-02"),
        (dataclasses.replace(DECIDED, weights=DECIDED.weights * [[1.0], [1.0], [0.0], [1.0]]), "2015-05-01"),
        (dataclasses.replace(DECIDED, rows=DECIDED.rows[:3], fill_rows=DECIDED.fill_rows[:3],
                             weights=DECIDED.weights[:3]), "2015-06-01"),
        (dataclasses.replace(DECIDED, fill_rows=np.add(DECIDED.fill_rows, [0, 1, 0, 0])), "2015-04-01"),
    ],
)  # fmt: skip
def test_decisions_that_are_not_those_of_the_strategy_are_told(word, day):
    said = notes(dataclasses.replace(RESULT, decisions=word))
    assert said[0] == (
        "engine 'mine:run' says that it decided otherwise than the strategy fixed_weights of its run: first "
        f"on {day}; its orders are held to its own word"
    )
    assert notes(dataclasses.replace(RESULT, decisions=word), strategy="ours:own")[:1] != said[:1]


def test_fills_of_the_day_before_are_told():
    early = simulate(SPEC, MARKET, TargetWeights(np.maximum(DECIDED.rows - 1, 0), DECIDED.weights))
    said = notes(dataclasses.replace(early, decisions=DECIDED))
    assert said == [
        f"engine 'mine:run' has 6 of {len(early.fills)} fills in sessions in which nothing that it decided "
        "was to be filled: first AAPL on 2015-03-31"
    ]
