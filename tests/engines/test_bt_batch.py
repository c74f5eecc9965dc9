"""bt in a batch file, through a real pytest."""

import json

import pytest

pytestmark = pytest.mark.engine("bt")

PRICES = """\
Date,AAA,BBB
2020-01-02,10,20
2020-01-03,11,19
2020-01-06,12,21
2020-01-07,11,22
"""
MINE = """\
import bt


class Half(bt.Strategy):
    def __init__(self, symbol):
        algos = [bt.algos.RunOnce(), bt.algos.WeighSpecified(**{symbol: 0.5}), bt.algos.Rebalance()]
        super().__init__("half", algos)


class Wrong(bt.Strategy):
    def run(self):
        raise RuntimeError("wrong on purpose")
"""
HEAD = """\
batch_name: small
engine: bt
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  rebalance_freq: none
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-07
  start_capital: 1000
"""


@pytest.fixture
def run(pytester, nursery, monkeypatch):
    """Executes a batch with these runs in a pytest of its own."""
    monkeypatch.setattr(pytester, "popen", nursery.popen_of(pytester.path))
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "CI"):
        monkeypatch.delenv(variable, raising=False)
    (pytester.path / "prices.csv").write_text(PRICES)
    (pytester.path / "mine.py").write_text(MINE)
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))

    def executed(runs):
        (pytester.path / "finbot.yaml").write_text(HEAD + "runs:\n" + "".join(f"  - {one}\n" for one in runs))
        done = pytester.runpytest_subprocess(
            "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml", timeout=240
        )
        summary = pytester.path / "output" / "small" / "batch_summary.json"
        records = json.loads(summary.read_text())["runs"] if summary.exists() else []
        return done, {record["name"]: record for record in records}

    return executed


def test_runs_of_bt_are_proven_and_recorded(run):
    done, records = run(
        [
            "{id: followed}",
            "{id: later, fill: next_close, costs: {commission_bps: 10, slippage_bps: 5}}",
            "{id: too_small, units: whole, start_capital: 15}",
            "{id: native, strategy: 'mine:Half', params: {symbol: AAA}}",
            "{id: wrong, strategy: 'mine:Wrong'}",
        ]
    )
    assert done.ret == 1
    assert {name: record["status"] for name, record in records.items()} == {
        "followed": "success",
        "later": "success",
        "too_small": "failed",
        "native": "success",
        "wrong": "failed",
    }
    error = records["too_small"]["error"]
    assert error["category"] == "engine_error"
    assert "the order comes to less than one unit, and bt dropped it" in error["message"]
    assert (records["wrong"]["error"]["type"], records["wrong"]["error"]["message"]) == (
        "RuntimeError",
        "wrong on purpose",
    )


def test_what_bt_cannot_is_refused_with_its_line(run):
    done, records = run(["{id: followed, fill: next_open}"])
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert not records
    said = done.stdout.str() + done.stderr.str()
    assert "engine 'bt' has no fill: next_open; expected close or next_close" in said
