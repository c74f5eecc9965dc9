"""``finbot init``: what it writes works at once, what is there stays as it is."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pytest_finbot.cli.starter.files import _repository
from pytest_finbot.cli.starter.prices import own_prices
from pytest_finbot.config.expand import load_batch

ROOT = Path(__file__).parents[2]
FILES = {
    ".finbot.schema.json",
    ".github/workflows/finbot.yml",
    ".gitignore",
    "baselines/README.md",
    "data/sample_prices.csv",
    "data/sample_prices.md",
    "finbot.yaml",
    "starter_strategies.py",
}


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in path.as_posix()
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty repository, as the working folder."""
    path = tmp_path / "project"
    path.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=path, check=True)
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def init(folder, ask):
    def init(*words, status=0):
        asked = ask("init", *words, registry=False)
        assert asked.status == status, asked.out + asked.err
        return asked.out + asked.err

    return init


def test_what_it_writes_is_a_batch_without_a_problem(init, folder):
    said = init()
    written = files(folder)
    assert written.keys() == FILES
    assert all(f"wrote         {name} " in said for name in FILES)
    batch = load_batch(folder / "finbot.yaml")
    assert len(batch.runs) == 3
    assert batch.baseline == folder / "baselines"
    first = written["finbot.yaml"].decode().splitlines()[0]
    assert first == "# yaml-language-server: $schema=.finbot.schema.json"
    assert written[".gitignore"] == b".finbot/\noutput/\n__pycache__/\n"


def test_a_dry_run_writes_nothing_and_tells_the_same(init, folder):
    told = init("--dry-run")
    assert files(folder) == {}
    assert [f"would write   {name} " in told for name in FILES] == [True] * len(FILES)


def test_twice_changes_nothing(init, folder):
    init()
    before = files(folder)
    said = init()
    assert files(folder) == before
    assert "nothing to write" in said
    assert "wrote " not in said


def test_what_is_there_is_kept_and_told(init, folder):
    (folder / "finbot.yaml").write_text("mine")
    (folder / ".gitignore").write_bytes(b"*.log\r\n/output")
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / ".github/workflows/finbot.yml").symlink_to("nowhere.yml")
    said = init()
    assert (folder / "finbot.yaml").read_text() == "mine"
    assert (folder / ".gitignore").read_bytes() == b"*.log\r\n/output\r\n.finbot/\r\n__pycache__/\r\n"
    assert not (folder / ".github/workflows/nowhere.yml").exists()
    assert "kept          finbot.yaml" in said
    assert "kept          .github/workflows/finbot.yml" in said
    assert "added to      .gitignore                    2 lines: .finbot/ __pycache__/" in said
    assert not (folder / "starter_strategies.py").exists()
    assert not (folder / "data").exists()


def test_a_gitignore_that_is_a_link_is_left_alone(init, folder, tmp_path):
    (tmp_path / "elsewhere").write_text("*.log\n")
    (folder / ".gitignore").symlink_to(tmp_path / "elsewhere")
    assert "add these lines by hand" in init()
    assert (tmp_path / "elsewhere").read_text() == "*.log\n"


def test_where_a_folder_cannot_be_nothing_is_written(init, folder):
    (folder / "data").write_text("a file")
    said = init(status=4)
    assert "data is not a folder; nothing was written" in said
    assert files(folder) == {"data": b"a file"}


def test_in_a_folder_of_a_repository_the_workflow_is_at_its_top(init, folder):
    said = init("research/momentum")
    workflow = yaml.safe_load((folder / ".github/workflows/finbot.yml").read_text())
    step = workflow["jobs"]["backtests"]["steps"][-1]
    assert step["with"] == {"batch": "finbot.yaml", "working-directory": "research/momentum"}
    assert (folder / "research/momentum/finbot.yaml").exists()
    assert "  cd research/momentum\n" in said


def test_the_workflow_uses_the_action_that_is_named_and_only_inputs_that_it_has(init, folder):
    assert "replace OWNER/pytest-finbot@v" in init("--dry-run")
    assert "replace OWNER" not in init("--action", "team/pytest-finbot@v1")
    workflow = yaml.safe_load((folder / ".github/workflows/finbot.yml").read_text())
    step = workflow["jobs"]["backtests"]["steps"][-1]
    assert step["uses"] == "team/pytest-finbot@v1"
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert {*step["with"], "working-directory"} <= inputs.keys()
    init("--action", "no action", status=2)


