"""One run with every combination of some values: which runs, which ids, and whose mistakes."""

import pytest

from pytest_finbot.config import multiply
from pytest_finbot.config.files import Files
from pytest_finbot.config.level import read_level
from pytest_finbot.config.problems import Findings
from pytest_finbot.config.slugs import key_labels, slug
from pytest_finbot.config.source import Positions
from pytest_finbot.contracts import CostSpec

BATCH = """\
batch_name: small
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-12-31
"""


def text(matrix: str, runs: str = "{id: a}") -> str:
    return f"{BATCH}matrix: {matrix}\nruns: [{runs}]\n"


def of(folder, matrix: str, runs: str = "{id: a}", **options):
    return folder.load(text(matrix, runs), **options).runs


def names(runs) -> list[str]:
    return [run.name for run in runs]


def wrong(folder, matrix: str, runs: str = "{id: a}", **options) -> list[str]:
    return [str(problem) for problem in folder.problems(text(matrix, runs), **options)]


# ------------------------------------------------------------------------ combinations


def test_every_combination_in_the_order_of_the_file(folder):
    runs = of(
        folder, "{params.lookback: [63, 126], rebalance_freq: [M, Q]}", "{id: a, params: {top: 3}}, {id: b}"
    )
    assert names(runs) == [
        f"{run}.lookback-{lookback}.rebalance_freq-{often}"
        for run in "ab"
        for lookback in (63, 126)
        for often in "MQ"
    ]
    assert [(run.params, run.rebalance_freq) for run in runs[:3]] == [
        ({"top": 3, "lookback": 63}, "M"),
        ({"top": 3, "lookback": 63}, "Q"),
        ({"top": 3, "lookback": 126}, "M"),
    ]
    assert runs[4].params == {"lookback": 63}
    assert {run.line for run in runs} == {9}


def test_a_value_stands_over_the_run_as_the_run_over_its_defaults(folder):
    runs = of(
        folder,
        "{costs.commission_bps: [1, 2], data.field: [adj_close], seed: [7], marks.max_age: [3]}",
        "{id: a, costs: {commission_bps: 9, slippage_bps: 4}, seed: 1, tags: [x], marks: {max_unmarked: 0}}",
    )
    assert [run.costs for run in runs] == [CostSpec(1.0, 0.0, 4.0), CostSpec(2.0, 0.0, 4.0)]
    assert {(run.data.field, run.seed, run.tags, run.marks.max_age) for run in runs} == {
        ("adj_close", 7, ("x",), 3)
    }


def test_sections_lists_and_limits_can_be_values(folder):
    runs = of(
        folder,
        "{symbols: [[AAA], BBB], checks: [{nav: 1e-6}, {preset: exact}], reports: [[risk], []]}",
        "{id: a, checks: {cash: false}, generate_report: true}",
    )
    assert len(runs) == 8
    assert (runs[0].symbols, runs[4].symbols) == (("AAA",), ("BBB",))
    assert [set(run.checks.limits) for run in (runs[0], runs[2])] == [{"nav", "cash"}, {"cash"}]
    assert runs[2].checks.preset == "exact"
    assert (runs[0].reports, runs[1].reports) == (("risk",), ())


def test_a_matrix_may_give_what_a_run_needs(folder):
    head = "batch_name: small\nmatrix: {strategy: [fixed_weights, sma_crossover], data.path: [prices.csv]}\n"
    rest = "runs: [{id: a, symbols: AAA, start_date: 2020-01-02, end_date: 2020-12-31}]\n"
    runs = folder.load(head + rest).runs
    assert [run.strategy for run in runs] == ["fixed_weights", "sma_crossover"]
    assert runs[0].data.path == str(folder.path / "prices.csv")


def test_exclude_leaves_out_all_that_matches_every_pair(folder):
    runs = of(
        folder,
        "{params.a: [1, 2, 3], fill: [close, next_close], "
        "exclude: [{params.a: 1}, {params.a: 3, fill: close}]}",
    )
    assert names(runs) == ["a.a-2.fill-close", "a.a-2.fill-next_close", "a.a-3.fill-next_close"]


