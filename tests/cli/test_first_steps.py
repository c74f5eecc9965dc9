"""docs/first-steps.md, lived: its commands in an empty git repository lead to a gate that is red, and why."""

import doctest
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "first-steps.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"\s+# exit status (\d)$")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def steps():
    """Each command of the page with the status it ends with and what it says of its output."""
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        for part in re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]:
            command, _, said = part.partition("\n")
            status = STATUS.search(command)
            yield STATUS.sub("", command), int(status[1]) if status else 0, said


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """Every command with what it said and the status it ended with, run by a shell as a user runs them."""
    folder = tmp_path_factory.mktemp("my-backtests")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(("PYTEST_", "FINBOT_", "GITHUB_", "GITLAB_", "GIT_", "CI_"))
    }
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FINBOT_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        **{
            f"GIT_{who}_{what}": "ada@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
        # The settings of whoever runs this, hooks and signatures among them, are no part of the story.
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
    subprocess.run(["git", "init", "-q"], cwd=folder, env=environment, check=True)
    told = []
    for command, _, _ in steps():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        summary = folder / "output" / "starter" / "batch_summary.json"
        facts = json.loads(summary.read_text("utf-8")) if summary.exists() else None
        told.append((command, done.returncode, done.stdout, done.stderr, facts))
    return folder, told


def test_each_step_says_what_the_page_shows(lived):
    _, told = lived
    for (command, status, shown), (_, got, out, err, _) in zip(steps(), told, strict=True):
        assert got == status, f"$ {command}\n{out}{err}"
        example = doctest.Example(command, shown.replace("…", "..."))
        have = out.replace("…", "...")
        if not doctest.OutputChecker().check_output(example.want, have, FLAGS):
            pytest.fail(f"$ {command}\n" + doctest.OutputChecker().output_difference(example, have, FLAGS))


def test_the_page_goes_from_init_to_a_red_gate_and_back(lived):
    _, told = lived
    batches = [(status, summary) for command, status, _, _, summary in told if command.startswith("pytest ")]
    assert told[0][0] == "finbot init"
    assert [status for status, _ in batches] == [0, 0, 1, 0]
    verdicts = [
        {run["name"]: run["comparison"]["verdict"] for run in summary["runs"]} for _, summary in batches
    ]
    others = {"equal_weight": "identical", "crossover": "identical"}
    assert verdicts[1] == {**others, "strongest": "identical"}
    assert verdicts[2] == {**others, "strongest": "moved"}
    assert batches[2][1]["status"] == "partial"


def test_what_is_committed_is_what_the_gate_needs_and_no_more(lived):
    folder, _ = lived
    asked = ["git", "ls-files"]
    files = subprocess.run(asked, cwd=folder, capture_output=True, text=True, check=True).stdout.split()
    runs = ("crossover", "equal_weight", "strongest")
    assert {f"baselines/starter/{run}.{kind}" for run in runs for kind in ("json", "parquet")} <= set(files)
    assert not [name for name in files if name.startswith((".finbot/", "output/")) or "__pycache__" in name]
    left = ["git", "status", "--porcelain"]
    assert subprocess.run(left, cwd=folder, capture_output=True, text=True, check=True).stdout == ""
