"""The shipped examples run as they stand, with and without workers, to the same results."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
OWN = {
    "run_id",
    "batch_id",
    "started_at",
    "finished_at",
    "seconds",
    "worker",
    "peak_rss",
    "phases",
    "timings",
}
"""What says when and where a run was executed, not what it came to."""


def run(nursery: Any, folder: Path, batch: str, *options: str) -> None:
    plain = ("-q", "-p", "no:cacheprovider")
    done = nursery.run([sys.executable, "-m", "pytest", *plain, "--finbot-batch", batch, *options], folder)
    assert done.returncode == 0, done.stdout + done.stderr


def results(output: Path) -> dict[str, object]:
    """Every format a batch leaves, without times and places."""
    with (output / "batch_summary.csv").open(newline="") as file:
        table = [
            {name: cell for name, cell in row.items() if name not in OWN | {"runtime_seconds"}}
            for row in csv.DictReader(file)
        ]
    summary = json.loads((output / "batch_summary.json").read_text())
    records = [{key: value for key, value in run.items() if key not in OWN} for run in summary["runs"]]
    words = (output / "batch_summary.md").read_text()
    words = words.partition("## Provenance")[0].partition("## Phases")[0]
    files = {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in sorted((output / "runs").rglob("*"))
        if path.is_file()
    }
    return {
        "csv": table,
        "json": records,
        "counts": [summary[key] for key in ("status", "expected", "success", "failed", "not_run")],
        "md": re.sub(r"[\d.]+ s \|", "", words),
        "files": files,
    }


@pytest.fixture(scope="module")
def both(nursery: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Results of the main example without workers and with two."""
    found = {}
    for workers in ("0", "2"):
        folder = tmp_path_factory.mktemp(f"workers{workers}")
        shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("output"))
        run(nursery, folder, "examples/finbot.yaml", "-n", workers)
        found[workers] = results(folder / "examples" / "output" / "example")
    return found


@pytest.mark.parametrize("part", ["csv", "json", "counts", "md", "files"])
def test_workers_change_nothing_in_any_format(both, part):
    assert both["0"][part] == both["2"][part]


def test_the_main_example_is_what_the_readme_says(both):
    records = {record["name"]: record for record in both["0"]["json"]}
    assert len(records) >= 24
    assert len({record["strategy"] for record in records.values()}) >= 5
    assert both["0"]["counts"] == ["completed", len(records), len(records), 0, 0]
    for record in records.values():
        verdicts = {check["name"]: check["verdict"] for check in record["checks"]}
        assert verdicts["nav_identity"] in ("identical", "within")
    assert round(records["sma_aapl_close"]["metrics"]["final_nav"], 2) == 1_090_358.27
    assert round(records["sma_aapl_next_close"]["metrics"]["final_nav"], 2) == 1_206_469.53


def test_raw_and_adjusted_closes_end_elsewhere_and_the_fingerprint_says_so(both):
    records = {record["name"]: record for record in both["0"]["json"]}
    raw, adjusted = records["sma_spy_raw"], records["sma_spy_adjusted"]
    assert raw["metrics"]["final_nav"] != adjusted["metrics"]["final_nav"]
    assert raw["fingerprint"]["data"]["hash"] != adjusted["fingerprint"]["data"]["hash"]
    assert raw["fingerprint"]["data"]["field"] == "close"
    assert adjusted["fingerprint"]["data"]["field"] == "adj_close"


def test_a_batch_file_in_the_older_form_runs_as_it_stands(nursery, tmp_path):
    shutil.copytree(EXAMPLES / "older_form", tmp_path / "older", ignore=shutil.ignore_patterns("output"))
    run(nursery, tmp_path, "older/finbot_older_form.yaml", "-n", "2")
    output = tmp_path / "older" / "output" / "batch_backtests" / "ai_tech_core_vs_mlalpha_2025"
    found = results(output)
    assert [row["run"] for row in found["csv"]] == ["core_2015_2020", "core_ml_2015_2020"]
    assert found["csv"][0]["bundle"] == "ai_tech_core_bundle.yaml"
    reports = sorted(path.name for path in (output / "runs" / "core_2015_2020").glob("*.md"))
    assert reports == ["risk_report.md", "summary_report.md"]
    reports = sorted(path.name for path in (output / "runs" / "core_ml_2015_2020").glob("*.md"))
    assert reports == ["risk_report.md", "summary_report.md", "tca_report.md"]
