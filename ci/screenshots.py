"""The pictures of README and docs, made anew: a real move in the examples, seen in three places.

    python ci/screenshots.py [CHROMIUM]

Copies the examples into a temporary folder, halves one position size, runs the batch, and writes
``docs/images/terminal.png``, ``comment.png``, ``report-light.png`` and ``report-dark.png``. Needs the
extras ``dev`` and ``html`` and a Chromium (default: ``/usr/bin/chromium``).
"""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cmarkgfm
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from pytest_finbot.reports.markdown import markdown_report
from pytest_finbot.reports.reading import read_report

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
COLUMNS = 104
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
COMMENT_STYLE = """
body { margin: 0; padding: 24px 32px; width: 860px; font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans",
  "DejaVu Sans", sans-serif; color: #1f2328; background: #fff; }
table { border-collapse: collapse; margin: 0 0 16px; display: block; overflow: auto; }
th, td { border: 1px solid #d1d9e0; padding: 4px 10px; white-space: nowrap; }
tr:nth-child(2n) { background: #f6f8fa; }
code { background: #eff1f3; border-radius: 4px; padding: 2px 4px; font: 12px monospace; }
pre { background: #f6f8fa; padding: 12px; border-radius: 6px; overflow: auto; }
pre code { background: none; padding: 0; }
h1, h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: 4px; }
"""


def main() -> None:
    chromium = sys.argv[1] if len(sys.argv) > 1 else "/usr/bin/chromium"
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder, "project")
        said = _moved_batch(work)
        output = work / "examples" / "output" / "example"
        report = read_report((output / "batch_report.json").read_bytes())
        terminal, comment = Path(folder, "terminal.html"), Path(folder, "comment.html")
        terminal.write_text(_terminal_page(said), encoding="utf-8")
        comment.write_text(_comment_page(markdown_report(report)), encoding="utf-8")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            _shoot(browser, terminal.as_uri(), "terminal.png", {"width": 980, "height": 400}, whole=True)
            _shoot(browser, comment.as_uri(), "comment.png", {"width": 924, "height": 760})
            page = (output / "batch_summary.html").as_uri()
            size = {"width": 1180, "height": 940}
            _shoot(browser, f"{page}#run=calm_half", "report-light.png", size)
            _shoot(browser, page, "report-dark.png", size, scheme="dark")
            browser.close()


def _moved_batch(work: Path) -> bytes:
    """What a terminal shows of the examples with half the position size in one strategy."""
    ignored = shutil.ignore_patterns("output", "__pycache__", ".finbot", "engines", "golden")
    shutil.copytree(ROOT / "examples", work / "examples", ignore=ignored)
    (work / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    strategies = work / "examples" / "strategies.py"
    text = strategies.read_text(encoding="utf-8")
    assert "1.0 / half" in text, "the examples have another line to break"
    strategies.write_text(text.replace("1.0 / half", "0.5 / half"), encoding="utf-8")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=work, check=True)
    command = [sys.executable, "-m", "pytest", "--finbot-batch", "examples/finbot.yaml", "-n", "2"]
    return _on_a_terminal([*command, "--finbot-report", "html"], work)


def _on_a_terminal(command: list[str], folder: Path) -> bytes:
    parent, child = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command, cwd=folder, stdout=child, stderr=child, env=environment)
    os.close(child)
    said = bytearray()
    while True:
        try:
            piece = os.read(parent, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(parent)
    process.wait()
    return bytes(said)


def _terminal_page(said: bytes) -> str:
    # What a carriage return wrote over is no longer seen.
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in said.decode("utf-8", "replace").splitlines()]
    lines = [line.replace(sys.executable, "python") for line in lines]
    from_here = next((n for n, line in enumerate(lines) if "FAILURES" in line), 0)
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115 - as the process
    console.print(
        Text.from_ansi(
            "\n".join(["$ pytest --finbot-batch examples/finbot.yaml -n auto", "…", *lines[from_here:]])
        )
    )
    page = console.export_html(theme=MONOKAI, inline_styles=True)
    return page.replace(
        "<body", '<body style="background: #0c0c0c; color: #d9d9d9; margin: 0; padding: 16px"', 1
    )


def _comment_page(words: str) -> str:
    body = cmarkgfm.github_flavored_markdown_to_html(words, cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    return f"<!doctype html><meta charset='utf-8'><style>{COMMENT_STYLE}</style>{body}"


def _shoot(
    browser: Browser, page: str, name: str, size: Any, *, scheme: Any = "light", whole: bool = False
) -> None:
    context = browser.new_context(viewport=size, color_scheme=scheme, device_scale_factor=1.25)
    tab = context.new_page()
    tab.goto(page)
    tab.wait_for_timeout(1_500)
    tab.screenshot(path=IMAGES / name, full_page=whole)
    context.close()
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
