"""Runs as JSON and back: nothing lost, nothing changed in type."""

import dataclasses
import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_finbot.config.manifest import runs_from_json, runs_to_json, spec_from_json, spec_to_json
from pytest_finbot.contracts import (
    ActionSpec,
    CheckSpec,
    CompareSpec,
    CostSpec,
    DataSpec,
    Dividend,
    Factor,
    FactorBundle,
    Flow,
    Limit,
    MarkSpec,
    PartSpec,
    RunSpec,
    Split,
)
from pytest_finbot.errors import ParameterError

text = st.text(st.characters(codec="utf-8"), max_size=6)
amounts = st.floats(0, 1e9)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
bundles = st.builds(
    FactorBundle,
    factors=st.lists(st.builds(Factor, text, amounts, st.sampled_from([1, -1])), max_size=3).map(tuple),
    universe=st.none() | text,
    factor_set=st.none() | text,
    horizon_days=st.none() | st.integers(1, 300),
    winsorize=st.booleans(),
    winsorize_limits=st.tuples(st.floats(0, 0.4), st.floats(0.6, 1)),
    zscore=st.booleans(),
)


def several(noun, *parts):
    return st.lists(st.builds(noun, *parts), max_size=3).map(tuple)


actions = st.builds(
    ActionSpec,
    st.sampled_from(["none", "from_prices"]) | several(Dividend, text, st.dates(), amounts),
    st.sampled_from(["none", "from_prices"]) | several(Split, text, st.dates(), amounts),
    st.sampled_from(["cash", "reinvest"]),
)
parts = st.builds(
    PartSpec,
    text,
    st.sampled_from(["window", "in_sample", "out_of_sample", "slice"]),
    st.integers(1, 99),
    st.none() | st.dates(),
)
costs = st.builds(CostSpec, amounts, amounts, amounts, st.sampled_from(["targeted", "from_cash"]))
fills = st.sampled_from(["close", "next_close", "next_open"])
units = st.sampled_from(["fractional", "whole"])
checks = st.builds(
    CheckSpec,
    st.sampled_from(["exact", "refactor", "rounding", "parity", "cross_engine"]),
    st.dictionaries(
        st.sampled_from(["nav", "cash", "fills", "metrics.sharpe"]),
        st.none() | st.builds(Limit, amounts, amounts, st.floats(0.1, 1), st.none() | amounts),
    ),
    st.none() | st.booleans(),
)
specs = st.builds(
    RunSpec,
    name=text,
    engine=text,
    strategy=text,
    params=st.dictionaries(text, json_values, max_size=3),
    symbols=st.lists(text, max_size=4).map(tuple),
    start_date=st.dates(),
    end_date=st.dates(),
    start_capital=amounts,
    data=st.builds(
        DataSpec,
        text,
        st.sampled_from(["close", "adj_close"]),
        st.none() | text,
        st.sampled_from(["error", "drop", "forward_fill", "interpolate", "backfill"]),
        st.none() | text,
        st.integers(1, 99),
        st.none() | text,
        text,
    ),
    costs=costs,
    rebalance_freq=st.sampled_from(["none", "D", "W", "M", "Q", "A"]),
    fill=fills,
    units=units,
    min_trade=amounts,
    max_gross_exposure=st.none() | amounts,
    bundle=st.none() | bundles,
    bundle_path=st.none() | text,
    factors_path=st.none() | text,
    seed=st.none() | st.integers(0, 2**53),
    tags=st.lists(text, max_size=2).map(tuple),
    reports=st.lists(st.sampled_from(["summary", "risk", "tca"]), max_size=2).map(tuple),
    outputs=st.lists(st.sampled_from(["parquet", "csv"]), max_size=2).map(tuple),
    description=text,
    line=st.integers(0, 10**6),
    checks=checks,
    marks=st.builds(MarkSpec, st.integers(0, 99), st.floats(0, 1)),
    flows=several(Flow, st.dates(), st.floats(-1e9, 1e9)),
    actions=actions,
    multipliers=st.dictionaries(text, amounts, max_size=3),
    part=st.none() | parts,
    compare_with=st.none()
    | st.builds(CompareSpec, text, checks, text, fills, units, costs, st.floats(0, 0.9), amounts),
)


def through_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


def exactly(spec: RunSpec) -> str:
    """A spec down to types, signs of zero and the order of keys."""
    return repr(spec)


@settings(deadline=None, max_examples=60)
@given(specs)
def test_a_run_comes_back_as_it_was(spec):
    assert exactly(spec_from_json(through_json(spec_to_json(spec)))) == exactly(spec)


@settings(deadline=None, max_examples=40)
@given(st.lists(specs, max_size=3), st.lists(st.integers(0, 2), max_size=4))
def test_a_batch_of_runs_comes_back_as_it_was(distinct, again):
    runs = tuple(distinct + [distinct[n] for n in again if n < len(distinct)])
    back = runs_from_json(through_json(runs_to_json(runs)))
    assert [exactly(spec) for spec in back] == [exactly(spec) for spec in runs]


SPEC = RunSpec(
    name="a",
    engine="portfolio",
    strategy="s",
    params={"x": 1},
    symbols=("AAA",),
    start_date=date(2020, 1, 2),
    end_date=date(2020, 12, 31),
    start_capital=1000.0,
    data=DataSpec("/prices.csv"),
    line=3,
)


def test_every_field_of_a_run_is_written():
    assert set(spec_to_json(SPEC)) == {field.name for field in dataclasses.fields(RunSpec)}


def test_what_runs_share_is_written_once():
    runs = [dataclasses.replace(SPEC, name=name, seed=seed) for name, seed in (("a", None), ("b", 7))]
    written = runs_to_json(runs)
    assert written["runs"] == [{"name": "a", "line": 3}, {"name": "b", "line": 3, "seed": 7}]
    assert runs_from_json({**written, "batch_name": "other keys are left alone"}) == tuple(runs)


def test_the_runs_of_a_matrix_and_of_windows_come_back_as_they_were(folder):
    runs = folder.runs(
        """\
        - id: a
          flows: [{date: 2020-06-01, amount: 5}]
          dividends: {AAA: [{date: 2020-06-01, amount: 1}]}
          matrix: {params.x: [1, 2.0, true], data.missing: [drop]}
          windows: {kind: walk_forward, in_sample: 3m, out_of_sample: 3m}
        """
    ).runs
    assert len(runs) == 3 * 2 * 2
    written = runs_to_json(runs)
    assert [exactly(spec) for spec in runs_from_json(through_json(written))] == [
        exactly(spec) for spec in runs
    ]
    assert "data" not in written["runs"][-1]


@pytest.mark.parametrize(
    ("one", "other"), [(1, 1.0), (1, True), (0.0, -0.0), ([1], [1.0]), ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
)
def test_values_that_python_calls_equal_are_not_taken_for_one_another(one, other):
    runs = [dataclasses.replace(SPEC, params={"x": value}) for value in (one, other)]
    back = runs_from_json(through_json(runs_to_json(runs)))
    assert [exactly(spec) for spec in back] == [exactly(spec) for spec in runs]


def test_a_key_of_a_newer_version_is_refused_not_ignored():
    with pytest.raises(ParameterError, match=r"run a: unknown key 'leverage'.*newer version"):
        spec_from_json({**spec_to_json(SPEC), "leverage": 2})


def test_a_field_that_is_missing_is_named():
    written = spec_to_json(SPEC)
    del written["start_date"]
    with pytest.raises(ParameterError, match=r"run a: .*'start_date'"):
        spec_from_json(written)
