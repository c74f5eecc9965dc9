"""Parts put together: slices are pieces of one NAV, out-of-sample parts are linked by their growth."""

import csv
import dataclasses
import itertools
import json
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_finbot.config.expand import Batch
from pytest_finbot.config.manifest import runs_to_json
from pytest_finbot.contracts import CostSpec, DataSpec, Flow, PartSpec, RunSpec
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.records import record_from_json, record_to_json
from pytest_finbot.registry.tables import read_series
from pytest_finbot.session.attempt import Attempt, Executor, OpenBatch, now
from pytest_finbot.session.slicing import Slicing, sliced
from pytest_finbot.session.stitching import planned_parts, stitch_all

DAYS = np.arange("2020-01-01", "2020-04-01", dtype="datetime64[D]")
DAYS = DAYS[np.is_busday(DAYS)]
OWN = """\
import numpy as np


def sees_everything(spec, market):
    share = market.close / market.close.mean(axis=0)
    share[0] = 1.0  # begins as anybody would
    return share / share.sum(axis=1, keepdims=True)


def sees_tomorrow(spec, market):
    weights = np.full(market.close.shape, np.nan)
    up = market.close[1:, 0] > market.close[:-1, 0]
    weights[:-1] = np.where(up[:, None], [[1.0, 0.0]], [[0.0, 1.0]])
    weights[0] = 0.5
    return weights


def fails_late(spec, market):
    if str(market.sessions[-1]) > "2020-03-01":
        raise RuntimeError("late")
    return np.full(market.close.shape, 0.5)
"""


class Bench:
    """Executes runs in this process into a registry, and puts their parts together."""

    def __init__(self, folder):
        self.folder = folder
        self.number = 0
        self.prices()
        (folder / "stitching_own.py").write_text(OWN)
        self.registry = open_registry(folder / "registry", durability="second")

    def prices(self, rows=slice(None), name="prices.csv"):
        drawn = np.random.default_rng(5).normal(0.0005, 0.02, (len(DAYS), 2))
        prices = np.array([10.0, 20.0]) * np.cumprod(1.0 + drawn, axis=0)
        pairs = list(zip(DAYS.astype(str).tolist(), prices.tolist(), strict=True))[rows]
        lines = [f"{day},{a:.4f},{b:.4f}\n" for day, (a, b) in pairs]
        (self.folder / name).write_text("Date,AAA,BBB\n" + "".join(lines))

    def spec(self, name="a", **changes):
        given = {
            "engine": "portfolio",
            "strategy": "fixed_weights",
            "params": {},
            "symbols": ("AAA", "BBB"),
            "start_date": date(2020, 1, 1),
            "end_date": date(2020, 3, 31),
            "start_capital": 1000.0,
            "data": DataSpec(str(self.folder / "prices.csv"), calendar="weekdays"),
            "rebalance_freq": "W",
            "costs": CostSpec(commission_bps=10.0),
        }
        return RunSpec(name=name, **{**given, **changes})

    def cut(self, *specs, days=30, **limits):
        batch = Batch(
            self.folder / "finbot.yaml", b"", "small", "", self.folder, None, "second", specs, len(specs)
        )
        return sliced(batch, Slicing(days=days, **limits), only_target=True).runs

    def record(self, *specs):
        """The record of each spec, executed."""
        opened = OpenBatch(self.folder / "finbot.yaml", "batch-20260101T000000Z-aaaaaa", self.folder / "out")
        executor = Executor(self.registry)
        return [
            executor.execute(
                Attempt(opened, spec, 1, now(), "main"), lambda kind, payload, *, flush=True: None
            )
            for spec in specs
        ]

    def together(self, specs, records, selected=None):
        """What comes of a batch of ``specs`` with these records, by what was put together."""
        self.number += 1
        batch_id = f"batch-20260101T0000{self.number:02d}Z-aaaaaa"
        self.registry.create_batch({"batch_id": batch_id, "batch_name": "small", **runs_to_json(list(specs))})
        expected = [spec.name for spec in specs] if selected is None else list(selected)
        writer = self.registry.open_writer(batch_id, "main")
        writer.append("begin", {"at": now(), "expected": expected, "deselected": 0})
        for record in records:
            if record.name in expected:
                named = dataclasses.replace(record, batch_id=batch_id, run_id=f"{batch_id}/{record.name}")
                writer.append("run", record_to_json(named))
        writer.close()
        (self.folder / "out").mkdir(exist_ok=True)
        fold = self.registry.fold(batch_id)
        facts = stitch_all(planned_parts(specs), fold, self.registry, self.folder / "out")
        json.dumps([dataclasses.asdict(one) for one in facts], allow_nan=False)
        return facts

    def run(self, *specs, **options):
        return self.together(specs, self.record(*specs), **options)

    def file(self, facts):
        with (self.folder / "out" / facts.file).open(newline="") as file:
            return list(csv.DictReader(file))

    def nav(self, record):
        series = read_series(self.registry.objects, json.loads(json.dumps(record_to_json(record))))
        return dict(zip(series.sessions.astype(str).tolist(), series.nav.tolist(), strict=True))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    return Bench(tmp_path)


