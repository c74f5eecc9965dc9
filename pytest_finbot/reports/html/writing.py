"""The page as a file beside the other summaries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from pytest_finbot.reports.html.page import html_report
from pytest_finbot.reports.html.series import SeriesSource
from pytest_finbot.reports.report import Report

FILE: Final = "batch_summary.html"


def write_html(folder: Path, report: Report, series: SeriesSource) -> Path:
    """Write ``batch_summary.html`` into ``folder``, whole or not at all.

    Raises OSError where it cannot be written, else as :func:`~..html_report`.
    """
    page = html_report(report, series)
    path = folder / FILE
    draft = path.with_name(f".{FILE}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    # No newline is translated: the policy names scripts by the hash of their very bytes.
    draft.write_text(page, encoding="utf-8", errors="backslashreplace", newline="")
    os.replace(draft, path)
    return path
