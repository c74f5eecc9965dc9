"""``--finbot-report html``: a page beside the other summaries, of what the registry holds."""

from __future__ import annotations

import json

from pytest_finbot.reports.html import bokeh
from tests.reports.html.made_pages import Parsed

RUNS = """\
- {id: equal}
- {id: first, params: {weights: {AAA: 1.0}}}
"""


def test_the_page_has_charts_of_what_moved_and_is_not_left_to_grow_old(project):
    project.gated(RUNS)
    project.compared(RUNS.replace("AAA: 1.0", "AAA: 0.5"))
    result = project.pytest("--finbot-report", "html")
    assert result.ret == 1
    page = project.output / "batch_summary.html"
    found = Parsed(page.read_text(encoding="utf-8"))
    data = json.loads(found.data)
    assert [row[:2] for row in data["rows"]] == [
        ["first", "moved"],
        ["equal", "identical"],
    ]
    [charts] = data["charts"]
    assert [(chart["kind"], len(chart["curves"])) for chart in charts["charts"]] == [
        ("bp", 1),
        ("nav", 2),
        ("drawdown", 2),
        ("positions", 2),
    ]
    assert charts["charts"][1]["cells"][1] == [
        "baseline",
        ["1,000.00", "1,100.00", "1,200.00", "1,100.00", "1,300.00", "1,400.00"],
    ]
    assert data["rows"][1][-3]  # a line of its NAV
    assert "Not drawn" not in found.text

    # Another session of the batch that asks for none leaves none: it would tell of an older result.
    assert project.pytest().ret == 1
    assert not page.exists()


def test_what_is_gone_from_the_registry_is_told(project):
    project.gated(RUNS)
    project.compared(RUNS.replace("AAA: 1.0", "AAA: 0.5"))
    project.write(
        "conftest.py",
        """
        import shutil
        from pathlib import Path

        def pytest_sessionfinish():
            shutil.rmtree(Path(__file__).parent / ".finbot" / "series")
        """,
    )
    project.pytest("--finbot-report", "html")
    text = Parsed((project.output / "batch_summary.html").read_text(encoding="utf-8")).text
    assert "The baseline is not drawn, because object" in text
    assert "is missing; copy series/ together with batches/" in text


def test_without_bokeh_it_is_refused_before_anything_runs(project, monkeypatch):
    project.batch("- {id: equal}\n")
    monkeypatch.setattr(bokeh, "find_spec", lambda name: None)
    result = project.refused("--finbot-report", "html")
    result.stderr.fnmatch_lines(
        ["ERROR: finbot: --finbot-report html: *pip install 'pytest-finbot?html?'", "nothing was run"]
    )
    assert not (project.path / ".finbot").exists()
    assert "invalid choice" in project.refused("--finbot-report", "pdf").stderr.str()
