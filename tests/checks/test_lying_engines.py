"""Engines that lie in one thing, through a whole run on real prices: each is found, by day and asset."""

from datetime import date
from pathlib import Path

import pytest

from pytest_finbot.contracts import ActionSpec, CostSpec, DataSpec, ErrorCategory, RunSpec, Verdict
from pytest_finbot.pipeline.execute import execute

PRICES = Path(__file__).parents[2] / "examples" / "data" / "ohlcv"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)

    def run(engine):
        spec = RunSpec(
            name="run",
            engine=f"lying_engines:{engine}",
            strategy="fixed_weights",
            params={"weights": {"SPY": 0.6, "TLT": 0.4}},
            symbols=("SPY", "TLT"),
            start_date=date(2012, 1, 3),
            end_date=date(2013, 12, 31),
            start_capital=100_000.0,
            data=DataSpec(str(PRICES), field="close", calendar="XNYS"),
            costs=CostSpec(commission_bps=10.0, booking="from_cash"),
            rebalance_freq="Q",
            actions=ActionSpec(dividends="from_prices"),
        )
        return execute(spec, lambda kind, payload, *, flush=True: None)

    return run


def test_the_honest_engine_passes_every_check(run):
    outcome = run("honest")
    assert outcome.error is None
    assert {check.verdict for check in outcome.checks if check.name != "coverage"} <= {
        Verdict.IDENTICAL,
        Verdict.WITHIN,
    }
    assert len(outcome.result.fills) == 16
    assert outcome.result.income.sum() > 4_000.0


@pytest.mark.parametrize(
    ("engine", "check", "day", "asset", "words"),
    [
        ("nav_off_by_a_cent", "nav_identity", "2012-10-31", None, "off by 0.01"),
        ("fill_without_its_fee", "cash_roll", "2012-10-01", None, "2012-10-01"),
        ("dividend_twice", "declared", "2012-09-21", "SPY", "SPY has income of"),
        ("position_left_out", "quantity_roll", "2012-10-08", "TLT", "quantity of TLT is 0 on 2012-10-08"),
        ("mark_from_tomorrow", "marks_at_market", "2012-11-06", "SPY", "SPY on 2012-11-06 at 139.72"),
        ("order_dropped", "orders_executed", "2012-10-01", "SPY", "SPY on 2012-10-01, where 6"),
        (
            "order_dropped_and_no_word",
            "orders_executed",
            "2012-10-01",
            "SPY",
            "by the strategy fixed_weights",
        ),
    ],
)
def test_a_lie_is_found_on_its_day_and_told(run, engine, check, day, asset, words):
    outcome = run(engine)

    assert outcome.error.category is ErrorCategory.ENGINE
    assert words in outcome.error.message
    failed = {one.name: one for one in outcome.checks if one.failed}
    first = failed[check]
    assert (first.session, first.asset) == (day, asset)
    assert check in outcome.error.message or check == "orders_executed"
    assert min(one.session for one in failed.values()) == day


def test_an_order_dropped_in_silence_breaks_nothing_else(run):
    outcome = run("order_dropped")
    assert [check.name for check in outcome.checks if check.failed] == ["orders_executed"]
    assert outcome.error.message.startswith(
        "engine 'lying_engines:order_dropped' did not execute every order"
    )
