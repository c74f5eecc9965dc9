"""The recorded runs of a batch, one after the other, each with what its books come to."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pytest_finbot.cli.batch_facts import error_of
from pytest_finbot.cli.show import first_line
from pytest_finbot.contracts import BatchStatus

if TYPE_CHECKING:
    from pytest_finbot.checks.reconcile import Reconciliation
    from pytest_finbot.contracts import RunSpec
    from pytest_finbot.registry.files import FilesRegistry

State = Literal["clean", "broken", "altered", "unknown", "other_dates"]
"""``altered``: no break, and yet not the values that were recorded. ``unknown``: its books could
not be looked at. ``other_dates``: the date asked for is none of its sessions, no fault of its."""

_PLACE: Final = re.compile(r"[^/:]+/(?P<segment>[^/:]+):(?P<line>\d+): ")
"""How the fold's problems name a line."""
_RECORD: Final = re.compile(rb'"kind":"(?:run|crash)".*?"name":("(?:[^"\\]|\\.)*")', re.DOTALL)
"""The name in a line that is a record, which comes before all other names in it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One run of the batch: what its books come to, or why that cannot be told.

    ``altered`` names tables that are not as they were recorded; ``notes`` are what the record
    says of marks that were not of their session.
    """

    name: str
    state: State
    reason: str | None = None
    found: Reconciliation | None = None
    altered: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fault(self) -> bool:
        """Whether it makes the exit status 1."""
        return self.state not in ("clean", "other_dates")

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.name,
            "state": self.state,
            "reason": self.reason,
            "altered": list(self.altered),
            "marks": dict(self.notes),
            "reconciliation": None if self.found is None else self.found.to_json(),
        }


