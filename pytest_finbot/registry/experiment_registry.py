"""Runs from a script or notebook, and questions about every recorded run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from pytest_finbot.contracts import BatchStatus, RunRecord, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.batch_registry import check_page
from pytest_finbot.registry.comparing import (
    ALIKE_BY,
    SimilarRun,
    comparison,
    params_of,
    reference_metrics,
    settings_of,
    similar,
)
from pytest_finbot.registry.experiment import Experiment, submitted
from pytest_finbot.registry.ids import is_batch_id
from pytest_finbot.registry.public_registry import PublicRegistry
from pytest_finbot.registry.queries import RunFilter, RunRow
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.registry.small_tables import get_table
from pytest_finbot.registry.submitted import check, mapping_of, moment_of, readable, text_of, word_of

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_BATCH = "experiments"


class ExperimentRegistry(PublicRegistry):
    """The runs of the registry in a folder, made if there is none: whoever recorded them.

    Several threads may share an object; processes have one each, or one that was forked. A
    run is on the disk when :meth:`save` returns. Times that are given without a time zone are
    taken as UTC. Every method raises RegistryError where the registry cannot be read or
    written, holds records of a newer version, or has no run of the id that was given.
    """

    # ------------------------------------------------------------------------------- saving

    def save(self, run: RunRecord | Experiment, *, batch: str | None = None) -> str:
        """Record a run and return its run id.

        Without ``batch`` all runs that this object saves are in one batch named
        ``experiments``; another name makes a batch of that name. A run of a name that this
        batch has already goes into a new one of the same name, so that both are listed. Nobody
        has to end these batches: each is over whenever nothing is being saved.

        The id of a batch adds the run to that one, as a further attempt where it has one of that
        name. A batch that this object did not make takes only runs that it expects: it is
        neither made longer nor ended.

        Raises RegistryError, before anything is written, for values that cannot be kept, for a
        batch that was cancelled, and for a run that somebody else's batch does not expect.
        """
        journal = self._journal
        if isinstance(run, Experiment):
            given, columns = submitted(run)
        elif not isinstance(run, RunRecord):
            raise RegistryError(f"a run is {run!r}; expected an Experiment or a RunRecord")
        else:  # where it comes from is not where it goes
            given, columns = {**record_to_json(run), "run_id": "", "batch_id": "", "attempt": None}, None
        check(given)
        with journal.own().lock:
            into = batch is not None and is_batch_id(text_of(batch, "batch"))
            if batch is not None and into:
                journal.check_exists(batch)
                if journal.registry.fold(batch).status is BatchStatus.CANCELLED:
                    raise RegistryError(f"batch {batch} was cancelled; save run {run.name!r} in another")
                journal.check_saved(batch, run.name)
            if columns is not None:
                journal.registry.objects.put_table(columns)
            if batch is not None and into:
                return journal.save(batch, given)
            return journal.save_named(DEFAULT_BATCH if batch is None else batch, given)

    def delete(self, run_id: str) -> None:
        """Delete a run. Raises RegistryError for an unknown one and for one of a running batch.

        With the last run of a batch the batch is deleted. Otherwise the deletion is recorded:
        the run and its attempts up to this one are listed and counted no longer.
        """
        with self._journal.own().lock:
            row = self._row(run_id)
            fold = self._journal.registry.fold(row.batch_id)
            if fold.status is BatchStatus.RUNNING:
                raise RegistryError(
                    f"batch {row.batch_id} is running and run {row.name!r} of it is not deleted; "
                    "end or cancel it first"
                )
            if fold.expected == (row.name,):
                self._journal.remove(row.batch_id)
            else:
                self._journal.delete_run(row.batch_id, row.name, row.attempt)

    # ------------------------------------------------------------------------------ loading

    def load(self, run_id: str) -> RunRecord:
        """The record of a run. Its parameters and series: :meth:`load_params`, :meth:`load_series`.

        ``<batch>/<name>`` is the run by its final record, as in the command; with ``#1``, ``#2``
        … it is that attempt. All methods but :meth:`delete`, where the final attempt has to be
        said as it is, take both.
        """
        return readable(self._record(run_id))

    def load_params(self, run_id: str) -> dict[str, Any]:
        """The parameters of a run, equal to those that were saved and of the same types.

        Of a run from a batch file they are read from its batch's manifest.
        """
        record = self._record(run_id)
        return params_of(record, self._journal.registry.manifest(record["batch_id"]))

    def load_series(self, run_id: str) -> dict[str, npt.NDArray[Any]]:
        """The series of a run by name, of equal length; days as ``datetime64[D]``, text as objects.

        Of a run from a batch file: session, nav, cash, flows, then ``quantity:<asset>`` each.
        """
        return get_table(self._journal.registry.objects, self._record(run_id), "series", verify=True)

    # ------------------------------------------------------------------------------- asking

    def list_runs(
        self,
        strategy: str | None = None,
        engine: str | None = None,
        status: RunStatus | str | None = None,
        tag: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        batch: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[RunRow]:
        """Runs by their final records, newest first by when they began.

        ``since`` is included, ``until`` is not; a time without a zone is UTC. ``batch`` is an id.
        """
        wanted = _filter(strategy, engine, status, tag, since, until, batch)
        check_page(limit, offset)
        with self._journal.own().lock:
            return list(self._journal.index().runs(wanted, limit, offset))

    def count(
        self,
        strategy: str | None = None,
        engine: str | None = None,
        status: RunStatus | str | None = None,
        tag: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        batch: str | None = None,
    ) -> int:
        """How many runs :meth:`list_runs` would list without a limit."""
        wanted = _filter(strategy, engine, status, tag, since, until, batch)
        with self._journal.own().lock:
            return self._journal.index().count_runs(wanted)

    def find_by_hash(self, digest: str) -> list[RunRow]:
        """Runs that have this hash, whole or its first digits, newest first.

        Of their configuration, data, code, environment or series: equal results have equal
        hashes of series.
        """
        with self._journal.own().lock:
            return list(self._journal.index().by_hash(text_of(digest, "digest")))

    def find_similar(self, reference: str | Mapping[str, float], tolerance: float) -> list[SimilarRun]:
        """Runs like a reference, the nearest first.

        ``reference`` is a run id, or metrics out of ``total_return``, ``cagr``, ``sharpe`` and
        ``max_drawdown``. Each of these (of a run: all four) differs by at most ``tolerance``, in
        the unit of the metric: fractions, but for the Sharpe ratio. A metric that is undefined
        on either side matches nothing. The reference itself is left out.
        """
        if not isinstance(tolerance, int | float) or not math.isfinite(tolerance) or tolerance < 0:
            raise RegistryError(f"tolerance is {tolerance!r}; expected a finite number from 0 on")
        with self._journal.own().lock:
            index = self._journal.index()
            itself = None
            if isinstance(reference, str):
                itself = self._row(self._record(reference)["run_id"])
                wanted: Mapping[str, float | None] = {name: getattr(itself, name) for name in ALIKE_BY}
            else:
                wanted = reference_metrics(mapping_of(reference, "reference"))
            rows = index.runs(RunFilter(), None, 0)
        others = (row for row in rows if itself is None or row.run_id != itself.run_id)
        return similar(others, wanted, tolerance)

    def compare(self, runs: Sequence[str]) -> pd.DataFrame:
        """Runs side by side: a column each by run id, a row each by part and name.

        Parts: ``metric`` (every metric of any of them), ``params`` and ``setting`` (only what
        differs; of runs from a batch file everything that can change the numbers) and
        ``fingerprint`` (only what differs). ``None``: the run has no such value, or it is
        undefined for the reason in ``frame.attrs["undefined"][run_id][metric]``.
        """
        if isinstance(runs, str) or not isinstance(runs, Iterable):
            raise RegistryError(f"runs are {runs!r}; expected a list of run ids")
        records = {run: self._record(run) for run in runs}
        manifests = {
            batch_id: self._journal.registry.manifest(batch_id)
            for batch_id in sorted({record["batch_id"] for record in records.values()})
        }
        settings = {
            run: settings_of(record, manifests[record["batch_id"]]) for run, record in records.items()
        }
        return comparison(records, settings)

    # ------------------------------------------------------------------------------ helpers

    def _row(self, run_id: str) -> RunRow:
        index = self._journal.index()
        row = index.run(text_of(run_id, "run_id"))
        if row is None:
            self._record(run_id)  # raises, with the nearest id, for a run that is not there at all
            raise RegistryError(f"{run_id} is an earlier attempt; a later one of this run counts")
        return row

    def _record(self, run_id: str) -> dict[str, Any]:
        """The record of a run's final attempt, or of the one whose number ``run_id`` ends with."""
        text_of(run_id, "run_id")
        with self._journal.own().lock:
            index = self._journal.index()
            batch_id, _, name = run_id.partition("/")
            if index.run(run_id) is None and self._journal.exists(batch_id):
                for record in self._journal.registry.fold(batch_id).records([name]):
                    return record
                name, _, number = name.rpartition("#")
                for record in self._journal.attempts(batch_id, name):
                    if str(record["attempt"]) == number:
                        return record
            return index.record(run_id)


def _filter(
    strategy: str | None,
    engine: str | None,
    status: RunStatus | str | None,
    tag: str | None,
    since: datetime | None,
    until: datetime | None,
    batch: str | None,
) -> RunFilter:
    return RunFilter(
        batch=None if batch is None else text_of(batch, "batch"),
        strategy=None if strategy is None else text_of(strategy, "strategy"),
        engine=None if engine is None else text_of(engine, "engine"),
        status=None if status is None else word_of(RunStatus, status, "status"),
        tag=None if tag is None else text_of(tag, "tag"),
        since=None if since is None else moment_of(since, "since"),
        until=None if until is None else moment_of(until, "until"),
    )
