"""Pages in the system's Chromium, headless and without network; one browser a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.tools import needs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = needs("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(path), args=list(FLAGS))
        yield started
        started.close()


@contextmanager
def looked_at(browser: Browser, path: Path, *, at: str = "", **context: Any) -> Iterator[Page]:
    """``path`` opened as a file; afterwards nothing must have gone wrong, or anywhere."""
    context = {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light", **context}
    wrong: list[str] = []
    with browser.new_context(**context) as opened:
        page = opened.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "console",
            lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None,
        )
        page.on(
            "request",
            lambda asked: (
                wrong.append(f"request: {asked.url[:200]}")
                if not asked.url.startswith(("file:", "data:"))
                else None
            ),
        )
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " (found) => console.error('policy: ' + found.effectiveDirective))"
        )
        page.goto(f"{path.as_uri()}{at}")
        yield page
    assert not wrong


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures are kept: FINBOT_SCREENSHOTS, or for this test alone."""
    folder = Path(os.environ.get("FINBOT_SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
