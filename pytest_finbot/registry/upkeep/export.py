"""Recorded runs as a table for other tools: CSV, Parquet, or the records as JSON lines.

One row a run: its final record. CSV and Parquet need to know every metric before the first row
is written, so rows wait in a temporary file: memory does not grow with their number.
"""

from __future__ import annotations

import csv
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, Literal, get_args

from pytest_finbot.errors import RegistryError, did_you_mean
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.protocol import Registry
from pytest_finbot.registry.queries import RunFilter, utc_text
from pytest_finbot.registry.strict_json import encode

Format = Literal["csv", "parquet", "jsonl"]

COLUMNS = (
    "run_id",
    "batch_id",
    "batch_name",
    "name",
    "attempt",
    "status",
    "error_category",
    "error_phase",
    "error_type",
    "error_message",
    "verdict",
    "engine",
    "strategy",
    "tags",
    "start_date",
    "end_date",
    "started_at",
    "finished_at",
    "seconds",
    "commit",
    "config_hash",
    "data_hash",
    "code_hash",
    "environment_hash",
    "series",
    "fills",
    "marks",
)
"""Columns before those of the metrics, which follow by name as ``metric.<name>``."""

_ROWS = 10_000
"""Rows of a Parquet row group."""
_EXACT = 2**53
"""Up to here a float64 holds every whole number."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Exported:
    """How many runs were written, and which batches could not be read, each with its reason."""

    runs: int
    problems: tuple[str, ...]


def export(
    registry: Registry,
    format: Format,  # noqa: A002 - what it is called on the command line
    to: Path | IO[bytes],
    *,
    only: RunFilter | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write the final record of each run that ``only`` lets pass, newest batch first.

    To a path: through a draft beside it, so it appears whole or not at all; one that exists is
    left alone unless ``overwrite``. A batch that cannot be read is a problem and hides no
    other. Times are UTC, ``seconds`` wall time; metrics are as recorded (NAV in currency,
    returns as fractions), empty where undefined. Text that a spreadsheet would take for a
    formula begins with an apostrophe in CSV.

    Raises RegistryError for an unknown format, a batch that is not there, or a file that
    cannot be written.
    """
    if format not in get_args(Format):
        hint = did_you_mean(format, get_args(Format))
        raise RegistryError(f"format {format!r} is unknown; expected {', '.join(get_args(Format))}{hint}")
    chosen = only or RunFilter()
    if chosen.batch is not None:
        registry.manifest(chosen.batch)  # one that is not there is an error, not an empty table
    if not isinstance(to, Path):
        return _write(registry, format, to, chosen)
    if to.exists() and not overwrite:
        raise RegistryError(f"{to} exists already; choose another file, or say --force to replace it")
    draft = to.with_name(f".{to.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    with telling("write", to):
        try:
            with draft.open("xb") as file:
                exported = _write(registry, format, file, chosen)
            os.replace(draft, to)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return exported


def _write(registry: Registry, kind: Format, out: IO[bytes], only: RunFilter) -> Exported:
    problems: list[str] = []
    records = _records(registry, only, problems)
    if kind == "jsonl":
        count = 0
        for _, record in records:
            out.write(encode(record, f"run {record.get('run_id')}") + b"\n")
            count += 1
        return Exported(count, tuple(problems))
    with tempfile.TemporaryFile() as spool:
        table = _Table(spool)
        for manifest, record in records:
            table.add(_row(manifest, record))
        (_csv if kind == "csv" else _parquet)(table, out)
        return Exported(table.rows, tuple(problems))


# ------------------------------------------------------------------------------- which runs


def _records(
    registry: Registry, only: RunFilter, problems: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The manifest and final record of each run that passes."""
    for batch_id in registry.batch_ids() if only.batch is None else (only.batch,):
        try:
            manifest = registry.manifest(batch_id)
            fold = registry.fold(batch_id)
            names = [name for name in fold.expected if only.name is None or fnmatchcase(name, only.name)]
            for record in fold.records(names):
                if _passes(record, only):
                    yield manifest, record
            problems.extend(fold.problems)
        except RegistryError as error:
            problems.append(f"batch {batch_id}: {error}")


def _passes(record: Mapping[str, Any], only: RunFilter) -> bool:
    began = record.get("started_at") or ""
    return (
        only.strategy in (None, record.get("strategy"))
        and only.engine in (None, record.get("engine"))
        and only.status in (None, record.get("status"))
        and only.category in (None, _category(record))
        and only.verdict in (None, record.get("verdict"))
        and (only.tag is None or only.tag in (record.get("tags") or ()))
        and (only.since is None or began >= utc_text(only.since))
        and (only.until is None or began < utc_text(only.until))
    )


def _category(record: Mapping[str, Any]) -> str | None:
    if record.get("status") != "failed":
        return None
    return (record.get("error") or {}).get("category") or "unknown"


# ------------------------------------------------------------------------------- one row


def _row(manifest: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    error, fingerprint = record.get("error") or {}, record.get("fingerprint") or {}
    versions = fingerprint.get("environment")
    row = {name: record.get(name) for name in COLUMNS}
    row |= {
        "batch_name": manifest.get("batch_name"),
        "error_category": _category(record),
        "error_phase": error.get("phase"),
        "error_type": error.get("type"),
        "error_message": error.get("message"),
        "tags": ";".join(record.get("tags") or ()),
        "commit": (manifest.get("provenance") or {}).get("git commit"),
        "config_hash": fingerprint.get("config"),
        "data_hash": (fingerprint.get("data") or {}).get("hash"),
        "code_hash": (fingerprint.get("code") or {}).get("hash"),
        "environment_hash": None if versions is None else sha256_of_json(versions),
    }
    return row | {f"metric.{name}": value for name, value in (record.get("metrics") or {}).items()}


class _Table:
    """Rows that wait in ``spool``, and the kinds of values that their columns have."""

    def __init__(self, spool: IO[bytes]) -> None:
        self._spool = spool
        self._kinds: dict[str, set[type[Any]]] = {name: set() for name in COLUMNS}
        self.rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            kinds = self._kinds.setdefault(name, set())
            if value is not None:
                # A number would lose digits, or does not fit.
                kinds.add(str if isinstance(value, int) and abs(value) > _EXACT else type(value))
        said = {name: value for name, value in row.items() if value is not None}
        self._spool.write(encode(said, f"run {row['run_id']}") + b"\n")
        self.rows += 1

    @property
    def columns(self) -> list[str]:
        return [*COLUMNS, *sorted(self._kinds.keys() - set(COLUMNS))]

    def kind(self, column: str) -> Literal["integer", "number", "text"]:
        """What all of a column's values are; numbers among texts, or beyond 2**53, are texts."""
        kinds = self._kinds[column]
        if column == "attempt" and kinds <= {int}:
            return "integer"
        if (column == "seconds" or column.startswith("metric.")) and kinds <= {int, float}:
            return "number"
        return "text"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._spool.seek(0)
        for line in self._spool:
            yield json.loads(line)


# ------------------------------------------------------------------------------- formats


def _csv(table: _Table, out: IO[bytes]) -> None:
    columns = table.columns
    file = io.TextIOWrapper(out, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    try:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in table:
            writer.writerow([_cell(row.get(name)) for name in columns])
    finally:
        file.detach()  # what it wraps is the caller's to close


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _parquet(table: _Table, out: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string()}
    kinds = {name: table.kind(name) for name in table.columns}
    schema = pa.schema([pa.field(name, types[kind]) for name, kind in kinds.items()])
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for rows in _groups(table):
            values = {name: [_typed(row.get(name), kind) for row in rows] for name, kind in kinds.items()}
            writer.write_table(pa.table(values, schema=schema))


def _typed(value: Any, kind: str) -> Any:
    if value is None or kind == "integer":
        return value
    if kind == "number":
        return float(value)
    text = value if isinstance(value, str) else json.dumps(value)
    # A lone surrogate has no UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == _ROWS:
            yield group
            group = []
    if group:
        yield group
