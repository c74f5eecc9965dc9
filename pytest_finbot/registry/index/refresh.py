"""Bringing an index up to date with the files: what grew is read, what did not is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.index import schema
from pytest_finbot.registry.index.database import Database, LockTimeoutError
from pytest_finbot.registry.index.signatures import Scan, scan
from pytest_finbot.registry.layout import Layout

if TYPE_CHECKING:
    from pytest_finbot.registry.files import FilesRegistry


class Refresher:
    """Refreshes ``database`` from ``registry``, and mends it.

    ``patience`` is how many seconds another process's refresh is waited for. ``problems`` are
    of folders that could not be looked into.
    """

    def __init__(self, database: Database, registry: FilesRegistry, patience: float) -> None:
        self._database = database
        self._registry = registry
        self._layout = Layout(registry.root)
        self._name = str(registry.root.resolve()).encode("utf-8", "backslashreplace").decode()
        self._patience = patience
        self._broken = False
        self.problems: tuple[str, ...] = ()

    def refresh(self) -> None:
        """Raises RegistryError where the registry is gone, sqlite3.Error where the file fails."""
        with schema.readable():
            self._refresh()

    def _refresh(self) -> None:
        self._database.follow()
        known = self._known()
        if known is not None and not self._differs(scan(self._layout.batches, known)):
            return
        self._alone(self._update, whole=known is not None)

    def is_usable(self, connection: sqlite3.Connection) -> bool:
        """Whether what is open is still this registry's, and of this version."""
        return schema.is_usable(connection, self._name)

    def mend(self, error: sqlite3.Error, *, again: bool = False) -> None:
        """Refresh after ``error``: in a new file where this one is broken, else in memory.

        In memory as well where a new file has failed ``again``. Raises RegistryError where that
        is of no use.
        """
        if self._database.in_memory:
            raise RegistryError(f"the index of {self._name} cannot be used: {error}") from error
        if schema.is_broken(error) and not again:
            with schema.readable():
                self._alone(self._replace, whole=False)
        else:
            self._database.use_memory(str(error))
        self.refresh()

    def _alone(self, work: Callable[[], None], *, whole: bool) -> None:
        """Do ``work`` as the only process; ``whole``: what is there could be read without it."""
        try:
            with self._database.lock(self._patience):
                work()
                return
        except LockTimeoutError as error:
            if whole:
                return  # not the newest, but of one moment
            self._database.use_memory(str(error))
        except (OSError, NotImplementedError) as error:
            self._database.use_memory(f"{type(error).__name__}: {error}")
        self._update()

    def _replace(self) -> None:
        if self._database.is_current():  # else another process has replaced it
            self._database.discard()
        self._update()

    def _update(self) -> None:
        self._database.follow()
        known = self._known()  # somebody else may have done it while we waited
        if self._broken:
            self._database.discard()
        if known is None:
            self._database.let_read_while_writing()
        with self._database.transaction("IMMEDIATE") as connection:
            if known is None:
                schema.create(connection, self._name)
            self._write(connection, scan(self._layout.batches, known or {}))
            if known is None:
                schema.create_indexes(connection)

    def _write(self, connection: sqlite3.Connection, found: Scan) -> None:
        from pytest_finbot.registry.index.fill import Filling
        from pytest_finbot.registry.index.rows import read_batch

        self.problems = tuple(found.problems)
        filling = Filling(connection)
        for batch_id in found.gone:
            filling.remove(batch_id)
        for batch_id, signature in found.changed.items():
            filling.put(read_batch(self._registry, self._layout.batch_folder(batch_id)), signature)
        filling.resign(found.resigned.items())

    def _differs(self, found: Scan) -> bool:
        self.problems = tuple(found.problems)
        return bool(found.changed or found.gone)

    def _known(self) -> dict[str, bytes] | None:
        """Signatures by batch id; None where what is there cannot be used."""
        self._broken = False
        try:
            with schema.readable():
                connection = self._database.connection
                if self.is_usable(connection):
                    return dict(connection.execute("SELECT batch_id, signature FROM batches"))
        except sqlite3.Error as error:
            if not schema.is_broken(error) or self._database.in_memory:
                raise
            self._broken = True
        return None
