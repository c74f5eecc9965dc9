"""The examples in docs/ are run: what a page shows is what comes out."""

import doctest
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_finbot.cli.main import main

DOCS = Path(__file__).parents[1] / "docs"
DATA = DOCS.parent / "examples" / "data"
PAGES = sorted(DOCS.glob("*.md"))
SHOW = {"registry.md": 40, "windows.md": 15}
"""Pages that live by their examples, with the least number of them."""
BLOCK = re.compile(r"^([ ]*)```python\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
CONSOLE = {"data.md": 7, "books.md": 2}
"""Pages whose commands are run, with the number of them."""
COMMANDS = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BATCH = re.compile(r"batch-\d{8}T\d{6}Z-[0-9a-f]{6}")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples(text, name):
    """The page's examples as one test that shares its names, each at its line of the page."""
    lines = [""] * text.count("\n")
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(2))
        for number, line in enumerate(textwrap.dedent(block[2]).splitlines()):
            lines[first + number] = line
    return doctest.DocTestParser().get_doctest("\n".join(lines), {"__name__": "docs"}, name, name, 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_give_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    for variable in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "CI"):
        monkeypatch.delenv(variable, raising=False)
    text = page.read_text("utf-8")
    for file in FILE.finditer(text):
        shutil.copytree(DATA, tmp_path / "data", dirs_exist_ok=True)
        (tmp_path / file[1]).write_text(file[2], "utf-8")
    test = examples(text, page.name)
    said = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert "".join(said) == ""


@pytest.mark.parametrize("name", sorted(SHOW))
def test_a_page_that_lives_by_its_examples_has_them(name):
    text = (DOCS / name).read_text("utf-8")
    assert len(examples(text, name).examples) >= SHOW[name]
    silent = [block[2] for block in BLOCK.finditer(text) if ">>>" not in block[2]]
    assert silent == []


def test_an_example_that_gives_something_else_is_told_by_its_line():
    page = "# Title\n\n```python\n>>> 1 + 1\n3\n\n```\n"
    said = []
    doctest.DocTestRunner(optionflags=FLAGS).run(examples(page, "page.md"), out=said.append)
    assert 'File "page.md", line 4' in "".join(said)
    assert "Got:\n    2" in "".join(said)


# ------------------------------------------------------------------------------- commands


def commands(text):
    """What the page's console blocks ask, and what they say comes of it."""
    for block in COMMANDS.finditer(text):
        for part in re.split(r"^\$ ", block[1], flags=re.MULTILINE)[1:]:
            asked, _, answer = part.partition("\n")
            yield asked, answer


def told(words):
    """What a command says on standard output."""
    if words[0] == "pytest":
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words[1:]],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout
    apart = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
    return CliRunner(**apart).invoke(main, words[1:]).stdout


def prepare(folder):
    """The examples, and the faulty prices that the pages speak of."""
    import pandas as pd

    shutil.copytree(
        DOCS.parent / "examples", folder / "examples", ignore=shutil.ignore_patterns("output", "__pycache__")
    )
    (folder / "pytest.ini").write_text("[pytest]\n")
    prices = pd.read_csv(folder / "examples" / "data" / "prices.csv.gz", index_col=0)[["JNJ", "KO", "XOM"]]
    faults = prices.drop(index="2012-11-01")
    faults.loc["2014-03-10", "KO"] *= 10
    faults.loc["2015-06-01":"2015-06-05", "XOM"] = faults.loc["2015-06-01", "XOM"]
    faults.to_csv(folder / "faults.csv")
    gaps = prices.copy()
    gaps.loc["2012-10-19":"2012-10-25", "KO"] = None
    gaps.to_csv(folder / "gaps.csv")
    shutil.copytree(folder / "examples" / "data" / "ohlcv", folder / "restated")
    bars = pd.read_parquet(folder / "restated" / "SPY.parquet")
    bars.loc["2014-03-10", "Close"] += 0.5
    row = bars.index.get_loc("2019-06-21")
    old, before = bars["Dividends"].iloc[row], bars["Close"].iloc[row - 1]
    new = round(old + 0.1, 3)
    bars.iloc[row, bars.columns.get_loc("Dividends")] = new
    bars.iloc[:row, bars.columns.get_loc("Adj Close")] *= (1 - new / before) / (1 - old / before)
    bars.to_parquet(folder / "restated" / "SPY.parquet")


@pytest.mark.parametrize("name", sorted(CONSOLE))
def test_the_commands_of_a_page_say_what_it_shows(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINBOT_CACHE_DIR", str(tmp_path / "cache"))
    prepare(tmp_path)
    text = (DOCS / name).read_text("utf-8")
    for file in FILE.finditer(text):
        (tmp_path / file[1]).write_text(file[2])
    asked = list(commands(text))
    assert len(asked) == CONSOLE[name]
    for command, answer in asked:
        got = told(shlex.split(command))
        assert_shown(command, answer, got)


def assert_shown(command, answer, got):
    """``…`` in a page stands for anything, an id of a batch for any."""
    want, have = (BATCH.sub("batch-…", text).replace("…", "...") for text in (answer, got))
    example = doctest.Example(command, want)
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if not checker.check_output(example.want, have, flags):
        pytest.fail(f"$ {command}\n" + checker.output_difference(example, have, flags | doctest.REPORT_NDIFF))
