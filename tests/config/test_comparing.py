"""``compare_with``: which run is meant, how far from it, and what is refused before anything runs."""

import json

import pytest

from pytest_finbot.config.manifest import runs_from_json, runs_to_json, spec_from_json, spec_to_json
from pytest_finbot.config.models import BatchModel
from pytest_finbot.contracts import CheckSpec, CompareSpec, CostSpec, Limit
from pytest_finbot.fingerprint import config_hash
from pytest_finbot.session.slicing import Slicing, sliced


def compared(folder, runs, **options):
    return {spec.name: spec.compare_with for spec in folder.runs(runs, **options).runs}


def told(folder, runs):
    return [(problem.line, problem.key, problem.message) for problem in folder.run_problems(runs)]


def test_the_id_of_a_run_is_held_to_by_cross_engine_and_fails_nothing(folder):
    assert compared(folder, "- id: a\n- {id: b, compare_with: a}") == {
        "a": None,
        "b": CompareSpec("a", CheckSpec("cross_engine"), engine="portfolio"),
    }


def test_how_the_reference_trades_is_known_to_the_run(folder):
    runs = """\
    - id: a
      compare_with: b
    - id: b
      fill: next_close
      units: whole
      costs: {commission_bps: 5, booking: from_cash}
      cash_buffer: 0.02
      min_trade: 10
      engine: own:engine
    """
    found = compared(folder, runs)["a"]
    costs = CostSpec(5.0, booking="from_cash")
    assert found == CompareSpec(
        "b", CheckSpec("cross_engine"), "own:engine", "next_close", "whole", costs, 0.02, 10
    )


def test_a_mapping_has_the_keys_of_checks(folder):
    runs = """\
    - id: a
    - id: b
      compare_with:
        {run: a, preset: parity, informational: true, nav: 5 bp, metrics: {cagr: 1 pp, sharpe: false}}
    """
    limits = {"nav": Limit(rtol=5e-4), "metrics.cagr": Limit(atol=0.01), "metrics.sharpe": None}
    assert compared(folder, runs)["b"].checks == CheckSpec("parity", limits, True)


def test_a_run_can_take_back_what_defaults_say(folder):
    head = "batch_name: small\ndefaults: {data: {path: prices.csv}, strategy: fixed_weights, symbols: [AAA], "
    head += "start_date: 2020-01-02, end_date: 2020-12-31, compare_with: {run: a, informational: false}}\n"
    batch = folder.load(head + "runs: [{id: a, compare_with: false}, {id: b}, {id: c, compare_with: b}]\n")
    found = {spec.name: spec.compare_with for spec in batch.runs}
    assert found["a"] is None
    assert found["b"].checks == CheckSpec("cross_engine", {}, False)
    assert found["c"].checks == CheckSpec("cross_engine")
    [problem] = folder.problems(head + "runs: [{id: a}, {id: b}]\n")
    assert (problem.key, problem.message) == (
        "defaults.compare_with",
        "run 'a' cannot be compared with itself; name another run, or write compare_with: false in it",
    )


def test_chains_and_circles_are_no_mistake(folder):
    runs = "- {id: a, compare_with: c}\n- {id: b, compare_with: a}\n- {id: c, compare_with: b}"
    assert {name: one.run for name, one in compared(folder, runs).items()} == {"a": "c", "b": "a", "c": "b"}


def test_an_unknown_run_is_told_with_the_nearest(folder):
    assert told(folder, "- id: slow_sma\n- {id: b, compare_with: slow_smma}") == [
        (10, "runs[1].compare_with", "there is no run 'slow_smma' in this file; did you mean 'slow_sma'?")
    ]
    assert told(folder, "- {id: a, compare_with: a}") == [
        (9, "runs[0].compare_with", "run 'a' cannot be compared with itself; name another run")
    ]


@pytest.mark.parametrize(
    ("key", "given", "there", "here"),
    [
        ("strategy", "strategy: risk_parity", "fixed_weights", "risk_parity"),
        ("params", "params: {weights: {AAA: 1}}", "{}", "{'weights': {'AAA': 1}}"),
        ("symbols", "symbols: [BBB]", "AAA, BBB", "BBB"),
        ("start_date", "start_date: 2020-01-03", "2020-01-02", "2020-01-03"),
        ("end_date", "end_date: 2020-12-30", "2020-12-31", "2020-12-30"),
        ("start_capital", "start_capital: 5", "100000.0", "5.0"),
        ("data.field", "data: {field: adj_close}", "close", "adj_close"),
        ("data.missing", "data: {missing: drop}", "error", "drop"),
        ("rebalance_freq", "rebalance_freq: W", "M", "W"),
        ("max_gross_exposure", "max_gross_exposure: 1", "none", "1.0"),
        ("seed", "seed: 3", "none", "3"),
    ],
)
def test_only_how_it_is_executed_may_differ(folder, key, given, there, here):
    assert told(folder, f"- id: a\n- {{id: b, compare_with: a, {given}}}") == [
        (
            10,
            "runs[1].compare_with",
            f"run 'b' cannot be compared with 'a', which has another {key}: {there} there, {here} here; "
            "only engine, fill, units, costs, cash_buffer and min_trade may differ",
        )
    ]


