"""Questions as SQL, and answers as rows. Only fixed text and numbers are put into statements."""

from __future__ import annotations

import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pytest_finbot.contracts import BatchStatus, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.ids import run_id
from pytest_finbot.registry.index.schema import BATCH_COLUMNS, checksum, plain
from pytest_finbot.registry.queries import BatchFilter, BatchRow, RunFilter, RunRow, Statistics, utc_text

_SHORTEST_HASH = 6
_HASH = re.compile(rf"[0-9a-f]{{{_SHORTEST_HASH},64}}", re.ASCII)

_STATUS = "CASE WHEN b.number IN ({dead}) THEN b.status_if_dead ELSE b.status END"
_BATCHES = (
    f"SELECT {', '.join(f'b.{column}' for column in BATCH_COLUMNS)}, "  # noqa: S608 - fixed names
    "b.checksum, {status} FROM batches b "
)
_NEWEST_BATCH = " ORDER BY b.created_at DESC, b.batch_id DESC"

# CROSS JOIN keeps SQLite to this order: runs by time, and the names only to settle equal times.
_RUNS = (  # in the order of RunRow, then where the record is; texts by their numbers
    "SELECT r.run_id, b.batch_id, b.name, n.word, r.attempt, r.status, r.category, r.verdict, r.engine, "
    "r.strategy, r.tags, r.started_at, r.seconds, r.config, r.data, r.code, r.environment, r.series, "
    "r.final_nav, r.total_return, r.cagr, r.sharpe, r.max_drawdown, r.trades, r.revision, "
    "r.segment, r.start, r.length, r.checksum "
    "FROM runs r CROSS JOIN batches b ON b.number = r.batch "
    "CROSS JOIN tracks t ON t.id = r.track CROSS JOIN words n ON n.id = t.name "
)
_HASHES = ("config", "data", "code", "environment", "series")
_STATUS_COLUMN, _TAGS = 5, 10
_REVISION, _SEGMENT, _CHECKSUM = 24, 25, 28
_WORD_COLUMNS = (_STATUS_COLUMN, 6, 7, 8, 9, _TAGS, 13, 14, 15, 16, 17, _REVISION, _SEGMENT)
_NEWEST_RUN = " ORDER BY r.started_at DESC, b.batch_id DESC, n.word DESC LIMIT ? OFFSET ?"
_MOST = 2**62
_WORDS_AT_ONCE = 500
"""Values a statement may have in every SQLite: 999."""


class Place(NamedTuple):
    """Where a run's record is: offset and length in bytes."""

    batch_id: str
    name: str
    attempt: int
    segment: str
    offset: int
    length: int


