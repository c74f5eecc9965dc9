"""``checks`` at the top of the file, in defaults and in a run: what wins, and what is refused."""

import typing

import pytest

from pytest_finbot.config.models import BatchModel
from pytest_finbot.contracts import CheckSpec, Limit, PresetName
from pytest_finbot.session.inspect import inspect_run
from pytest_finbot.tolerances import METRIC_UNITS, PRESETS

FILE = """\
batch_name: small
checks: {top}
defaults:
  data: {{path: prices.csv}}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-12-31
  checks: {defaults}
runs:
  - {{id: a, checks: {run}}}
  - {{id: b}}
"""


def text(top="{}", defaults="{}", run="{}") -> str:
    return FILE.format(top=top, defaults=defaults, run=run)


def told(folder, **levels) -> list[str]:
    return [str(problem) for problem in folder.problems(text(**levels))]


def test_every_preset_of_the_contract_exists_and_can_be_named(folder):
    assert set(typing.get_args(PresetName)) == set(PRESETS)
    for name in PRESETS:
        assert folder.load(text(run=f"{{preset: {name}}}")).runs[0].checks == CheckSpec(name)


def test_a_file_that_says_nothing_holds_its_runs_to_refactor(folder):
    [run] = folder.runs("- id: a").runs
    assert run.checks == CheckSpec("refactor", {}, None)


@pytest.mark.parametrize(
    ("top", "defaults", "run", "expected"),
    [
        ("{preset: parity}", "{}", "{}", CheckSpec("parity")),
        ("{}", "{preset: parity}", "{}", CheckSpec("parity")),
        ("{}", "{}", "{preset: parity}", CheckSpec("parity")),
        ("{preset: exact}", "{preset: rounding}", "{preset: parity}", CheckSpec("parity")),
        ("{preset: exact}", "{preset: rounding}", "{nav: 0}", CheckSpec("rounding", {"nav": Limit()})),
        (
            "{preset: exact, nav: 1 bp, cash: 1 bp}",
            "{preset: rounding, cash: 2 bp, fills: false}",
            "{preset: parity, fills: 3 bp}",
            CheckSpec(
                "parity",
                {"nav": Limit(rtol=0.0001), "cash": Limit(rtol=0.0002), "fills": Limit(rtol=0.0003)},
            ),
        ),
        (
            "{metrics: {sharpe: 0.05, cagr: 15 bp}}",
            "{metrics: {cagr: false, trades: 1}}",
            "{metrics: {trades: {rtol: 0.5}}}",
            CheckSpec(
                limits={
                    "metrics.cagr": None,
                    "metrics.sharpe": Limit(atol=0.05),
                    "metrics.trades": Limit(rtol=0.5),
                }
            ),
        ),
        # A limit is replaced as a whole: half of an upper one would be a limit nobody wrote.
        (
            "{nav: {rtol: 25 bp, share: 0.99}}",
            "{}",
            "{nav: {atol: 5}}",
            CheckSpec(limits={"nav": Limit(atol=5.0)}),
        ),
        ("{nav: false}", "{}", "{nav: 1 bp}", CheckSpec(limits={"nav": Limit(rtol=0.0001)})),
        ("{informational: true}", "{}", "{}", CheckSpec(informational=True)),
        ("{informational: true}", "{}", "{informational: false}", CheckSpec(informational=False)),
        ("{preset: cross_engine}", "{}", "{}", CheckSpec("cross_engine", informational=None)),
    ],
)
def test_a_run_has_its_own_checks_then_those_of_defaults_then_those_of_the_batch(
    folder, top, defaults, run, expected
):
    assert folder.load(text(top, defaults, run)).runs[0].checks == expected


def test_limits_stand_in_one_order_however_the_file_is_written(folder):
    one = folder.load(text(run="{nav: 1 bp, fills: 0, metrics: {sharpe: 1, cagr: 1 bp}}"))
    other = folder.load(
        text(top="{metrics: {sharpe: 1}, fills: 0}", run="{metrics: {cagr: 1 bp}, nav: 1 bp}")
    )
    order = ["nav", "fills", "metrics.cagr", "metrics.sharpe"]
    assert list(one.runs[0].checks.limits) == list(other.runs[0].checks.limits) == order


