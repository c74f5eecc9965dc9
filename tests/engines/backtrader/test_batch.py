"""backtrader in a batch file, through a real pytest."""

import json
import textwrap

import pytest

pytestmark = pytest.mark.engine("backtrader")

BATCH = """\
batch_name: small
engine: backtrader
defaults:
  data: {path: prices.csv, open_path: opens.csv}
  strategy: fixed_weights
  rebalance_freq: D
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-09
  start_capital: 1000
  fill: next_open
runs:
"""
CLOSES = """\
Date,AAA,BBB
2020-01-02,10,20
2020-01-03,11,19
2020-01-06,12,21
2020-01-07,11,22
2020-01-08,13,20
2020-01-09,14,23
"""
OPENS = """\
Date,AAA,BBB
2020-01-02,10,20
2020-01-03,10.5,19
2020-01-06,11,20
2020-01-07,12,22
2020-01-08,11,21
2020-01-09,13,20
"""


@pytest.fixture
def run(pytester, nursery, monkeypatch):
    """Writes a batch with these runs, and executes it in a pytest of its own."""
    monkeypatch.setattr(pytester, "popen", nursery.popen_of(pytester.path))
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "CI"):
        monkeypatch.delenv(variable, raising=False)

    def executed(runs):
        (pytester.path / "prices.csv").write_text(CLOSES)
        (pytester.path / "opens.csv").write_text(OPENS)
        (pytester.path / "finbot.yaml").write_text(BATCH + textwrap.indent(textwrap.dedent(runs), "  "))
        done = pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml", timeout=120
        )
        summary = pytester.path / "output" / "small" / "batch_summary.json"
        records = json.loads(summary.read_text())["runs"] if summary.exists() else []
        return done, {record["name"]: record for record in records}

    return executed


def test_orders_that_backtrader_rejects_fail_a_run_unless_that_is_as_meant(run):
    done, records = run(
        """\
        - {id: invested}
        - {id: allowed, rejected_orders: allow}
        - {id: with_room, cash_buffer: 0.1}
        """
    )
    assert done.ret == 1
    assert {name: record["status"] for name, record in records.items()} == {
        "invested": "failed",
        "allowed": "success",
        "with_room": "success",
    }
    assert records["invested"]["error"]["category"] == "engine_error"
    assert "margin: cash did not pay for it" in records["invested"]["error"]["message"]
    assert records["allowed"]["rejected_orders"] > 0
    assert records["with_room"]["rejected_orders"] == 0
    assert records["with_room"]["native"]["conventions"]["short_of_cash"] == "rejects"
    assert records["with_room"]["fingerprint"]["engine"]["name"] == "backtrader"


def test_what_it_cannot_express_is_refused_before_anything_runs(run):
    done, records = run("- {id: at_the_close, fill: close}\n")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert records == {}
    done.stderr.fnmatch_lines(
        ["finbot.yaml:13: runs[[]0].fill: engine 'backtrader' has no fill: close; expected next_open*"]
    )
