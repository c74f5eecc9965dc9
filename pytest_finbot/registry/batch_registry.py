"""Batches from a script or notebook: create one, add its results, ask about all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pytest_finbot.contracts import BatchStatus, RunRecord, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.public_registry import PublicRegistry
from pytest_finbot.registry.queries import BatchFilter, BatchRow, Statistics
from pytest_finbot.registry.submitted import checked_names, moment_of, readable, text_of, word_of


class BatchRegistry(PublicRegistry):
    """The batches of the registry in a folder, made if there is none.

    A batch expects runs by name, and its status is counted from their records: nobody can
    set it. Several threads may share an object, and several processes may record in one
    batch, each with an object of its own or one that was forked. What a method recorded is on
    the disk when it returns (``durability="second"``: within a second, see
    :data:`~pytest_finbot.registry.segments.Durability`).

    Times that are given without a time zone are taken as UTC; times that come back are text
    in ISO 8601 with ``+00:00``. Every method raises RegistryError where the registry cannot be
    read or written, holds records of a newer version, or has no batch of the id that was given.
    """

    # ---------------------------------------------------------------------------- recording

    def create_batch(
        self,
        name: str,
        expected: Iterable[str],
        config: Mapping[str, Any] | None = None,
        *,
        description: str = "",
        provenance: Mapping[str, str] | None = None,
    ) -> str:
        """Begin a batch and return its id, which sorts by the time of creation.

        ``expected``: unique names of the runs that owe a record. ``config``: any values of
        :data:`~pytest_finbot.registry.values.KNOWN`, which :meth:`get_config` gives back
        equal and of the same type. ``provenance``: where it came from, added to host and
        versions; ``git commit`` is the revision that lists show. Raises RegistryError for what
        cannot be kept, before anything is written.
        """
        return self._journal.create(name, checked_names(expected), config, description, provenance)

    def add_item_result(self, batch_id: str, record: RunRecord | Mapping[str, Any]) -> str:
        """Record one attempt at an expected run and return its run id.

        A mapping needs ``name`` and ``status`` (``success`` or ``failed``); other keys are
        fields of :class:`~pytest_finbot.contracts.RunRecord` and ``params``. The time is now
        where none is given. An error may be its message alone; one without a category is
        ``unknown``. A run that is recorded again counts once, by its highest attempt, and every
        attempt is kept: ``attempt`` is one more than the highest recorded one where none is
        given, or where it is taken.

        Raises RegistryError, before anything is written, for a run that was not expected, a
        record of another batch, and values that cannot be recorded.
        """
        return self._journal.add(batch_id, record)

    def update_status(self, batch_id: str, status: BatchStatus | str, reason: str = "") -> None:
        """Cancel a batch. A status is counted from records, so no other can be set.

        ``cancelled`` is recorded with its ``reason`` and stays, whatever is recorded later,
        until a session goes on with the batch. What the records already come to may be said
        and does nothing. Anything else raises RegistryError that tells what they come to.
        """
        wanted = word_of(BatchStatus, status, "status")
        with self._journal.own().lock:
            self._journal.check_exists(batch_id)
            fold = self._journal.registry.fold(batch_id)
            if wanted is fold.status:
                return
            counts = (
                f"the records of {batch_id} come to {fold.status} ({fold.expected_count} expected, "
                f"{fold.success} succeeded, {fold.failed} failed, {fold.not_run_count} not run)"
            )
            if wanted is not BatchStatus.CANCELLED:
                raise RegistryError(
                    f"a batch cannot be made {wanted}: {counts}, and a status is counted from records; "
                    "record results with add_item_result and end the batch with complete_batch"
                )
            if fold.status is BatchStatus.COMPLETED:
                raise RegistryError(f"there is nothing to cancel: {counts}")
            self._journal.cancel(batch_id, reason)

    def complete_batch(self, batch_id: str) -> BatchStatus:
        """Say that nothing more is coming, and return what the records come to.

        ``completed`` only if every expected run has a success; ``failed`` if none has and one
        failed; ``cancelled`` if it was; else ``partial``.
        """
        return self._journal.end(batch_id)

    def delete(self, batch_id: str) -> None:
        """Delete a batch and its records. Raises RegistryError for a running or unknown one.

        Readers see all of it or none. Series stay until the registry is pruned: other runs
        may refer to the same ones.
        """
        self._journal.remove(batch_id)

    # ------------------------------------------------------------------------------- asking

    def get_batch(self, batch_id: str) -> BatchRow:
        """The batch as its records have it now."""
        with self._journal.own().lock:
            self._journal.check_exists(batch_id)
            manifest = self._journal.registry.manifest(batch_id)
            index = self._journal.index()
            try:
                created = moment_of(manifest.get("created_at"), "created_at")
                near = BatchFilter(since=created, until=created + timedelta(milliseconds=1))
            except (RegistryError, OverflowError):  # the index has the time in its id instead
                near = BatchFilter()
            for row in index.batches(near):
                if row.batch_id == batch_id:
                    return row
        raise RegistryError(f"batch {batch_id} was deleted meanwhile")

    def get_config(self, batch_id: str) -> dict[str, Any]:
        """The configuration that the batch was created with, see :func:`.values.from_json`."""
        return self._journal.config(batch_id)

    def batch_exists(self, batch_id: str) -> bool:
        """Whether there is such a batch; False also for what is no batch id."""
        return self._journal.exists(batch_id)

    def list_batches(
        self,
        status: BatchStatus | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        name: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[BatchRow]:
        """Batches, newest first by the time of creation.

        ``since`` is included, ``until`` is not; a time without a zone is UTC. ``name`` may
        have ``*`` and ``?``. What cannot be read is in :meth:`problems`.
        """
        wanted = _filter(status, since, until, name)
        check_page(limit, offset)
        with self._journal.own().lock:
            return list(self._journal.index().batches(wanted, limit, offset))

    def count(
        self,
        status: BatchStatus | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        name: str | None = None,
    ) -> int:
        """How many batches :meth:`list_batches` would list without a limit."""
        wanted = _filter(status, since, until, name)
        with self._journal.own().lock:
            return self._journal.index().count_batches(wanted)

    def get_failed_items(self, batch_id: str) -> list[RunRecord]:
        """The final record of each run that failed, in the order in which they were expected."""
        self._journal.check_exists(batch_id)
        records = self._journal.registry.fold(batch_id).records()
        return [readable(record) for record in records if record.get("status") == RunStatus.FAILED]

    def get_attempts(self, batch_id: str, name: str) -> list[RunRecord]:
        """Every record of one run, the one that counts last; none where it did not run."""
        return [readable(record) for record in self._journal.attempts(batch_id, name)]

    def get_error_summary(self, batch_id: str) -> dict[str, int]:
        """Failed runs by error category; a failure that does not say its category is ``unknown``."""
        self._journal.check_exists(batch_id)
        return dict(self._journal.registry.fold(batch_id).error_categories)

    def get_batch_statistics(self, since: datetime | None = None) -> Statistics:
        """All batches together that were created ``since`` then (UTC where it has no time zone)."""
        moment = None if since is None else moment_of(since, "since")
        with self._journal.own().lock:
            return self._journal.index().statistics(moment, None)

    def problems(self) -> tuple[str, ...]:
        """Every file and line that could not be read, by name. Empty: all of it counts."""
        with self._journal.own().lock:
            return tuple(self._journal.index().problems())


def check_page(limit: int | None, offset: int) -> None:
    """Raise RegistryError for a limit or offset that is no whole number from 0 on."""
    for what, value in (("limit", 0 if limit is None else limit), ("offset", offset)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise RegistryError(f"{what} is {value!r}; expected a whole number from 0 on")


def _filter(
    status: BatchStatus | str | None, since: datetime | None, until: datetime | None, name: str | None
) -> BatchFilter:
    return BatchFilter(
        status=None if status is None else word_of(BatchStatus, status, "status"),
        name=None if name is None else text_of(name, "name"),
        since=None if since is None else moment_of(since, "since"),
        until=None if until is None else moment_of(until, "until"),
    )
