"""finbot gate-test: what it prints, and how it ends."""

import textwrap

import numpy as np
import pytest
from click.testing import CliRunner

from pytest_finbot.baselines import prove as prove_module
from pytest_finbot.baselines.facts import Acceptance, Comparison
from pytest_finbot.baselines.results import RunResult, fill_table
from pytest_finbot.baselines.store import Baseline, write_baseline
from pytest_finbot.cli.main import main
from pytest_finbot.contracts import EngineResult, Verdict
from pytest_finbot.tolerances import PRESETS
from pytest_finbot.valuation.books import Books
from pytest_finbot.valuation.metrics import compute_metrics

HEAD = """\
batch_name: small
baseline: baselines
"""
RUNS = """\
defaults: {data: {path: prices.csv}, symbols: [AAA], start_date: 2020-01-01, end_date: 2020-02-28,
           start_capital: 1000, strategy: fixed_weights}
runs:
  - {id: first}
  - {id: second}
"""


def accepted():
    """Half of 1,000 in one share that rises, bought at the second of 40 sessions."""
    days = np.datetime64("2020-01-01") + np.arange(40)
    price = 10.0 * 1.004 ** np.arange(40) * (1.0 + 0.05 * np.sin(np.arange(40)))
    quantity = np.where(np.arange(40) >= 1, 500.0 / price[1], 0.0)[:, np.newaxis]
    cash = np.where(np.arange(40) >= 1, 500.0, 1000.0)
    mark = price[:, np.newaxis]
    engine = EngineResult.of(
        sessions=days,
        assets=("AAA",),
        nav=cash + (quantity * mark)[:, 0],
        cash=cash,
        quantity=quantity,
        mark=mark,
        start_cash=1000.0,
    )
    metrics = compute_metrics(engine, Books(engine))
    columns = {"quantity": quantity[1], "price": price[1:2], "fee": np.zeros(1)}
    fills = fill_table({"session": days[1:2], "asset": np.array(["AAA"]), **columns}, ("AAA",))
    return RunResult(
        days,
        engine.nav,
        ("AAA",),
        cash,
        quantity,
        quantity * mark,
        fills,
        metrics.values,
        metrics.undefined,
    )


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A batch of two runs with their baselines; write(...) the batch file, then call(...)."""
    monkeypatch.chdir(tmp_path)
    days = np.datetime64("2020-01-01") + np.arange(60)
    lines = ["Date,AAA", *(f"{day},10" for day in days)]
    (tmp_path / "prices.csv").write_text("\n".join(lines) + "\n")
    by = Acceptance("2026-11-21T09:15:02Z", "Ada", "first", "abc")
    for run in ("first", "second"):
        fingerprint = {"config": {"hash": "c", "settings": {}}}
        write_baseline(
            tmp_path / "baselines" / "small", Baseline("small", run, accepted(), fingerprint, by, "", "")
        )
    return tmp_path


def write(project, more="", head=HEAD, runs=RUNS):
    (project / "finbot.yaml").write_text(head + textwrap.dedent(more) + runs)


def call(*words):
    return CliRunner().invoke(main, ["gate-test", *words])


@pytest.mark.parametrize("preset", PRESETS)
def test_a_gate_that_holds_is_proven_in_one_line_a_run(project, preset):
    write(project, f"checks: {{preset: {preset}}}\n")
    done = call("finbot.yaml", "--allow-informational")
    assert done.exit_code == 0, done.output
    first, second, summary = done.output.splitlines()
    assert first.startswith("first ")
    assert second.startswith("second ")
    assert "smallest NAV move caught " in first
    assert summary.startswith("2 of 2 runs proven: ")
    assert ("informational: what is caught fails nothing" in first) is (preset == "cross_engine")
    assert ("not held: " in first) is (preset != "exact")


def test_a_gate_that_only_informs_cannot_fail_and_is_not_proven(project):
    write(project, "checks: {informational: true}\n")
    done = call("finbot.yaml")
    assert done.exit_code == 1
    assert "FAILED first: informational: whatever moves, its gate cannot fail" in done.output
    assert done.output.splitlines()[-1].startswith("0 of 2 runs proven, 2 failed")
    write(project, "checks: {preset: cross_engine, informational: false}\n")
    assert call("finbot.yaml").exit_code == 0


@pytest.mark.parametrize("limit", ["1000", "20 %"])
def test_a_limit_of_cash_that_no_error_can_break_is_found(project, limit):
    write(project, f"checks: {{cash: {limit}}}\n")
    done = call("finbot.yaml")
    assert done.exit_code == 1
    assert "cash off by a tenth of NAV" in done.output


def test_the_smallest_move_is_told_in_basis_points_and_in_money(project):
    write(project, "checks: {nav: 20 bp}\n")
    nav = accepted().nav[20]
    assert f"smallest NAV move caught 20.0 bp, {nav * 0.002:,.2f} on 2020-01-21" in call("finbot.yaml").output


def test_verbose_lists_every_perturbation(project):
    write(project, "checks: {fills: false}\n")
    done = call("finbot.yaml", "-v", "first")
    assert "nothing changed: identical" in done.output
    assert "market value of AAA halved on 2020-01-21: by market_values, first on 2020-01-21" in done.output
    assert "one fill dropped: switched off (checks.fills)" in done.output
    assert "second" not in done.output


@pytest.mark.parametrize(
    "checks",
    [
        "{market_values: false, quantity: false, fills: false, cash: false, nav: 50 %}",
        "{market_values: {rtol: 10}, quantity: {rtol: 10}, cash: {rtol: 10}, nav: {rtol: 10}}",
    ],
)
def test_an_absurdly_wide_tolerance_fails(project, checks):
    write(project, f"checks: {checks}\n")
    done = call("finbot.yaml")
    assert done.exit_code == 1
    assert "FAILED first: no move of NAV below " in done.output
    assert "1,000.0 bp must be (--widest)" in done.output
    assert "0 of 2 runs proven, 2 failed" in done.output


@pytest.mark.parametrize("said", ["60%", "6000 bp", "0.6"])
def test_the_widest_move_is_written_as_limits_are(project, said):
    write(project, "checks: {nav: 50 %}\n")
    assert call("finbot.yaml", "--widest", said).exit_code == 0
    assert call("finbot.yaml", "--widest", "10%").exit_code == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [("10 pp", "10 pp"), ("wide", "expected a number"), ("-1%", "not at least 0"), ("nan", "nan")],
)
def test_a_widest_move_that_cannot_be_read_is_refused(project, said, why):
    write(project)
    done = call("finbot.yaml", "--widest", said)
    assert done.exit_code == 4
    assert f"--widest {said}: " in done.output
    assert why in done.output


def test_a_comparison_that_lets_something_through_fails(project, monkeypatch):
    monkeypatch.setattr(
        prove_module, "compare", lambda now, baseline, tolerances: Comparison(Verdict.WITHIN, "refactor")
    )
    write(project)
    done = call("finbot.yaml")
    assert done.exit_code == 1
    assert "FAILED first: false alarm: nothing changed" in done.output
    assert "FAILED second: passed: session 2020-01-21 dropped: verdict within" in done.output
    assert "no move of NAV below of any size" not in done.output
    assert "no move of NAV is caught, of whatever size" in done.output


def test_a_waiver_is_told_and_fails_nothing(project):
    write(
        project,
        "waivers: [{run: first, check: nav, reason: new index, reviewer: Ada, expires: 2999-12-31}]\n",
    )
    done = call("finbot.yaml")
    assert done.exit_code == 0
    assert "6 of them are waived and would fail nothing" in done.output.splitlines()[0]
    assert "waived" not in done.output.splitlines()[1]
    assert "waived: first: new index (Ada; until 2999-12-31)" in done.output


def test_a_run_without_a_baseline_is_not_proven(project):
    write(project, runs=RUNS + "  - {id: third}\n")
    done = call("finbot.yaml")
    assert done.exit_code == 1
    assert "cannot be proven: nothing is accepted for it in baselines/small" in done.output
    assert "2 of 3 runs proven, 1 without a usable baseline" in done.output
    assert call("finbot.yaml", "first", "second").exit_code == 0


def test_an_unreadable_baseline_is_not_proven_and_the_others_are(project):
    write(project)
    path = project / "baselines" / "small" / "first.parquet"
    path.write_bytes(path.read_bytes()[:200])
    done = call("finbot.yaml")
    assert done.exit_code == 1
    assert "first.parquet cannot be read" in done.output
    assert "1 of 2 runs proven, 1 without a usable baseline" in done.output


@pytest.mark.parametrize(
    ("head", "runs", "words", "why"),
    [
        ("batch_name: small\n", RUNS, (), "has no key baseline: nothing is gated"),
        (HEAD, "runs: []\n", (), "no runs"),
        (HEAD, RUNS, ("frist",), "has no run 'frist'; did you mean 'first'?"),
        ("batch_name: small\nbaselines: here\n", RUNS, (), "baselines: unknown key"),
    ],
)
def test_a_wrong_call_or_batch_file_ends_with_4(project, head, runs, words, why):
    write(project, head=head, runs=runs)
    done = call("finbot.yaml", *words)
    assert done.exit_code == 4
    assert why in done.output


def test_a_file_that_is_not_there_ends_with_4(project):
    done = call("nowhere.yaml")
    assert done.exit_code == 4
    assert "nowhere.yaml" in done.output
