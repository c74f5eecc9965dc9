"""Reading a report that may come from a stranger: bounded, and of the very shape that we write.

A pull request from a fork brings one, and who renders it has rights that the fork has not. Nothing in it
is more than text and numbers; what it says in words is only ever shown.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, Final, NoReturn

from pytest_finbot.errors import ReportError
from pytest_finbot.reports.agreeing import counts_agree, lists_agree
from pytest_finbot.reports.report import FORMAT, VERSION, Report

MOST_BYTES: Final = 16 * 1024 * 1024
_MOST_CHARACTERS: Final = 20_000
_MOST_ENTRIES: Final = 100_000
"""More than a batch has runs: what is missing, accepted or compared with another run is listed whole."""
_DEEPEST: Final = 16


def read_report(raw: bytes, source: str = "the report") -> Report:
    """The report in ``raw``, as :meth:`~..report.Report.to_json` wrote it.

    Raises ReportError, naming ``source``, for what is too large, no strict JSON, of another version,
    has a key that no report has, a value of another kind, or says of its runs what cannot be true together.
    """
    if len(raw) > MOST_BYTES:
        raise ReportError(f"{source} has {len(raw):,} bytes; a report has at most {MOST_BYTES:,}")
    try:
        document = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        _check_size(document)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{source} cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ReportError(f"{source} is no report: its format is not {FORMAT!r}")
    if document.get("version") != VERSION:
        raise ReportError(
            f"{source} has version {document.get('version')!r:.40}, this pytest-finbot reads {VERSION}; "
            "use the same version for running and for reporting"
        )
    from pydantic import TypeAdapter, ValidationError

    try:
        report = TypeAdapter(Report).validate_json(raw, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReportError(f"{source} is no report of ours: {where[:200]}: {first['msg'][:200]}") from error
    unknown = _unknown(report, document)
    if unknown is not None:
        raise ReportError(f"{source} is no report of ours: no report has the key {unknown[:200]!r}")
    if not (counts_agree(report.batch) and lists_agree(report)) and not report.batch.problems:
        # One that says so itself is shown with its problems.
        raise ReportError(f"{source} contradicts itself: it lists and counts its runs differently")
    return report


def _unknown(value: Any, document: Any) -> str | None:
    """A key of ``document`` that nothing of what became of it has."""
    if dataclasses.is_dataclass(value):
        known = {one.name for one in dataclasses.fields(value)}
        for key, child in document.items():
            if key not in known:
                return str(key)
            found = _unknown(getattr(value, key), child)
            if found is not None:
                return f"{key}.{found}"
    elif isinstance(value, tuple):
        for one, child in zip(value, document, strict=True):
            found = _unknown(one, child)
            if found is not None:
                return found
    return None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _check_size(value: Any, depth: int = 0) -> None:
    """Raises ValueError for what no report of ours holds, whatever its place."""
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    if isinstance(value, str):
        if len(value) > _MOST_CHARACTERS:
            raise ValueError(f"a text has {len(value):,} characters; expected at most {_MOST_CHARACTERS:,}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number is too large")
    elif isinstance(value, int):
        if abs(value) > 2**63:
            raise ValueError("a whole number is too large")
    elif isinstance(value, (dict, list)):
        if len(value) > _MOST_ENTRIES:
            raise ValueError(f"a list has {len(value):,} entries; expected at most {_MOST_ENTRIES:,}")
        for key in value if isinstance(value, dict) else ():
            _check_size(key, depth + 1)
        for child in value.values() if isinstance(value, dict) else value:
            _check_size(child, depth + 1)
