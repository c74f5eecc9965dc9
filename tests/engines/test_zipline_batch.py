"""A batch on zipline, run by pytest in a process of its own."""

import csv

import pytest

pytestmark = pytest.mark.engine("zipline")

OURS = """\
class Holds:
    def __init__(self, units):
        self.units = units

    def initialize(self, context):
        context.bought = False

    def handle_data(self, context, data):
        if not context.bought:
            context.order(context.symbol("AAA"), self.units)
            context.bought = True
"""

BATCH = """\
batch_name: small
defaults:
  engine: zipline
  data: {path: prices.csv}
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-09
  start_capital: 1000
  fill: next_close
  units: whole
runs:
  - {id: equal, strategy: fixed_weights}
  - {id: ours, strategy: "ours:Holds", params: {units: 20}}
  - {id: wrong, strategy: "ours:Holds", params: {unit: 20}}
"""


def test_a_batch_is_run_by_pytest(pytester, monkeypatch):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.path.joinpath("prices.csv").write_text(
        "Date,AAA,BBB\n2020-01-02,10,20\n2020-01-03,11,19\n2020-01-06,12,21\n2020-01-07,11,22\n"
        "2020-01-08,13,20\n2020-01-09,14,23\n"
    )
    pytester.path.joinpath("finbot.yaml").write_text(BATCH)
    pytester.path.joinpath("ours.py").write_text(OURS)
    result = pytester.runpytest_subprocess(
        "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml", "-n", "0", timeout=240
    )
    said = result.stdout.str()
    assert (result.ret, "2 passed" in said, "1 failed" in said) == (1, True, True), said
    with pytester.path.joinpath("output", "small", "batch_summary.csv").open(newline="") as file:
        rows = {row["run"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "equal": "success",
        "ours": "success",
        "wrong": "failed",
    }
    assert rows["wrong"]["error_category"] == "engine_error"
    # 20 bought at 11, held at 14.
    assert float(rows["ours"]["final_nav"]) == 1000 + 20 * (14 - 11)
    # 50 and 25 sized at 10 and 20, bought at 11 and 19.
    assert float(rows["equal"]["final_nav"]) == 1000 + 50 * (14 - 11) + 25 * (23 - 19)
