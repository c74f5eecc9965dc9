"""Factor bundles, and what is wrong with them, by their own lines."""

import pytest

from pytest_finbot.config.bundle import read_bundle
from pytest_finbot.contracts import Factor, FactorBundle
from pytest_finbot.errors import BatchFileError

RUN = "- {id: a, bundle_path: sub/b.yaml}\n- {id: b, bundle_path: sub/b.yaml}\n"


def test_a_bundle_is_what_its_file_says(folder):
    path = folder.write(
        "b.yaml",
        """\
        universe: ten_us_shares
        factor_set: core
        horizon_days: 21
        factors:
          - {name: momentum, weight: 0.6, direction: positive}
          - {name: rv_20, weight: 1, direction: negative}
          - {name: zero, weight: 0}
        options: {winsorize: true, winsorize_limits: [0, 0.95], zscore: false, neutralize_by: null}
        """,
    )
    assert read_bundle(path, "b.yaml") == FactorBundle(
        factors=(Factor("momentum", 0.6, 1), Factor("rv_20", 1.0, -1), Factor("zero", 0.0, 1)),
        universe="ten_us_shares",
        factor_set="core",
        horizon_days=21,
        winsorize=True,
        winsorize_limits=(0.0, 0.95),
        zscore=False,
    )


def test_a_bundle_may_be_json_and_leave_everything_at_its_usual_value(folder):
    path = folder.write("b.json", '{"factors": [{"name": "x", "weight": 2}]}')
    assert read_bundle(path, "b.json") == FactorBundle(factors=(Factor("x", 2.0, 1),))


@pytest.mark.parametrize(
    ("content", "line", "key", "words"),
    [
        (
            "factors:\n- {name: x, weight: heavy}",
            2,
            "factors[0].weight",
            "expected a number, got the text 'heavy'",
        ),
        ("factors:\n- {name: x, weight: true}", 2, "factors[0].weight", "expected a number, got true"),
        ("factors:\n- {name: x, weight: -1}", 2, "factors[0].weight", "-1 is not at least 0"),
        ("factors:\n- {name: x, weight: .nan}", 2, "factors[0].weight", "the value is not a number (NaN)"),
        ("factors:\n- {name: x, weight: 0}\n- {name: y, weight: 0}", 1, "factors", "all weights are 0"),
        ("factors:\n- {name: x}", 2, "factors[0].weight", "missing; a factor needs weight"),
        ("factors:\n- {weight: 1}", 2, "factors[0].name", "missing; a factor needs name"),
        (
            "factors: [{name: x, weight: 1, directoin: positive}]",
            1,
            "factors[0].directoin",
            "unknown key 'directoin'; d",
        ),
        (
            "factors: [{name: x, weight: 1, direction: up}]",
            1,
            "factors[0].direction",
            "'up' is not one of positive, ne",
        ),
        (
            "factors:\n- {name: x, weight: 1}\n- {name: x, weight: 1}",
            3,
            "factors[1].name",
            "the factor 'x' is given twi",
        ),
        ("factors: []", 1, "factors", "expected at least 1, got 0"),
        ("universe: x", 1, "factors", "missing; a factor bundle needs factors"),
        (
            "factorz: []\nfactors: [{name: x, weight: 1}]",
            1,
            "factorz",
            "unknown key 'factorz'; did you mean 'factors'?",
        ),
        (
            "factors: [{name: x, weight: 1}]\noptions:\n  zscores: true",
            3,
            "options.zscores",
            "unknown key 'zscores'; di",
        ),
        (
            "factors: [{name: x, weight: 1}]\noptions:\n  zscore: 1",
            3,
            "options.zscore",
            "expected true or false, got the n",
        ),
        (
            "factors: [{name: x, weight: 1}]\noptions:\n  neutralize_by: sector",
            3,
            "options.neutralize_by",
            "the text 'sector' is not available; leave null",
        ),
        (
            "factors: [{name: x, weight: 1}]\noptions:\n  winsorize_limits: [0.9, 0.1]",
            3,
            "options.winsorize_limits",
            "[0.9, 0.1] are not two quantiles, 0 <= low < high <= 1",
        ),
        (
            "factors: [{name: x, weight: 1}]\noptions:\n  winsorize_limits: [0.1]",
            3,
            "options.winsorize_limits",
            "expected at least 2, got 1",
        ),
        ("factors: [{name: x, weight: 1}]\nhorizon_days: 0", 2, "horizon_days", "0 is not at least 1"),
        ("factors: [", 2, "", "not valid YAML: "),
        ("", 0, "", "the file is empty"),
    ],
)
def test_a_wrong_bundle_is_told_once_by_its_own_line(folder, content, line, key, words):
    folder.write("sub/b.yaml", content + "\n")
    (problem,) = folder.run_problems(RUN)
    assert (problem.file, problem.line, problem.key) == ("sub/b.yaml", line, key)
    assert problem.message.startswith(words)


def test_every_mistake_of_a_bundle_is_told_in_the_order_of_the_lines(folder):
    path = folder.write(
        "b.yaml", "factors:\n- {weight: x}\noptions: {winsorize_limits: [1, 0], zscore: 2}\nuniverse: 5\n"
    )
    with pytest.raises(BatchFileError) as caught:
        read_bundle(path, "b.yaml")
    assert [(problem.line, problem.key) for problem in caught.value.problems] == [
        (2, "factors[0].name"),
        (2, "factors[0].weight"),
        (3, "options.winsorize_limits"),
        (3, "options.zscore"),
        (4, "universe"),
    ]


# ---------------------------------------------------------------------------- its universe

NO_SYMBOLS = """\
batch_name: a
defaults: {data_path: prices.csv, strategy: s, start_date: 2020-01-02, end_date: 2020-12-31}
runs:
  - {id: a, bundle_path: sub/b.yaml}
"""
WITH_UNIVERSE = "universe: u.txt\nfactors: [{name: x, weight: 1}]\n"


@pytest.mark.parametrize("place", ["sub/u.txt", "u.txt"])
def test_a_run_without_symbols_takes_the_file_its_bundles_universe_names(folder, place):
    folder.write("sub/b.yaml", WITH_UNIVERSE)
    folder.write(place, "XXX\nYYY\n")
    assert folder.load(NO_SYMBOLS).runs[0].symbols == ("XXX", "YYY")


def test_a_universe_beside_the_bundle_comes_first(folder):
    folder.write("sub/b.yaml", WITH_UNIVERSE)
    folder.write("sub/u.txt", "NEAR\n")
    folder.write("u.txt", "FAR\n")
    assert folder.load(NO_SYMBOLS).runs[0].symbols == ("NEAR",)


def test_a_runs_own_symbols_come_before_the_universe(folder):
    folder.write("sub/b.yaml", WITH_UNIVERSE)
    folder.write("u.txt", "XXX\n")
    assert folder.runs(RUN).runs[0].symbols == ("AAA", "BBB")


def test_a_universe_that_is_only_a_name_is_no_universe(folder):
    folder.write("sub/b.yaml", WITH_UNIVERSE)
    (problem,) = folder.problems(NO_SYMBOLS)
    assert (problem.key, problem.message) == (
        "runs[0].symbols",
        "missing; a run needs symbols or symbols_file, here or in defaults",
    )


def test_a_universe_with_a_problem_is_told_by_its_own_line_alone(folder):
    folder.write("sub/b.yaml", WITH_UNIVERSE)
    folder.write("u.txt", "XXX\nXXX\n")
    (problem,) = folder.problems(NO_SYMBOLS)
    assert (problem.file, problem.line) == ("u.txt", 2)
