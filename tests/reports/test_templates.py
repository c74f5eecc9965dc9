"""Templates of the user's own: found before ours, refused before anything runs, told where they fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_finbot.errors import ReportError
from pytest_finbot.reports.markdown import markdown_report
from pytest_finbot.reports.templates import check_templates, use_templates
from tests.reports.test_report import moved, report_of

Write = Callable[..., Path]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Write]:
    """Writes a template into a folder of the user's, which is used until the test is over."""

    def write(text: str, name: str = "batch_verdict.md.j2") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        use_templates(tmp_path)
        return tmp_path

    yield write
    use_templates(None)


def test_a_template_of_ones_own_stands_in_for_ours_and_may_use_it(own: Write) -> None:
    own("{{ said }}, says the house", "_ours.md.j2")
    folder = own(
        '{% set said = report.moved %}{% include "_ours.md.j2" %}\n\n'
        '{% include "shipped/batch_verdict.md.j2" %}'
    )
    check_templates(folder)
    page = markdown_report(report_of(moved("far", 1.0)))
    assert page.startswith("# small\n\n0, says the house\n**All 3 backtests ran")
    assert "## Changed runs" in page
    assert not (folder / "__pycache__").exists()
    use_templates(None)
    assert "says the house" not in markdown_report(report_of())


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("", "batch_verdikt.md.j2", "replaces no template; did you mean 'batch_verdict.md.j2'?"),
        ("", "README", "replaces no template"),
        ("a\n{{ x }", "batch_verdict.md.j2", "batch_verdict.md.j2:2: unexpected '}'"),
        ("{{ 1 | pleine }}", "batch_runs.md.j2", "batch_runs.md.j2:1: No filter named 'pleine'"),
        ("{{ repot.batch }}", "batch_runs.md.j2", "no page knows 'repot'; did you mean 'report'?"),
        ('{% include "batch_run.md.j2" %}', "batch_summary.md.j2", "did you mean 'batch_runs.md.j2'?"),
        ("{% if %}", "_piece.md.j2", "_piece.md.j2:1: "),
        (b"\xff".decode("latin-1"), "batch_runs.md.j2", None),
    ],
)
def test_what_is_wrong_is_seen_before_anything_runs(
    own: Write, text: str, name: str, said: str | None
) -> None:
    folder = own(text, name)
    if said is None:
        (folder / name).write_bytes(b"\xff")
        said = "cannot be read"
    with pytest.raises(ReportError, match=re.escape(said)):
        check_templates(folder)


def test_a_folder_that_is_none_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="is no folder"):
        check_templates(tmp_path / "gone")
    with pytest.raises(ReportError, match="has no template"):
        check_templates(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{{ report.moved_runs }}", "batch_verdict.md.j2:2: UndefinedError: "),
        ("{{ 1 / report.missing }}", "batch_verdict.md.j2:1: ZeroDivisionError: "),
        ("{{ report | money('x') }}", "batch_verdict.md.j2:1: TypeError: "),
        ('{% include "shipped/" ~ "gone" %}', "TemplateNotFound"),
    ],
)
def test_what_fails_at_rendering_is_told_by_its_line(own: Write, text: str, said: str) -> None:
    check_templates(own(text))
    with pytest.raises(ReportError, match=re.escape(said)):
        markdown_report(report_of())
