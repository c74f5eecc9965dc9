"""examples/engines: what each engine gives, and that README.md's table says the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = ("bt", "backtrader", "backtesting")
"""The engines that live in one environment. ci/engines.sh runs the others' part of the file."""
pytestmark = [pytest.mark.engine(name) for name in HERE]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """The session's summary as JSON, and the rows of table.py without seconds."""
    folder = tmp_path_factory.mktemp("examples")
    for name in ("engines", "data"):
        shutil.copytree(
            ROOT / "examples" / name, folder / name, ignore=shutil.ignore_patterns("output", "__pycache__")
        )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("--finbot-batch", "engines/finbot_engines.yaml", "-m", " or ".join(("portfolio", *HERE))),
            *("--finbot-summary-json", "session.json"),
        ],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = subprocess.run(
        [sys.executable, folder / "engines" / "table.py", folder / "session.json"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return json.loads((folder / "session.json").read_text())["batches"][0], rows(table)


def rows(table):
    """{strategy and engine: final NAV, share of it, reasons}."""
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 6 and cells[0] != "Strategy":
            found[tuple(cells[:2])] = (cells[2], cells[3], cells[5])
    return found


def test_every_run_succeeds_and_is_compared_with_the_built_in_engine(session):
    batch, _ = session

    assert {run["status"] for run in batch["runs"]} == {"success"}
    compared = {each["run"]: each["reference"] for each in batch["compared"]}
    assert compared == {
        run["name"]: run["name"].partition("_")[0] for run in batch["runs"] if run["engine"] != "portfolio"
    }
    assert len(compared) == 7


def test_the_table_of_the_readme_is_what_comes_out(session):
    _, computed = session
    told = rows((ROOT / "README.md").read_text(encoding="utf-8").partition("## Engines\n")[2])

    assert len(told) == 19
    assert {engine for _, engine in told} == {"portfolio", *HERE, "nautilus", "vectorbt", "zipline"}
    assert len(computed) == 10
    assert {key: told[key] for key in computed} == computed


def test_where_conventions_explain_everything_nothing_is_left_to_the_engine(session):
    batch, _ = session

    rest = {each["run"]: each["rest"] for each in batch["compared"]}
    for run in ("weights_backtrader", "average_backtrader", "rotation_backtrader", "average_backtesting"):
        assert abs(rest[run]) < 0.005


def test_the_records_name_the_orders_that_were_rejected(session):
    batch, _ = session

    rejected = {run["name"]: run["rejected_orders"] for run in batch["runs"] if run["rejected_orders"]}
    assert rejected == {"weights_backtrader": 156, "average_backtrader": 5, "rotation_backtrader": 150}