def test_each_difference_is_a_message_of_its_own(folder):
    found = told(folder, "- id: a\n- {id: b, compare_with: a, seed: 3, start_capital: 5}")
    assert len(found) == 2


def test_a_reference_that_is_broken_itself_is_told_once(folder):
    found = told(folder, "- {id: a, fill: soon, start_date: 2020}\n- {id: b, compare_with: a}")
    assert {key for _, key, _ in found} == {"runs[0].fill", "runs[0].start_date"}


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ("3", "", "expected the id of a run, a mapping of run and checks, or false, got the number 3"),
        ("{preset: parity}", ".run", "missing; compare_with needs run"),
        ("{run: a, nva: 1}", ".nva", "unknown key 'nva'; did you mean 'nav'?"),
        ("{run: a, preset: cross}", ".preset", None),
        ("{run: a, nav: 1 furlong}", ".nav", None),
        ("''", ".run", "must not be empty"),
    ],
)
def test_what_it_cannot_be(folder, given, key, message):
    [(line, where, said)] = told(folder, f"- id: a\n- {{id: b, compare_with: {given}}}")
    assert (line, where) == (10, f"runs[1].compare_with{key}")
    assert message is None or said == message


MULTIPLIED = """\
- id: a
- {id: b, fill: next_close, compare_with: a}
"""


def test_of_runs_that_were_multiplied_alike_the_one_that_was_multiplied_alike_is_meant(folder):
    head = """\
    batch_name: small
    defaults: {data: {path: prices.csv}, strategy: sma_crossover, symbols: [AAA], compare_with: COMPARE}
    matrix: {params.fast: [5, 6]}
    windows: {from: 2020-01-01, to: 2020-12-31, length: 6m, step: 6m}
    runs:
      - {id: a, compare_with: false}
      - {id: b, fill: next_close}
    """
    head = "\n".join(line.removeprefix("    ") for line in head.splitlines()) + "\n"
    found = {spec.name: spec.compare_with for spec in folder.load(head.replace("COMPARE", "a")).runs}
    assert len(found) == 8
    for name, compare in found.items():
        assert (None if compare is None else compare.run) == ("a" + name[1:] if name[0] == "b" else None)
    names = [name for name in found if name[0] == "a"]
    # One of them by its own id is another window, or another matrix, for all but one.
    problems = folder.problems(head.replace("COMPARE", names[0]))
    assert {problem.key for problem in problems} == {"defaults.compare_with"}
    assert any("another params" in problem.message for problem in problems)
    assert any("another start_date" in problem.message for problem in problems)
    [problem] = folder.problems(head.replace("COMPARE", "aa"))
    assert problem.message == "there is no run 'aa' in this file; did you mean 'a'?"


def test_engines_of_a_matrix_are_compared_by_include(folder):
    text = """\
    - id: a
      matrix:
        fill: [close]
        include: [{fill: next_close, compare_with: a.fill-close}]
    """
    found = compared(folder, text)
    assert [None if one is None else one.run for one in found.values()] == [None, "a.fill-close"]


def test_slices_are_compared_with_slices(folder):
    batch = folder.runs(MULTIPLIED)
    cut = sliced(batch, Slicing(days=200), only_target=True).runs
    named = {spec.name: spec.compare_with for spec in cut}
    assert len(named) == 4
    for name, compare in named.items():
        assert (None if compare is None else compare.run) == ("a" + name[1:] if name[0] == "b" else None)


def test_it_survives_the_manifest_and_is_no_part_of_the_hash(folder):
    runs = (
        "- {id: a, units: whole}\n- {id: b, compare_with: {run: a, preset: parity, nav: 1 bp, cash: false}}"
    )
    plain, compared = folder.runs(runs).runs
    assert spec_from_json(json.loads(json.dumps(spec_to_json(compared)))) == compared
    assert runs_from_json(json.loads(json.dumps(runs_to_json([plain, compared])))) == (plain, compared)
    assert runs_from_json(json.loads(json.dumps(runs_to_json([compared, plain])))) == (compared, plain)
    alone = folder.runs("- {id: b}").runs[0]
    assert config_hash(alone) == config_hash(compared)


def test_manifests_of_before_have_none(folder):
    [run] = folder.runs("- id: a").runs
    document = spec_to_json(run)
    del document["compare_with"]
    assert spec_from_json(document) == run


def test_editors_are_told_of_it():
    schema = BatchModel.model_json_schema()
    forms = schema["$defs"]["RunModel"]["properties"]["compare_with"]["anyOf"]
    assert forms[:2] == [{"const": False}, {"type": "string", "minLength": 1}]
    model = schema["$defs"][forms[2]["$ref"].rpartition("/")[2]]
    assert model["required"] == ["run"]
    assert {"run", "preset", "nav", "metrics", "informational"} <= model["properties"].keys()
    assert model["properties"]["preset"]["default"] == "cross_engine"
