"""A folder with prices and a batch file, and what loading it says."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pytest_finbot.config.expand import Batch, load_batch
from pytest_finbot.errors import BatchFileError, Problem

HEAD = """\
batch_name: small
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-12-31
runs:
"""
"""Eight lines under which runs stand; line 9 is the first run's."""


class Folder:
    """The folder of a batch file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write("prices.csv", "date,AAA,BBB\n")

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def load(self, text: str | bytes, *, name: str = "finbot.yaml", inspect=None) -> Batch:
        return load_batch(self.write(name, text), inspect=inspect)

    def runs(self, runs: str, **options) -> Batch:
        """Load a batch with these lines under ``runs:``."""
        return self.load(HEAD + textwrap.indent(textwrap.dedent(runs), "  "), **options)

    def problems(self, text: str | bytes, **options) -> list[Problem]:
        """What is wrong with a batch file that must not load; messages name it by itself."""
        with pytest.raises(BatchFileError) as caught:
            self.load(text, **options)
        return self._by_name(caught.value)

    def run_problems(self, runs: str, **options) -> list[Problem]:
        with pytest.raises(BatchFileError) as caught:
            self.runs(runs, **options)
        return self._by_name(caught.value)

    def _by_name(self, error: BatchFileError) -> list[Problem]:
        prefix = f"{self.path}/"
        return [
            Problem(problem.file.removeprefix(prefix), problem.line, problem.key, problem.message)
            for problem in error.problems
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
