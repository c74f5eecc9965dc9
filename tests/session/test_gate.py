"""The gate, as a team lives with it: accept, change something, read what moved and why."""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest

from pytest_finbot.baselines.store import read_baseline, write_baseline

EXAMPLES = Path(__file__).parents[2] / "examples"
RUNS = """\
- {id: equal}
- {id: first, params: {weights: {AAA: 1.0}}}
- {id: ours, strategy: "ours:halves"}
"""

OURS = """\
import numpy as np
from pytest_finbot.contracts import TargetWeights
from helper import size


def halves(spec, market):
    rows = np.array([0, 2])
    return TargetWeights(rows, np.full((2, len(market.symbols)), size()))
"""


@pytest.fixture
def accepted(project):
    """Three runs with accepted results."""
    project.write("ours.py", OURS)
    project.write("helper.py", "def size():\n    return 0.25\n")
    project.gated(RUNS)
    return project


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_was_accepted_and_did_not_change_is_identical(accepted, workers):
    result = accepted.pytest("-n", workers)
    assert result.ret == 0
    assert accepted.verdicts() == {"equal": "identical", "first": "identical", "ours": "identical"}
    result.stdout.fnmatch_lines(["*Compared with baselines/small: 3 identical.*"])


@pytest.mark.parametrize("workers", ["0", "2"])
def test_without_an_accepted_result_a_run_fails_as_new(project, workers):
    project.compared(RUNS.splitlines()[0])
    result = project.pytest("-n", workers)
    assert result.ret == 1
    assert project.verdicts() == {"equal": "new"}
    result.stdout.fnmatch_lines(
        [
            "new: nothing is accepted for it in baselines/small",
            "accept it:*--finbot-accept 'equal' --finbot-reason*",
        ]
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_halving_a_position_fails_that_run_and_names_day_position_fill_and_module(accepted, workers):
    accepted.write("helper.py", "def size():\n    return 0.125\n")
    result = accepted.pytest("-n", workers)
    assert result.ret == 1
    assert accepted.verdicts() == {"equal": "identical", "first": "identical", "ours": "moved"}
    result.stdout.fnmatch_lines(
        [
            "moved: final NAV *",
            "*first session out of tolerance: 2020-01-02*",
            "*AAA  market value 250.00 → 125.00, quantity 25 → 12.5",
            "*first fill that differs, number 1:",
            "*baseline  2020-01-02 buy 25 AAA at 10, fee 0",
            "*now       2020-01-02 buy 12.5 AAA at 10, fee 0",
            "why: code changed: helper",
            "finbot.yaml:*run ours",
            "accept it:*--finbot-accept 'ours'*",
        ]
    )
    row = accepted.rows()["ours"]
    assert (row["status"], row["error_category"], row["first_session"]) == (
        "failed",
        "regression",
        "2020-01-02",
    )
    assert row["causes"] == "code changed: helper"


def test_one_changed_price_is_named_by_symbol_and_year_and_day(accepted):
    prices = (accepted.path / "prices.csv").read_text()
    accepted.write("prices.csv", prices.replace("2020-01-07,11,22", "2020-01-07,11,22.5"))
    result = accepted.pytest()
    assert result.ret == 1
    # `first` holds none of it, and yet it was loaded: its result is the same.
    assert accepted.verdicts() == {"equal": "moved", "first": "identical", "ours": "moved"}
    row = accepted.rows()["equal"]
    assert (row["first_session"], row["causes"]) == ("2020-01-07", "data changed: BBB 2020")
    result.stdout.fnmatch_lines(["*first session out of tolerance: 2020-01-07*", "*BBB  market value*"])


def test_a_changed_parameter_is_named_with_both_values(accepted):
    text = (accepted.path / "finbot.yaml").read_text()
    accepted.write("finbot.yaml", text.replace("{AAA: 1.0}", "{AAA: 0.9}"))
    assert accepted.pytest().ret == 1
    assert accepted.rows()["first"]["causes"] == "config changed: params.weights.AAA 1.0 → 0.9"


def test_an_unstable_result_with_nothing_changed_is_called_not_deterministic(project):
    project.write(
        "ours.py",
        """\
        from pathlib import Path
        import numpy as np
        from pytest_finbot.contracts import TargetWeights

        def halves(spec, market):
            weight = float(Path(__file__).with_name("weight.txt").read_text())
            return TargetWeights(np.array([0]), np.full((1, 2), weight))
        """,
    )
    project.write("weight.txt", "0.5")
    project.gated('- {id: ours, strategy: "ours:halves"}')
    project.write("weight.txt", "0.4")
    result = project.pytest()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "why: not deterministic: config, data, code and environment are the same, unless it reads *",
            "*confirm it with --finbot-rerun 2; where that finds nothing, the run reads something*",
        ]
    )