def test_include_adds_combinations_with_further_keys(folder):
    runs = of(
        folder,
        "{params.a: [1, 2], fill: [close], include: [{fill: next_open, params.a: 2, costs.slippage_bps: 5}]}",
    )
    assert names(runs) == ["a.a-1.fill-close", "a.a-2.fill-close", "a.a-2.fill-next_open.slippage_bps-5"]
    assert (runs[2].fill, runs[2].costs.slippage_bps, runs[1].costs.slippage_bps) == ("next_open", 5.0, 0.0)


def test_exclude_does_not_reach_what_is_included(folder):
    runs = of(folder, "{params.a: [1, 2], exclude: [{params.a: 2}], include: [{params.a: 2}]}")
    assert names(runs) == ["a.a-1", "a.a-2"]


def test_include_alone_names_its_combinations_one_by_one(folder):
    runs = of(folder, "{include: [{params.a: 1}, {params.a: 2, fill: next_close}]}")
    assert names(runs) == ["a.a-1", "a.a-2.fill-next_close"]


def test_a_runs_own_matrix_replaces_that_of_the_batch_and_false_switches_it_off(folder):
    runs = of(folder, "{seed: [1, 2]}", "{id: a}, {id: b, matrix: {fill: [close]}}, {id: c, matrix: false}")
    assert names(runs) == ["a.seed-1", "a.seed-2", "b.fill-close", "c"]


def test_each_combination_is_cut_into_its_windows(folder):
    batch = text("{params.a: [1, 2], start_date: [2019-12-31, 2020-01-02]}").replace(
        "runs:", "windows: {kind: calendar_years}\nruns:"
    )
    runs = folder.load(batch).runs
    assert names(runs) == [
        f"a.a-{value}.start_date-{start}.{year}"
        for value in (1, 2)
        for start, years in (("2019-12-31", (2019, 2020)), ("2020-01-02", (2020,)))
        for year in years
    ]
    assert runs[0].part.of == "a.a-1.start_date-2019-12-31"


def test_a_matrix_with_all_its_lines_commented_out_is_none(folder):
    assert names(of(folder, "")) == ["a"]
    assert names(of(folder, "false")) == ["a"]


# --------------------------------------------------------------------------------- ids


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (63, "63"),
        (-0.5, "-0.5"),
        (1e-05, "1e-05"),
        (1e22, "1e22"),
        (True, "true"),
        (None, "null"),
        ("next_close", "next_close"),
        ("mine.rules:calm", "mine.rules_calm"),
        ("2020-01-02", "2020-01-02"),
        (["AAA", "BRK.B", 3], "AAA_BRK.B_3"),
        ("x" * 40, "x" * 40),
        ("x" * 41, "v3"),
        ("größer", "v3"),
        ("?!", "v3"),
        ("", "v3"),
        ([], "v3"),
        ([["AAA"]], "v3"),
        ({"AAA": 1}, "v3"),
    ],
)
def test_a_value_is_called_by_what_it_is_or_by_its_position(value, said):
    assert slug(value, 3) == said


def test_a_key_is_called_by_its_last_part_or_whole_where_two_end_alike(folder):
    assert key_labels(["params.path", "data.path", "fill", "params.BRK B"]) == {
        "params.path": "params_path",
        "data.path": "data_path",
        "fill": "fill",
        "params.BRK B": "BRK_B",
    }
    assert names(of(folder, "{params.fill: [1], fill: [close]}")) == ["a.params_fill-1.fill-close"]
    assert key_labels(["params.fill", "fill"]) == {"params.fill": "params_fill", "fill": "fill"}


def test_an_included_value_without_a_form_has_a_position_behind_those_of_the_matrix(folder):
    runs = of(
        folder,
        "{params.w: [{A: 1}, {A: 2}], fill: [close], "
        "include: [{params.w: {A: 3}, fill: close}, {params.w: {A: 1}, fill: next_close}]}",
    )
    assert names(runs) == [
        "a.w-v1.fill-close",
        "a.w-v2.fill-close",
        "a.w-v3.fill-close",
        "a.w-v1.fill-next_close",
    ]


