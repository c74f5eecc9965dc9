"""The tables of an index, and what makes one usable."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

VERSION = 3
"""Of the tables and of what is kept in them. An index of another version is made anew."""

_TABLES = (
    "CREATE TABLE about (registry TEXT NOT NULL)",
    # Texts that repeat over runs are kept once; a run is then mostly small numbers.
    "CREATE TABLE words (id INTEGER PRIMARY KEY, word TEXT NOT NULL UNIQUE)",
    """CREATE TABLE batches (
        number INTEGER PRIMARY KEY, batch_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        status TEXT NOT NULL, status_if_dead TEXT NOT NULL, open INTEGER NOT NULL,
        created_at TEXT NOT NULL, ended_at TEXT, expected INTEGER NOT NULL, recorded INTEGER NOT NULL,
        success INTEGER NOT NULL, failed INTEGER NOT NULL, not_run INTEGER NOT NULL,
        deselected INTEGER NOT NULL, error_categories TEXT NOT NULL, verdicts TEXT NOT NULL,
        run_seconds REAL NOT NULL, revision TEXT NOT NULL, shard TEXT NOT NULL, cancel_reason TEXT,
        problems TEXT NOT NULL, problem_count INTEGER NOT NULL, checksum INTEGER NOT NULL,
        signature BLOB NOT NULL)""",
    # A run's name in the batches of one name: what its history is made of.
    """CREATE TABLE tracks (
        id INTEGER PRIMARY KEY, name INTEGER NOT NULL, batch_name INTEGER NOT NULL,
        UNIQUE (name, batch_name))""",
    """CREATE TABLE runs (
        number INTEGER PRIMARY KEY, batch INTEGER NOT NULL, track INTEGER NOT NULL, run_id TEXT,
        attempt INTEGER NOT NULL, status INTEGER NOT NULL, category INTEGER, verdict INTEGER,
        engine INTEGER NOT NULL, strategy INTEGER NOT NULL, tags INTEGER NOT NULL,
        started_at TEXT NOT NULL, seconds REAL NOT NULL, config INTEGER, data INTEGER, code INTEGER,
        environment INTEGER, series INTEGER, final_nav REAL, total_return REAL, cagr REAL, sharpe REAL,
        max_drawdown REAL, trades REAL, revision INTEGER NOT NULL, segment INTEGER NOT NULL,
        start INTEGER NOT NULL, length INTEGER NOT NULL, checksum INTEGER NOT NULL)""",
)
BATCH_COLUMNS = (
    "batch_id",
    "name",
    "status",
    "status_if_dead",
    "open",
    "created_at",
    "ended_at",
    "expected",
    "recorded",
    "success",
    "failed",
    "not_run",
    "deselected",
    "error_categories",
    "verdicts",
    "run_seconds",
    "revision",
    "shard",
    "cancel_reason",
    "problems",
    "problem_count",
)
"""What a batch's checksum is of, in this order; its signature is written anew without it."""
_INDEXES = (
    "CREATE INDEX batches_by_time ON batches (created_at, batch_id)",
    "CREATE INDEX batches_open ON batches (number) WHERE open",
    "CREATE INDEX runs_by_batch ON runs (batch)",
    # All that is filtered by: a page is found in it without a look at the runs themselves.
    """CREATE INDEX runs_by_time ON runs
        (started_at, batch, track, status, category, verdict, engine, strategy, tags)""",
    "CREATE INDEX runs_by_track ON runs (track, started_at)",
    "CREATE INDEX runs_by_config ON runs (config)",
    "CREATE INDEX runs_by_data ON runs (data)",
    "CREATE INDEX runs_by_code ON runs (code)",
    "CREATE INDEX runs_by_environment ON runs (environment)",
    "CREATE INDEX runs_by_series ON runs (series)",
    "CREATE INDEX runs_by_other_id ON runs (run_id) WHERE run_id IS NOT NULL",
)

BROKEN = frozenset(
    (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA)
)
"""Codes of SQLite for a file that is no index, or one that is damaged."""


_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What a changed byte makes of a value: text that is no UTF-8 or no JSON, a word that is none."""


@contextmanager
def readable() -> Iterator[None]:
    """What the index holds is read in the block: where it cannot be, the index is broken.

    Raises sqlite3.DatabaseError, which :func:`is_broken` knows, in place of the error of the
    value that could not be made sense of. The module sqlite3 itself lets some of them out.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise sqlite3.DatabaseError(f"it is damaged: {type(error).__name__}: {error}") from error


def checksum(values: Sequence[object]) -> int:
    """Of a row's values, texts in place of their numbers: a changed byte gives another one."""
    return zlib.crc32(repr(values).encode("utf-8", "backslashreplace"))


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is to blame, and another one would do."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF in BROKEN


def is_usable(connection: sqlite3.Connection, registry: str) -> bool:
    """Whether this is a whole index of ``registry``. Raises sqlite3.Error for a damaged file."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version != VERSION:
        return False
    return connection.execute("SELECT registry FROM about").fetchall() == [(registry,)]


def create(connection: sqlite3.Connection, registry: str) -> None:
    """Empty tables in place of whatever is there; part of the caller's transaction."""
    kinds = ("view", "trigger", "index", "table")
    found = connection.execute(
        "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    for kind, name in sorted(found, key=lambda row: kinds.index(row[0])):
        quoted = str(name).replace('"', '""')
        connection.execute(f'DROP {kind} IF EXISTS "{quoted}"')
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO about VALUES (?)", (registry,))
    connection.execute(f"PRAGMA user_version = {VERSION:d}")


def create_indexes(connection: sqlite3.Connection) -> None:
    """Made after a first filling: sorting all at once is several times faster than one by one."""
    for statement in _INDEXES:
        connection.execute(statement.replace(" INDEX ", " INDEX IF NOT EXISTS ", 1))


def plain(text: str) -> str:
    """``text`` as SQLite can hold it: a lone surrogate, which has no UTF-8, as its escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
