"""What an attempt leaves in its record beside its results."""

import dataclasses
import json
from datetime import date

import pytest

from pytest_finbot.contracts import DataSpec, PartSpec, RunSpec
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.session.attempt import Attempt, Executor, OpenBatch, now

PRICES = "Date,AAA,BBB\n2020-01-02,10,20\n2020-01-03,11,19\n2020-01-06,12,21\n2020-01-07,11,22\n"


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "prices.csv").write_text(PRICES)
    return RunSpec(
        name="held",
        engine="portfolio",
        strategy="fixed_weights",
        params={},
        symbols=("AAA", "BBB"),
        start_date=date(2020, 1, 2),
        end_date=date(2020, 1, 7),
        start_capital=1000.0,
        data=DataSpec(str(tmp_path / "prices.csv")),
        reports=("summary",),
    )


@pytest.fixture
def recorded(tmp_path):
    """Executes a spec and gives its record as JSON."""

    def execute(spec, **options):
        batch = OpenBatch(tmp_path / "finbot.yaml", "batch-20260101T000000Z-aaaaaa", tmp_path / "output")
        attempt = Attempt(batch, spec, 1, now(), "main")
        executor = Executor(open_registry(tmp_path / "registry"), **options)
        record = executor.execute(attempt, lambda kind, payload, *, flush=True: None)
        return json.loads(json.dumps(record_to_json(record), allow_nan=False))

    return execute


def test_what_its_books_need_and_how_long_recording_took(recorded, spec):
    record = recorded(spec)
    assert record["books"] == {"start_cash": 1000.0, "cent": 0.0}
    assert 0 < record["timings"]["recording"] < record["seconds"]
    assert record["part"] is None


def test_a_run_that_is_a_part_says_of_what(recorded, spec):
    part = PartSpec("walk", "out_of_sample", 2, date(2020, 1, 6))
    assert recorded(dataclasses.replace(spec, part=part))["part"] == {
        "of": "walk",
        "kind": "out_of_sample",
        "number": 2,
        "own_from": "2020-01-06",
    }


def test_a_run_without_a_result_has_no_books(recorded, spec):
    record = recorded(dataclasses.replace(spec, data=DataSpec("/nowhere.csv")))
    assert record["status"] == "failed"
    assert record["books"] == {}
    assert "recording" in record["timings"]