def test_ids_that_collide_are_told_with_both_sources(folder):
    assert wrong(folder, "{params.a: [a b, a_b], fill: [close, next_close]}") == [
        "finbot.yaml:8: matrix[\"params.a\"][1]: the id 'a.a-a_b.fill-close' is already that of "
        'the run on line 9 with matrix["params.a"][0], matrix.fill[0]'
    ]
    assert wrong(folder, "{params.a: [1], include: [{params.a: 1}]}") == [
        "finbot.yaml:8: matrix.include[0][\"params.a\"]: the id 'a.a-1' is already that of the run on line 9 "
        'with matrix["params.a"][0]'
    ]
    assert wrong(folder, "{seed: [1]}", "{id: a}, {id: A.seed-1, matrix: false}") == [
        "finbot.yaml:9: runs[1].id: the id 'A.seed-1' is already that of the run on line 9 "
        "with matrix.seed[0] (as 'a.seed-1'; ids become folders, where case may not count)"
    ]


@pytest.mark.parametrize(
    ("values", "number", "what"),
    [
        ("[0, 5, 0.0]", 2, "the number 0.0"),
        ("[100000, 1.0e+5]", 1, "the number 100000.0"),
        ("[x, y, 'x']", 2, "the text 'x'"),
        ("[{A: 1, B: 2}, {B: 2.0, A: 1}]", 1, "it"),
        ("[[1, true], [1.0, true]]", 1, "it"),
    ],
)
def test_a_value_that_is_given_twice_is_told_however_it_is_written(folder, values, number, what):
    assert wrong(folder, f"{{params.a: {values}}}", "{id: a}, {id: b}") == [
        f'finbot.yaml:8: matrix["params.a"][{number}]: {what} is given twice; '
        f'it was first given in matrix["params.a"][0]; keep one'
    ]


def test_what_only_looks_alike_is_not_given_twice(folder):
    assert len(of(folder, "{params.a: [1, true, 0, false, [[1]], [[true]], {a: 1}, {a: true}]}")) == 8


def test_what_is_included_has_the_id_of_its_equal_however_it_is_written(folder):
    assert wrong(folder, "{params.a: [0], include: [{params.a: 0.0}]}") == [
        "finbot.yaml:8: matrix.include[0][\"params.a\"]: the id 'a.a-0' is already that of the run on line 9 "
        'with matrix["params.a"][0]'
    ]
    assert wrong(folder, "{include: [{params.a: {b: 1}}, {params.a: {b: 1.0}}]}") == [
        "finbot.yaml:8: matrix.include[1][\"params.a\"]: the id 'a.a-v1' is already that of the run "
        'on line 9 with matrix.include[0]["params.a"]'
    ]
    assert names(
        of(folder, "{params.a: [0], fill: [close], include: [{params.a: 0.0, fill: next_open}]}")
    ) == [
        "a.a-0.fill-close",
        "a.a-0.fill-next_open",
    ]


def test_two_runs_of_one_id_are_told_once_however_many_they_become(folder):
    (problem,) = wrong(folder, "{seed: [1, 2, 3]}", "{id: a}, {id: a}")
    assert problem.startswith(
        "finbot.yaml:9: runs[1].id: the id 'a.seed-1' is already that of the run on line 9"
    )


def test_ids_that_get_too_long_are_told_once(folder):
    name = "x" * 100
    runs = of(folder, "{params.a_long_name: [1000001]}", f"{{id: {name}}}")
    assert len(runs[0].name) == 120
    assert wrong(folder, "{params.a_long_name: [10000001, 10000002]}", f"{{id: {name}}}") == [
        "finbot.yaml:9: runs[0].id: makes ids of more than 120 characters, such as "
        f"'{name}.a_long_name-10000001' (121); give a shorter one"
    ]