OF_POSITIONS = {"turnover", "trades", "costs", "exposure_gross", "cash_share"}


# ---------------------------------------------------------------------------------- slices


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(3, 60),
    st.sampled_from(["fixed_weights", "sma_crossover", "momentum_rotation"]),
    st.lists(st.integers(0, len(DAYS) - 1), max_size=3, unique=True),
    st.sampled_from(["close", "next_close"]),
)
def test_slices_are_the_whole_run_bit_for_bit(bench, days, strategy, flow_days, fill):
    params = {
        "fixed_weights": {},
        "sma_crossover": {"fast": 2, "slow": 7},
        "momentum_rotation": {"top": 1, "lookback": 5},
    }
    flows = tuple(Flow(DAYS[row].item(), 50.0 + row) for row in sorted(flow_days))
    spec = bench.spec(strategy=strategy, params=params[strategy], flows=flows, fill=fill)
    [whole] = bench.record(spec)
    assert whole.status == "success"
    [facts] = bench.run(*bench.cut(spec, days=days))
    assert facts.why_not is None
    rows = bench.file(facts)
    assert {row["session"]: float(row["nav"]) for row in rows} == bench.nav(whole)
    assert [row["part"] for row in rows] == [part.run for part in facts.parts for _ in range(part.sessions)]
    assert facts.metrics == {key: whole.metrics[key] for key in whole.metrics if key not in OF_POSITIONS}
    assert facts.start_nav == 1000.0
    growth = np.prod([1.0 + part.metrics["total_return"] for part in facts.parts])
    assert growth == pytest.approx(1.0 + whole.metrics["total_return"], rel=1e-12)


def test_a_range_in_the_middle_begins_with_what_the_account_was_worth_before(bench):
    spec = bench.spec()
    [whole] = bench.record(spec)
    nav = bench.nav(whole)
    [facts] = bench.run(*bench.cut(spec, days=10, first=date(2020, 2, 3), last=date(2020, 2, 28)))
    assert (facts.first_session, facts.last_session, facts.sessions) == ("2020-02-03", "2020-02-28", 20)
    assert facts.start_nav == nav["2020-01-31"]
    assert facts.metrics["total_return"] == nav["2020-02-28"] / nav["2020-01-31"] - 1.0


def test_a_strategy_that_looks_ahead_is_found_where_two_slices_meet(bench):
    cut = bench.cut(bench.spec(strategy="stitching_own:sees_everything", rebalance_freq="D"))
    records = bench.record(*cut)
    [facts] = bench.together(cut, records)
    one, other = (bench.nav(record)["2020-01-02"] for record in records[:2])
    assert facts.fault
    assert facts.why_not.startswith(
        f"what comes later changes what came before: NAV on 2020-01-02 is {one:,.10g} in {cut[0].name} and "
        f"{other:,.10g} in {cut[1].name}; its strategy or engine looks ahead or does not carry its state"
    )
    assert (facts.parts, facts.file, facts.metrics) == ((), "", {})
    assert not (bench.folder / "out" / "stitched").exists()