class _Where:
    """Conditions that all have to hold, with their values."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.values: list[object] = []

    def add(self, condition: str, *values: object) -> None:
        self.conditions.append(condition)
        self.values.extend(plain(value) if isinstance(value, str) else value for value in values)

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


# --------------------------------------------------------------------------------- batches


def open_batches(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """Batches whose status depends on whether somebody is at work on them: number and id."""
    return connection.execute("SELECT number, batch_id FROM batches WHERE open").fetchall()


def batches(
    connection: sqlite3.Connection, dead: Iterable[int], wanted: BatchFilter, limit: int | None, offset: int
) -> list[BatchRow]:
    """Newest first. ``dead`` are numbers of open batches on which nobody is at work."""
    status = _status(dead)
    where = _of_batches(wanted, status)
    statement = _BATCHES.format(status=status) + str(where) + _NEWEST_BATCH + " LIMIT ? OFFSET ?"
    rows = connection.execute(statement, (*where.values, _limit(limit), _offset(offset)))
    return [_batch_row(row) for row in rows]


def count_batches(connection: sqlite3.Connection, dead: Iterable[int], wanted: BatchFilter) -> int:
    where = _of_batches(wanted, _status(dead))
    return _one(connection, f"SELECT count(*) FROM batches b{where}", where.values)  # noqa: S608


def statistics(
    connection: sqlite3.Connection, dead: Iterable[int], since: datetime | None, until: datetime | None
) -> Statistics:
    """From a row a batch, however many runs they have."""
    status = _status(dead)
    where = _of_batches(BatchFilter(since=since, until=until), status)
    grouped = connection.execute(
        f"SELECT {status}, count(*), sum(b.recorded), sum(b.success), sum(b.failed), "  # noqa: S608
        "sum(b.not_run), sum(b.expected), sum(b.run_seconds), min(b.created_at), max(b.created_at), "
        f"sum(b.problem_count) FROM batches b{where} GROUP BY 1",
        where.values,
    ).fetchall()
    total = [sum(row[column] for row in grouped) for column in range(1, 8)]
    count, recorded, success, failed, not_run, expected, seconds = total
    return Statistics(
        batches=count,
        runs=recorded,
        success=success,
        failed=failed,
        not_run=not_run,
        success_rate=success / expected if expected else None,
        batches_by_status={row[0]: row[1] for row in sorted(grouped)},
        error_categories=_summed(connection, "error_categories", where),
        verdicts=_summed(connection, "verdicts", where),
        run_seconds=min(float(seconds), sys.float_info.max),  # infinity is no JSON
        first=min((row[8] for row in grouped), default=None),
        last=max((row[9] for row in grouped), default=None),
        problems=sum(row[10] for row in grouped),
    )


def problems(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute(
        _BATCHES.format(status="b.status") + f"WHERE b.problem_count > 0{_NEWEST_BATCH}"
    )
    return [problem for row in rows for problem in _batch_row(row).problems]


def _summed(connection: sqlite3.Connection, column: str, where: _Where) -> dict[str, int]:
    # Many batches say the same in the same words, so each text is taken apart once.
    rows = connection.execute(
        f"SELECT b.{column}, count(*) FROM batches b{where} GROUP BY 1",  # noqa: S608 - fixed names
        where.values,
    )
    summed: Counter[str] = Counter()
    for text, times in rows:
        for word, count in json.loads(text).items():
            summed[word] += count * times
    return dict(sorted(summed.items()))


def _status(dead: Iterable[int]) -> str:
    return _STATUS.format(dead=", ".join(f"{number:d}" for number in dead))


def _of_batches(wanted: BatchFilter, status: str) -> _Where:
    where = _Where()
    if wanted.status is not None:
        where.add(f"{status} = ?", wanted.status.value)
    if wanted.name is not None:
        where.add("b.name GLOB ?", _glob(wanted.name))
    _between(where, "b.created_at", wanted.since, wanted.until)
    return where


def _batch_row(row: Sequence[Any]) -> BatchRow:
    *values, kept, status = row
    if checksum(tuple(values)) != kept:
        raise ValueError(f"the row of {values[0]} is not as it was written")
    batch_id, name, _, _, _, *counts, categories, verdicts, seconds, revision = values[:-4]
    shard, why, problems, _ = values[-4:]
    fields: list[Any] = [batch_id, name, BatchStatus(status), *counts]
    fields += [json.loads(categories), json.loads(verdicts), seconds, revision, why]
    fields += [tuple(json.loads(problems)), shard]
    return BatchRow(*fields)


# ------------------------------------------------------------------------------------ runs


def runs(connection: sqlite3.Connection, wanted: RunFilter, limit: int | None, offset: int) -> list[RunRow]:
    """Newest first."""
    return _fetch(connection, _of_runs(wanted), limit, offset)


def count_runs(connection: sqlite3.Connection, wanted: RunFilter) -> int:
    where = _of_runs(wanted)
    return _one(connection, f"SELECT count(*) FROM runs r{where}", where.values)  # noqa: S608


def run(connection: sqlite3.Connection, wanted: str) -> RunRow | None:
    number = _number_of(connection, plain(wanted))
    where = _Where()
    where.add("r.number = ?", number)
    return None if number is None else _fetch(connection, where)[0]


def place(connection: sqlite3.Connection, wanted: str) -> Place | None:
    """Where the record of a run is, None where there is none."""
    number = _number_of(connection, plain(wanted))
    if number is None:
        return None
    where = _Where()
    where.add("r.number = ?", number)
    (values,) = _checked(connection, where)
    return Place(values[1], *values[3:5], *values[_SEGMENT:_CHECKSUM])


def by_hash(connection: sqlite3.Connection, digest: str, limit: int | None) -> list[RunRow]:
    """Runs one of whose hashes begins with ``digest``, newest first."""
    wanted = digest.lower()
    if _HASH.fullmatch(wanted) is None:
        raise RegistryError(
            f"{digest!r} is not a hash; expected {_SHORTEST_HASH} to 64 hexadecimal digits, "
            "the beginning of a hash of configuration, data, code, environment or series"
        )
    words = "SELECT id FROM words WHERE word >= ? AND word < ?"
    either = " UNION ".join(
        f"SELECT number FROM runs WHERE {part} IN ({words})"  # noqa: S608 - fixed names
        for part in _HASHES
    )
    where = _Where()
    where.add(f"r.number IN ({either})", *(wanted, f"{wanted}g") * len(_HASHES))
    return _fetch(connection, where, limit)


def latest(connection: sqlite3.Connection, batch_name: str | None) -> list[RunRow]:
    """Newest first."""
    tracks = _Where()
    if batch_name is not None:
        tracks.add("t.batch_name = (SELECT id FROM words WHERE word = ?)", batch_name)
    # The newest of a track are looked up in its index: as many steps as there are names.
    newest = (
        "SELECT r.number FROM runs r JOIN batches b ON b.number = r.batch WHERE r.track = t.id "
        "ORDER BY r.started_at DESC, b.batch_id DESC LIMIT 1"
    )
    where = _Where()
    where.add(f"r.number IN (SELECT ({newest}) FROM tracks t{tracks})", *tracks.values)  # noqa: S608
    return _fetch(connection, where)


def history(
    connection: sqlite3.Connection, name: str, batch_name: str | None, limit: int | None
) -> list[RunRow]:
    """Oldest first; with ``limit`` the newest so many."""
    tracks = _Where()
    tracks.add("t.name = (SELECT id FROM words WHERE word = ?)", name)
    if batch_name is not None:
        tracks.add("t.batch_name = (SELECT id FROM words WHERE word = ?)", batch_name)
    where = _Where()
    where.add(f"r.track IN (SELECT t.id FROM tracks t{tracks})", *tracks.values)  # noqa: S608
    return _fetch(connection, where, limit)[::-1]


def near_run_ids(connection: sqlite3.Connection, wanted: str) -> list[str]:
    """Ids among which a mistyped one is looked for: those of its batch, or of the newest runs."""
    batch_id = wanted.partition("/")[0]
    found = runs(connection, RunFilter(batch=batch_id), 100, 0) or runs(connection, RunFilter(), 100, 0)
    return [row.run_id for row in found]


def _number_of(connection: sqlite3.Connection, wanted: str) -> int | None:
    row = connection.execute(
        "SELECT number FROM runs WHERE run_id = ? ORDER BY started_at DESC, number LIMIT 1", (wanted,)
    ).fetchone()
    if row is not None:
        return int(row[0])
    batch_id, _, rest = wanted.partition("/")
    for name, attempt in _readings(rest):
        row = connection.execute(
            "SELECT r.number FROM words n JOIN tracks t ON t.name = n.id JOIN runs r ON r.track = t.id "
            "WHERE n.word = ? AND r.attempt = ? AND r.run_id IS NULL "
            "AND r.batch = (SELECT number FROM batches WHERE batch_id = ?)",
            (name, attempt, batch_id),
        ).fetchone()
        if row is not None:
            return int(row[0])
    return None


def _readings(text: str) -> Iterator[tuple[str, int]]:
    """``name#2`` is the second attempt at ``name``, or the first at one that is called so."""
    yield text, 1
    name, _, number = text.rpartition("#")
    if number.isascii() and number.isdigit() and not number.startswith("0") and len(number) < 10:
        yield name, int(number)


