"""The examples in docs/ are run: what a page shows is what comes out."""

import doctest
import re
import textwrap
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
SHOW = {"registry.md": 40}
"""Pages that live by their examples, with the least number of them."""
BLOCK = re.compile(r"^([ ]*)```python\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
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
    test = examples(page.read_text("utf-8"), page.name)
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
