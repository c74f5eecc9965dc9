"""Accepted results as files in the user's repository: a JSON to review beside a Parquet to compare.

``<folder>/<run>.json`` names the values of ``<folder>/<run>.parquet`` by their hash, so that
a pair that does not belong together is seen. Nothing here depends on the clock: what is
accepted when and by whom is handed in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.table_file import read_table, values_hash, write_table
from pytest_finbot.errors import BaselineError
from pytest_finbot.registry.durable import make_folder, write_file
from pytest_finbot.registry.strict_json import decode

FORMAT = "finbot-baseline"
VERSION = 1
_MEND = "restore it from version control, or remove it (finbot baseline remove) and accept the run again"


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who answers for a baseline. ``at`` is ISO 8601 in UTC; ``commit`` the revision it was run at."""

    at: str
    by: str
    reason: str
    commit: str


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
    result, details = read_table(table_path)
    try:
        accepted = document["accepted"]
        fingerprint = dict(document["fingerprint"])
        if fingerprint.get("data") is not None and details.get("data") is not None:
            fingerprint["data"] = {**fingerprint["data"], "parts": details["data"]}
        baseline = Baseline(
            batch=document["batch"],
            run=document["run"],
            result=RunResult(
                sessions=result.sessions,
                nav=result.nav,
                assets=result.assets,
                cash=result.cash,
                quantity=result.quantity,
                market_values=result.market_values,
                fills=result.fills,
                metrics=document["metrics"],
                undefined=document["undefined"],
            ),
            fingerprint=fingerprint,
            acceptance=Acceptance(**{key: str(accepted[key]) for key in ("at", "by", "reason", "commit")}),
            shown=shown or str(document_path),
            values=document["values"],
        )
    except (KeyError, TypeError) as error:
        raise BaselineError(f"baseline {document_path} has no usable {error}: {_MEND}") from error
    if baseline.run != run:
        raise BaselineError(
            f"baseline {document_path} is that of run {baseline.run!r}, and was renamed; {_MEND}"
        )
    if values_hash(result) != baseline.values:
        raise BaselineError(
            f"baseline {table_path} does not hold the values {document_path.name} names: {_MEND}"
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
    content = write_table(baseline.result, {"version": VERSION, "data": parts})
    text = json.dumps(_document(baseline), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    try:
        make_folder(folder, durable=True)
        if not table_path.is_file() or table_path.read_bytes() != content:
            write_file(table_path, content, durable=True)
        write_file(document_path, text.encode("utf-8", "backslashreplace"), durable=True)
    except OSError as error:
        raise BaselineError(f"cannot write baseline {document_path}: {error.strerror or error}") from error
    return document_path, table_path


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


def _document(baseline: Baseline) -> dict[str, Any]:
    result, fingerprint = baseline.result, dict(baseline.fingerprint)
    if fingerprint.get("data") is not None:
        # By symbol and year they fill pages; they lie in the table's metadata.
        fingerprint["data"] = {key: value for key, value in fingerprint["data"].items() if key != "parts"}
    accepted = baseline.acceptance
    assert accepted is not None, "a baseline is written by who accepts it"
    sessions = result.sessions
    return {
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
