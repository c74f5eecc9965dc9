"""A report as one HTML page that needs nothing else, drawn by BokehJS and scripts of ours.

What a name, a message or a file says is text: templates escape, scripts set text only, and the policy
lets no other script and no handler run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pytest_finbot.baselines.facts import FillFact
from pytest_finbot.errors import FinbotError
from pytest_finbot.reports.html.bokeh import bokeh_js
from pytest_finbot.reports.html.charts import Chart, RunCharts, charts_of
from pytest_finbot.reports.html.payload import COLUMNS, charts_json, counted, row_of
from pytest_finbot.reports.html.policy import json_text, new_nonce, policy, script_text
from pytest_finbot.reports.html.series import SeriesSource
from pytest_finbot.reports.html.thinning import spark
from pytest_finbot.reports.markdown.page import page_facts
from pytest_finbot.reports.report import Report, RunFacts
from pytest_finbot.reports.templates import render, source_of
from pytest_finbot.reports.words import shown, trade

MOST_DRAWN: Final = 20
"""Changed runs with charts."""
MOST_SPARKS: Final = 1_000
"""Unchanged runs whose NAV is drawn as a small line: each is read from a file."""
TEMPLATE: Final = "html/batch_summary.html.j2"
SCRIPTS: Final = ("html/table.js", "html/charts.js")
TITLES: Final = {
    "bp": "Divergence from the baseline, basis points of its NAV",
    "nav": "NAV",
    "drawdown": "NAV below its highest so far, percent",
    "positions": "Market value by position",
}
_UNREADABLE: Final = (FinbotError, OSError, ValueError, LookupError, TypeError)
"""What a registry that is damaged or gone comes to: it costs the charts, not the page."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A run with a section of its own; ``row`` is its number in the table."""

    run: RunFacts
    row: int
    charts: tuple[Chart, ...] = ()
    charts_number: int | None = None
    """Which of the page's sets of charts is its own; ``None`` where nothing of it is drawn."""
    notes: tuple[str, ...] = ()


def html_report(report: Report, series: SeriesSource) -> str:
    """``report`` as one HTML page, with charts of what ``series`` has.

    A series that cannot be read is told in the page. Raises MissingDependencyError where Bokeh is not
    installed and anything would be drawn, ReportError where a template cannot be rendered.
    """
    drawn: list[dict[str, Any]] = []
    changed = []
    for row, run in enumerate(report.changed[:MOST_DRAWN]):
        charts = _charts(run, series)
        number = None
        if any(chart.curves for chart in charts.charts):
            number = len(drawn)
            drawn.append(charts_json(charts))
        changed.append(_Section(run, row, charts.charts, number, charts.notes))
    failed = [_Section(run, len(report.changed) + row) for row, run in enumerate(report.failed)]
    sparks, without = _sparks(report.others, series)
    rows = [row_of(run, "") for run in (*report.changed, *report.failed)]
    rows += [row_of(run, sparks.get(number, "")) for number, run in enumerate(report.others)]
    data = json_text(
        {
            "columns": [{"key": key, "title": title, "kind": kind} for key, title, kind in COLUMNS],
            "rows": rows,
            "verdicts": counted(rows),
            "charts": drawn,
        }
    )
    return _page(report, changed, failed, data, _left_out(report, without), bokeh=bool(drawn))


def _page(
    report: Report,
    changed: list[_Section],
    failed: list[_Section],
    data: str,
    left_out: list[str],
    *,
    bokeh: bool,
) -> str:
    from markupsafe import Markup

    first = script_text(source_of("html/first.js"), "first.js")
    scripts = [script_text(source_of(name), name) for name in SCRIPTS]
    library = script_text(bokeh_js(), "BokehJS") if bokeh else ""
    style = source_of("html/page.css")
    nonce = new_nonce()
    running = [first, *scripts, *([library] if bokeh else [])]
    facts = page_facts(report)
    return render(
        TEMPLATE,
        {
            "report": report,
            "batch": report.batch,
            "gate": report.batch.gate,
            "worst": report.worst,
            "changed": changed,
            "failed": failed,
            "left_out": left_out,
            "accept": [facts["accept"]] if facts["accept"] else [],
            # The sentence that the Markdown begins with, which is bold there.
            "lead": render("batch_verdict.md.j2", facts).strip().removeprefix("**").removesuffix("**"),
            "title": report.verdict.replace("_", " "),
            "titles": TITLES,
            "counts": _counts(report),
            "side": _side,
            "policy": policy(running, nonce),
            "nonce": nonce,
            # Ours, and checked to be what it is named: the only text that is not escaped.
            "style": Markup(style),  # noqa: S704
            "first": Markup(first),  # noqa: S704
            "bokeh": Markup(library),  # noqa: S704
            "scripts": [Markup(script) for script in scripts],  # noqa: S704
            "data": Markup(data),  # noqa: S704
        },
    )


def _charts(run: RunFacts, series: SeriesSource) -> RunCharts:
    c = run.comparison
    first = (c.first_session if c is not None else None) or ""
    furthest = c.largest.session if c is not None and c.largest is not None else ""
    try:
        return charts_of(series.sides(run), first, furthest)
    except _UNREADABLE as error:
        return RunCharts((), notes=(f"No chart is drawn, because {error}.",))


def _sparks(others: tuple[RunFacts, ...], series: SeriesSource) -> tuple[dict[int, str], list[str]]:
    """A line for each run by its number, and why runs have none."""
    sparks: dict[int, str] = {}
    without: list[str] = []
    for number, run in enumerate(others[:MOST_SPARKS]):
        try:
            sparks[number] = spark(series.nav(run))
        except _UNREADABLE as error:
            without.append(str(error))
    return sparks, without


def _left_out(report: Report, without: list[str]) -> list[str]:
    """What the table and the sections do not show, a sentence each."""
    said = []
    more = len(report.changed) - MOST_DRAWN
    if more > 0:
        said.append(
            f"The {MOST_DRAWN} changed runs that are furthest from their baselines have charts below; "
            f"{more:,} more are in the table only."
        )
    for number, kind in (
        (report.changed_not_listed, "changed"),
        (report.failed_not_listed, "failed"),
        (report.others_not_listed, "unchanged"),
    ):
        if number:
            said.append(f"{number:,} more {kind} runs are not in this page; batch_summary.csv has them.")
    if len(report.others) > MOST_SPARKS:
        said.append(f"NAV is drawn of the first {MOST_SPARKS:,} unchanged runs.")
    if without:
        said.append(f"NAV of {len(without):,} unchanged runs is not drawn, because {without[0]}.")
    return [shown(line) for line in said]


def _counts(report: Report) -> list[tuple[str, int]]:
    batch = report.batch
    counts = [("expected", batch.expected), ("success", batch.success), ("failed", batch.failed)]
    if batch.gate is not None:
        counts += [(name.replace("_", " "), number) for name, number in batch.gate.verdicts.items()]
    counts += [(name.replace("_", " "), number) for name, number in batch.error_categories.items()]
    also = (
        ("missing", report.missing),
        ("near a limit", report.near),
        ("not run", batch.not_run),
        ("deselected", batch.deselected),
        ("not proven", batch.unproven),
    )
    return counts + [(name, number) for name, number in also if number]


def _side(fill: FillFact | Mapping[str, Any] | None) -> str:
    """A fill in words; ``none`` on the side that has none."""
    if fill is None:
        return "none"
    if isinstance(fill, FillFact):
        fill = {name: getattr(fill, name) for name in ("session", "asset", "quantity", "price", "fee")}
    return f"{fill['session']}: {trade(fill)}"
