"""What a notebook gets from an ExperimentRegistry: what was saved comes back, and is found."""

import enum
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pytest_finbot.config.manifest import runs_to_json
from pytest_finbot.contracts import BatchStatus, DataSpec, RunRecord, RunSpec, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry import BatchRegistry, Experiment, ExperimentRegistry, open_registry

METRICS = {"total_return": 0.5, "cagr": 0.1, "sharpe": 1.0, "max_drawdown": -0.2}


class Side(enum.Enum):
    LONG = "long"


class Unknown:
    pass


@pytest.fixture
def registry(root):
    with ExperimentRegistry(root) as registry:
        yield registry


def files(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def experiment(name, **changes):
    return Experiment(name=name, **{"strategy": "momentum", "engine": "mine", "metrics": METRICS, **changes})


def batch_of(run_id):
    return run_id.partition("/")[0]


# ----------------------------------------------------------------------- saving and loading


def test_what_was_saved_comes_back(registry, root):
    params = {
        "since": date(2015, 1, 2), "side": Side.LONG, "prices": Path("a.csv"), "fast": np.int32(50),
        "slow": 200.0, "weights": (0.5, 0.5), "nested": {"$x": np.float64(0.1)},
    }  # fmt: skip
    days = np.array(["2015-01-02", "2015-01-05"], dtype="datetime64[D]")
    run_id = registry.save(
        experiment(
            "fast_50",
            params=params,
            metrics={"sharpe": np.float64(1.5), "trades": np.int64(3), "cagr": None},
            undefined_metrics={"cagr": "two sessions"},
            tags=["core", "long"],
            series={"session": days, "nav": [100.0, np.nan]},
            started_at=datetime(2026, 3, 1, 8),
            seconds=2,
            seed=7,
        )
    )
    with ExperimentRegistry(root) as elsewhere:
        record = elsewhere.load(run_id)
        found = elsewhere.load_params(run_id)
        series = elsewhere.load_series(run_id)
    assert (record.run_id, record.name, record.status, record.attempt) == (run_id, "fast_50", "success", 1)
    assert (record.strategy, record.engine, record.tags, record.seed) == (
        "momentum",
        "mine",
        ("core", "long"),
        7,
    )
    assert record.metrics == {"sharpe": 1.5, "trades": 3, "cagr": None}
    assert record.undefined_metrics == {"cagr": "two sessions"}
    assert (record.started_at, record.finished_at) == (
        *("2026-03-01T08:00:00.000+00:00", "2026-03-01T08:00:02.000+00:00"),
    )
    assert found == params
    assert {key: type(value) for key, value in found.items()} == {
        key: type(value) for key, value in params.items()
    }
    assert list(series) == ["session", "nav"]
    assert (series["session"] == days).all()
    np.testing.assert_array_equal(series["nav"], [100.0, np.nan])


def test_pandas_series_and_whole_numbers_are_series_too(registry):
    days = pd.date_range("2020-01-01", periods=3)
    run_id = registry.save(
        experiment(
            "a",
            series={
                "session": days,
                "nav": pd.Series([1.0, 2.0, 3.0], index=days),
                "held": [1, 2, 3],
                "note": ["x", "y", "z"],
                "day": [date(2020, 1, day) for day in (1, 2, 3)],
            },
        )
    )
    series = registry.load_series(run_id)
    assert {name: column.dtype.str[1:] for name, column in series.items()} == {
        "session": "M8[D]", "nav": "f8", "held": "i8", "note": "O", "day": "M8[D]",
    }  # fmt: skip
    assert series["note"].tolist() == ["x", "y", "z"]
    assert (series["day"] == series["session"]).all()


def test_all_that_an_object_saves_is_one_batch_that_nobody_has_to_end(registry, root):
    first, second = (
        registry.save(experiment("a")),
        registry.save(experiment("b", status="failed", error="no")),
    )
    assert batch_of(first) == batch_of(second)
    with BatchRegistry(root) as batches:
        (row,) = batches.list_batches()
        assert (row.name, row.status, row.expected, row.success, row.failed) == (
            "experiments",
            "partial",
            2,
            1,
            1,
        )
        assert batches.get_error_summary(row.batch_id) == {"unknown": 1}
    registry.close()
    assert batch_of(registry.save(experiment("a"))) != batch_of(first)


def test_a_name_that_is_saved_again_is_a_run_of_its_own(registry):
    first, second = (registry.save(experiment("a", params={"fast": fast})) for fast in (10, 20))
    third = registry.save(experiment("b"))
    assert batch_of(first) != batch_of(second) == batch_of(third)
    assert [row.run_id for row in registry.list_runs()] == [third, second, first]
    assert [registry.load_params(run_id)["fast"] for run_id in (first, second)] == [10, 20]


def test_a_batch_is_chosen_by_name_or_by_id(registry, root):
    named = registry.save(experiment("a"), batch="study")
    assert batch_of(registry.save(experiment("b"), batch="study")) == batch_of(named)
    again = registry.save(experiment("a"), batch=batch_of(named))
    assert again == f"{named}#2"
    with BatchRegistry(root) as batches:
        assert [(row.name, row.expected, row.status) for row in batches.list_batches()] == [
            ("study", 2, "completed")
        ]
    assert (registry.load(f"{named}#1").attempt, registry.load(again).attempt) == (1, 2)
    assert registry.save(experiment("c"), batch=batch_of(named)) == f"{batch_of(named)}/c"
    with pytest.raises(RegistryError, match="there is no batch batch-20260301T080000Z-000000"):
        registry.save(experiment("a"), batch="batch-20260301T080000Z-000000")
    with pytest.raises(RegistryError, match="'a/b' cannot name a batch"):
        registry.save(experiment("a"), batch="a/b")


def test_a_batch_of_somebody_else_takes_only_what_it_expects_and_is_not_ended(registry, root):
    with BatchRegistry(root) as batches:
        own = batches.create_batch("own", ["sixty_forty", "momentum"])
        before = files(root)
        with pytest.raises(
            RegistryError, match=f"'momentun' was not expected in batch {own}; did you mean 'momentum'"
        ):
            registry.save(experiment("momentun", series={"nav": [1.0]}), batch=own)
        assert files(root) == before
        assert registry.save(experiment("momentum"), batch=own) == f"{own}/momentum"
        row = batches.get_batch(own)
        assert (row.status, row.expected, row.recorded) == (BatchStatus.RUNNING, 2, 1)
        kinds = [
            line.split(b'"kind":"')[1].split(b'"')[0]
            for path in root.rglob(f"{own}/*.jsonl")
            for line in path.read_bytes().splitlines()
        ]
        assert sorted(kinds) == [b"begin", b"run"]
    mine = registry.save(experiment("a"))
    with ExperimentRegistry(root) as other, pytest.raises(RegistryError, match="'b' was not expected"):
        other.save(experiment("b"), batch=batch_of(mine))


def test_a_cancelled_batch_stays_cancelled(registry, root):
    with BatchRegistry(root) as batches:
        batch_id = batches.create_batch("core", ["a", "b"])
        batches.update_status(batch_id, "cancelled")
        with pytest.raises(RegistryError, match=f"batch {batch_id} was cancelled; save run 'a' in another"):
            registry.save(experiment("a"), batch=batch_id)
        assert batches.get_batch(batch_id).status is BatchStatus.CANCELLED


def test_a_record_of_another_registry_is_saved_as_it_is(registry, tmp_path):
    record = RunRecord(
        "batch-20260301T080000Z-000000/a#3", "batch-20260301T080000Z-000000", "a", RunStatus.SUCCESS, 3,
        "2026-03-01T08:00:00", "2026-03-01T08:00:05", 5.0, "gw0", metrics=METRICS,
    )  # fmt: skip
    run_id = registry.save(record)
    found = registry.load(run_id)
    assert (found.attempt, found.worker, dict(found.metrics), found.seconds) == (1, "gw0", METRICS, 5.0)
    assert found.run_id == run_id == f"{found.batch_id}/a"
    assert found.started_at == "2026-03-01T08:00:00.000+00:00"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"params": {"a": [{"model": Unknown()}]}},
            r"run 'a': params.a\[0\].model is of type .*Unknown, which cannot",
        ),
        ({"params": {"x": float("inf")}}, "params.x is inf"),
        ({"metrics": {"sharpe": np.nan}}, "metrics.sharpe is nan; expected a finite number"),
        ({"status": "done"}, "status is 'done'; expected success, failed"),
        ({"tags": "core"}, "tags are 'core'"),
        ({"name": "a/b"}, "'a/b' cannot name a run"),
        ({"seed": Unknown()}, "seed is .*Unknown.*; expected a whole number, or None"),
        ({"seed": "7"}, "run 'a': seed is '7'; expected a whole number, or None"),
        ({"strategy": 3}, "run 'a': strategy is 3; expected text"),
        ({"engine": None}, "run 'a': engine is None; expected text"),
        ({"name": None}, "the name of a run is None"),
        ({"tags": 3}, "tags are 3; expected a list of texts"),
        ({"tags": ["a", 3]}, r"tags are \['a', 3\]; expected a list of texts"),
        ({"tags": ["\ud800"]}, "which has half a character"),
        ({"params": 3}, "params are 3; expected names with values"),
        ({"error": "no price"}, "status is 'success' and it has an error"),
        ({"metrics": {"trades": 2**60}}, "metrics.trades is beyond"),
        ({"started_at": "9999-12-31T23:59:59"}, "beyond the years 1 to 9999"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "beyond the years 1 to 9999"),
        ({"started_at": pd.NaT}, "started_at is NaT; expected a datetime"),
        ({"series": [1.0]}, "series are .*; expected names with values"),
        ({"series": {1: [1.0]}}, "a name of series is 1; expected text"),
        ({"series": {"nav": [1, "x"]}}, "series.nav has 1 among values of another type"),
        ({"series": {"nav": [1.5, True]}}, "series.nav has 1.5 among values of another type"),
        ({"series": {"nav": [b"x", "y"]}}, "series.nav has b'x' among values of another type"),
        ({"series": {"nav": [[1.0], [1.0, 2.0]]}}, "series.nav makes no column"),
        ({"series": {"asset": ["\ud800"]}}, "series.asset is .*, which has half a character"),
        ({"series": {"nav": [1.0], "cash": [1.0, 2.0]}}, "columns nav, cash have different lengths"),
        ({"series": {"nav": [1j]}}, "column 'nav' has dtype complex128"),
        ({"series": {"nav": [[1.0]]}}, "column 'nav' has shape"),
        ({"series": {"day": np.array(["2020-01-01T09"], "M8[h]")}}, "series.day has times of day"),
        ({"series": {"day": np.array(["NaT"], "M8[D]")}}, "series.day has times of day, or no date"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_written(registry, root, changes, said):
    before = sorted(root.rglob("*"))
    with pytest.raises(RegistryError, match=said):
        registry.save(experiment(**{"name": "a", **changes}))
    assert sorted(root.rglob("*")) == before
    assert registry.count() == 0


# --------------------------------------------------------------------------------- asking


def test_runs_are_listed_newest_first_and_filtered(registry):
    first = registry.save(experiment("z", started_at=datetime(2026, 1, 1), tags=["core"]))
    second = registry.save(experiment("a", started_at=datetime(2026, 1, 2, tzinfo=UTC), strategy="carry"))
    third = registry.save(
        experiment("m", started_at="2026-01-03", status="failed", engine="bt"), batch="other"
    )
    assert [row.run_id for row in registry.list_runs()] == [third, second, first]
    assert [row.run_id for row in registry.list_runs(limit=1, offset=1)] == [second]
    for question, answer in (
        ({"strategy": "carry"}, [second]),
        ({"engine": "bt"}, [third]),
        ({"status": "failed"}, [third]),
        ({"status": RunStatus.SUCCESS}, [second, first]),
        ({"tag": "core"}, [first]),
        ({"since": datetime(2026, 1, 2)}, [third, second]),
        ({"until": datetime(2026, 1, 2)}, [first]),
        ({"batch": batch_of(third)}, [third]),
        ({"strategy": "momentum", "engine": "mine", "since": datetime(2026, 1, 1), "limit": 5}, [first]),
    ):
        assert [row.run_id for row in registry.list_runs(**question)] == answer
        question.pop("limit", None)
        assert registry.count(**question) == len(answer)
    with pytest.raises(
        RegistryError, match="status is 'sucess'; expected success, failed; did you mean 'success'"
    ):
        registry.list_runs(status="sucess")


def test_runs_are_found_by_the_hash_of_what_they_were_made_with_and_of_what_came_out(registry):
    nav = {"nav": [1.0, 2.0]}
    first = registry.save(experiment("a", params={"fast": 50, "slow": 200}, series=nav))
    second = registry.save(experiment("b", params={"slow": 200, "fast": 50}, series=nav))
    third = registry.save(experiment("c", params={"fast": 50.0, "slow": 200}))
    row = registry.list_runs()[-1]
    assert [found.run_id for found in registry.find_by_hash(row.config_hash)] == [second, first]
    assert [found.run_id for found in registry.find_by_hash(row.series[:10])] == [second, first]
    other = registry.list_runs()[0]
    assert other.run_id == third
    assert other.config_hash != row.config_hash  # code can tell 50 from 50.0
    assert registry.find_by_hash("0" * 64) == []
    assert registry.load_params(first)["fast"] == 50
    assert type(registry.load_params(third)["fast"]) is float


def test_similar_runs_are_within_the_tolerance_in_every_metric_nearest_first(registry):
    def save(name, **metrics):
        return registry.save(experiment(name, metrics={**METRICS, **metrics}))

    itself = save("itself")
    near = save("near", sharpe=1.05, cagr=0.11)
    edge = save("edge", sharpe=1.1)  # 1.1 - 1.0 is a little more than 0.1 in binary
    save("beyond", sharpe=1.11)
    save("one_is_off", max_drawdown=-0.35)
    save("undefined", cagr=None)
    registry.save(experiment("without", metrics={}))
    found = registry.find_similar(itself, 0.1)
    assert [each.run.run_id for each in found] == [near, edge]
    assert [each.distance for each in found] == pytest.approx([0.05, 0.1])
    assert found[0].differences == pytest.approx(
        {"total_return": 0.0, "cagr": 0.01, "sharpe": 0.05, "max_drawdown": 0.0}
    )
    assert registry.find_similar(itself, 0) == []
    assert [each.run.run_id for each in registry.find_similar(METRICS, 0.0)] == [itself]
    assert [each.run.name for each in registry.find_similar({"cagr": 0.1, "sharpe": 1.0}, 0.0)] == [
        *("one_is_off", "itself"),
    ]
    undefined = registry.list_runs(limit=2)[1]
    assert undefined.name == "undefined"
    assert registry.find_similar(undefined.run_id, 10.0) == []


@pytest.mark.parametrize(
    ("reference", "tolerance", "said"),
    [
        ({"sharp": 1.0}, 0.1, "not by 'sharp'; did you mean 'sharpe'"),
        ({}, 0.1, "no metric to look for; expected some of total_return, cagr"),
        ({"sharpe": None}, 0.1, "sharpe is None; expected a finite number"),
        ({"sharpe": float("nan")}, 0.1, "sharpe is nan"),
        ({"sharpe": 1.0}, -0.1, "tolerance is -0.1; expected a finite number from 0 on"),
        ({"sharpe": 1.0}, float("nan"), "tolerance is nan"),
        ("batch-20260301T080000Z-000000/a", 0.1, "there is no run batch-20260301T080000Z-000000/a"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(registry, reference, tolerance, said):
    with pytest.raises(RegistryError, match=said):
        registry.find_similar(reference, tolerance)


def test_runs_side_by_side_show_metrics_and_what_differs(registry):
    first = registry.save(
        experiment(
            "a",
            params={"fast": 50, "slow": 200, "costs": {"bps": 10}},
            metrics={"sharpe": 1.0, "cagr": None},
            undefined_metrics={"cagr": "one session"},
        )
    )
    second = registry.save(
        experiment(
            "b",
            params={"fast": 50.0, "slow": 200, "costs": {"bps": 5}, "stop": 0.1},
            metrics={"sharpe": 2.0, "n": 3},
            strategy="carry",
        )
    )
    frame = registry.compare([first, second])
    assert list(frame.columns) == [first, second]
    assert frame.index.names == ["part", "name"]
    assert {key: list(values) for key, values in frame.iterrows() if key[0] != "fingerprint"} == {
        ("metric", "sharpe"): [1.0, 2.0],
        ("metric", "cagr"): [None, None],
        ("metric", "n"): [None, 3],
        ("params", "fast"): [50, 50.0],
        ("params", "costs.bps"): [10, 5],
        ("params", "stop"): [None, 0.1],
        ("setting", "strategy"): ["momentum", "carry"],
    }
    assert list(frame.loc["fingerprint"].index) == ["config"]
    assert frame.attrs["undefined"][first] == {"cagr": "one session"}
    assert registry.compare([]).empty
    with pytest.raises(RegistryError, match=r"runs are '.*'; expected a list of run ids"):
        registry.compare(first)
    with pytest.raises(RegistryError, match=f"there is no run {first}x"):
        registry.compare([first, f"{first}x"])


def test_runs_of_a_batch_file_are_compared_by_everything_that_can_change_their_numbers(registry, root):
    def spec(name, fast, end):
        return RunSpec(
            name=name, engine="portfolio", strategy="sma_cross", params={"fast": fast}, symbols=("AAPL",),
            start_date=date(2015, 1, 2), end_date=end, data=DataSpec(path="a.csv"), start_capital=100_000.0,
        )  # fmt: skip

    files_registry = open_registry(root)
    batch_id = "batch-20260301T080000Z-000000"
    at = "2026-03-01T08:00:00.000+00:00"
    specs = [spec("a", 50, date(2020, 1, 2)), spec("b", 40, date(2021, 1, 4))]
    files_registry.create_batch(
        {"batch_id": batch_id, "batch_name": "core", "created_at": at, **runs_to_json(specs)}
    )
    writer = files_registry.open_writer(batch_id, "main")
    writer.append("begin", {"at": at, "expected": ["a", "b"], "deselected": 0})
    for name, price in (("a", "1"), ("b", "2")):
        writer.append(
            "run", {"run_id": f"{batch_id}/{name}", "batch_id": batch_id, "name": name, "status": "success",
                    "attempt": 1, "started_at": at, "finished_at": at, "seconds": 1.0, "worker": "gw0",
                    "engine": "portfolio", "strategy": "sma_cross", "metrics": {"sharpe": 1.0},
                    "fingerprint": {"config": "c", "data": {"hash": price}, "environment": {"pandas": "2"}}},
        )  # fmt: skip
    writer.close()
    frame = registry.compare([f"{batch_id}/a", f"{batch_id}/b"])
    assert {key: list(values) for key, values in frame.iterrows()} == {
        ("metric", "sharpe"): [1.0, 1.0],
        ("params", "fast"): [50, 40],
        ("setting", "end_date"): ["2020-01-02", "2021-01-04"],
        ("fingerprint", "data.hash"): ["1", "2"],
    }
    assert registry.load_params(f"{batch_id}/b") == {"fast": 40}


# -------------------------------------------------------------------------------- deletion


def test_a_deleted_run_is_gone_and_its_neighbours_stay(registry, root):
    first, second = registry.save(experiment("a")), registry.save(experiment("b"))
    batch_id = batch_of(first)
    before = files(root)
    registry.delete(first)
    after = files(root)
    for path, content in before.items():
        assert after[path].startswith(content)  # lines are added, none is rewritten
    assert [row.run_id for row in registry.list_runs()] == [second]
    with BatchRegistry(root) as batches:
        row = batches.get_batch(batch_id)
        assert (row.status, row.expected, row.recorded, row.problems) == ("completed", 1, 1, ())
        assert batches.get_attempts(batch_id, "a") == []
    for ask in (registry.load, registry.delete, registry.load_params):
        with pytest.raises(RegistryError, match=f"there is no run {first}"):
            ask(first)
    again = registry.save(experiment("a"), batch=batch_id)
    assert again == f"{first}#2"
    assert {row.run_id for row in registry.list_runs()} == {again, second}
    registry.delete(again)
    assert [row.run_id for row in registry.list_runs()] == [second]


def test_with_the_last_run_of_a_batch_the_batch_goes(registry, root):
    first, second = registry.save(experiment("a")), registry.save(experiment("b"))
    registry.delete(first)
    registry.delete(second)
    assert registry.count() == 0
    with BatchRegistry(root) as batches:
        assert batches.list_batches() == []
    third = registry.save(experiment("a"))
    assert batch_of(third) != batch_of(first)


def test_a_run_of_a_running_batch_is_not_deleted(registry, root):
    with BatchRegistry(root) as batches:
        batch_id = batches.create_batch("core", ["a", "b"])
        run_id = batches.add_item_result(batch_id, {"name": "a", "status": "success"})
        with pytest.raises(
            RegistryError, match=f"batch {batch_id} is running and run 'a' of it is not deleted"
        ):
            registry.delete(run_id)
        batches.complete_batch(batch_id)
        registry.delete(run_id)
        row = batches.get_batch(batch_id)
        assert (row.expected, row.recorded, row.not_run) == (1, 0, 1)


def test_an_earlier_attempt_is_loaded_and_is_not_what_is_deleted(registry, root):
    with BatchRegistry(root) as batches:
        batch_id = batches.create_batch("core", ["a", "b"])
        for status in ("failed", "success"):
            batches.add_item_result(batch_id, {"name": "a", "status": status})
        batches.complete_batch(batch_id)
    # As in the command, a run is its final record; an attempt is asked for by its number.
    assert registry.load(f"{batch_id}/a").status == "success"
    assert registry.load(f"{batch_id}/a#1").status == "failed"
    assert registry.load(f"{batch_id}/a#2").status == "success"
    with pytest.raises(RegistryError, match="is an earlier attempt; a later one of this run counts"):
        registry.delete(f"{batch_id}/a")
    with pytest.raises(RegistryError, match="there is no run"):
        registry.load(f"{batch_id}/a#3")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda registry: registry.load(None), "run_id is None; expected text"),
        (lambda registry: registry.load_params(3), "run_id is 3; expected text"),
        (lambda registry: registry.load_series(None), "run_id is None"),
        (lambda registry: registry.delete(None), "run_id is None"),
        (lambda registry: registry.find_by_hash(None), "digest is None; expected text"),
        (lambda registry: registry.find_similar(None, 0.1), "reference are None; expected names"),
        (lambda registry: registry.compare([None]), "run_id is None"),
        (lambda registry: registry.compare(None), "runs are None; expected a list"),
        (lambda registry: registry.list_runs(strategy=3), "strategy is 3; expected text"),
        (lambda registry: registry.list_runs(batch=3), "batch is 3; expected text"),
        (lambda registry: registry.count(tag=3), "tag is 3; expected text"),
        (lambda registry: registry.save(None), "a run is None; expected an Experiment"),
        (lambda registry: registry.save(experiment("a"), batch=3), "batch is 3; expected text"),
        (lambda registry: ExperimentRegistry(""), "the registry is ''; expected a folder"),
    ],
)
def test_values_of_a_wrong_type_are_refused_in_one_message(registry, ask, said):
    registry.save(experiment("a"))
    with pytest.raises(RegistryError, match=said):
        ask(registry)


# ------------------------------------------------------------------------------- processes

SAVING = """
import sys
from pytest_finbot.registry import Experiment, ExperimentRegistry
root, name, count = sys.argv[1:]
with ExperimentRegistry(root) as registry:
    for number in range(int(count)):
        series = {"nav": [1.0, number % 3]}
        run = Experiment(name=f"run_{number}", tags=[name], params={"n": number}, series=series)
        registry.save(run, batch=name)
"""


def test_processes_that_save_at_once_lose_nothing(registry, root):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SAVING, str(root), f"study_{number}", "20"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for number in range(4)
    ]
    for process in processes:
        assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)
    assert registry.count() == 80
    assert registry.count(tag="study_2") == 20
    assert {registry.load_params(row.run_id)["n"] for row in registry.list_runs(tag="study_3")} == set(
        range(20)
    )
    with BatchRegistry(root) as batches:
        assert {(row.name, row.status, row.success) for row in batches.list_batches()} == {
            (f"study_{number}", "completed", 20) for number in range(4)
        }
        assert batches.problems() == ()
