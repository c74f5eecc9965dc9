"""Hook of MkDocs: README.md and files of the repository as pages, so that links to them work in the site.

On GitHub a page's link to ``../examples/finbot.yaml`` shows that file. The site has only what lies in
docs/, so each file or folder that a page links to gets a page of its own here: a file's text, a folder's
list. A link to what is not there stays as it is, and ``mkdocs build --strict`` refuses it.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
README = "readme.md"
"""The README's page."""
SHOWN = "repository"
"""Folder of the pages that show files of the repository."""
LINK = re.compile(r"(?<=\]\()(?!https?://|mailto:|#)([^)\s#]+)")
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the README's page, and those of all that it and the pages link to."""
    from mkdocs.structure.files import File

    texts = {Path("README.md"): (ROOT / "README.md").read_text("utf-8")}
    for file in files.documentation_pages():
        texts[Path("docs", file.src_uri)] = file.content_string
    files.append(File.generated(config, README, content=texts[Path("README.md")]))
    linked = {target for page, text in texts.items() for target in _linked(page, text)}
    kept = _kept()
    for target in sorted(linked):
        content = _shown(target, kept)
        if content is not None:
            files.append(File.generated(config, _page_of(target), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links of a page that leave docs/ to the pages made for them."""
    here = page.file.src_uri
    if here.startswith(f"{SHOWN}/"):
        return markdown
    source = Path("README.md") if here == README else Path("docs", here)

    def moved(link: re.Match[str]) -> str:
        target = _target(source, link[1])
        inside = target.removeprefix("docs/") if target.startswith("docs/") else _page_of(target)
        return inside if files.get_file_from_path(inside) is not None else link[1]

    return _outside_of_blocks(markdown, lambda text: LINK.sub(moved, text))


def _outside_of_blocks(markdown: str, change: Callable[[str], str]) -> str:
    """``markdown`` with ``change`` made of all but its fenced blocks."""
    parts, end = [], 0
    for block in FENCED.finditer(markdown):
        parts += [change(markdown[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, change(markdown[end:])])


def _target(page: Path, link: str) -> str:
    """Path within the repository that ``link`` means on ``page``."""
    return posixpath.normpath(posixpath.join(page.parent.as_posix(), link))


def _linked(page: Path, text: str) -> set[str]:
    """What of the repository, outside of docs/, ``page`` links to."""
    targets = {_target(page, link) for link in LINK.findall(FENCED.sub("", text))}
    return {target for target in targets if not target.startswith(("docs/", "../")) and target != "README.md"}


def _page_of(target: str) -> str:
    return README if target == "README.md" else f"{SHOWN}/{target.removesuffix('.md')}.md"


def _kept() -> list[str]:
    """Files of the repository that git knows."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def _shown(target: str, kept: list[str]) -> str | None:
    """The page of a file or folder; ``None`` where there is none."""
    path = ROOT / target
    if path.is_dir():
        inside = sorted(name for name in kept if name.startswith(f"{target}/"))
        return f"# {target}\n\nIn the repository:\n\n" + "".join(f"- `{name}`\n" for name in inside)
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        return f"# {target}\n\nIn the repository; it is no text.\n"
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text) or ["``"]))
    return f"# {target}\n\n{fence}{path.suffix.removeprefix('.')}\n{text}\n{fence}\n"
