"""What differs is named; what is not known is never called the same."""

import copy
import dataclasses
import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_finbot.contracts import Cause, DataSpec, RunSpec
from pytest_finbot.fingerprint import config_document, config_hash, differences, explain, sha256_of_json

SPEC = RunSpec(
    name="run",
    engine="portfolio",
    strategy="sma_crossover",
    params={"fast": 50, "slow": 200},
    symbols=("AAPL", "GE"),
    start_date=date(2010, 1, 1),
    end_date=date(2018, 12, 31),
    start_capital=1000.0,
    data=DataSpec("prices.csv"),
)
YEARS = tuple(str(year) for year in range(2010, 2019))


def of(part):
    return {"hash": sha256_of_json(part)}


def a_fingerprint(spec=SPEC, *, parts=None, modules=None, dynamic=(), environment=None):
    parts = parts or {symbol: dict.fromkeys(YEARS, spec.data.field) for symbol in spec.symbols}
    modules = modules or {"strategies.momentum": "1", "strategies.tools": "2"}
    return {
        "config": {"hash": config_hash(spec), "settings": json.loads(json.dumps(config_document(spec)))},
        "data": {**of([spec.data.field, parts]), "field": spec.data.field, "parts": parts},
        "code": {**of(modules), "scope": "import closure", "modules": modules, "dynamic": list(dynamic)},
        "environment": environment or {"pandas": "2.3.3", "pytest-finbot": "0.1"},
        "engine": {"name": "bt", "version": "1.1"},
    }


SAME = a_fingerprint()


def told(new, old=SAME):
    return [(cause.part, cause.detail) for cause in differences(old, new)]


def changed(**changes):
    return told(a_fingerprint(dataclasses.replace(SPEC, **changes)))


def test_nothing_differs_where_every_part_is_known_and_equal():
    assert differences(SAME, copy.deepcopy(SAME)) == ()


def user(**params):
    return dataclasses.replace(SPEC, strategy="ours:rule", params=params)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"fast": 50}, {"fast": 49}, ["params.fast 50 → 49"]),
        ({}, {"top": 3}, ["params.top (not given) → 3"]),
        ({"top": None}, {}, ["params.top null → (not given)"]),
        (
            {"w": {"A": 1, "BRK.B": 2}},
            {"w": {"A": 1.5, "BRK.B": 3}},
            ["params.w.A 1 → 1.5", 'params.w["BRK.B"] 2 → 3'],
        ),
        ({"w": 1}, {"w": {"A": 1}}, ['params.w 1 → {"A": 1}']),
        ({"a": 1, "b": "x"}, {"a": 2, "b": "y"}, ["params.a 1 → 2", "params.b x → y"]),
        ({"a": "50"}, {"a": 50}, ['params.a "50" → 50']),
        ({"a": True}, {"a": 1}, ["params.a true → 1"]),
        ({"a": 2**60}, {"a": 2**60 + 1}, [f"params.a {2**60} → {2**60 + 1}"]),
    ],
)
def test_settings_are_named_by_their_key_with_both_values(old, new, expected):
    for make in (user, lambda **params: dataclasses.replace(SPEC, params=params)):
        assert told(a_fingerprint(make(**new)), a_fingerprint(make(**old))) == [
            ("config", detail) for detail in expected
        ]


def test_a_spelling_is_named_only_where_it_counts():
    spelled = {"fast": 50.0, "slow": 200}
    assert told(a_fingerprint(user(**spelled)), a_fingerprint(user(fast=50, slow=200))) == [
        ("config", "params.fast 50 → 50.0")
    ]
    assert changed(params={"fast": 50.0, "slow": 199}) == [("config", "params.slow 200 → 199")]


def test_long_values_are_cut_and_still_tell_their_difference():
    for old, new in (("x" * 300, "y" * 300), ("x" * 300 + "1", "x" * 300 + "2"), ("x" * 99, "x" * 100)):
        [(_, detail)] = told(a_fingerprint(user(a=new)), a_fingerprint(user(a=old)))
        before, _, after = detail.removeprefix("params.a ").partition(" → ")
        assert before != after
        assert max(len(before), len(after)) <= 60