def test_every_check_is_read_by_its_own_name(folder):
    dates = {name for name, unit in METRIC_UNITS.items() if unit == "date"}
    metrics = ", ".join(f"{name}: {'true' if name in dates else '{rtol: 2 bp}'}" for name in METRIC_UNITS)
    series = "nav: 1, cash: 2, market_values: 3, quantity: 4, fills: 5"
    [run, _] = folder.load(text(run=f"{{{series}, metrics: {{{metrics}}}}}")).runs
    assert dict(run.checks.limits) == {
        "nav": Limit(rtol=1.0),
        "cash": Limit(rtol=2.0),
        "market_values": Limit(rtol=3.0),
        "quantity": Limit(rtol=4.0),
        "fills": Limit(rtol=5.0),
        **{f"metrics.{name}": Limit() if name in dates else Limit(rtol=0.0002) for name in METRIC_UNITS},
    }


def test_runs_that_say_nothing_share_their_checks(folder):
    batch = folder.runs("- id: a\n- {id: b, checks: {}}\n- {id: c, checks: {metrics: {}}}\n- id: d\n")
    assert len({id(run.checks) for run in batch.runs}) == 1


def test_a_runs_own_checks_leave_the_next_run_alone(folder):
    first, second = folder.load(text(top="{nav: 1 bp}", run="{nav: 2 bp, cash: 0}")).runs
    assert second.checks == CheckSpec(limits={"nav": Limit(rtol=0.0001)})
    assert first.checks != second.checks


def test_checks_in_json(folder):
    run = (
        '{"id": "a", "strategy": "s", "symbols": "X", "start_date": "2020-01-02", '
        '"end_date": "2020-01-03", "data": {"path": "prices.csv"}, "checks": {"nav": "5 bp", "cash": false}}'
    )
    batch = folder.load(f'{{"batch_name": "a", "runs": [{run}]}}', name="finbot.json")
    assert batch.runs[0].checks.limits == {"nav": Limit(rtol=0.0005), "cash": None}


# ---------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("checks", "key", "words"),
    [
        ("{navv: 1}", "navv", "unknown key 'navv'; did you mean 'nav'?"),
        (
            "{drawdown: 1}",
            "drawdown",
            "unknown key 'drawdown'; expected one of preset, informational, nav, cash, market_values, "
            "quantity, fills, coverage, metrics",
        ),
        ("{metrics: {sharp: 1}}", "metrics.sharp", "unknown key 'sharp'; did you mean 'sharpe'?"),
        (
            "{preset: exakt}",
            "preset",
            "'exakt' is not one of exact, refactor, rounding, parity, cross_engine; did you mean 'exact'?",
        ),
        ("{informational: yes}", "informational", "expected true or false, got the text 'yes'; write true"),
        ("{metrics: [sharpe]}", "metrics", "expected a mapping, got a list"),
        ("{metrics: }", "metrics", "expected a mapping, got nothing (null)"),
        ("", "", "expected a mapping, got nothing (null)"),
        ("parity", "", "expected a mapping, got the text 'parity'"),
        ("{nav: }", "nav", "nothing (null) is no limit; write false to switch the check off"),
        (
            "{metrics: {cagr: 15 %}}",
            "metrics.cagr",
            "'15 %' is ambiguous: write 15 pp for an absolute difference, "
            "or {rtol: 15 %} for a part of the baseline",
        ),
        ("{nav: {rtoll: 1}}", "nav.rtoll", "unknown key 'rtoll'; did you mean 'rtol'?"),
        (
            "{metrics: {cagr: {atol: -1 pp}}}",
            "metrics.cagr.atol",
            "'-1 pp' is not at least 0",
        ),
        # Numbers that no run can use are told on reading, and not a second time.
        ("{nav: .nan}", "nav", "the value is not a number (NaN); expected a finite number"),
        (
            "{nav: {rtol: .inf}}",
            "nav.rtol",
            "the value is infinite or too large; expected a finite number",
        ),
    ],
)
def test_what_is_wrong_is_told_once_with_line_and_key_at_every_level(folder, checks, key, words):
    for level, place, line in (
        ("top", "checks", 2),
        ("defaults", "defaults.checks", 9),
        ("run", "runs[0].checks", 11),
    ):
        path = f"{place}.{key}" if key else place
        assert told(folder, **{level: checks}) == [f"finbot.yaml:{line}: {path}: {words}"]


