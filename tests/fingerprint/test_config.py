"""Settings that could give different numbers never share a hash; spellings of the same always do."""

import dataclasses
import json
import math
import os
import subprocess
import sys
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_finbot.config.expand import load_batch
from pytest_finbot.contracts import CheckSpec, CostSpec, DataSpec, Factor, FactorBundle, RunSpec
from pytest_finbot.errors import ParameterError
from pytest_finbot.fingerprint import config_document, config_hash

SPEC = RunSpec(
    name="run",
    engine="portfolio",
    strategy="sma_crossover",
    params={"fast": 50, "slow": 200},
    symbols=("A", "B"),
    start_date=date(2020, 1, 1),
    end_date=date(2020, 2, 1),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
)


def test_key_order_and_the_spelling_of_a_number_do_not_matter():
    spelled = dataclasses.replace(SPEC, params={"slow": 200.0, "fast": 50}, start_capital=1000)
    assert config_hash(spelled) == config_hash(SPEC)


def test_a_run_that_says_nothing_new_keeps_the_hash_that_baselines_hold():
    # Written down when marks, flows, actions and multipliers were no settings yet.
    assert config_hash(SPEC) == "4417a01ffc23f9422124c6a6b2ce953283daa71ccab08aa708be8cec219e85e9"


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"fast": 49, "slow": 200}},
        {"symbols": ("B", "A")},
        {"start_capital": 1000.01},
        {"end_date": date(2020, 2, 3)},
        {"fill": "next_close"},
        {"units": "whole"},
        {"costs": CostSpec(commission_bps=1)},
        {"costs": CostSpec(booking="from_cash")},
        {"data": DataSpec("prices.csv", field="adj_close")},
        {"rebalance_freq": "W"},
        {"max_gross_exposure": 1.0},
        {"cash_buffer": 0.02},
        {"min_trade": 5.0},
        {"seed": 1},
        {"engine": "ours:engine"},
    ],
)
def test_whatever_can_change_the_numbers_changes_the_hash(change):
    assert config_hash(dataclasses.replace(SPEC, **change)) != config_hash(SPEC)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"description": "words"},
        {"tags": ("core",)},
        {"line": 7},
        {"reports": ("risk",)},
        {"data": DataSpec("moved/prices.csv")},
    ],
)
def test_what_cannot_change_the_numbers_does_not(change):
    assert config_hash(dataclasses.replace(SPEC, **change)) == config_hash(SPEC)


def with_params(**params):
    return dataclasses.replace(SPEC, params=params)


def of_a_user(**params):
    return dataclasses.replace(SPEC, strategy="ours:rule", params=params)


def test_checks_are_no_part_of_it():
    assert config_hash(dataclasses.replace(SPEC, checks=CheckSpec("exact"))) == config_hash(SPEC)


def test_an_int_in_a_float_field_is_that_float_to_everybody():
    for spec in (SPEC, of_a_user()):
        whole = dataclasses.replace(spec, start_capital=1000, min_trade=0, max_gross_exposure=1)
        real = dataclasses.replace(spec, start_capital=1000.0, min_trade=0.0, max_gross_exposure=1.0)
        assert config_hash(whole) == config_hash(real)
    bundle = FactorBundle((Factor("f", 1),), winsorize_limits=(0, 1))
    assert config_hash(dataclasses.replace(SPEC, bundle=bundle)) == config_hash(
        dataclasses.replace(SPEC, bundle=FactorBundle((Factor("f", 1.0),), winsorize_limits=(0.0, 1.0)))
    )