def _of_runs(wanted: RunFilter) -> _Where:
    where = _Where()
    word = "(SELECT id FROM words WHERE word = ?)"
    if wanted.batch is not None:
        where.add("r.batch = (SELECT number FROM batches WHERE batch_id = ?)", wanted.batch)
    if wanted.name is not None:
        named = "IN (SELECT t.id FROM tracks t JOIN words n ON n.id = t.name WHERE n.word"
        if any(sign in wanted.name for sign in "*?"):
            # The plus keeps SQLite from gathering and sorting all that match: a page is asked for.
            where.add(f"+r.track {named} GLOB ?)", _glob(wanted.name))
        else:
            where.add(f"r.track {named} = ?)", wanted.name)
    for column in ("strategy", "engine", "status", "category", "verdict"):
        value = getattr(wanted, column)
        if value is not None:
            where.add(f"r.{column} = {word}", str(value))
    if wanted.tag is not None:
        where.add(
            "r.tags IN (SELECT id FROM words WHERE word >= '[' AND word < '\\' AND CASE "
            "WHEN json_valid(word) THEN EXISTS (SELECT 1 FROM json_each(word) WHERE value = ?) END)",
            wanted.tag,
        )
    _between(where, "r.started_at", wanted.since, wanted.until)
    return where


def _fetch(
    connection: sqlite3.Connection, where: _Where, limit: int | None = None, offset: int = 0
) -> list[RunRow]:
    """Newest first."""
    rows = _checked(connection, where, limit, offset)
    tags = {text: tuple(json.loads(text)) for text in {row[_TAGS] for row in rows}}
    return [_run_row(row, tags) for row in rows]