def test_more_than_ten_settings_are_counted():
    old, new = ({f"p{n:02}": value for n in range(14)} for value in (1, 2))
    details = [detail for _, detail in told(a_fingerprint(user(**new)), a_fingerprint(user(**old)))]
    assert details[9:] == ["params.p09 1 → 2", "and 4 more settings"]


def test_a_field_is_named_in_settings_and_data_and_not_again_by_every_symbol():
    assert changed(data=DataSpec("prices.csv", field="adj_close")) == [
        ("config", "data.field close → adj_close"),
        ("data", "field close → adj_close"),
    ]


def test_symbols_that_came_went_or_moved():
    assert changed(symbols=("AAPL", "TSLA")) == [
        ("config", "symbols +TSLA −GE"),  # noqa: RUF001 - a minus, as in print
        ("data", "GE removed"),
        ("data", "TSLA added"),
    ]
    assert changed(symbols=("GE", "AAPL")) == [("config", "symbols reordered")]


def with_years(**years):
    return {
        symbol: {year: "b" if year in years.get(symbol, ()) else "close" for year in YEARS}
        for symbol in SPEC.symbols
    }


def test_data_are_named_by_symbol_and_years():
    assert told(a_fingerprint(parts=with_years(AAPL=["2018"]))) == [("data", "AAPL 2018")]
    years = ["2010", "2011", "2012", "2013", "2015", "2017", "2018"]
    assert told(a_fingerprint(parts=with_years(AAPL=years, GE=["2010"]))) == [
        ("data", "AAPL 2010–2013, 2015, 2017–2018"),  # noqa: RUF001 - ranges of years, as in print
        ("data", "GE 2010"),
    ]


def test_a_year_that_one_side_lacks_is_a_difference():
    parts = with_years()
    del parts["GE"]["2010"]
    assert told(a_fingerprint(parts=parts)) == [("data", "GE 2010")]


def test_more_than_ten_symbols_are_counted():
    old, new = ({f"S{n:02}": {"2018": value} for n in range(47)} for value in "ab")
    details = [detail for _, detail in told(a_fingerprint(parts=new), a_fingerprint(parts=old))]
    assert details[9:] == ["S09 2018", "and 37 more symbols"]


def test_data_whose_parts_were_not_kept_are_still_changed():
    new = a_fingerprint(parts=with_years(GE=["2018"]))
    del new["data"]["parts"]
    assert told(new) == [("data", "values changed; which symbols and years was not kept")]


def test_modules_are_named_the_users_own_first():
    old = a_fingerprint(modules={"strategies.a": "1", "strategies.b": "1", "pytest_finbot.errors": "1"})
    new = a_fingerprint(modules={"strategies.a": "2", "strategies.c": "1", "pytest_finbot.errors": "2"})
    assert told(new, old) == [
        ("code", "strategies.a"),
        ("code", "strategies.b removed"),
        ("code", "strategies.c added"),
        ("code", "pytest_finbot.errors"),
    ]


def test_a_module_without_source_is_unknown_even_where_both_sides_say_so():
    modules = {"ours": "1", "binary": "unknown"}
    same = a_fingerprint(modules=modules)
    assert told(same, same) == [("unknown", "code: no source of binary to compare")]
    assert told(a_fingerprint(modules={**modules, "ours": "2"}), same) == [
        ("code", "ours"),
        ("unknown", "code: no source of binary to compare"),
    ]


def test_versions_are_named():
    new = a_fingerprint(environment={"pandas": "3.1.1", "pytest-finbot": "0.2", "scipy": "1.17"})
    new["engine"] = {"name": "bt", "version": "1.2"}
    assert told(new) == [
        ("environment", "pandas 2.3.3 → 3.1.1"),
        ("environment", "pytest-finbot 0.1 → 0.2"),
        ("environment", "scipy (not recorded) → 1.17"),
        ("environment", "engine bt 1.1 → 1.2"),
    ]
    new["engine"] = {"name": "ours:engine", "version": "1.1"}
    assert told(new)[-1] == ("environment", "engine bt 1.1 → ours:engine 1.1")