APART = [
    (50, 50.0),
    (0, 0.0),
    (0.0, -0.0),
    (True, 1),
    (True, 1.0),
    (False, 0),
    (None, False),
    ("50", 50),
    ("true", True),
    (2**53, float(2**53)),
    (2**53, 2**53 + 1),
    (10**30, 1e30),
    ([1], [1.0]),
    ([], {}),
    ({"a": 1}, {"a": 1.0}),
    (2**60, {"$int": hex(2**60)}),
    (50.0, {"$float": (50.0).hex()}),
    ({"$a": 1}, {"$$a": 1}),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_what_a_users_own_code_can_tell_apart_has_two_hashes(one, other):
    assert config_hash(of_a_user(x=one)) != config_hash(of_a_user(x=other))
    engine = dataclasses.replace(SPEC, engine="ours:engine", strategy="")
    assert config_hash(dataclasses.replace(engine, params={"x": one})) != config_hash(
        dataclasses.replace(engine, params={"x": other})
    )


def test_the_built_in_strategies_take_a_number_for_a_number_and_true_for_none():
    assert config_hash(with_params(x=[50, 0, 2**60])) == config_hash(with_params(x=[50.0, 0.0, float(2**60)]))
    assert config_hash(with_params(x=1)) != config_hash(with_params(x=True))
    assert config_hash(with_params(x=2**60)) != config_hash(with_params(x=2**60 + 1))


def test_words_about_a_bundle_count_where_a_users_own_code_reads_them():
    def said(spec, **words):
        return config_hash(dataclasses.replace(spec, bundle=FactorBundle((Factor("f", 1.0),), **words)))

    for words in ({"horizon_days": 5}, {"universe": "big"}, {"factor_set": "f"}):
        assert said(SPEC, **words) == said(SPEC)
        assert said(of_a_user(), **words) != said(of_a_user())


class Odd:
    """Not a value of a batch file."""


itself: list = []
itself.append(itself)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"x": math.nan}, "params.x is nan; expected a finite number"),
        ({"x": {"y": [1.0, -math.inf]}}, r"params.x.y\[1\] is -inf"),
        ({"x": {1: 2}}, "params.x has the key 1 of type int; expected text"),
        ({1: 2}, "params has the key 1 of type int"),
        ({"x": Odd()}, r"params.x is of type .*Odd; expected text, a number"),
        ({"x": (1, 2)}, "params.x is of type builtins.tuple; expected a list"),
        ({"x": {1, 2}}, "params.x is of type builtins.set"),
        ({"x": date(2020, 1, 1)}, "params.x is of type datetime.date"),
        ({"x": "\ud800"}, "params.x: .* is not valid Unicode"),
        ({"x": {"\ud800": 1}}, "params.x, a key: .* is not valid Unicode"),
        ({"x": 1 << 20_000}, "params.x has 20001 bits"),
        ({"x": itself}, "is nested more than 100 levels deep, or contains itself"),
    ],
)
def test_what_no_batch_file_could_hold_is_refused_by_its_key(params, message):
    with pytest.raises(ParameterError, match=message):
        config_hash(dataclasses.replace(SPEC, params=params))


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 0.0, -0.0, 1, 1.0, True, 2**53, 2.0**53, 2**53 + 1, "$int", "0x1"])
    | st.text(st.characters(codec="utf-8"), max_size=4)
)
KEYS = st.sampled_from(["$", "$int", "$$int", "$float", "a", "é"]) | st.text(
    st.characters(codec="utf-8"), max_size=2
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@given(VALUES, VALUES)
@example(2**60, {"$int": hex(2**60)})
def test_two_values_share_a_hash_only_where_python_spells_them_alike(one, other):
    alike = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (config_hash(of_a_user(x=one)) == config_hash(of_a_user(x=other))) is alike


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_a_spec_that_went_through_json_or_turned_its_keys_round_keeps_its_hash(params):
    for make in (with_params, of_a_user):
        spec = dataclasses.replace(make(), params=params)
        again = dataclasses.replace(spec, params=json.loads(json.dumps(dict(reversed(params.items())))))
        assert config_hash(spec) == config_hash(again)
        assert json.loads(json.dumps(config_document(spec))) == config_document(spec)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_the_built_in_strategies_never_share_a_hash_of_two_numbers(number):
    assert (
        config_hash(with_params(x=number)) != config_hash(with_params(x=number + 1)) or number == number + 1
    )


BATCHES = {
    "plain": """\
start_capital: 1000
costs: {commission_bps: 1, slippage_bps: 0}
start_date: 2020-01-02
params: {fast: 5, slow: 20}
""",
    "spelled": """\
params: {slow: 20.0, fast: 5}
start_date: "2020-01-02"
costs: {slippage_bps: 0.0, commission_bps: 1.0}
start_capital: 1e3
""",
}


def test_two_spellings_of_one_batch_file_have_one_hash(tmp_path):
    (tmp_path / "prices.csv").write_text("Date,A\n2020-01-02,1\n")
    hashes = set()
    for name, text in BATCHES.items():
        lines = ["id: one", "strategy: sma_crossover", "symbols: [A]", "end_date: 2020-02-03"]
        lines += ["data: {path: prices.csv}", *text.splitlines()]
        path = tmp_path / f"{name}.yaml"
        path.write_text("batch_name: b\nruns:\n  - " + "\n    ".join(lines) + "\n")
        hashes.add(config_hash(load_batch(path).runs[0]))
    assert len(hashes) == 1


HASH = """
from datetime import date
from pytest_finbot.contracts import DataSpec, RunSpec
from pytest_finbot.fingerprint import config_hash
print(config_hash(RunSpec("r", "portfolio", "o:f", {"b": {"y": 2**70, "x": [1, 2.5]}, "a": "é"}, ("A",),
    date(2020, 1, 1), date(2021, 1, 1), 1.0, DataSpec("p"))))
"""


def test_the_hash_of_settings_is_the_same_in_every_process_and_hash_seed():
    seen = {
        subprocess.run(
            [sys.executable, "-c", HASH],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(seen) == 1