def test_all_mistakes_of_a_limit_are_told_each_on_its_own_line(folder):
    problems = folder.run_problems("""\
        - id: a
          checks:
            nav:
              rtol: 1 pp
              share: 2
            metrics:
              final_nav: 5
          fill: later
        """)
    assert [(problem.line, problem.key) for problem in problems] == [
        (12, "runs[0].checks.nav.rtol"),
        (13, "runs[0].checks.nav.share"),
        (15, "runs[0].checks.metrics.final_nav"),
        (16, "runs[0].fill"),
    ]


def test_a_limit_named_by_an_alias_is_located_where_it_is_written(folder):
    problems = folder.run_problems("- id: a\n  checks: &mine\n    nav: x\n- id: b\n  checks: *mine\n")
    assert [(problem.line, problem.key) for problem in problems] == [
        (11, "runs[0].checks.nav"),
        (11, "runs[1].checks.nav"),
    ]


def test_wrong_checks_do_not_hide_what_a_higher_layer_finds(folder):
    keys = [
        problem.key
        for problem in folder.problems(
            text(run="{nav: x}").replace("fixed_weights", "fixed_weightz"), inspect=inspect_run
        )
    ]
    assert keys == ["defaults.strategy", "runs[0].checks.nav"]


def test_checks_are_placed_by_their_own_key(folder):
    found = folder.problems(
        text(defaults="{nav: 1 bp}", run="{cash: 1 bp}"),
        inspect=lambda spec: [(("checks", "nav"), "too wide")] if spec.name == "a" else [],
    )
    assert [(problem.line, problem.key) for problem in found] == [(9, "defaults.checks.nav")]


# ------------------------------------------------------------------------------------ schema


def test_editors_learn_how_a_limit_is_written():
    schema = BatchModel.model_json_schema()
    checks = schema["$defs"]["ChecksModel"]["properties"]
    assert {"checks", "baseline", "waivers"} <= schema["properties"].keys()
    assert "checks" in schema["$defs"]["RunModel"]["properties"]
    assert list(checks) == [
        "preset",
        "informational",
        "nav",
        "cash",
        "market_values",
        "quantity",
        "fills",
        "coverage",
        "metrics",
    ]
    assert checks["preset"]["enum"] == list(PRESETS)
    mapping = checks["nav"]["anyOf"][2]
    assert list(mapping["properties"]) == ["rtol", "atol", "share", "none_beyond"]
    assert {"const": False} in checks["nav"]["anyOf"]
    metrics = schema["$defs"]["MetricsModel"]["properties"]
    assert list(metrics) == list(METRIC_UNITS)
    assert metrics["max_drawdown_peak"]["type"] == "boolean"
    assert {"type": "number", "minimum": 0} not in metrics["final_nav"]["anyOf"]
    waiver = schema["$defs"]["WaiverModel"]
    assert waiver["required"] == ["run", "check", "reason", "reviewer", "expires"]
    assert waiver["properties"]["expires"]["format"] == "date"


def test_coverage_is_looked_at_unless_a_level_says_otherwise(folder):
    runs = folder.load(text(top="{coverage: false}", run="{coverage: true}")).runs
    assert [run.checks.limits.get("coverage", "not said") for run in runs] == [Limit(), None]
    assert "coverage" not in folder.load(text()).runs[0].checks.limits


def test_coverage_takes_no_limit(folder):
    [problem] = told(folder, run="{coverage: 5}")
    assert "checks.coverage" in problem
