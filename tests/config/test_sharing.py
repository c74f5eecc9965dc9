"""A batch shared out among machines: every run in one share, the same on all, groups together."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.config.expand import Batch
from pytest_finbot.config.sharing import Share, cost, plan_hash, share_of_each
from pytest_finbot.contracts import CheckSpec, CompareSpec, DataSpec, PartSpec, RunSpec

SPEC = RunSpec(
    name="a",
    engine="portfolio",
    strategy="fixed_weights",
    params={},
    symbols=("AAA",),
    start_date=date(2020, 1, 2),
    end_date=date(2020, 12, 31),
    start_capital=1000.0,
    data=DataSpec("/here/prices.csv"),
)


def batch_of(*runs: RunSpec) -> Batch:
    return Batch(Path("/here/finbot.yaml"), b"", "small", "", Path("/out"), None, "item", runs, len(runs))


def shares(runs: list[RunSpec], count: int) -> dict[str, int]:
    numbers = share_of_each(runs, [cost(spec) for spec in runs], count)
    return {spec.name: number for spec, number in zip(runs, numbers, strict=True)}


@st.composite
def batches(draw: st.DrawFn) -> list[RunSpec]:
    """Runs of any length and breadth; some parts of a walk-forward, some compared with another."""
    number = draw(st.integers(1, 25))
    runs: list[RunSpec] = []
    for place in range(number):
        days = draw(st.integers(0, 6000))
        symbols = tuple(f"S{column}" for column in range(draw(st.integers(1, 40))))
        part = compare = None
        kind = draw(st.sampled_from(["alone", "alone", "window", "in_sample", "out_of_sample", "compared"]))
        if kind == "compared" and runs:
            compare = CompareSpec(draw(st.sampled_from([run.name for run in runs])))
        elif kind not in ("alone", "compared"):
            part = PartSpec(draw(st.sampled_from(["v", "w"])), kind, place + 1, date(2020, 1, 2))
        end = SPEC.start_date + timedelta(days=days)
        runs.append(
            dataclasses.replace(
                SPEC, name=f"r{place}", symbols=symbols, end_date=end, part=part, compare_with=compare
            )
        )
    return runs


@given(batches(), st.integers(1, 12), st.randoms(use_true_random=False))
def test_every_run_is_in_one_share_the_same_on_every_machine(runs, count, order):
    found = shares(runs, count)
    assert found.keys() == {run.name for run in runs}
    assert set(found.values()) <= set(range(1, count + 1))
    shuffled = list(runs)
    order.shuffle(shuffled)
    assert shares(shuffled, count) == found


def test_equal_runs_are_shared_out_by_name_in_whatever_order_they_stand():
    runs = [dataclasses.replace(SPEC, name=name) for name in "abcde"]
    assert shares(runs[::-1], 3) == shares(runs, 3) == {"a": 1, "b": 2, "c": 3, "d": 1, "e": 2}


@given(batches(), st.integers(1, 12))
def test_runs_that_need_each_other_are_together(runs, count):
    found = shares(runs, count)
    wholes: dict[str, set[int]] = {}
    for run in runs:
        if run.compare_with is not None:
            assert found[run.name] == found[run.compare_with.run]
        if run.part is not None and run.part.kind != "window":
            wholes.setdefault(run.part.of, set()).add(found[run.name])
    assert all(len(numbers) == 1 for numbers in wholes.values())


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=25), st.integers(1, 12))
def test_no_share_is_much_dearer_than_it_has_to_be(days, count):
    runs = [
        dataclasses.replace(SPEC, name=f"r{place}", end_date=SPEC.start_date + timedelta(days=number))
        for place, number in enumerate(days)
    ]
    costs = [cost(run) for run in runs]
    loads = [0] * count
    for number, price in zip(share_of_each(runs, costs, count), costs, strict=True):
        loads[number - 1] += price
    assert max(loads) <= sum(costs) / count + max(costs)
    assert sum(load > 0 for load in loads) == min(count, len(runs)), "none is empty without need"


def test_more_shares_than_runs_leave_some_empty():
    assert Share(3, 3, "", (1, 1, 0)).empty
    assert shares([SPEC], 3) == {"a": 1}


B = dataclasses.replace(SPEC, name="b")


@pytest.mark.parametrize(
    "changed",
    [
        {"params": {"fast": 50}},
        {"checks": dataclasses.replace(CheckSpec(), preset="parity")},
        {"name": "c"},
        {"rejected_orders": "warn"},
        {"data": DataSpec("/here/other.csv")},
        {"part": PartSpec("b", "window", 1)},
    ],
)
def test_the_plan_is_of_all_runs_and_what_they_are_held_to(changed):
    numbers = (1, 2)
    plan = plan_hash(batch_of(SPEC, B), numbers, 2)
    assert plan_hash(batch_of(SPEC, dataclasses.replace(B, **changed)), numbers, 2) != plan


def test_the_plan_is_the_same_wherever_the_files_lie_and_knows_who_runs_what():
    plan = plan_hash(batch_of(SPEC, B), (1, 2), 2)
    elsewhere = dataclasses.replace(B, data=DataSpec("/there/prices.csv"), line=9, tags=("core",))
    assert plan_hash(batch_of(SPEC, elsewhere), (1, 2), 2) == plan
    assert plan_hash(batch_of(SPEC, B), (2, 1), 2) != plan
    assert plan_hash(batch_of(SPEC, B), (1, 2), 3) != plan
    assert plan_hash(batch_of(SPEC, B), (1, 2), 2, {"from": None, "to": None, "chunk_days": 5}) != plan
