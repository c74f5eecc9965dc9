"""backtesting in a batch file, through a real pytest."""

import json

import pytest

pytestmark = pytest.mark.engine("backtesting")

CLOSES = """\
Date,AAA
2020-01-02,10
2020-01-03,11
2020-01-06,12
2020-01-07,11
"""
OPENS = """\
Date,AAA
2020-01-02,10
2020-01-03,10.5
2020-01-06,11
2020-01-07,12
"""
MINE = """\
from backtesting import Strategy


class BuyOnce(Strategy):
    units = 1

    def init(self):
        pass

    def next(self):
        if not self.position:
            self.buy(size=self.units)
"""
HEAD = """\
batch_name: small
engine: backtesting
defaults:
  data: {path: prices.csv, open_path: opens.csv}
  strategy: fixed_weights
  rebalance_freq: D
  symbols: [AAA]
  start_date: 2020-01-02
  end_date: 2020-01-07
  start_capital: 1000
  fill: next_open
"""


@pytest.fixture
def run(pytester, nursery, monkeypatch):
    """Executes a batch with these runs in a pytest of its own."""
    monkeypatch.setattr(pytester, "popen", nursery.popen_of(pytester.path))
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "CI"):
        monkeypatch.delenv(variable, raising=False)
    (pytester.path / "prices.csv").write_text(CLOSES)
    (pytester.path / "opens.csv").write_text(OPENS)
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


def test_orders_that_backtesting_cancels_fail_a_run_unless_that_is_as_meant(run):
    done, records = run(
        [
            "{id: invested}",
            "{id: allowed, rejected_orders: allow}",
            "{id: with_room, cash_buffer: 0.1, units: whole, costs: {commission_bps: 10}}",
            "{id: at_close, fill: next_close, data: {path: prices.csv}, cash_buffer: 0.2}",
            "{id: native, strategy: 'mine:BuyOnce', params: {units: 20}, units: whole}",
        ]
    )
    assert done.ret == 1
    assert {name: record["status"] for name, record in records.items()} == {
        "invested": "failed",
        "allowed": "success",
        "with_room": "success",
        "at_close": "success",
        "native": "success",
    }
    assert records["invested"]["error"]["category"] == "engine_error"
    assert "Broker canceled the order due to insufficient margin" in records["invested"]["error"]["message"]
    assert records["allowed"]["rejected_orders"] > 0


def test_what_backtesting_cannot_is_refused_with_its_line(run):
    done, records = run(["{id: followed, fill: close}"])
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert not records
    said = done.stdout.str() + done.stderr.str()
    assert "engine 'backtesting' has no fill: close; expected next_open or next_close" in said
