"""Asking the command, inside this process and as a process of its own."""

import inspect
import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.main import main
from pytest_finbot.registry import BatchRegistry

# Before click 8.2 the two streams were one unless asked for.
_APART = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}


def refuse(word):
    raise AssertionError(f"{word} is not JSON")


class Asked:
    """What came of a call."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def document(self):
        """Standard output as one strict JSON document."""
        return json.loads(self.out, parse_constant=refuse)

    def row(self, beginning):
        """The cells of the only line of the table that begins so, cut at two spaces or more."""
        (line,) = [line for line in self.out.splitlines() if line.startswith(beginning)]
        return [cell.strip() for cell in line.split("  ") if cell.strip()]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Where a registry will be, with a cache of its own."""
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / ".finbot"


@pytest.fixture
def ask(root):
    """Ask the command about the registry in ``root``."""

    def call(*words, registry=True):
        told = ["--registry", str(root)] if registry else []
        done = CliRunner(**_APART).invoke(main, [*words, *told])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Asked(done.exit_code, done.stdout, done.stderr)

    return call


@pytest.fixture
def registry(root):
    with BatchRegistry(root) as registry:
        yield registry


@pytest.fixture
def record(registry):
    """Record a batch: names of its runs with a status, a mapping of the record, or None: not run."""

    def make(name="core", end=True, **runs):
        batch_id = registry.create_batch(name, list(runs), provenance={"git commit": "3f9c1a7e5b2d"})
        for run, what in runs.items():
            if what is not None:
                given = {"status": what} if isinstance(what, str) else what
                registry.add_item_result(batch_id, {"name": run, **given})
        if end:
            registry.complete_batch(batch_id)
        return batch_id

    return make


PRICES = """\
Date,AAA,BBB
2020-01-02,10,20
2020-01-03,11,19
2020-01-06,12,21
2020-01-07,11,22
2020-01-08,13,20
2020-01-09,14,23
"""

HEAD = """\
batch_name: small
defaults:
  data: {path: prices.csv}
  strategy: fixed_weights
  symbols: [AAA, BBB]
  start_date: 2020-01-02
  end_date: 2020-01-09
  start_capital: 1000
runs:
"""


class Folder:
    """A user's folder with prices and a batch file, and the command called in it."""

    def __init__(self, path, nursery):
        self.path = path
        self.nursery = nursery
        self.write("prices.csv", PRICES)

    def write(self, name, text):
        (self.path / name).write_text(text, encoding="utf-8")

    def batch(self, *runs, name="finbot.yaml"):
        self.write(name, HEAD + "".join(f"  - {run}\n" for run in runs))

    def environment(self):
        left = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("PYTEST_") and name not in ("CI", "FINBOT_MAX_WORKERS")
        }
        return {**left, "FINBOT_CACHE_DIR": str(self.path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self, *words, **options):
        command = [sys.executable, "-m", "pytest_finbot.cli.main", *words]
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def finbot(self, *words):
        command = [sys.executable, "-m", "pytest_finbot.cli.main", *words]
        done = self.nursery.run(command, self.path, self.environment())
        return Asked(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def folder(tmp_path, nursery):
    return Folder(tmp_path, nursery)


@pytest.fixture(scope="session")
def make_folder(nursery):
    return lambda path: Folder(path, nursery)
