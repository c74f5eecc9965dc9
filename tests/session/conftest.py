"""A small project of a user's: prices, a batch file, code of their own."""

from __future__ import annotations

import csv
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

# What sessions in this process would import is there before: pytester forgets what they do, and
# modules with a C part cannot be loaded twice.
import pytest_finbot.config.yaml_source
import pytest_finbot.session.controller
import pytest_finbot.session.hooks  # noqa: F401

PRICES = """\
Date,AAA,BBB
2020-01-02,10,20
2020-01-03,11,19
2020-01-06,12,21
2020-01-07,11,22
2020-01-08,13,20
2020-01-09,14,23
"""

BATCH = """\
batch_name: small
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-09
  start_capital: 1000
  outputs: [parquet]
runs:
"""


_ACCEPTED: dict[tuple[tuple[str, bytes], ...], dict[str, bytes]] = {}
"""Baselines by the files of the project that gave them."""


class Project:
    """A folder with a batch file, and what pytest leaves in it."""

    def __init__(self, pytester: pytest.Pytester, nursery: Any) -> None:
        self.pytester = pytester
        self.nursery = nursery
        self.path = pytester.path
        self.write("prices.csv", PRICES)

    def write(self, name: str, text: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def batch(self, runs: str, name: str = "finbot.yaml", head: str = BATCH) -> None:
        """Write a batch file with these lines under ``runs:``."""
        self.write(name, head + textwrap.indent(textwrap.dedent(runs), "  "))

    def pytest(
        self, *options: str, batch: str | None = "finbot.yaml", timeout: float = 90
    ) -> pytest.RunResult:
        """Run pytest as a user would, in a process of its own."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.pytester, "popen", self.nursery.popen_of(self.path))
            return self.pytest_anew(*options, batch=batch, timeout=timeout)

    def pytest_anew(
        self, *options: str, batch: str | None = "finbot.yaml", timeout: float = 90
    ) -> pytest.RunResult:
        """The same in an interpreter that is started for it, which has loaded nothing yet."""
        named = [] if batch is None else ["--finbot-batch", batch]
        # Hypothesis' own plugin is no part of the story, and a fifth of a second of every process.
        plain = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
        return self.pytester.runpytest_subprocess(*plain, *named, *options, timeout=timeout)

    def refused(self, *options: str) -> pytest.RunResult:
        """Ask for what is refused before anything runs, in this process: that is quicker."""
        result = self.pytester.runpytest_inprocess(
            "-p", "no:cacheprovider", "--finbot-batch", "finbot.yaml", *options
        )
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        return result

    @property
    def output(self):
        return self.path / "output" / "small"

    def summary(self) -> dict:
        """The machine-readable summary, strictly parsed."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        return json.loads((self.output / "batch_summary.json").read_text(), parse_constant=refuse)

    def lines(self, path: Path) -> list[dict]:
        """The JSON lines of a file, whole ones."""
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def recorded(self) -> list[dict]:
        """Every line of every segment of the one batch there is, in the order of the segments."""
        [folder] = (self.path / ".finbot").glob("batches/*/*/*")
        return [line for path in sorted(folder.glob("*.jsonl")) for line in self.lines(path)]

    def rows(self) -> dict[str, dict[str, str]]:
        with (self.output / "batch_summary.csv").open(newline="") as file:
            return {row["run"]: row for row in csv.DictReader(file)}

    def compared(self, runs: str) -> None:
        """Write a batch file whose runs are compared with the folder ``baselines``."""
        self.batch(runs, head="baseline: baselines\n" + BATCH)

    def accept(self, *options: str, reason: str = "as it should be") -> pytest.RunResult:
        """Run the batch and accept what it gives."""
        return self.pytest("--finbot-accept", "--finbot-reason", reason, *options)

    def gated(self, runs: str) -> None:
        """A batch file with a baseline, whose results are accepted.

        The same files give the same baselines, so a process accepts them once and copies
        them for the next test that starts from there.
        """
        self.compared(runs)
        state = tuple(
            sorted((path.name, path.read_bytes()) for path in self.path.glob("*.*") if path.is_file())
        )
        if state not in _ACCEPTED:
            result = self.accept()
            assert result.ret == 0, result.stdout.str()
            files = self.baseline("any").parent.iterdir()
            _ACCEPTED[state] = {path.name: path.read_bytes() for path in files}
            return
        folder = self.baseline("any").parent
        folder.mkdir(parents=True)
        for name, content in _ACCEPTED[state].items():
            (folder / name).write_bytes(content)

    def baseline(self, run: str) -> Path:
        """The JSON of an accepted result; its table is beside it."""
        return self.path / "baselines" / "small" / f"{run}.json"

    def verdicts(self) -> dict[str, str]:
        return {name: row["verdict"] for name, row in self.rows().items()}

    def statuses(self) -> dict[str, str]:
        return {name: row["status"] for name, row in self.rows().items()}


@pytest.fixture
def project(pytester: pytest.Pytester, nursery: Any, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Settings of whoever runs these tests are not part of the story.
    for variable in (
        "PYTEST_ADDOPTS",
        "PYTEST_XDIST_WORKER",
        "PYTEST_XDIST_AUTO_NUM_WORKERS",
        "FINBOT_MAX_WORKERS",
        "CI",
        "GITHUB_ACTOR",
    ):
        monkeypatch.delenv(variable, raising=False)
    return Project(pytester, nursery)
