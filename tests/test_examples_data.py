"""The example of raw prices, flows, a matrix and a walk-forward: run once, and its books looked into."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def folder(nursery, tmp_path_factory):
    """Where the example was run, with two workers."""
    folder = tmp_path_factory.mktemp("data")
    for part in ("finbot_data.yaml", "data"):
        source = EXAMPLES / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
    (folder / "pytest.ini").write_text("[pytest]\n")
    plain = ("-q", "-p", "no:cacheprovider")
    done = finbot(nursery, folder, "pytest", *plain, "--finbot-batch", "finbot_data.yaml", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def finbot(nursery, folder, module, *words):
    environment = {**os.environ, "FINBOT_CACHE_DIR": str(folder / "cache")}
    return nursery.run([sys.executable, "-m", module, *words], folder, environment)


@pytest.fixture(scope="module")
def runs(folder):
    summary = json.loads((folder / "output" / "data" / "batch_summary.json").read_text())
    return {run["name"]: run for run in summary["runs"]}


def test_the_matrix_and_the_windows_have_ids_one_can_read(runs):
    matrix = {f"sma.fast-{fast}.slow-{slow}" for fast in (20, 50, 100) for slow in (100, 200) if fast < slow}
    windows = {f"dual.wf{number:02}_{end}" for number in (1, 2, 3) for end in ("in", "out")}
    single = {"dividends_to_cash", "dividends_reinvested", "adjusted_closes", "saving_and_spending"}
    assert set(runs) == single | matrix | windows
    assert len(runs) == 4 + 5 + 6


def test_dividends_bought_back_in_come_to_what_adjusted_closes_do(runs):
    to_cash, reinvested, adjusted = (
        runs[name]["metrics"] for name in ("dividends_to_cash", "dividends_reinvested", "adjusted_closes")
    )
    # Adjusted closes buy back in at the close before the ex-date, the books at that of the ex-date.
    assert reinvested["cagr"] == pytest.approx(adjusted["cagr"], abs=1e-4)
    assert to_cash["cagr"] < reinvested["cagr"]
    # 24 decisions of two fills; from the second session on 24 dividends of SPY and 71 of TLT.
    assert to_cash["trades"] == adjusted["trades"] == 48
    assert reinvested["trades"] == 48 + 24 + 71
    assert reinvested["costs"] == 0.0


def test_what_is_put_in_and_taken_out_is_no_performance(runs):
    saving, plain = runs["saving_and_spending"], runs["dividends_to_cash"]
    assert saving["metrics"]["cagr"] == pytest.approx(plain["metrics"]["cagr"], abs=5e-4)
    # 20,000 went in and 25,000 out; the rest grew.
    assert saving["metrics"]["final_nav"] - plain["metrics"]["final_nav"] == pytest.approx(3929.19, abs=0.01)
    assert any("after the withdrawal of 2014-06-02" in warning for warning in saving["warnings"])


def test_the_out_of_sample_nav_links_what_each_year_earned(folder, runs):
    with (folder / "output" / "data" / "stitched" / "dual.out_of_sample.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    outs = [runs[f"dual.wf{number:02}_out"] for number in (1, 2, 3)]
    assert [run["part"]["own_from"] for run in outs] == ["2012-01-04", "2013-01-04", "2014-01-04"]
    assert (rows[0]["session"], rows[-1]["session"]) == ("2012-01-04", "2015-01-02")
    earned = math.prod(1 + run["metrics"]["total_return"] for run in outs)
    assert float(rows[-1]["nav"]) == pytest.approx(100_000 * earned, rel=1e-12)


def test_prices_and_books_are_clean(nursery, folder):
    check = finbot(nursery, folder, "pytest_finbot.cli.main", "data", "check", "finbot_data.yaml")
    assert check.returncode == 0, check.stdout + check.stderr
    assert check.stdout.endswith("0 errors, 0 odd\n")
    books = finbot(nursery, folder, "pytest_finbot.cli.main", "reconcile", "last")
    assert books.returncode == 0, books.stdout + books.stderr
    assert ": 15 clean\n" in books.stdout