def test_another_environment_is_named_with_both_versions(accepted):
    folder = accepted.baseline("equal").parent
    found = read_baseline(folder, "equal")
    versions = {**found.fingerprint["environment"], "pandas": "0.1"}
    theirs = dataclasses.replace(
        found,
        fingerprint={**found.fingerprint, "environment": versions},
        result=dataclasses.replace(found.result, nav=found.result.nav + 1.0),
    )
    write_baseline(folder, theirs)
    assert accepted.pytest().ret == 1
    assert accepted.rows()["equal"]["causes"].startswith("environment changed: pandas 0.1 → ")


def test_a_baseline_edited_by_hand_is_told_as_that(accepted):
    path = accepted.baseline("equal")
    text = path.read_text()
    path.write_text(text.replace('"trades": 2', '"trades": 3'))
    assert path.read_text() != text
    result = accepted.pytest()
    assert result.ret == 1
    assert accepted.verdicts()["equal"] == "error"
    result.stdout.fnmatch_lines(["*equal.json was edited or merged by hand: that is not what was accepted*"])


@pytest.mark.parametrize("fail_on", ["regression", "error"])
def test_an_unreadable_baseline_closes_the_gate_whichever_failures_count(accepted, fail_on):
    accepted.baseline("equal").write_text("{")
    assert accepted.pytest("--finbot-fail-on", fail_on).ret == 1


def test_another_window_is_the_configurations_doing_and_not_the_datas(accepted):
    text = (accepted.path / "finbot.yaml").read_text()
    accepted.write("finbot.yaml", text.replace("end_date: 2020-01-09", "end_date: 2020-01-08"))
    assert accepted.pytest().ret == 1
    assert accepted.rows()["equal"]["causes"] == "config changed: end_date 2020-01-09 → 2020-01-08"


def test_a_pattern_that_matches_no_run_is_told(accepted):
    result = accepted.accept("--finbot-accept", "nothing*")
    result.stdout.fnmatch_lines(
        ["*nothing is accepted: --finbot-accept 'nothing*' matches no run of this batch"]
    )


def test_a_run_that_errors_is_an_error_and_no_move(accepted):
    accepted.write("helper.py", "def size():\n    raise ZeroDivisionError\n")
    result = accepted.pytest()
    assert result.ret == 1
    assert accepted.verdicts() == {"equal": "identical", "first": "identical", "ours": "error"}
    assert accepted.rows()["ours"]["error_category"] == "engine_error"


def test_a_run_that_left_the_batch_file_is_missing_until_its_baseline_is_removed(accepted):
    accepted.compared("\n".join(RUNS.splitlines()[1:]))
    result = accepted.pytest()
    assert result.ret == 1
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*missing: equal has a baseline in baselines/small*"])
    assert accepted.verdicts() == {"first": "identical", "ours": "identical", "equal": "missing"}
    assert "missing: `equal`" in (accepted.output / "batch_summary.md").read_text()
    accepted.pytester.run(sys.executable, "-m", "pytest_finbot.cli.main", "baseline", "remove", "equal")
    assert accepted.pytest().ret == 0


def test_a_renamed_run_is_new_under_one_name_and_missing_under_the_other(accepted):
    accepted.compared(RUNS.replace("id: equal", "id: even"))
    assert accepted.pytest().ret == 1
    verdicts = accepted.verdicts()
    assert (verdicts["even"], verdicts["equal"]) == ("new", "missing")


