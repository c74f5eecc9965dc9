"""A file in the older, flat form is accepted as it stands."""

from datetime import date

import pytest

from pytest_finbot.contracts import CostSpec, DataSpec, Factor

OLDER = """\
batch_name: "ai_tech_core_vs_mlalpha_2025"
description: "Compare AI/Tech core bundle vs. ML-alpha bundles across multiple periods"
output_root: "output/batch_backtests"
defaults:
  freq: "1d"
  data_source: "local"
  strategy: "multifactor_long_short"
  rebalance_freq: "M"
  max_gross_exposure: 1.0
  start_capital: 100000
  generate_report: true
  generate_risk_report: true
  generate_tca_report: false
  symbols_file: "config/universe_ai_tech_tickers.txt"
runs:
  - id: "core_2015_2020"
    bundle_path: "config/factor_bundles/ai_tech_core_bundle.yaml"
    start_date: "2015-01-01"
    end_date: "2020-12-31"
  - id: "core_ml_2015_2020"
    bundle_path: "config/factor_bundles/ai_tech_core_ml_bundle.yaml"
    start_date: "2015-01-01"
    end_date: "2020-12-31"
    generate_tca_report: true
"""


def test_the_older_form_runs_as_it_stands(folder):
    folder.write("data/prices.csv.gz", b"")
    folder.write("data/factors.csv", "")
    folder.write("config/universe_ai_tech_tickers.txt", "# universe\nAAPL\n\nMSFT  # software\n")
    folder.write("config/factor_bundles/ai_tech_core_bundle.yaml", "factors: [{name: a, weight: 1}]")
    folder.write("config/factor_bundles/ai_tech_core_ml_bundle.yaml", "factors: [{name: b, weight: 2}]")
    batch = folder.load(OLDER)
    core, learned = batch.runs
    assert batch.output_root == folder.path / "output" / "batch_backtests"
    assert (core.name, learned.name) == ("core_2015_2020", "core_ml_2015_2020")
    assert core.reports == ("summary", "risk")
    assert learned.reports == ("summary", "risk", "tca")
    for spec, name in ((core, "a"), (learned, "b")):
        assert spec.symbols == ("AAPL", "MSFT")
        assert spec.strategy == "multifactor_long_short"
        assert (spec.start_date, spec.end_date) == (date(2015, 1, 1), date(2020, 12, 31))
        assert (spec.start_capital, spec.max_gross_exposure, spec.rebalance_freq) == (100_000.0, 1.0, "M")
        assert spec.data == DataSpec(str(folder.path / "data" / "prices.csv.gz"))
        assert spec.factors_path == str(folder.path / "data" / "factors.csv")
        assert [factor.name for factor in spec.bundle.factors] == [name]
    assert core.bundle.factors == (Factor("a", 1.0, 1),)


def test_flat_keys_mean_what_the_sections_mean(folder):
    flat, sections = folder.runs("""\
        - id: flat
          data_source: local
          data_path: prices.csv
          field: adj_close
          calendar: XNYS
          commission_bps: 5
          slippage_bps: 2
        - id: sections
          data: {source: local, path: prices.csv, field: adj_close, calendar: XNYS}
          costs: {commission_bps: 5, slippage_bps: 2}
        """).runs
    assert flat.data == sections.data == DataSpec(str(folder.path / "prices.csv"), "adj_close", "XNYS")
    assert flat.costs == sections.costs == CostSpec(commission_bps=5.0, slippage_bps=2.0)


def test_flat_and_sectioned_keys_add_up_at_one_level(folder):
    spec = folder.runs("- {id: a, field: adj_close, data: {calendar: XNYS}, slippage_bps: 1}").runs[0]
    assert (spec.data.field, spec.data.calendar, spec.costs.slippage_bps) == ("adj_close", "XNYS", 1.0)


def test_a_runs_flag_overrides_the_defaults(folder):
    head = """\
        batch_name: a
        defaults:
          {data_path: prices.csv, strategy: s, symbols: X, start_date: 2020-01-02, end_date: 2020-01-03, %s}
        runs:
          - {id: as_it_is}
          - {id: less, generate_risk_report: false}
          - {id: more, generate_tca_report: true}
          - {id: own, reports: [tca]}
        """
    for given in ("generate_report: true, generate_risk_report: true", "reports: [risk, summary]"):
        assert [spec.reports for spec in folder.load(head % given).runs] == [
            ("summary", "risk"),
            ("summary",),
            ("summary", "risk", "tca"),
            ("tca",),
        ]


def test_a_universe_file_is_a_symbols_file(folder):
    folder.write("u.txt", "X\nY\n")
    assert folder.runs("- {id: a, universe_file: u.txt}").runs[0].symbols == ("X", "Y")
    folder.runs("- {id: a, universe_file: u.txt, symbols_file: u.txt}")


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ("data_path: prices.csv, data: {path: finbot.yaml}", "data_path", "data_path and data.path differ"),
        ("field: close, data: {field: adj_close}", "field", "field and data.field differ; keep data.field"),
        (
            "slippage_bps: 1, costs: {slippage_bps: 2}",
            "slippage_bps",
            "slippage_bps and costs.slippage_bps differ",
        ),
        (
            "universe_file: u.txt, symbols_file: v.txt",
            "universe_file",
            "universe_file and symbols_file differ",
        ),
        (
            "generate_report: false, reports: [summary]",
            "generate_report",
            "generate_report and reports differ",
        ),
        (
            "generate_tca_report: true, reports: [risk]",
            "generate_tca_report",
            "generate_tca_report and reports",
        ),
    ],
)
def test_two_spellings_that_disagree_at_one_level(folder, keys, key, message):
    folder.write("u.txt", "X\n")
    folder.write("v.txt", "Y\n")
    (problem,) = folder.run_problems(f"- {{id: a, {keys}}}")
    assert (problem.line, problem.key) == (9, f"runs[0].{key}")
    assert problem.message.startswith(message)


def test_two_spellings_that_agree_are_no_problem(folder):
    [run] = folder.runs("""\
        - id: a
          data_path: prices.csv
          data: {path: prices.csv}
          generate_report: true
          reports: [summary]
        """).runs
    assert run.reports == ("summary",)


def test_problems_are_told_in_the_words_of_the_file(folder):
    assert [
        (problem.line, problem.key)
        for problem in folder.run_problems("""\
        - id: a
          data_path: nowhere.csv
        - id: b
          universe_file: nowhere.txt
        - id: c
          commission_bps: -1
        """)
    ] == [(10, "runs[0].data_path"), (12, "runs[1].universe_file"), (14, "runs[2].commission_bps")]
