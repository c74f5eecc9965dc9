"""The report of a batch as one HTML page: ``html_report(report, series)``."""

from __future__ import annotations

from pytest_finbot.reports.html.page import html_report
from pytest_finbot.reports.html.series import NoSeries, RegistrySeries, SeriesSource, Sides
from pytest_finbot.reports.html.writing import write_html

__all__ = ["NoSeries", "RegistrySeries", "SeriesSource", "Sides", "html_report", "write_html"]
