"""A matrix and a walk-forward on the examples' prices: how many runs, which ids, one NAV by hand."""

import csv
import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest

PRICES = Path(__file__).parents[2] / "examples" / "data" / "prices.csv.gz"
BATCH = """\
batch_name: small
defaults:
  data: {{path: "{prices}", field: adj_close, calendar: XNYS}}
  symbols: [AAPL, JNJ, KO, XOM]
  costs: {{commission_bps: 10}}
  outputs: [csv]
matrix:
  params.lookback: [21, 63]
  params.top: [1, 2]
  exclude: [{{params.lookback: 63, params.top: 2}}]
windows: {{kind: walk_forward, from: 2010-01-04, to: 2013-01-03, in_sample: 1y, out_of_sample: 1y}}
runs:
  - {{id: momentum, strategy: momentum_rotation}}
"""


def daily(project, run):
    """Sessions and NAV of a run as it wrote them itself."""
    with (project.output / "runs" / run / "series.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["session"] for row in rows], np.array([float(row["nav"]) for row in rows])


def test_runs_and_ids_and_one_out_of_sample_nav_checked_by_hand(project):
    project.write("finbot.yaml", BATCH.format(prices=PRICES))
    assert project.pytest("-n", "2").ret == 0
    summary = project.summary()
    names = ("momentum.lookback-21.top-1", "momentum.lookback-21.top-2", "momentum.lookback-63.top-1")
    parts = ("wf01_in", "wf01_out", "wf02_in", "wf02_out")
    assert [run["name"] for run in summary["runs"]] == [
        f"{name}.{part}" for name, part in itertools.product(names, parts)
    ]
    assert [(whole["of"], whole["kind"]) for whole in summary["stitched"]] == [
        (name, "out_of_sample") for name in names
    ]

    # By hand: 2011 of a run since 4 January 2010, 2012 of one since 4 January 2011.
    whole, name = summary["stitched"][2], names[2]
    worth, nav, days = 100_000.0, [], []
    for part, own_from in (("wf01_out", "2011-01-04"), ("wf02_out", "2012-01-04")):
        sessions, navs = daily(project, f"{name}.{part}")
        first = sessions.index(own_from)
        growth = navs[first:] / navs[first - 1]
        nav.append(worth * growth)
        days += sessions[first:]
        worth *= growth[-1]
    nav = np.concatenate(nav)
    with gzip.open(PRICES, "rt") as file:
        known = [row["Date"][:10] for row in csv.DictReader(file)]
    assert days == [day for day in known if "2011-01-04" <= day <= "2013-01-03"]
    assert len(days) == 503

    with (project.output / whole["file"]).open(newline="") as file:
        told = list(csv.DictReader(file))
    assert [row["session"] for row in told] == days
    np.testing.assert_allclose([float(row["nav"]) for row in told], nav, rtol=1e-13)

    returns = np.concatenate(([nav[0] / 100_000.0], nav[1:] / nav[:-1])) - 1.0
    deviation = np.std(returns, ddof=1)
    highest = np.maximum.accumulate(np.concatenate(([100_000.0], nav)))[1:]
    assert whole["metrics"] == {
        **whole["metrics"],
        "final_nav": pytest.approx(nav[-1], rel=1e-12),
        "total_return": pytest.approx(nav[-1] / 100_000.0 - 1.0, rel=1e-11),
        "cagr": pytest.approx((nav[-1] / 100_000.0) ** (252 / 503) - 1.0, rel=1e-11),
        "volatility": pytest.approx(deviation * np.sqrt(252), rel=1e-10),
        "sharpe": pytest.approx(returns.mean() / deviation * np.sqrt(252), rel=1e-10),
        "max_drawdown": pytest.approx((nav / highest - 1.0).min(), rel=1e-10),
    }
    assert not {"trades", "costs", "turnover"} & whole["metrics"].keys()  # a NAV alone does not give them
    assert (whole["sessions"], whole["start_nav"]) == (503, 100_000.0)

    # In sample beside out of sample: that of the run that ended the day before.
    by_name = {run["name"]: run for run in summary["runs"]}
    assert [part["run"] for part in whole["in_sample"]] == [f"{name}.wf01_in", f"{name}.wf02_in"]
    assert [part["metrics"] for part in whole["in_sample"]] == [
        by_name[f"{name}.{part}"]["metrics"] for part in ("wf01_in", "wf02_in")
    ]
    assert whole["in_sample"][0]["last_session"] == "2011-01-03"
    text = (project.output / "batch_summary.md").read_text()
    sharpe = [by_name[f"{name}.{part}"]["metrics"]["sharpe"] for part in ("wf01_in", "wf01_out")]
    [row] = [
        line
        for line in text.splitlines()
        if line.startswith(f"| `{name}.wf01_out` |") and line.count("|") == 8
    ]
    assert f"| {sharpe[0]:.3f} | {sharpe[1]:.3f} |" in row