# ----------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        ("5", "matrix: expected a mapping of a run's keys to lists, or false, got the number 5"),
        ("{}", "matrix: no keys; a matrix needs one with a list of values, or include"),
        ("{seed: 5}", "matrix.seed: expected a list of values, got the number 5; write [5]"),
        ("{seed: []}", "matrix.seed: no values; expected at least one"),
        ("{sed: [5]}", "matrix.sed: unknown key 'sed'; did you mean 'seed'?"),
        ("{inclde: [5], seed: [1]}", "matrix.inclde: unknown key 'inclde'; did you mean 'include'?"),
        ("{id: [a]}", "matrix.id: 'id' is no key of a matrix; it takes description, engine"),
        ("{windows: [{}]}", "matrix.windows: 'windows' is no key of a matrix"),
        ("{matrix: [{}]}", "matrix.matrix: 'matrix' is no key of a matrix"),
        (
            "{costs.comission_bps: [1]}",
            "matrix[\"costs.comission_bps\"]: unknown key 'comission_bps'; did you mean",
        ),
        ("{seed.x: [1]}", "matrix[\"seed.x\"]: 'seed' has no keys below it in a matrix; params.…, data.…"),
        (
            "{params.weights.AAA: [1]}",
            "matrix[\"params.weights.AAA\"]: 'params.weights.AAA' is not one key below params; "
            "write params.weights, and each of its values whole",
        ),
        ("{params.: [1]}", "matrix[\"params.\"]: 'params.' is not one key below params; write params.name"),
        (
            "{data: [{field: close}], data.field: [close]}",
            "matrix[\"data.field\"]: 'data' and 'data.field' give the same; keep one",
        ),
        (
            "{data.field: [close], field: [close]}",
            "matrix.field: 'data.field' and 'field' give the same; keep one",
        ),
        ("{seed: [1], include: 5}", "matrix.include: expected a list of mappings, got the number 5"),
        (
            "{seed: [1], include: [5]}",
            "matrix.include[0]: expected a mapping of keys to values, got the number 5",
        ),
        ("{seed: [1], include: [{}]}", "matrix.include[0]: no keys; expected the values of a combination"),
        (
            "{seed: [1], fill: [close], include: [{seed: 1}]}",
            "matrix.include[0]: does not say fill; what is included names every key of the matrix",
        ),
        (
            "{seed: [1], include: [{seed: 2, fil: close}]}",
            "matrix.include[0].fil: unknown key 'fil'; did you mean 'fill'?",
        ),
        (
            "{seed: [1, 2], exclude: [{sed: 1}]}",
            "matrix.exclude[0].sed: 'sed' is no key of this matrix; did you mean 'seed'?",
        ),
        (
            "{seed: [1, 2], exclude: [{fill: close}]}",
            "matrix.exclude[0].fill: 'fill' is no key of this matrix; it has seed",
        ),
        (
            "{seed: [1, 2], exclude: [{seed: true}]}",
            "matrix.exclude[0].seed: matches no combination; the matrix has 1, 2",
        ),
        ("{seed: [1], exclude: [{seed: 1}]}", "matrix.exclude: leaves no combination"),
        ("{seed: [1, 1.5]}", "matrix.seed[1]: expected a whole number, got the number 1.5"),
        ("{params.x: [1, .nan]}", 'matrix["params.x"][1]: the value is not a number (NaN)'),
        ("{fill: [close, late]}", "matrix.fill[1]: 'late' is not one of close, next_close, next_open"),
        ("{symbols: [[AAA, BBB], [AAA, 5]]}", "matrix.symbols[1][1]: expected text, got the number 5"),
        ("{symbols: [[AAA, AAA], [BBB]]}", "matrix.symbols[0][1]: the symbol 'AAA' is given twice"),
        ("{costs: [{booking: cash}]}", "matrix.costs[0].booking: 'cash' is not one of targeted, from_cash"),
        (
            "{data.path: [prices.csv, prises.csv]}",
            "matrix[\"data.path\"][1]: file not found: 'prises.csv'; did you",
        ),
        ("{checks: [{nav: x}]}", "matrix.checks[0].nav: expected a number, 25 bp, 0.1 %"),
        (
            "{seed: [1], include: [{seed: 2, timeout: -1}]}",
            "matrix.include[0].timeout: -1 is not above 0",
        ),
        (
            "{timeout: [5], isolation: [inline]}",
            "matrix.isolation[0]: isolation: inline and timeout exclude each other",
        ),
        (
            "{end_date: [2021-12-31, 2019-12-31]}",
            "matrix.end_date[1]: start_date 2020-01-02 is after end_date 2019",
        ),
    ],
)
def test_a_mistake_is_told_once_at_its_place_however_many_runs_have_it(folder, matrix, words):
    (problem,) = wrong(folder, matrix, "{id: a}, {id: b, params: {x: 1}}")
    assert problem.startswith(f"finbot.yaml:8: {words}"), problem


