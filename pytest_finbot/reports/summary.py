"""The batch summary as CSV, JSON and Markdown, written in one pass over the rows."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest_finbot
from pytest_finbot.reports.facts import BatchFacts, Listing
from pytest_finbot.reports.rows import CSV_COLUMNS, SummaryRow, csv_values, json_value
from pytest_finbot.reports.templates import render

FORMATS = ("csv", "json", "md")
_ERRORS = "backslashreplace"
"""A lone surrogate in somebody's words must not cost the summary."""


def write_summary(folder: Path, facts: BatchFacts, rows: Iterable[SummaryRow]) -> dict[str, Path]:
    """Write ``batch_summary.csv|json|md`` into ``folder``; returns the path of each.

    Rows are streamed: memory does not grow with their number. Each file appears whole or
    not at all. Raises OSError where the folder cannot be written.
    """
    paths = {name: folder / f"batch_summary.{name}" for name in FORMATS}
    drafts = {name: path.with_name(f".{path.name}.tmp") for name, path in paths.items()}
    listing = Listing()
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
            listing.add(row)
        # What is known only when all rows have passed. A list comes last, so that a document ends the
        # same way whatever is in it: others copy it line by line.
        json_file.write(f'\n],"prices":{_dump(listing.prices.to_json())},"odd":[')
        for number, finding in enumerate(listing.prices.odd):
            json_file.write(",\n" if number else "\n")
            json_file.write(_dump(dataclasses.asdict(finding)))
        json_file.write("\n]}\n")
    drafts["md"].write_text(
        render("batch_summary.md.j2", {"batch": facts, "runs": listing}), encoding="utf-8", errors=_ERRORS
    )
    for name, path in paths.items():
        os.replace(drafts[name], path)
    return paths


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