def test_the_workflow_checks_out_with_the_release_that_the_examples_use(init, folder):
    init()
    workflow = (folder / ".github/workflows/finbot.yml").read_text()
    example = (ROOT / "examples" / "workflows" / "pull-request.yml").read_text()
    pin = re.compile(r"uses: (actions/checkout@[0-9a-f]{40})")
    assert pin.findall(workflow) == pin.findall(example)


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://github.com/team/pytest-finbot", "team/pytest-finbot"),
        ("https://github.com/team/pytest-finbot.git", "team/pytest-finbot"),
        ("https://example.org/team/pytest-finbot", None),
        ("https://github.com/team/pytest-finbot/issues", None),
    ],
)
def test_the_repository_is_that_of_the_package_if_it_says_one(url, repository):
    assert _repository(["", url]) == repository


def test_the_sample_is_what_it_says(init, folder):
    init()
    with gzip.open(ROOT / "examples" / "data" / "prices.csv.gz", "rt") as file:
        known = pd.read_csv(file, index_col=0)
    sample = pd.read_csv(folder / "data" / "sample_prices.csv", index_col=0)
    pd.testing.assert_frame_equal(sample, known.loc[sample.index, sample.columns])
    assert (folder / "data" / "sample_prices.csv").stat().st_size < 100_000
    about = (folder / "data" / "sample_prices.md").read_text()
    assert f"{len(sample)} sessions from {sample.index[0]} to {sample.index[-1]}" in about
    licence = (ROOT / "examples" / "data" / "LICENSE-skfolio.txt").read_text()
    assert " ".join(licence.split()) in " ".join(about.split())


# ------------------------------------------------------------------------- prices of one's own


def prices(folder, sessions=200, symbols=("AAA", "NO", "ZZ.B"), first="2020-01-01"):
    days = pd.date_range(first, periods=sessions, freq="D").strftime("%Y-%m-%d")
    rng = np.random.default_rng(1)
    values = 100 * np.cumprod(1 + rng.normal(0, 0.01, (sessions, len(symbols))), axis=0)
    (folder / "data").mkdir(exist_ok=True)
    return pd.DataFrame(values, index=pd.Index(days, name="Date"), columns=list(symbols))


def test_prices_that_are_there_are_used_with_what_they_hold(init, folder, nursery):
    table = prices(folder)
    table.iloc[:20, 0] = None  # AAA came later
    table["GAP"] = table["NO"].mask(table.index == "2020-03-01")
    table.to_csv(folder / "data" / "prices.csv")
    said = init()
    assert "three runs on data/prices.csv" in said
    assert not (folder / "data" / "sample_prices.csv").exists()
    run = load_batch(folder / "finbot.yaml").runs[0]
    assert run.symbols == ("AAA", "NO", "ZZ.B")
    assert (str(run.start_date), str(run.end_date)) == ("2020-01-21", "2020-07-18")
    assert run.data.calendar == "24/7"
    words = ["pytest", "-q", "--finbot-batch", "finbot.yaml", "--finbot-accept", "--finbot-reason", "First"]
    outside_ci = {name: value for name, value in os.environ.items() if name != "CI"}
    done = nursery.run([sys.executable, "-m", *words], folder, outside_ci)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starter: 3 of 3 runs succeeded: completed" in done.stdout


def test_a_folder_of_bars_is_used(init, folder):
    table = prices(folder, symbols=("AAA", "BBB"))
    (folder / "data" / "prices").mkdir()
    for name in table:
        bars = pd.DataFrame(dict.fromkeys(("Open", "High", "Low", "Close", "Adj Close"), table[name]))
        bars.to_csv(folder / "data" / "prices" / f"{name}.csv")
    init()
    run = load_batch(folder / "finbot.yaml").runs[0]
    assert (run.symbols, run.data.field) == (("AAA", "BBB"), "adj_close")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("Date,AAA\n2020-01-02,1\n2020-01-03,2\n", "no symbol has prices of 130 sessions without a gap"),
        ("not a table", "data/prices.csv cannot be used: "),
        ("", "data/prices.csv cannot be used: "),
    ],
)
def test_prices_that_cannot_be_used_are_told_and_the_sample_is_taken(init, folder, content, why):
    (folder / "data").mkdir()
    (folder / "data" / "prices.csv").write_text(content)
    said = init()
    assert why in said
    assert "the starter runs on a sample of prices" in said
    assert (folder / "data" / "prices.csv").read_text() == content
    batch = load_batch(folder / "finbot.yaml")
    assert batch.runs[0].data.path == str(folder / "data" / "sample_prices.csv")


def test_prices_with_a_fault_are_not_offered(folder):
    table = prices(folder, symbols=("AAA",))
    table.iloc[100] *= 10
    table.to_csv(folder / "data" / "prices.csv")
    found, why = own_prices(folder)
    assert found is None
    assert "data/prices.csv cannot be used" in why