def test_a_wrong_value_is_told_with_its_own_line(folder):
    problems = folder.problems(
        BATCH + "matrix:\n  params.x:\n    - 1\n    - 2\n  fill:\n    - close\n    - late\nruns: [{id: a}]\n"
    )
    assert [(problem.line, problem.key) for problem in problems] == [(14, "matrix.fill[1]")]


def test_what_a_higher_layer_finds_is_placed_where_the_matrix_says_it(folder):
    def inspect(spec):
        if spec.params.get("x") == 2:
            yield ("params", "x"), "must not be 2"
            yield ("params", "y"), "is a default"
            yield ("params", "z"), "is nowhere"

    batch = text("{params.x: [1, 2], seed: [1, 2]}").replace("defaults:", "defaults:\n  params: {y: 0}")
    assert [str(problem) for problem in folder.problems(batch, inspect=inspect)] == [
        "finbot.yaml:3: defaults.params.y: is a default",
        'finbot.yaml:9: matrix["params.x"][1]: must not be 2',
        "finbot.yaml:10: runs[0].params.z: is nowhere",
    ]


def test_what_cannot_be_resolved_is_not_inspected(folder):
    seen = []

    def inspect(spec):
        seen.append((spec.name, spec.start_date.isoformat()))
        return ()

    batch = text("{strategy: [fixed_weights, 5]}").replace("runs:", "windows: {kind: calendar_years}\nruns:")
    folder.problems(batch, inspect=inspect)
    assert seen == [("a.strategy-fixed_weights.2020", "2020-01-02")]


def test_keys_that_a_wrong_matrix_should_give_are_not_missing_too(folder):
    head = "batch_name: small\nmatrix: {strategy: x, data.path: [prices.csv]}\n"
    rest = "runs: [{id: a, symbols: AAA, start_date: 2020-01-02, end_date: 2020-12-31}]\n"
    assert [str(problem) for problem in folder.problems(head + rest)] == [
        "finbot.yaml:2: matrix.strategy: expected a list of values, got the text 'x'; write [x]"
    ]


def test_a_matrix_is_no_default_and_a_run_has_its_own_place_for_it(folder):
    batch = BATCH + "  matrix: {seed: [1]}\nruns: [{id: a, matrix: {seed: [x]}}, {id: b, matrix: true}]\n"
    assert [str(problem) for problem in folder.problems(batch)] == [
        "finbot.yaml:8: defaults.matrix: stands at the top of the file, or in a run: matrix is no default",
        "finbot.yaml:9: runs[0].matrix.seed[0]: expected a whole number, got the text 'x'",
        "finbot.yaml:9: runs[1].matrix: expected a mapping of a run's keys to lists, or false, got true",
    ]


def test_more_runs_than_are_allowed_are_counted_not_made(folder, monkeypatch):
    hundred = ", ".join(str(number) for number in range(100))
    (problem,) = wrong(folder, f"{{seed: [{hundred}], params.a: [{hundred}], params.b: [{hundred}]}}")
    assert problem == (
        "finbot.yaml:8: matrix: 100 * 100 * 100 = 1,000,000 combinations; at most 100,000 runs are allowed"
    )
    monkeypatch.setattr(multiply, "MOST_RUNS", 150)
    assert wrong(folder, f"{{seed: [{hundred}]}}", "{id: a}, {id: b}, {id: c}, {id: d, matrix: false}") == [
        "finbot.yaml:8: matrix: makes 301 runs of the file; at most 150 are allowed"
    ]


def test_windows_count_too(folder, monkeypatch):
    monkeypatch.setattr(multiply, "MOST_RUNS", 300)
    batch = text("false", "{id: a}").replace("runs:", "windows: {length: 1d}\nruns:")
    assert [str(problem) for problem in folder.problems(batch)] == [
        "finbot.yaml:9: windows: makes 301 runs of the file; at most 300 are allowed"
    ]


def test_a_single_run_of_a_test_function_takes_neither(folder):
    findings = Findings("here", Positions())
    for key in ("matrix", "windows"):
        read_level({"id": "a", key: {}}, ("runs", 0), findings, Files(folder.path / "test_x.py"))
    assert [problem.message.partition(";")[0] for problem in findings.sorted()] == [
        "unknown key 'matrix'",
        "unknown key 'windows'",
    ]
