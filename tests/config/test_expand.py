"""Defaults and runs put together."""

import json
from datetime import date
from pathlib import Path

import yaml

from pytest_finbot.config.models import BatchModel
from pytest_finbot.contracts import CostSpec, DataSpec, RunSpec

FULL = """\
batch_name: full
description: all of it
output_root: out/../results
engine: portfolio
max_workers: 3
durability: second
defaults:
  data: {source: local, path: prices.csv, field: adj_close, calendar: XNYS, missing: error}
  strategy: sma_crossover
  params: {fast: 20, slow: 100}
  symbols: [AAA, BBB]
  start_date: 2010-01-04
  end_date: 2022-12-28
  costs: {commission_bps: 10, booking: from_cash}
  tags: [core]
  outputs: [parquet, csv]
  reports: [tca, summary]
  max_gross_exposure: 1.5
runs:
  - id: as_it_is
  - id: own.way-1
    description: another one
    engine: mine:run
    strategy: fixed_weights
    params: {fast: 5, weights: {AAA: 1}}
    symbols: AAA
    start_date: '2015-01-02'
    start_capital: 1e6
    data: {field: close, open_path: opens.csv}
    costs: {slippage_bps: 2.5}
    rebalance_freq: none
    fill: next_open
    units: whole
    min_trade: 50
    max_gross_exposure: null
    seed: 7
    tags: [a, b.c, a]
    outputs: [csv]
    reports: []
"""


def test_a_run_takes_from_defaults_what_it_does_not_say(folder):
    folder.write("opens.csv", "")
    batch = folder.load(FULL)
    plain, own = batch.runs
    prices, opens = str(folder.path / "prices.csv"), str(folder.path / "opens.csv")
    assert plain == RunSpec(
        name="as_it_is",
        engine="portfolio",
        strategy="sma_crossover",
        params={"fast": 20, "slow": 100},
        symbols=("AAA", "BBB"),
        start_date=date(2010, 1, 4),
        end_date=date(2022, 12, 28),
        start_capital=100_000.0,
        data=DataSpec(prices, "adj_close", "XNYS"),
        costs=CostSpec(commission_bps=10.0, booking="from_cash"),
        max_gross_exposure=1.5,
        tags=("core",),
        reports=("summary", "tca"),
        outputs=("parquet", "csv"),
        line=20,
    )
    assert own == RunSpec(
        name="own.way-1",
        engine="mine:run",
        strategy="fixed_weights",
        params={"fast": 5, "slow": 100, "weights": {"AAA": 1}},
        symbols=("AAA",),
        start_date=date(2015, 1, 2),
        end_date=date(2022, 12, 28),
        start_capital=1e6,
        data=DataSpec(prices, "close", "XNYS", open_path=opens),
        costs=CostSpec(commission_bps=10.0, slippage_bps=2.5, booking="from_cash"),
        rebalance_freq="none",
        fill="next_open",
        units="whole",
        min_trade=50.0,
        max_gross_exposure=None,
        seed=7,
        tags=("a", "b.c"),
        reports=(),
        outputs=("csv",),
        description="another one",
        line=21,
    )
    assert type(own.min_trade) is float


def test_the_batch_itself(folder):
    folder.write("opens.csv", "")
    batch = folder.load(FULL)
    assert (batch.batch_name, batch.description, batch.max_workers, batch.durability) == (
        "full",
        "all of it",
        3,
        "second",
    )
    assert batch.output_root == folder.path / "results"
    assert batch.path == folder.path / "finbot.yaml"
    assert batch.text == FULL.encode()
    assert batch.run_count == 2
    assert (batch.without_runs().runs, batch.without_runs().run_count) == ((), 2)


def test_a_batch_that_says_little_has_the_usual_values(folder):
    batch = folder.runs("- id: a")
    assert (batch.output_root, batch.max_workers, batch.durability) == (folder.path / "output", None, "item")
    spec = batch.runs[0]
    assert (spec.engine, spec.start_capital, spec.rebalance_freq, spec.fill, spec.units) == (
        "portfolio",
        100_000.0,
        "M",
        "close",
        "fractional",
    )
    assert (spec.costs, spec.outputs, spec.reports, spec.seed) == (CostSpec(), (), (), None)


