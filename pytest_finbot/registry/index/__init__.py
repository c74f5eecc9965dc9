"""Questions to a registry, answered from an index that is derived from its files.

The index is SQLite in the user's cache, brought up to date before it answers and made anew
where it is missing, stale or broken. It is never the truth: deleting it loses nothing.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_finbot.errors import RegistryError, did_you_mean
from pytest_finbot.registry.durable import telling
from pytest_finbot.registry.fold import fold_batch
from pytest_finbot.registry.index import search
from pytest_finbot.registry.index.database import Database
from pytest_finbot.registry.index.place import index_path
from pytest_finbot.registry.index.refresh import Refresher
from pytest_finbot.registry.index.schema import plain, readable
from pytest_finbot.registry.layout import Layout
from pytest_finbot.registry.queries import BatchFilter, BatchRow, RunFilter, RunRow, Statistics
from pytest_finbot.registry.records import unseal

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry

_Answer = TypeVar("_Answer")

_PATIENCE = 60.0
"""Seconds for which another process's refresh is waited for."""
_ANY_BATCH = BatchFilter()
_ANY_RUN = RunFilter()


class Index:
    """An index of a registry, as new as its last :meth:`refresh`. Threads may share it.

    Several processes may use the same file, whatever is being recorded meanwhile: an answer is
    of one moment, and has no half-written record. All methods raise RegistryError where the
    registry is gone.
    """

    def __init__(self, registry: FilesRegistry, path: Path | None, patience: float = _PATIENCE) -> None:
        """Use :meth:`of`, which finds the place and refreshes."""
        self._layout = Layout(registry.root)
        try:
            self._database = Database(index_path(registry.root) if path is None else path)
        except RuntimeError as error:  # nobody's home folder is known
            self._database = Database(None, str(error))
        self._refresher = Refresher(self._database, registry, patience)
        self._guard = threading.RLock()
        self._closed = False

    @classmethod
    def of(cls, registry: FilesRegistry, path: Path | None = None) -> Index:
        """The index of ``registry``, up to date.

        ``path`` is the file to keep it in, by default one in the user's cache folder, which the
        environment variable FINBOT_CACHE_DIR replaces. Where it cannot be written there, it is
        made in memory; :attr:`where` says so.
        """
        index = cls(registry, path)
        index.refresh()
        return index

    @property
    def where(self) -> str:
        """The file of the index, or ``in memory: <why>``."""
        return self._database.where

    def refresh(self) -> None:
        """Read what was recorded since. Batches whose files are as they were are not opened."""
        with self._guard:
            self._check_open()
            try:
                self._refresher.refresh()
            except sqlite3.Error as error:
                self._mend(error)

    # --------------------------------------------------------------------------- batches

    def batches(
        self, wanted: BatchFilter = _ANY_BATCH, limit: int | None = None, offset: int = 0
    ) -> list[BatchRow]:
        """Batches, newest first by the time they were created."""
        return self._ask(lambda asked: search.batches(asked, self._dead(asked), wanted, limit, offset))

    def count_batches(self, wanted: BatchFilter = _ANY_BATCH) -> int:
        """How many batches :meth:`batches` would give without a limit."""
        return self._ask(lambda asked: search.count_batches(asked, self._dead(asked), wanted))

    def statistics(self, since: datetime | None = None, until: datetime | None = None) -> Statistics:
        """Counts over all batches created from ``since`` on and before ``until``."""
        return self._ask(lambda asked: search.statistics(asked, self._dead(asked), since, until))

    def problems(self) -> tuple[str, ...]:
        """What could not be read, each with its file and line where it has one, newest batch first."""
        found = self._ask(search.problems)
        return (*self._refresher.problems, *found)

    # ------------------------------------------------------------------------------ runs

    def runs(self, wanted: RunFilter = _ANY_RUN, limit: int | None = None, offset: int = 0) -> list[RunRow]:
        """Runs, newest first by when they began, then by batch and name, backwards."""
        return self._ask(lambda asked: search.runs(asked, wanted, limit, offset))

    def count_runs(self, wanted: RunFilter = _ANY_RUN) -> int:
        """How many runs :meth:`runs` would give without a limit."""
        return self._ask(lambda asked: search.count_runs(asked, wanted))

    def run(self, run_id: str) -> RunRow | None:
        """The run with this id, None where there is none or where a later attempt counts."""
        return self._found(search.run, run_id)

    def record(self, run_id: str) -> dict[str, Any]:
        """The whole record of a run as JSON values, without its envelope, read from its segment.

        Raises RegistryError where there is no such run, and where its segment has changed or
        gone since the last refresh.
        """
        place = self._found(search.place, run_id)
        if place is None:
            near = self._ask(lambda asked: search.near_run_ids(asked, run_id))
            raise RegistryError(
                f"there is no run {run_id} in {self._layout.root}{did_you_mean(run_id, near)}"
            )
        path = self._layout.batch_folder(place.batch_id) / place.segment
        with telling(f"read the record of run {run_id} in", path), path.open("rb") as file:
            file.seek(place.offset)
            raw = file.read(place.length)
        try:
            record = unseal(raw, str(path))
        except ValueError:
            record = {}
        if plain(str(record.get("name"))) != place.name or record.get("attempt") != place.attempt:
            raise RegistryError(f"{path} has changed: the record of run {run_id} is no longer there; refresh")
        del record["v"], record["kind"]
        return record

    def by_hash(self, digest: str, limit: int | None = None) -> list[RunRow]:
        """Runs with this hash of configuration, data, code, environment or series, newest first.

        The first six hexadecimal digits or more will do. Raises RegistryError for anything else.
        """
        return self._ask(lambda asked: search.by_hash(asked, digest, limit))

    def latest(self, batch_name: str | None = None) -> list[RunRow]:
        """The newest record of each run's name in the batches of each name, newest first."""
        return self._ask(lambda asked: search.latest(asked, batch_name))

    def history(self, name: str, batch_name: str | None = None, limit: int | None = None) -> list[RunRow]:
        """One run's records over the batches, oldest first; with ``limit`` the newest so many."""
        return self._ask(lambda asked: search.history(asked, name, batch_name, limit))

    # ------------------------------------------------------------------------------ life

    def close(self) -> None:
        """Let go of the file. A second time does nothing."""
        with self._guard:
            self._closed = True
            self._database.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        with self._guard:
            self._check_open()
            try:
                return self._answer(question)
            except sqlite3.Error as error:
                self._mend(error)
            try:
                return self._answer(question)
            except sqlite3.Error as error:
                self._mend(error, again=True)
            try:
                return self._answer(question)
            except sqlite3.Error as error:
                raise RegistryError(f"the index in {self.where} cannot be read: {error}") from error

    def _found(
        self, question: Callable[[sqlite3.Connection, str], _Answer | None], run_id: str
    ) -> _Answer | None:
        """What is asked of a run. That there is none is not believed where a file has its record.

        A byte that changed in the index may hide an entry, and SQLite does not see it.
        """
        found = self._ask(lambda asked: question(asked, run_id))
        if found is None and self._is_recorded(run_id):
            self.refresh()
            found = self._ask(lambda asked: question(asked, run_id))
            if found is None:
                with self._guard:
                    self._mend(sqlite3.DatabaseError(f"it does not have run {run_id}, which is recorded"))
                found = self._ask(lambda asked: question(asked, run_id))
        return found

    def _is_recorded(self, run_id: str) -> bool:
        batch_id, _, name = run_id.partition("/")
        try:
            folder = self._layout.batch_folder(batch_id)
            fold = fold_batch(folder) if folder.is_dir() else None
        except RegistryError:  # no id of a batch, or one that cannot be read: then nobody knows better
            return False
        return fold is not None and name in set(fold.expected) - set(fold.not_run)

    def _answer(self, question: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        with readable(), self._database.transaction("DEFERRED") as connection:
            if not self._refresher.is_usable(connection):
                # Another version has made it its own since; its rows may mean something else.
                raise sqlite3.DatabaseError("it is the index of another version or registry now")
            return question(connection)

    def _mend(self, error: sqlite3.Error, *, again: bool = False) -> None:
        for in_memory in (again, True):  # a new file, then memory
            try:
                self._refresher.mend(error, again=in_memory)
            except sqlite3.Error as another:
                error = another
            else:
                return
        raise RegistryError(f"the index in {self.where} cannot be made: {error}") from error

    def _dead(self, connection: sqlite3.Connection) -> Sequence[int]:
        """Open batches on which nobody is at work; where nobody can tell, they count as running."""
        from pytest_finbot.registry.liveness import is_alive

        return [
            number
            for number, batch_id in search.open_batches(connection)
            if is_alive(self._layout.batch_folder(batch_id)) is False
        ]

    def _check_open(self) -> None:
        if self._closed:
            raise RegistryError(f"the index of {self._layout.root} is closed; open it anew")
