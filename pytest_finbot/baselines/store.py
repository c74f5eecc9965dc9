"""Accepted results as files in the user's repository: a JSON to review beside a Parquet to compare.

``<folder>/<run>.json`` names the values of ``<folder>/<run>.parquet`` by their hash, so that
a pair that does not belong together is seen. Nothing here depends on the clock: what is
accepted when and by whom is handed in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.table_file import read_table, values_hash, write_table
from pytest_finbot.errors import BaselineError
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.durable import make_folder, write_file
from pytest_finbot.registry.strict_json import decode

_T = TypeVar("_T")
FORMAT = "finbot-baseline"
VERSION = 1
_MEND = "restore it from version control, or remove it (finbot baseline remove) and accept the run again"


def says_something(reason: str | None) -> bool:
    """Whether a reason is one: the dots of a command that was pasted as it was shown are none."""
    return any(map(str.isalnum, reason or ""))


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """An accepted result, and what it depended on.

    ``fingerprint`` is the full document: settings of the configuration, digests of the data
    by symbol and year, hash of each module, versions. ``shown`` is where it came from, in
    the words of messages: a path, ``git:v1.2``, ``batch:batch-…``.
    """

    batch: str
    run: str
    result: RunResult
    fingerprint: Mapping[str, Any]
    acceptance: Acceptance | None
    shown: str
    values: str
    """Hash of the result's series and fills."""


def baseline_names(folder: Path) -> tuple[str, ...]:
    """Runs that have a baseline in ``folder``, whole or not, sorted; none where there is no folder."""
    if not folder.is_dir():
        return ()
    found = {
        path.name.removesuffix(path.suffix)
        for path in folder.iterdir()
        if path.suffix in (".json", ".parquet") and not path.name.startswith(".")
    }
    return tuple(sorted(found))


def read_baseline(folder: Path, run: str, shown: str | None = None) -> Baseline | None:
    """The baseline of ``run``; ``None`` where nothing was accepted.

    Raises BaselineError, naming the file, for one that is damaged, half there, or of a newer
    version.
    """
    document_path, table_path = folder / f"{run}.json", folder / f"{run}.parquet"
    if not document_path.exists():
        if table_path.exists():
            raise BaselineError(f"baseline {document_path} is missing, {table_path.name} is there: {_MEND}")
        return None
    document = _read_document(document_path)
    if not table_path.exists():
        raise BaselineError(f"baseline {table_path} is missing, {document_path.name} is there: {_MEND}")
    values, details = read_table(table_path)
    if details.keys() != {"version", "data"} or details["version"] != document["version"]:
        raise BaselineError(
            f"baseline {table_path} is not of the version that {document_path.name} says: {_MEND}"
        )
    baseline = _baseline(document, values, details, document_path, shown)
    if baseline.run != run:
        raise BaselineError(
            f"baseline {document_path} is that of run {baseline.run!r}, and was renamed; {_MEND}"
        )
    data = baseline.fingerprint.get("data") or {}
    digests_differ = "parts" in data and sha256_of_json(data["parts"]) != data.get("hash")
    if values_hash(values) != baseline.values or digests_differ:
        raise BaselineError(
            f"baseline {table_path} does not hold the values {document_path.name} names: {_MEND}"
        )
    if document.get("document") != _document_hash(document):
        raise BaselineError(
            f"baseline {document_path} was edited or merged by hand: that is not what was accepted; {_MEND}"
        )
    return baseline


def write_baseline(folder: Path, baseline: Baseline) -> tuple[Path, Path]:
    """Write the pair of ``baseline.run`` into ``folder``, each file whole or not at all.

    The table comes first: were the process killed in between, the JSON would name other
    values, which reading tells. A table that holds these values already is left as it is.
    Raises BaselineError where it cannot be written.
    """
    document_path, table_path = folder / f"{baseline.run}.json", folder / f"{baseline.run}.parquet"
    data = baseline.fingerprint.get("data")
    parts = None if data is None else data.get("parts")
    details = {"version": VERSION, "data": parts}
    for name, value in baseline.result.metrics.items():
        if not _is_value(value):
            raise BaselineError(
                f"cannot write baseline {document_path}: metric {name} is {value!r:.60}, "
                "expected a finite number, a text, or None"
            )
    document = _document(baseline)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    content = write_table(baseline.result, details)
    try:
        make_folder(folder, durable=True)
        if not _holds(table_path, content, document["values"], details):
            write_file(table_path, content, durable=True)
        write_file(document_path, text.encode("utf-8", "backslashreplace"), durable=True)
    except OSError as error:
        raise BaselineError(f"cannot write baseline {document_path}: {error.strerror or error}") from error
    return document_path, table_path