def test_the_batchs_engine_is_that_of_runs_that_name_none(folder):
    text = """\
        batch_name: a
        engine: one:run
        defaults: {symbols: X, start_date: 2020-01-02, end_date: 2020-01-03, data: {path: prices.csv}}
        runs: [{id: a}, {id: b, engine: two:run}]
        """
    assert [spec.engine for spec in folder.load(text).runs] == ["one:run", "two:run"]


def test_json_and_yaml_of_one_content_are_one_batch(folder):
    folder.write("opens.csv", "")
    from_yaml = folder.load(FULL)
    content = yaml.load(FULL, yaml.BaseLoader)  # every scalar as text, to be typed below
    numbers = {"20": 20, "100": 100, "10": 10, "1.5": 1.5, "1e6": 1e6, "2.5": 2.5, "50": 50, "7": 7}
    numbers |= {"1": 1, "5": 5, "null": None, "3": 3}

    def typed(value):
        if isinstance(value, dict):
            return {key: typed(child) for key, child in value.items()}
        if isinstance(value, list):
            return [typed(child) for child in value]
        return numbers.get(value, value)

    from_json = folder.load(json.dumps(typed(content), indent=2), name="finbot.json")
    lines = [spec.line for spec in from_json.runs]
    text = from_json.text.decode().splitlines()
    assert ['"as_it_is"' in text[lines[0]], '"own.way-1"' in text[lines[1]]] == [True, True]
    same = [(spec, other) for spec, other in zip(from_yaml.runs, from_json.runs, strict=True)]
    for spec, other in same:
        for name in RunSpec.__slots__:
            if name != "line":
                assert getattr(spec, name) == getattr(other, name), name


def test_aliases_and_merge_keys_give_the_runs_they_say(folder):
    batch = folder.load("""\
        batch_name: a
        defaults: &base
          data: {path: prices.csv}
          strategy: s
          symbols: [AAA]
          start_date: 2020-01-02
          end_date: 2020-12-31
        runs:
          - &first {<<: *base, id: one, params: &params {x: 1}}
          - {<<: *first, id: two}
          - id: three
            params: *params
        """)
    assert [(spec.name, spec.params, spec.line) for spec in batch.runs] == [
        ("one", {"x": 1}, 9),
        ("two", {"x": 1}, 10),
        ("three", {"x": 1}, 11),
    ]


def test_runs_share_what_they_do_not_change(folder):
    one, two, three = folder.runs("- id: a\n- id: b\n- {id: c, data: {field: adj_close}}").runs
    assert one.data is two.data
    assert one.costs is three.costs
    assert three.data.field == "adj_close"
    assert one.data.field == "close"


def test_merging_params_leaves_the_defaults_alone(folder):
    text = """\
        batch_name: a
        defaults: {params: {x: 1}, strategy: s, symbols: X, start_date: 2020-01-02, end_date: 2020-01-03,
                   data: {path: prices.csv}}
        runs: [{id: a, params: {x: 2, y: 3}}, {id: b}, {id: c, params: {}}]
        """
    assert [spec.params for spec in folder.load(text).runs] == [{"x": 2, "y": 3}, {"x": 1}, {"x": 1}]


def test_editors_get_a_schema():
    schema = BatchModel.model_json_schema()
    run = schema["$defs"]["RunModel"]
    assert run["required"] == ["id"]
    assert run["additionalProperties"] is False
    assert run["properties"]["generate_report"]["deprecated"] is True
    assert run["properties"]["rebalance_freq"]["enum"] == ["none", "D", "W", "M", "Q", "A"]
    assert run["properties"]["start_date"]["format"] == "date"
    json.dumps(schema, allow_nan=False)


def test_a_relative_batch_file_gives_absolute_paths(folder, monkeypatch):
    from pytest_finbot.config.expand import load_batch

    folder.runs("- id: a")
    monkeypatch.chdir(folder.path.parent)
    batch = load_batch(Path(folder.path.name) / "finbot.yaml")
    assert batch.path == folder.path / "finbot.yaml"
    assert batch.runs[0].data.path == str(folder.path / "prices.csv")