def test_an_added_run_is_new(accepted):
    accepted.compared(RUNS + "- {id: added}\n")
    assert accepted.pytest().ret == 1
    assert accepted.verdicts()["added"] == "new"


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_a_truncated_baseline_is_an_error_that_names_the_file(accepted, suffix):
    path = accepted.baseline("equal").with_suffix(suffix)
    path.write_bytes(path.read_bytes()[:100])
    result = accepted.pytest()
    assert result.ret == 1
    assert accepted.verdicts() == {"equal": "error", "first": "identical", "ours": "identical"}
    result.stdout.fnmatch_lines([f"*regression in checks: baseline *equal{suffix} cannot be read*"])


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
def test_half_a_baseline_is_an_error_that_names_the_file(accepted, suffix):
    accepted.baseline("equal").with_suffix(suffix).unlink()
    result = accepted.pytest()
    assert result.ret == 1
    assert accepted.verdicts()["equal"] == "error"
    result.stdout.fnmatch_lines([f"*baseline *equal{suffix} is missing*"])


def test_a_deleted_baseline_makes_its_run_new(accepted):
    accepted.baseline("equal").unlink()
    accepted.baseline("equal").with_suffix(".parquet").unlink()
    assert accepted.pytest().ret == 1
    assert accepted.verdicts()["equal"] == "new"


def test_a_baseline_of_a_newer_format_is_refused_by_name(accepted):
    path = accepted.baseline("equal")
    path.write_text(path.read_text().replace('"version": 1', '"version": 2', 1))
    result = accepted.pytest()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*equal.json has version 2*upgrade pytest-finbot*"])


def test_a_batch_without_runs_is_refused(project):
    project.write("finbot.yaml", "batch_name: small\nbaseline: baselines\nruns: []\n")
    assert project.pytest().ret == 4


@pytest.mark.parametrize("workers", ["0", "2"])
def test_one_run_asked_for_by_name_is_compared_alone(accepted, workers):
    result = accepted.pytest("-n", workers, "finbot.yaml::first", batch=None)
    assert result.ret == 0
    assert accepted.verdicts() == {"first": "identical"}


def test_the_order_of_runs_makes_no_difference(accepted):
    lines = [line + "\n" for line in RUNS.splitlines()]
    accepted.compared("".join(reversed(lines)))
    assert accepted.pytest("-n", "2").ret == 0
    assert set(accepted.verdicts().values()) == {"identical"}


def test_verbose_tells_every_check_with_its_limit(accepted):
    accepted.write("helper.py", "def size():\n    return 0.125\n")
    quiet = accepted.pytest().stdout.str()
    loud = accepted.pytest("-v").stdout
    assert "difference    message" not in quiet
    loud.fnmatch_lines(["*check * verdict * limit * difference*", "*sessions * identical*", "*nav * moved*"])


def test_two_batch_files_with_one_folder_of_baselines_are_refused(accepted):
    text = (accepted.path / "finbot.yaml").read_text()
    accepted.write("finbot_two.yaml", "output_root: elsewhere\n" + text)
    result = accepted.pytest("--finbot-batch", "finbot_two.yaml")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["*finbot_two.yaml: baseline: *has its baselines in the same folder*expected another*"]
    )


FUNDS = """\
batch_name: small
baseline: baselines
defaults:
  data: {path: ohlcv, field: %s, calendar: XNYS}
  start_date: 2010-01-04
  end_date: 2026-02-09
  costs: {commission_bps: 10}
runs:
  - {id: spy, strategy: sma_crossover, symbols: [SPY]}
  - {id: tlt, strategy: sma_crossover, symbols: [TLT], data: {field: adj_close}}
"""


def test_adjusted_closes_in_place_of_raw_ones_are_told_with_size_and_first_day(project):
    shutil.copytree(EXAMPLES / "data" / "ohlcv", project.path / "ohlcv")
    project.write("finbot.yaml", FUNDS % "close")
    assert project.accept().ret == 0
    project.write("finbot.yaml", FUNDS % "adj_close")
    result = project.pytest()
    assert result.ret == 1
    assert project.verdicts() == {"spy": "moved", "tlt": "identical"}
    result.stdout.fnmatch_lines(
        [
            "moved: final NAV 311,950.61 → 392,824.31 (+80,873.70, +25.93 %, +2,592.5 bp)",
            "*first session out of tolerance: 2010-10-18 *",
            "*SPY  market value*",
            "why: config changed: data.field close → adj_close",
            "*data changed: *field close → adj_close*",
        ]
    )