def test_causes_come_in_the_order_of_the_parts():
    new = a_fingerprint(
        dataclasses.replace(SPEC, params={}),
        parts=with_years(GE=["2011"]),
        modules={"x": "unknown"},
        environment={"pandas": "3"},
    )
    parts = [part for part, _ in told(new)]
    assert list(dict.fromkeys(parts)) == ["config", "data", "code", "environment", "unknown"]


@pytest.mark.parametrize("part", ["config", "data", "code", "environment", "engine"])
@pytest.mark.parametrize("nothing", [None, {}, "gone"])
def test_a_part_that_is_not_recorded_is_unknown(part, nothing):
    lacking = {**SAME, part: nothing}
    assert told(lacking) == [("unknown", f"{part}: not recorded in this run")]
    assert told(SAME, lacking) == [("unknown", f"{part}: not recorded in the baseline")]
    assert told(lacking, lacking) == [("unknown", f"{part}: not recorded in the baseline nor in this run")]
    assert [cause.part for cause in explain(lacking, lacking, moved=True)] == ["unknown"]


@pytest.mark.parametrize("part", ["config", "data", "code"])
def test_a_part_without_its_hash_is_unknown(part):
    lacking = {**SAME, part: {key: value for key, value in SAME[part].items() if key != "hash"}}
    assert told(lacking) == [("unknown", f"{part}: not recorded in this run")]


@pytest.mark.parametrize(
    ("part", "what"), [("config", "settings"), ("data", "symbols and years"), ("code", "modules")]
)
def test_hashes_that_differ_without_a_visible_reason_are_not_explained_away(part, what):
    new = {**SAME, part: {**SAME[part], "hash": "other"}}
    assert told(new) == [("unknown", f"{part}: {what} are the same, their hash is not")]
    new["environment"] = {**SAME["environment"], "pytest-finbot": "0.2"}
    assert told(new)[-1] == (
        "unknown",
        f"{part}: {what} are the same, their hash is not (pytest-finbot 0.1 → 0.2)",
    )


@pytest.mark.parametrize("part", ["config", "data", "code"])
def test_a_part_of_which_only_the_hash_was_kept_is_still_changed(part):
    new = {**SAME, part: {"hash": "other", "field": "close"}}
    [(said, detail)] = told(new)
    assert said == part
    assert "was not kept" in detail


def test_moved_numbers_with_nothing_different_are_not_deterministic():
    assert explain(SAME, copy.deepcopy(SAME), moved=True) == (
        Cause(
            "not deterministic",
            "config, data, code and environment are the same, unless it reads something that is not recorded",
        ),
    )
    assert explain(SAME, copy.deepcopy(SAME), moved=False) == ()


@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_unless_code_was_imported_that_nobody_saw(sides):
    pair = [a_fingerprint(dynamic=["plugins"] if side in sides else ()) for side in (0, 1)]
    assert explain(*pair, moved=True) == (
        Cause(
            "unknown",
            "no recorded part differs, but plugins imports modules in ways that are not followed",
        ),
    )


def test_a_difference_explains_a_move_before_anything_else():
    new = a_fingerprint(dataclasses.replace(SPEC, params={"fast": 49, "slow": 200}), dynamic=["plugins"])
    assert explain(SAME, new, moved=True) == (Cause("config", "params.fast 50 → 49"),)


NUMBERS = st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, True, None, "1", 2**60])
PARAMS = st.dictionaries(st.sampled_from("ab"), NUMBERS | st.lists(NUMBERS, max_size=2), max_size=2)


@given(PARAMS, PARAMS, st.sampled_from(["sma_crossover", "ours:rule"]))
def test_settings_are_called_different_exactly_where_their_hashes_are(one, other, strategy):
    old, new = (
        a_fingerprint(dataclasses.replace(SPEC, strategy=strategy, params=params)) for params in (one, other)
    )
    same = old["config"]["hash"] == new["config"]["hash"]
    assert {part for part, _ in told(new, old)} == (set() if same else {"config"})
