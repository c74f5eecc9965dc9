"""The batch summary as CSV, JSON and Markdown, written in one pass over the rows."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest_finbot
from pytest_finbot.reports.facts import BatchFacts
from pytest_finbot.reports.making import ReportMaker
from pytest_finbot.reports.markdown import markdown_report
from pytest_finbot.reports.ranking import Configurations
from pytest_finbot.reports.report import Report
from pytest_finbot.reports.rows import CSV_COLUMNS, SummaryRow, csv_values, json_value

FORMATS = ("csv", "json", "md")
REPORT = "batch_report.json"
"""What every format is made of, and reports of other machines: see :mod:`..report`."""
_ERRORS = "backslashreplace"
"""A lone surrogate in somebody's words must not cost the summary."""


def write_summary(
    folder: Path,
    facts: BatchFacts,
    rows: Iterable[SummaryRow],
    maker: ReportMaker | None = None,
    began: float | None = None,
) -> tuple[Report, dict[str, Path]]:
    """Write ``batch_summary.csv|json|md`` and ``batch_report.json`` into ``folder``.

    ``rows`` go through ``maker``; ``began`` is the ``perf_counter`` from which the time is told that it
    took. Returns the report, and the path of each file by its format; ``report`` is the last one

    Rows are streamed: memory does not grow with their number. Each file appears whole or
    not at all. Raises OSError where the folder cannot be written.
    """
    began = time.perf_counter() if began is None else began
    maker = maker or ReportMaker(Configurations({}))
    paths = {name: folder / f"batch_summary.{name}" for name in FORMATS} | {"report": folder / REPORT}
    drafts = {name: path.with_name(f".{path.name}.tmp") for name, path in paths.items()}
    with (
        drafts["csv"].open("w", encoding="utf-8", errors=_ERRORS, newline="") as csv_file,
        drafts["json"].open("w", encoding="utf-8", errors=_ERRORS) as json_file,
    ):
        table = csv.writer(csv_file, lineterminator="\n")
        table.writerow(CSV_COLUMNS)
        head = _dump(facts_to_json(facts))
        json_file.write(head[:-1] + ',"runs":[')
        for number, row in enumerate(rows):
            table.writerow(csv_values(row))
            json_file.write(",\n" if number else "\n")
            json_file.write(_dump(json_value(row)))
            maker.add(row)
        # What is known only when all rows have passed. A list comes last, so that a document ends the
        # same way whatever is in it: others copy it line by line.
        json_file.write(f'\n],"prices":{_dump(maker.prices.to_json())},"odd":[')
        for number, finding in enumerate(maker.prices.odd):
            json_file.write(",\n" if number else "\n")
            json_file.write(_dump(dataclasses.asdict(finding)))
        json_file.write("\n]}\n")
    report = maker.report(dataclasses.replace(facts, summing_up=round(time.perf_counter() - began, 3)))
    drafts["report"].write_text(_dump(report.to_json()) + "\n", encoding="utf-8", errors=_ERRORS)
    drafts["md"].write_text(markdown_report(report), encoding="utf-8", errors=_ERRORS)
    for name, path in paths.items():
        os.replace(drafts[name], path)
    return report, paths


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


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
