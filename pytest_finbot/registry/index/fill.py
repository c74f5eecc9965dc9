"""Writing batches into an index, inside the caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from pytest_finbot.registry.index.rows import IndexedBatch, IndexedRun
from pytest_finbot.registry.index.schema import plain

_BATCH_COLUMNS = (
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
    "cancel_reason",
    "problems",
    "problem_count",
    "signature",
)
_INSERT_BATCH = (
    f"INSERT INTO batches ({', '.join(_BATCH_COLUMNS)}) "  # noqa: S608 - fixed names
    f"VALUES ({', '.join('?' * len(_BATCH_COLUMNS))})"
)
_INSERT_RUN = f"INSERT INTO runs VALUES (NULL, {', '.join('?' * 26)})"  # noqa: S608 - question marks only


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
        cursor = self._connection.execute(
            _INSERT_BATCH,
            (
                batch.batch_id,
                plain(batch.name),
                batch.status.value,
                batch.status_if_dead.value,
                batch.status is not batch.status_if_dead,
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
                None if batch.cancel_reason is None else plain(batch.cancel_reason),
                json.dumps(batch.problems),
                len(batch.problems),
                signature,
            ),
        )
        number = cursor.lastrowid
        assert number is not None
        rows = [self._row(number, self._word(batch.name), run) for run in batch.runs]
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

    def _row(self, batch: int, batch_name: int, run: IndexedRun) -> tuple[object, ...]:
        facts, word = run.facts, self._word
        return (
            batch,
            self._track(word(run.name), batch_name),
            None if facts.run_id is None else plain(facts.run_id),
            run.attempt,
            word(facts.status),
            None if facts.category is None else word(facts.category),
            None if facts.verdict is None else word(facts.verdict),
            word(facts.engine),
            word(facts.strategy),
            word(facts.tags),
            facts.started_at,
            facts.seconds,
            None if facts.config is None else word(facts.config),
            None if facts.data is None else word(facts.data),
            None if facts.code is None else word(facts.code),
            None if facts.environment is None else word(facts.environment),
            None if facts.series is None else word(facts.series),
            *facts.metrics,
            word(run.segment),
            run.offset,
            run.length,
        )

    def _word(self, text: str) -> int:
        known = self._words.get(text)
        if known is not None:
            return known
        kept = plain(text)
        if kept != text:
            number = self._word(kept)
        else:
            row = (
                self._connection.execute("SELECT id FROM words WHERE word = ?", (kept,)).fetchone()
                if self._look_up
                else None
            )
            if row is None:
                self._last_word += 1
                self._new_words.append((self._last_word, kept))
            number = self._last_word if row is None else row[0]
        self._words[text] = number
        return number

    def _track(self, name: int, batch_name: int) -> int:
        known = self._tracks.get((name, batch_name))
        if known is not None:
            return known
        row = (
            self._connection.execute(
                "SELECT id FROM tracks WHERE name = ? AND batch_name = ?", (name, batch_name)
            ).fetchone()
            if self._look_up
            else None
        )
        if row is None:
            self._last_track += 1
            self._new_tracks.append((self._last_track, name, batch_name))
        number: int = self._last_track if row is None else row[0]
        self._tracks[name, batch_name] = number
        return number

    def _last(self, table: str) -> int:
        (last,) = self._connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608
        return int(last)
