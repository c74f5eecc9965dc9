"""Real prices, accepted results, one change: what moves, what does not, and what the report says."""

from __future__ import annotations

import csv
import gzip
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A copy of the examples with their accepted results."""
    shutil.copytree(
        ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("output", "__pycache__")
    )
    return tmp_path / "examples"


def run(
    nursery: Any, examples: Path, *options: str, path: Path | None = None
) -> tuple[int, str, dict[str, dict[str, str]]]:
    """Exit status, output, and the summary's rows by run."""
    plain = ("-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *plain, "--finbot-batch", "examples/finbot.yaml", *options]
    if path is None:
        done = nursery.run(command, examples.parent)
    else:  # a package of ours of its own, which a fork would have loaded from elsewhere
        environment = {**os.environ, "PYTHONPATH": str(path)}
        done = subprocess.run(
            command, cwd=examples.parent, env=environment, capture_output=True, text=True, check=False
        )
    with (examples / "output" / "example" / "batch_summary.csv").open(newline="") as file:
        return done.returncode, done.stdout, {row["run"]: row for row in csv.DictReader(file)}


def moved(rows: dict[str, dict[str, str]]) -> set[str]:
    assert {row["verdict"] for row in rows.values()} <= {"identical", "moved"}
    return {name for name, row in rows.items() if row["verdict"] == "moved"}


def test_one_changed_price_is_told_by_symbol_and_year_in_every_run_that_held_it(nursery, examples):
    path = examples / "data" / "prices.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    before = "2018-06-14,45.586,26.273,101.605,78.863,176.883,107.153,92.36,37.262,"
    assert before in text
    path.write_bytes(gzip.compress(text.replace(before, before.replace("37.262", "37.362")).encode()))
    status, said, rows = run(nursery, examples, "-n", "2")
    assert status == 1
    held = moved(rows)
    assert {"equal_weight_monthly", "equal_weight_hold", "whole_shares", "risk_parity_2018_2022"} <= held
    # KO is none of theirs, or 2018 is not.
    assert held.isdisjoint(
        {
            "sixty_forty",
            "sma_aapl_close",
            "sma_spy_raw",
            "dual_momentum",
            "momentum_2010_2014",
            "risk_parity_2010_2014",
        }
    )
    for name in held:
        causes = rows[name]["causes"].split("; ")
        assert [cause for cause in causes if not cause.startswith(("code", "environment"))] == [
            "data changed: KO 2018"
        ]
    assert rows["equal_weight_hold"]["first_session"] == "2018-06-14"
    assert "KO  market value" in said


def test_half_a_built_in_strategys_size_moves_every_run_of_it_and_no_other(nursery, examples, tmp_path):
    shutil.copytree(
        ROOT / "pytest_finbot", tmp_path / "pytest_finbot", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    module = tmp_path / "pytest_finbot" / "strategies" / "risk_parity.py"
    text = module.read_text()
    assert text.count("inverse / inverse.sum(") == 1
    module.write_text(text.replace("inverse / inverse.sum(", "0.5 * inverse / inverse.sum("))
    status, said, rows = run(nursery, examples, "-n", "2", path=tmp_path)
    assert status == 1
    assert moved(rows) == {"risk_parity_2010_2014", "risk_parity_2014_2018", "risk_parity_2018_2022"}
    for name in moved(rows):
        # Other modules may have been edited since these results were accepted.
        assert "code changed: pytest_finbot.strategies.risk_parity" in rows[name]["causes"].split("; ")
        assert "strategies.momentum_rotation" not in rows[name]["causes"]
    # 63 sessions of history, then the first of a month.
    assert rows["risk_parity_2010_2014"]["first_session"] == "2010-05-03"
    assert "first fill that differs, number 1:" in said


def test_a_parameter_is_told_with_both_values(nursery, examples):
    path = examples / "finbot.yaml"
    text = path.read_text()
    assert text.count("params: {fast: 50, slow: 200}, tags: [core]") == 1
    path.write_text(
        text.replace("params: {fast: 50, slow: 200}, tags", "params: {fast: 49, slow: 200}, tags")
    )
    status, said, rows = run(nursery, examples, "-n", "0")
    assert status == 1
    assert moved(rows) == {"sma_aapl_close"}
    assert rows["sma_aapl_close"]["causes"].startswith("config changed: params.fast 50 → 49")
    assert "why: config changed: params.fast 50 → 49" in said
