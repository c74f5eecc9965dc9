"""Writing batches into an index, inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from pytest_finbot.registry.index.rows import IndexedBatch, IndexedRun
from pytest_finbot.registry.index.schema import BATCH_COLUMNS, checksum, plain

_BATCH_COLUMNS = (*BATCH_COLUMNS, "checksum", "signature")
_INSERT_BATCH = (
    f"INSERT INTO batches ({', '.join(_BATCH_COLUMNS)}) "  # noqa: S608 - fixed names
    f"VALUES ({', '.join('?' * len(_BATCH_COLUMNS))})"
)
_INSERT_RUN = f"INSERT INTO runs VALUES (NULL, {', '.join('?' * 28)})"  # noqa: S608 - question marks only


class Filling:
    """One refresh's writing. Texts are numbered as they come, and written batch by batch."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._words: dict[str, int] = {}
        self._tracks: dict[tuple[int, int], int] = {}
        self._new_words: list[tuple[int, str]] = []
        self._new_tracks: list[tuple[int, int, int]] = []
        self._last_word = self._last("words")
        self._last_track = self._last("tracks")
        self._look_up = self._last_word > 0

    def put(self, batch: IndexedBatch, signature: bytes) -> None:
        """Index ``batch`` in place of what was indexed of it."""
        self.remove(batch.batch_id)
        values = (
            batch.batch_id,
            plain(batch.name),
            batch.status.value,
            batch.status_if_dead.value,
            int(batch.status is not batch.status_if_dead),
            batch.created_at,
            batch.ended_at,
            batch.expected,
            batch.recorded,
            batch.success,
            batch.failed,
            batch.not_run,
            batch.deselected,
            json.dumps(dict(batch.error_categories)),
            json.dumps(dict(batch.verdicts)),
            batch.run_seconds,
            plain(batch.revision),
            plain(batch.shard),
            None if batch.cancel_reason is None else plain(batch.cancel_reason),
            json.dumps(batch.problems),
            len(batch.problems),
        )
        cursor = self._connection.execute(_INSERT_BATCH, (*values, checksum(values), signature))
        number = cursor.lastrowid
        assert number is not None
        named = batch.batch_id, plain(batch.name)
        rows = [self._row(number, self._word(batch.name), named, run) for run in batch.runs]
        self._connection.executemany("INSERT INTO words VALUES (?, ?)", self._new_words)
        self._connection.executemany("INSERT INTO tracks VALUES (?, ?, ?)", self._new_tracks)
        self._new_words.clear()
        self._new_tracks.clear()
        self._connection.executemany(_INSERT_RUN, rows)

    def remove(self, batch_id: str) -> None:
        """Forget a batch, if it is there."""
        found = self._connection.execute("SELECT number FROM batches WHERE batch_id = ?", (batch_id,))
        for row in found.fetchall():
            self._connection.execute("DELETE FROM runs WHERE batch = ?", row)
            self._connection.execute("DELETE FROM batches WHERE number = ?", row)

    def resign(self, signatures: Iterable[tuple[str, bytes]]) -> None:
        """Note new signatures of batches whose records are as they were."""
        self._connection.executemany(
            "UPDATE batches SET signature = ? WHERE batch_id = ?",
            ((signature, batch_id) for batch_id, signature in signatures),
        )

    def _row(self, batch: int, batch_name: int, of: tuple[str, str], run: IndexedRun) -> tuple[object, ...]:
        name, attempt, facts, revision, segment, offset, length = run
        said, status, category, verdict, engine, strategy, tags, started_at, seconds, *parts, metrics = facts
        known, word = self._words.get, self._word  # numbers begin at 1
        named = known(name) or word(name)
        texts = (status, category, verdict, engine, strategy, tags)
        checked = (  # in the order of RunRow, then where the record is
            *(None if said is None else plain(said), *of, plain(name), attempt),
            *[text if text is None or text.isascii() else plain(text) for text in texts],
            *(started_at, seconds),
            *[part if part is None or part.isascii() else plain(part) for part in parts],
            *metrics,
            *(plain(revision), plain(segment), offset, length),
        )
        return (
            batch,
            self._tracks.get((named, batch_name)) or self._track(named, batch_name),
            None if said is None else plain(said),
            attempt,
            known(status) or word(status),
            None if category is None else known(category) or word(category),
            None if verdict is None else known(verdict) or word(verdict),
            known(engine) or word(engine),
            known(strategy) or word(strategy),
            known(tags) or word(tags),
            started_at,
            seconds,
            *[None if part is None else known(part) or word(part) for part in parts],
            *metrics,
            known(revision) or word(revision),
            known(segment) or word(segment),
            offset,
            length,
            checksum(checked),
        )

    def _word(self, text: str) -> int:
        """The number of a text, given out at its first use."""
        known = self._words.get(text)
        if known is not None:
            return known
        kept = plain(text)
        if kept != text:
            number = self._word(kept)
        else:
            number = self._number("words", "word = ?", text)
            if not number:
                self._last_word += 1
                number = self._last_word
                self._new_words.append((number, text))
        self._words[text] = number
        return number

    def _track(self, name: int, batch_name: int) -> int:
        """The number of a run's name in batches of a name."""
        number = self._number("tracks", "name = ? AND batch_name = ?", name, batch_name)
        if not number:
            self._last_track += 1
            number = self._last_track
            self._new_tracks.append((number, name, batch_name))
        self._tracks[name, batch_name] = number
        return number

    def _number(self, table: str, condition: str, *values: object) -> int:
        """What the table has it under, 0 where it has not."""
        if not self._look_up:
            return 0
        row = self._connection.execute(f"SELECT id FROM {table} WHERE {condition}", values).fetchone()  # noqa: S608
        return 0 if row is None else int(row[0])

    def _last(self, table: str) -> int:
        (last,) = self._connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608
        return int(last)