def test_a_look_at_tomorrow_alone_is_found_by_what_was_bought(bench):
    free = CostSpec()  # so that NAV of the last session does not show it
    cut = bench.cut(
        bench.spec(strategy="stitching_own:sees_tomorrow", rebalance_freq="D", costs=free), days=7
    )
    [facts] = bench.run(*cut)
    assert facts.fault
    assert "the quantity of AAA on 2020-02-04 is 0 in a.2020-01-29_2020-02-04" in facts.why_not


def test_a_slice_that_failed_leaves_its_own_whole_open_and_no_other(bench):
    cut = bench.cut(bench.spec("bad", strategy="stitching_own:fails_late"), bench.spec("good"))
    bad, good = bench.run(*cut)
    assert bad.why_not == "bad.2020-03-01_2020-03-30 gave no result (engine_error)"
    assert good.why_not is None
    gone = [record for record in bench.record(*cut) if record.name != cut[-1].name]
    assert bench.together(cut, gone)[1].why_not == f"{cut[-1].name} left no record"


def test_slices_that_do_not_know_the_same_sessions_are_told(bench):
    cut = bench.cut(bench.spec(data=DataSpec(str(bench.folder / "prices.csv"))))
    first = bench.record(cut[0])
    bench.prices(slice(5, None), "later.csv")
    rest = bench.record(
        *(
            dataclasses.replace(
                spec, start_date=date(2020, 1, 8), data=DataSpec(str(bench.folder / "later.csv"))
            )
            for spec in cut[1:]
        )
    )
    [facts] = bench.together(cut, [*first, *rest])
    assert facts.why_not == f"{cut[1].name} does not have the sessions of {cut[0].name}"
    assert facts.fault


def test_what_was_not_selected_is_no_fault_and_a_whole_of_which_nothing_was_is_none(bench):
    cut = bench.cut(bench.spec("a"), bench.spec("b"))
    [facts] = bench.run(*cut, selected=[cut[0].name, cut[1].name])
    assert (facts.of, facts.fault) == ("a", False)
    assert facts.why_not == "2 of its 4 parts were not selected"


def test_a_series_that_was_damaged_is_not_put_together(bench):
    cut = bench.cut(bench.spec(), days=50)
    records = bench.record(*cut)
    other = json.loads(json.dumps(record_to_json(records[0])))
    other["tables"] = {}  # the reference stays, and leads nowhere
    [facts] = bench.together(cut, [record_from_json(other), records[1]])
    assert facts.fault
    assert facts.why_not.startswith(f"{cut[0].name} cannot be read: ")


def test_files_of_an_earlier_session_go_and_those_of_others_stay(bench):
    cut = bench.cut(bench.spec("a"), bench.spec("b"))
    bench.run(*cut)
    folder = bench.folder / "out" / "stitched"
    (folder / "mine.nav.csv").write_text("day,value\n")
    assert sorted(file.name for file in folder.iterdir()) == ["a.nav.csv", "b.nav.csv", "mine.nav.csv"]
    bench.run(*bench.cut(bench.spec("a")))
    assert sorted(file.name for file in folder.iterdir()) == ["a.nav.csv", "mine.nav.csv"]
    assert bench.run(bench.spec("a")) == ()
    assert [file.name for file in folder.iterdir()] == ["mine.nav.csv"]
    (folder / "mine.nav.csv").unlink()
    bench.run(bench.spec("a"))
    assert not folder.exists()


# ------------------------------------------------------------------------------ walk-forward


def pairs(bench, *days, **changes):
    """In-sample and out-of-sample runs; ``days``: start, first own day and end of each."""
    for number, (start, own, end) in enumerate(days, 1):
        begin, middle, last = (date.fromisoformat(f"2020-{day}") for day in (start, own, end))
        part = PartSpec("a", "in_sample", number)
        before = date.fromordinal(middle.toordinal() - 1)
        yield bench.spec(f"a.wf{number:02}_in", start_date=begin, end_date=before, part=part, **changes)
        part = PartSpec("a", "out_of_sample", number, middle)
        yield bench.spec(f"a.wf{number:02}_out", start_date=begin, end_date=last, part=part, **changes)