def _checked(
    connection: sqlite3.Connection, where: _Where, limit: int | None = None, offset: int = 0
) -> list[list[Any]]:
    """Values in the order of :data:`_RUNS`, with texts, newest first. Raises ValueError for changed ones."""
    found = connection.execute(
        f"{_RUNS}{where}{_NEWEST_RUN}", (*where.values, _limit(limit), _offset(offset))
    ).fetchall()
    word = _words(connection, found)
    word[None] = None
    rows = []
    for row in found:
        values = list(row)
        for column in _WORD_COLUMNS:
            values[column] = word[values[column]]
        if checksum(tuple(values[:_CHECKSUM])) != values[_CHECKSUM]:
            raise ValueError(f"the row of {values[1]}/{values[3]} is not as it was written")
        rows.append(values)
    return rows


def _words(connection: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> dict[int | None, str | None]:
    """The texts of ``rows`` by their numbers: there are fewer of them than of rows, so no join."""
    numbers = sorted({row[column] for row in rows for column in _WORD_COLUMNS} - {None})
    found: dict[int | None, str | None] = {}
    for at in range(0, len(numbers), _WORDS_AT_ONCE):
        some = numbers[at : at + _WORDS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        found.update(
            connection.execute(f"SELECT id, word FROM words WHERE id IN ({marks})", some)  # noqa: S608
        )
    return found


def _run_row(values: list[Any], tags: Mapping[str, tuple[str, ...]]) -> RunRow:
    said, batch_id, _, name, attempt = values[:5]
    values[0] = run_id(batch_id, name, attempt) if said is None else said
    values[_TAGS] = tags[values[_TAGS]]
    values[_STATUS_COLUMN] = RunStatus(values[_STATUS_COLUMN])
    return RunRow(*values[:_SEGMENT])


def _between(where: _Where, column: str, since: datetime | None, until: datetime | None) -> None:
    if since is not None:
        where.add(f"{column} >= ?", utc_text(since))
    if until is not None:
        where.add(f"{column} < ?", utc_text(until))


def _glob(pattern: str) -> str:
    """``*`` and ``?`` as SQLite has them; brackets, of which it makes a choice, as they are."""
    return pattern.replace("[", "[[]")


def _limit(limit: int | None) -> int:
    if limit is None:
        return -1
    return _number(limit, "limit", ", or none")


def _offset(offset: int) -> int:
    return _number(offset, "offset")


def _number(value: int, name: str, other: str = "") -> int:
    if not isinstance(value, int) or not 0 <= value <= _MOST:
        raise RegistryError(f"{name} is {value!r}, expected a number from 0 on up to 2**62{other}")
    return value


def _one(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> int:
    (count,) = connection.execute(statement, values).fetchone()
    return int(count)
