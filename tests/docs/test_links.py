"""Links of README, CONTRIBUTING and docs/ lead somewhere, as GitHub reads them; nothing is fetched.

`mkdocs build --strict` holds the same for the site.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"^( *)(```+|~~~+).*?^\1\2", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]*)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


def links(text):
    """Targets of the links in a page, code left out."""
    return LINK.findall(CODE.sub("", FENCED.sub("", text)))


def anchors(text):
    """Names that GitHub gives the headings of a page."""
    found = []
    for heading in HEADING.findall(FENCED.sub("", text)):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(words if words not in found else f"{words}-{found.count(words)}")
    return found


def problem(page, link):
    """What is wrong with ``link`` on ``page``; ``None`` where nothing is."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        whole = parts.scheme == "https" and "." in (parts.hostname or "")
        return None if whole else f"{link}: expected https://host.name/…"
    if parts.path.startswith("/") or "\\" in parts.path:
        return f"{link}: expected a path from this page on"
    target = (page.parent / parts.path).resolve() if parts.path else page
    if not target.is_relative_to(ROOT):
        return f"{link}: leads out of the repository"
    if not target.exists():
        return f"{link}: there is no {target.relative_to(ROOT)}"
    if parts.fragment and parts.fragment not in anchors(target.read_text("utf-8")):
        return f"{link}: {target.relative_to(ROOT)} has no heading of that name"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    assert [told for link in links(page.read_text("utf-8")) if (told := problem(page, link))] == []


def test_the_readme_is_linked_to_the_pages():
    assert len(links((ROOT / "README.md").read_text("utf-8"))) > 20


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("nowhere.md", "there is no docs/nowhere.md"),
        ("books.md#nowhere", "no heading of that name"),
        ("../../elsewhere", "leads out"),
        ("/docs/books.md", "a path from this page on"),
        ("http://example.org", "expected https"),
        ("https://example", "expected https"),
    ],
)
def test_a_link_that_leads_nowhere_is_told(link, told):
    assert told in (problem(ROOT / "docs" / "index.md", link) or "")


def test_headings_in_code_are_none():
    assert anchors("# One `two`\n\n```\n# three\n```\n## Four: (five)\n") == ["one-two", "four-five"]
    assert links("[a](b.md) `[c](d.md)`\n\n```\n[e](f.md)\n```\n[g](<h.md>)\n") == ["b.md", "h.md"]