class Reconciler:
    """Judges the runs of one batch, one in memory at a time."""

    def __init__(
        self,
        registry: FilesRegistry,
        batch_id: str,
        *,
        absolute: float,
        relative: float,
        session: date | None,
    ) -> None:
        from pytest_finbot.baselines.sources import BatchSource
        from pytest_finbot.registry.recorded_result import TableReader

        self._registry = registry
        self._batch_id = batch_id
        self._absolute = absolute
        self._relative = relative
        self._session = session
        self._source = BatchSource(registry, batch_id)
        self._tables = TableReader(registry.objects)
        self._fold = registry.fold(batch_id)
        self.problems = list(self._fold.problems)
        """What is wrong with the batch's own files; each is a fault."""

    @property
    def expected(self) -> tuple[str, ...]:
        """Names of the runs that owe a record."""
        return self._fold.expected

    def runs(self, name: str | None = None) -> Iterator[Judged]:
        """Every run that owes a record, or the one named, in the order of the batch.

        What is at fault with a run is told by it. Raises RegistryError for a name that the batch
        has not, or where its segments change or vanish while they are read.
        """
        from pytest_finbot.errors import RegistryError, did_you_mean

        if name is None:
            for expected, record in self._fold.expected_records():
                yield self._judged(expected, record)
            return
        if name not in self.expected:
            raise RegistryError(
                f"{self._batch_id} expects no run {name!r}{did_you_mean(name, self.expected)}"
            )
        yield self._judged(name, next(self._fold.records([name]), None))

    def _judged(self, name: str, record: Mapping[str, Any] | None) -> Judged:
        from pytest_finbot.errors import ParameterError, RegistryError

        if record is None:
            return Judged(name, "unknown", self._without_record(name))
        if record.get("series") is None:
            return Judged(name, "unknown", f"it recorded no series: {_why(record)}")
        marks = record.get("mark_notes")
        notes = marks if isinstance(marks, dict) else {}
        altered: tuple[str, ...] = ()
        try:
            tables = self._tables.read(record)
            altered = tables.altered
            found = self._reconciled(record, tables)
        except ParameterError as error:  # not a session of this run
            return Judged(name, "altered" if altered else "other_dates", str(error), None, altered, notes)
        except RegistryError as error:
            return Judged(name, "unknown", str(error), None, altered, notes)
        state: State = "broken" if not found.clean else "altered" if altered else "clean"
        return Judged(name, state, None, found, altered, notes)

    def _without_record(self, name: str) -> str:
        """Why nothing is known of a run that owes a record."""
        damaged = self._damaged
        if name in damaged:
            return f"its record cannot be read: {damaged[name]}"
        if self._fold.status is BatchStatus.RUNNING:
            return "it has no record yet: the batch is still running"
        if None in damaged:
            return "it was not run, left no record, or its record is a line that cannot be read"
        return "it was not run, or left no record"

    @cached_property
    def _damaged(self) -> dict[str | None, str]:
        """What is wrong with a line that is a run's record, by run; ``None``: of one unknown."""
        folder = self._registry.batch_folder(self._batch_id)
        found: dict[str | None, str] = {}
        for problem in self._fold.problems:
            place = _PLACE.match(problem)
            if place is not None:
                found.setdefault(_run_in(folder / place["segment"], int(place["line"])), problem)
        return found

    def _reconciled(self, record: Mapping[str, Any], tables: Any) -> Reconciliation:
        from pytest_finbot.checks.reconcile import reconcile
        from pytest_finbot.registry.recorded_result import engine_result_of

        start_cash, cent, capital = self._money(record)
        result = engine_result_of(self._registry.objects, record, start_cash, cent, tables=tables)
        found = reconcile(
            result, capital, absolute=self._absolute, relative=self._relative, session=self._session
        )
        if self._session not in (None, result.sessions[-1].astype(object)):
            return found
        return self._with_final_nav(found, record, float(result.nav[-1]), capital, str(result.sessions[-1]))

    def _with_final_nav(
        self, found: Reconciliation, record: Mapping[str, Any], nav: float, capital: float, session: str
    ) -> Reconciliation:
        """``found``, and the metric ``final_nav`` held to NAV of the last session, where there is one."""
        from pytest_finbot.checks.accounting import plain
        from pytest_finbot.checks.reconcile import NAMED, Break, IdentityOutcome

        metrics = record.get("metrics")
        said = _number(metrics if isinstance(metrics, dict) else {}, "final_nav", record, "metrics")
        if said is None:
            return found
        base = max(abs(nav), capital)
        limit = self._absolute + self._relative * base
        residual = said - nav
        broken = not abs(residual) <= limit  # what is not a number too
        figures = (plain(abs(residual)), plain(abs(residual) / base), plain(limit))
        outcome = IdentityOutcome("final_nav", int(broken), *figures, session, None)
        breaks = found.breaks
        if broken and len(breaks) < NAMED:
            words = f"the metric final_nav is {said}, but NAV of the last session is {nav}"
            sides = (plain(said), plain(nav), "currency", plain(residual))
            breaks = (*breaks, Break(session, "final_nav", None, *sides, *figures[1:], words))
        return dataclasses.replace(found, identities=(*found.identities, outcome), breaks=breaks)

    def _money(self, record: Mapping[str, Any]) -> tuple[float, float, float]:
        """Start cash, cent and capital of a run: of its record, else of its batch's manifest."""
        from pytest_finbot.errors import RegistryError

        told = record.get("books")
        books = told if isinstance(told, dict) else {}
        try:
            spec, why = self._spec(record), "the batch's manifest has no such run"
        except RegistryError as error:
            spec, why = None, str(error)
            if why not in self.problems:
                self.problems.append(why)
        start_cash = _number(books, "start_cash", record, "books")
        if start_cash is None and spec is None:
            raise RegistryError(f"its start cash is unknown: the record does not tell it, and {why}")
        capital = start_cash if spec is None else spec.start_capital
        assert capital is not None, "one of the two is known"
        return (
            capital if start_cash is None else start_cash,
            _number(books, "cent", record, "books") or 0.0,
            capital,
        )

    def _spec(self, record: Mapping[str, Any]) -> RunSpec | None:
        from pytest_finbot.cli.naming import using_manifest

        with using_manifest(self._batch_id):
            return self._source.spec_of(record)


def _run_in(path: Path, number: int) -> str | None:
    """The run whose record a line is, by what can still be read of it; ``None`` where that is nothing."""
    from pytest_finbot.registry.durable import telling

    with telling("read", path), path.open("rb") as file:
        line = next(itertools.islice(file, number - 1, number), b"")
    name = _RECORD.search(line)
    try:
        return None if name is None else str(json.loads(name[1]))
    except ValueError:
        return None


def _number(figures: Mapping[str, Any], key: str, record: Mapping[str, Any], where: str) -> float | None:
    from pytest_finbot.errors import RegistryError

    value = figures.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RegistryError(f"run {record.get('run_id')}: {where}.{key} is {value!r}, expected a number")
    return float(value)


def _why(record: Mapping[str, Any]) -> str:
    from pytest_finbot.registry.left_out import left_out

    if record.get("status") != "failed":
        for name in left_out(record)[:1]:
            reason = next(phase["reason"] for phase in record["phases"] if phase.get("name") == name)
            return f"phase {name} was {reason}"
        return "it was recorded by a script, without any"
    error = error_of(record)
    return f"it failed ({error['category']}: {first_line(error['message'])})"
