"""The report as Markdown: ``batch_summary.md``, a step summary, the comment of a pull request."""

from __future__ import annotations

from pytest_finbot.reports.markdown.cutting import cut_to_fit
from pytest_finbot.reports.markdown.page import page_facts
from pytest_finbot.reports.report import Report
from pytest_finbot.reports.templates import render

TEMPLATE = "batch_summary.md.j2"
LIMIT = 65_536
"""Characters of a comment on GitHub."""
SIZE = 1_048_576
"""Bytes of a step summary."""


def markdown_report(report: Report, *, limit: int = LIMIT, size: int = SIZE) -> str:
    """``report`` in Markdown of at most ``limit`` characters and ``size`` bytes in UTF-8.

    What does not fit is cut from the bottom up, and said to be, see :mod:`.cutting`. Whatever the report
    says in somebody's words is shown and does nothing. Raises ReportError where a template of the
    user's cannot be rendered.
    """
    return cut_to_fit(render(TEMPLATE, page_facts(report)), limit, size)