def test_out_of_sample_parts_are_linked_by_growth_and_have_their_in_sample_part_beside_them(bench):
    flows = (Flow(date(2020, 2, 10), 500.0),)
    specs = list(pairs(bench, ("01-01", "02-03", "02-28"), ("02-03", "03-02", "03-31")))
    specs[1] = dataclasses.replace(specs[1], flows=flows)
    records = bench.record(*specs)
    [facts] = bench.together(specs, records)
    one, other = bench.nav(records[1]), bench.nav(records[3])
    linked, worth = {}, 1000.0
    for nav, first in ((one, "2020-02-03"), (other, "2020-03-02")):
        days = list(nav)
        for before, day in itertools.pairwise(days):
            if day >= first:
                worth *= (nav[day] - (500.0 if nav is one and day == "2020-02-10" else 0.0)) / nav[before]
                linked[day] = worth
    told = {row["session"]: float(row["nav"]) for row in bench.file(facts)}
    assert list(told) == list(linked)
    assert list(told.values()) == pytest.approx(list(linked.values()), rel=1e-13)
    assert facts.metrics["total_return"] == pytest.approx(worth / 1000.0 - 1.0, rel=1e-12)
    assert [part.run for part in facts.in_sample] == ["a.wf01_in", "a.wf02_in"]
    assert facts.in_sample[0].metrics == records[0].metrics
    assert (facts.in_sample[0].first_session, facts.in_sample[0].last_session) == ("2020-01-01", "2020-01-31")


def test_an_in_sample_part_that_is_not_there_does_not_keep_the_others_apart(bench):
    specs = list(pairs(bench, ("01-01", "02-03", "02-28"), ("02-03", "03-02", "03-31")))
    [facts] = bench.run(*specs, selected=[spec.name for spec in specs if spec.name != "a.wf01_in"])
    assert facts.why_not is None
    assert facts.in_sample[0] is None
    assert facts.in_sample[1].run == "a.wf02_in"


def test_days_between_parts_that_are_in_none_are_told_and_no_calendar_rate_is_claimed(bench):
    [facts] = bench.run(*pairs(bench, ("01-01", "02-03", "02-14"), ("02-03", "03-02", "03-31")))
    assert facts.holes == ("2020-02-15 to 2020-03-01",)
    assert facts.metrics["cagr_calendar"] is None
    assert facts.undefined == {"cagr_calendar": "days of no part lie within: 2020-02-15 to 2020-03-01"}
    assert facts.metrics["cagr"] is not None


def test_a_weekend_between_parts_is_no_hole(bench):
    [facts] = bench.run(*pairs(bench, ("01-01", "02-03", "02-28"), ("02-03", "03-02", "03-31")))
    assert facts.holes == ()
    assert facts.metrics["cagr_calendar"] is not None


def test_windows_that_overlap_are_not_linked_and_that_is_no_fault(bench):
    [facts] = bench.run(*pairs(bench, ("01-01", "02-03", "02-28"), ("01-15", "02-24", "03-31")))
    assert facts.why_not == "a.wf01_out and a.wf02_out overlap: 2020-02-24 is in both"
    assert not facts.fault
    assert facts.in_sample == ()


def test_an_account_that_is_lost_has_no_growth_to_link(bench):
    flows = (Flow(date(2020, 2, 11), -2000.0),)
    specs = list(pairs(bench, ("01-01", "02-03", "02-28"), ("02-03", "03-02", "03-31")))
    specs[1] = dataclasses.replace(specs[1], flows=flows)
    [facts] = bench.run(*specs)
    assert facts.why_not == "NAV of a.wf01_out is not above zero around 2020-02-12: it has no return to link"
    assert not facts.fault


def test_windows_that_stand_for_themselves_are_no_parts(bench):
    assert planned_parts([bench.spec(part=PartSpec("a", "window", 1)), bench.spec("b")]) == ()
