"""What a higher layer finds in a run is located where the file says it."""

import pytest


def finding(*pairs):
    return lambda spec: iter(pairs)


def places(problems):
    return [(problem.line, problem.key) for problem in problems]


TEXT = """\
batch_name: a
defaults:
  data_path: prices.csv
  strategy: s
  symbols: [AAA]
  start_date: 2020-01-02
  end_date: 2020-12-31
  params:
    fast: 1
    weights: {AAA: 1, BBB: 2}
runs:
  - id: one
  - id: two
    params:
      slow: 2
      weights:
        CCC: x
"""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (("params", "fast"), [(9, "defaults.params.fast")]),
        (("params", "slow"), [(12, "runs[0].params.slow"), (15, "runs[1].params.slow")]),
        (
            ("params", "weights", "AAA"),
            [(10, "defaults.params.weights.AAA"), (16, "runs[1].params.weights.AAA")],
        ),
        (
            ("params", "weights", "CCC"),
            [(10, "defaults.params.weights.CCC"), (17, "runs[1].params.weights.CCC")],
        ),
        (("strategy",), [(4, "defaults.strategy")]),
        (("data", "path"), [(3, "defaults.data_path")]),
        (("symbols", 0), [(5, "defaults.symbols[0]")]),
        (("fill",), [(12, "runs[0].fill"), (13, "runs[1].fill")]),
        ((), [(12, "runs[0]"), (13, "runs[1]")]),
    ],
)
def test_a_finding_is_placed_in_the_run_or_once_in_defaults(folder, place, expected):
    problems = folder.problems(TEXT, inspect=finding((place, "is wrong")))
    assert places(problems) == expected
    assert {problem.message for problem in problems} == {"is wrong"}


def test_findings_are_told_with_everything_else(folder):
    problems = folder.run_problems(
        "- {id: a, params: {fats: 1}}\n- {id: b, fill: x}\n", inspect=finding((("params", "fats"), "unknown"))
    )
    assert places(problems) == [
        (9, "runs[0].params.fats"),
        (10, "runs[1].fill"),
        (10, "runs[1].params.fats"),
    ]


def test_a_run_that_cannot_be_resolved_is_not_inspected(folder):
    seen = []

    def inspect(spec):
        seen.append(spec.name)
        return ()

    folder.write("broken.yaml", "factors: []")
    folder.run_problems(
        """\
        - {id: a, strategy: 5}
        - {id: b, symbols: [1]}
        - {id: c, params: []}
        - {id: d, start_date: soon}
        - {id: e, end_date: 1999-01-01}
        - {id: f, bundle_path: nowhere.yaml}
        - {id: g, strategy: ''}
        - {id: h, bundle_path: broken.yaml}
        - {fill: close}
        - {id: fine}
        - {id: good_enough, fill: x, unknown: 1, costs: {booking: x}}
        """,
        inspect=inspect,
    )
    assert seen == ["fine", "good_enough"]


def test_a_run_that_mends_what_defaults_have_wrong_is_inspected(folder):
    seen = []

    def inspect(spec):
        seen.append((spec.name, spec.strategy))
        return ()

    folder.problems(
        TEXT.replace("strategy: s", "strategy: 5") + "  - {id: mended, strategy: t}\n", inspect=inspect
    )
    assert seen == [("mended", "t")]


def test_runs_that_take_the_batchs_wrong_engine_are_not_inspected(folder):
    seen = []

    def inspect(spec):
        seen.append((spec.name, spec.engine))
        return ()

    text = TEXT.replace("defaults:", "engine: 5\ndefaults:") + "  - {id: own, engine: 'mine:run'}\n"
    folder.problems(text, inspect=inspect)
    assert seen == [("own", "mine:run")]


def test_a_good_batch_with_nothing_found_loads(folder):
    assert folder.load(TEXT, inspect=finding()).run_count == 2
