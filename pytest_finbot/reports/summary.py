"""The batch summary as CSV, JSON and Markdown, written in one pass over the rows."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest_finbot
from pytest_finbot.errors import FinbotError
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.making import ReportMaker
from pytest_finbot.reports.markdown import markdown_report
from pytest_finbot.reports.ranking import Configurations
from pytest_finbot.reports.report import Report
from pytest_finbot.reports.rows import CSV_COLUMNS, SummaryRow, csv_values, json_value
from pytest_finbot.reports.words import plain

DATA = ("csv", "json")
MARKDOWN: Final = "batch_summary.md"
REPORT = "batch_report.json"
"""What every format is made of, and reports of other machines: see :mod:`..report`."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ERRORS = "backslashreplace"
"""A lone surrogate in somebody's words must not cost the summary."""
_BUFFER: Final = 1 << 20
"""Bytes that are written at once."""


Page = Callable[[Path, Report], Path]
"""Writes a page of a report into a folder, whole or not at all; where it is."""


def write_markdown(folder: Path, report: Report) -> Path:
    """Write ``batch_summary.md``. Raises ReportError for a template that cannot be rendered, OSError."""
    return _put(folder / MARKDOWN, markdown_report(report))


PAGES: Final[Mapping[str, Page]] = {"md": write_markdown}


def write_summary(
    folder: Path,
    facts: BatchFacts | Callable[[], BatchFacts],
    rows: Iterable[SummaryRow],
    maker: ReportMaker | None = None,
    began: float | None = None,
    pages: Mapping[str, Page] = PAGES,
) -> tuple[Report, dict[str, Path]]:
    """Write ``batch_summary.csv|json``, ``batch_report.json`` and ``pages`` into ``folder``.

    ``rows`` go through ``maker``; ``facts`` are asked for when all have passed, as they may be counted
    from them; ``began`` is the ``perf_counter`` from which the time is told that it
    took. Returns the report, and the path of each file by its format; ``report`` is ``batch_report.json``.

    Rows are streamed: memory does not grow with their number. Each file appears whole or not at all. A
    page that cannot be made, for whatever reason, is a problem that all others tell of: it costs none
    of them, and the batch is not green. Raises OSError where the folder cannot be written.
    """
    began = time.perf_counter() if began is None else began
    maker = maker or ReportMaker(Configurations({}))
    paths = {name: folder / f"batch_summary.{name}" for name in DATA} | {"report": folder / REPORT}
    drafts = {name: _draft(path) for name, path in paths.items()}
    with (
        drafts["csv"].open("w", encoding="utf-8", errors=_ERRORS, newline="") as csv_file,
        drafts["json"].open("wb", _BUFFER) as json_file,
    ):
        table = csv.writer(csv_file, lineterminator="\n")
        table.writerow(CSV_COLUMNS)
        for number, row in enumerate(rows):
            table.writerow(csv_values(row))
            json_file.write(b",\n" if number else b"\n")
            json_file.write(_encoded(json_value(row)) if row.text is None else row.text)
            maker.add(row)
        # What is known only when all rows have passed. A list comes last, so that a document ends the
        # same way whatever is in it: others copy it line by line.
        json_file.write(b'\n],"prices":' + _encoded(maker.prices.to_json()) + b',"odd":[')
        for number, finding in enumerate(maker.prices.odd):
            json_file.write(b",\n" if number else b"\n")
            json_file.write(_encoded(dataclasses.asdict(finding)))
        json_file.write(b"\n]}\n")
    facts = facts() if callable(facts) else facts
    report = maker.report(dataclasses.replace(facts, summing_up=round(time.perf_counter() - began, 3)))
    written, problems = _pages(folder, report, pages)
    if problems:
        facts = dataclasses.replace(facts, problems=(*facts.problems, *problems))
        batch = dataclasses.replace(report.batch, problems=facts.problems)
        report = dataclasses.replace(report, batch=batch)
        # Those that could be made would tell that all is well.
        first, (written, _) = written, _pages(folder, report, {name: pages[name] for name in written})
        for name, path in first.items():
            if name not in written:
                path.unlink(missing_ok=True)
        if "md" in pages and "md" not in written:
            written["md"] = _put(folder / MARKDOWN, _no_page(report))
    _put_head(drafts["json"], facts)
    drafts["report"].write_text(as_json(report.to_json()) + "\n", encoding="utf-8", errors=_ERRORS)
    for name, path in paths.items():
        os.replace(drafts[name], path)
    return report, paths | written


def _pages(
    folder: Path, report: Report, pages: Mapping[str, Page]
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Those that could be made, and why the others could not."""
    written = {}
    problems = []
    for name, page in pages.items():
        try:
            written[name] = page(folder, report)
        except Exception as error:  # noqa: BLE001 - a mistake in a page or a library costs that page alone
            problems.append(f"batch_summary.{name} could not be made: {unforeseen(error)}")
    return written, tuple(problems)


def unforeseen(error: Exception) -> str:
    """An error in a line; of one that nobody foresaw, where it comes from."""
    words = " ".join(str(error).split())
    if isinstance(error, (FinbotError, OSError)):
        return words
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__}: {words} ({Path(last.filename).name}:{last.lineno})"


def _no_page(report: Report) -> str:
    """What stands in the place of a page in Markdown that cannot be made."""
    problems = "".join(f"- {plain(problem)}\n" for problem in report.batch.problems)
    return (
        f"# {plain(report.batch.batch_name)}\n\n**Not green: this report could not be made.**\n\n"
        f"{problems}\nWhat the runs came to is in batch_summary.csv.\n"
    )


def _head(facts: BatchFacts) -> bytes:
    """The first line of the summary as JSON; runs follow, one a line."""
    return _encoded(facts_to_json(facts))[:-1] + b',"runs":['


def _put_head(path: Path, facts: BatchFacts) -> None:
    """Put the facts, which are known last, in front of the runs of a summary."""
    anew = _draft(path)
    with path.open("rb") as runs, anew.open("wb") as new:
        new.write(_head(facts))
        shutil.copyfileobj(runs, new, _BUFFER)
    os.replace(anew, path)


def _put(path: Path, text: str) -> Path:
    draft = _draft(path)
    draft.write_text(text, encoding="utf-8", errors=_ERRORS)
    os.replace(draft, path)
    return path


def _draft(path: Path) -> Path:
    """Where a file is written until it is whole: nobody else's, as two may write into one folder."""
    return path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def facts_to_json(facts: BatchFacts) -> dict[str, Any]:
    """The batch's facts as strict JSON."""
    return {
        "format": "finbot-batch-summary",
        "version": 1,
        "pytest_finbot": pytest_finbot.__version__,
        **dataclasses.asdict(facts),
        "gate_words": facts.gate_words,
        "regressions": facts.regressions,
    }


def as_json(value: Any) -> str:
    """Strict JSON. Of a lone surrogate, which many refuse to read, its code point is told (``\\ud800``)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def _encoded(value: Any) -> bytes:
    return as_json(value).encode("utf-8", _ERRORS)