def _holds(path: Path, content: bytes, values: str, details: Mapping[str, Any]) -> bool:
    """Whether ``path`` has these values already, be it in the bytes of another version of pyarrow."""
    if not path.is_file():
        return False
    if path.read_bytes() == content:
        return True
    try:
        found, found_details = read_table(path)
    except BaselineError:
        return False
    return found_details == details and values_hash(found) == values


def remove_baseline(folder: Path, run: str) -> list[Path]:
    """Remove what there is of the baseline of ``run``; returns the files removed."""
    removed = []
    for path in (folder / f"{run}.json", folder / f"{run}.parquet"):
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BaselineError(f"cannot remove {path}: {error.strerror or error}") from error
        removed.append(path)
    return removed


def month_end_navs(result: RunResult) -> dict[str, float | None]:
    """NAV at the last session of each month, by ``YYYY-MM``; ``None`` where it is not finite."""
    months = result.sessions.astype("datetime64[M]")
    last = np.flatnonzero(np.r_[months[1:] != months[:-1], True])[: len(months)]
    return {
        str(months[row]): float(result.nav[row]) if np.isfinite(result.nav[row]) else None for row in last
    }


def _baseline(
    document: Mapping[str, Any], values: RunResult, details: Mapping[str, Any], path: Path, shown: str | None
) -> Baseline:
    """Both halves as one. Raises BaselineError where the JSON at ``path`` lacks a part."""

    def part(holder: Mapping[str, Any], key: str, kind: type[_T]) -> _T:
        value = holder.get(key)
        if not isinstance(value, kind):
            said = f"{key} is {value!r:.60}" if key in holder else f"there is no {key}"
            raise BaselineError(f"baseline {path} cannot be used: {said}; {_MEND}")
        return value

    accepted = part(document, "accepted", dict)
    metrics = part(document, "metrics", dict)
    for name, value in metrics.items():
        if not _is_value(value):
            raise BaselineError(f"baseline {path} cannot be used: metric {name} is {value!r:.60}; {_MEND}")
    fingerprint = dict(part(document, "fingerprint", dict))
    if fingerprint.get("data") is not None and details.get("data") is not None:
        fingerprint["data"] = {**part(fingerprint, "data", dict), "parts": details["data"]}
    return Baseline(
        batch=part(document, "batch", str),
        run=part(document, "run", str),
        result=dataclasses.replace(values, metrics=metrics, undefined=part(document, "undefined", dict)),
        fingerprint=fingerprint,
        acceptance=Acceptance(**{key: part(accepted, key, str) for key in ("at", "by", "reason", "commit")}),
        shown=shown or str(path),
        values=part(document, "values", str),
    )


def _is_value(value: object) -> bool:
    """Whether JSON has a word for the metric ``value``, and a comparison a rule."""
    if isinstance(value, bool):
        return False
    return (
        value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    )


def _document(baseline: Baseline) -> dict[str, Any]:
    result, fingerprint = baseline.result, dict(baseline.fingerprint)
    if fingerprint.get("data") is not None:
        # By symbol and year they fill pages; they lie in the table's metadata.
        fingerprint["data"] = {key: value for key, value in fingerprint["data"].items() if key != "parts"}
    accepted = baseline.acceptance
    assert accepted is not None, "a baseline is written by who accepts it"
    sessions = result.sessions
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "batch": baseline.batch,
        "run": baseline.run,
        "accepted": {
            "at": accepted.at,
            "by": accepted.by,
            "reason": accepted.reason,
            "commit": accepted.commit,
        },
        "metrics": dict(result.metrics),
        "undefined": dict(result.undefined),
        "sessions": {
            "count": len(sessions),
            "first": str(sessions[0]) if len(sessions) else None,
            "last": str(sessions[-1]) if len(sessions) else None,
        },
        "fills": None if result.fills is None else len(result.fills),
        "month_end_nav": month_end_navs(result),
        "fingerprint": fingerprint,
        "values": values_hash(result),
    }
    return {**document, "document": _document_hash(document)}


def _document_hash(document: Mapping[str, Any]) -> str:
    """SHA-256 of all that the JSON says but this: metrics edited by hand are no accepted metrics."""
    said = {key: value for key, value in document.items() if key != "document"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BaselineError(f"baseline {path} cannot be read: {error}; {_MEND}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise BaselineError(f"baseline {path} is not a baseline: its format is not {FORMAT!r}; {_MEND}")
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BaselineError(f"baseline {path} has version {version!r}, expected {VERSION}; {_MEND}")
    if version > VERSION:
        raise BaselineError(
            f"baseline {path} has version {version}, this pytest-finbot reads up to {VERSION}; "
            "upgrade pytest-finbot"
        )
    return document
