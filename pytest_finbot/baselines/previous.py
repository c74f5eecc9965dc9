"""Row counts of earlier batches: what a run that is gated by nothing is held to for coverage.

A run is counted against the newest result of it that was good, however many batches failed since:
what is fewer stays red until somebody says why. A record that failed names the batch that it was
counted against, so that nobody has to look through all the failures in between.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pytest_finbot.baselines.coverage import NAME, check_coverage
from pytest_finbot.contracts import CheckResult, RunStatus, Verdict
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.left_out import left_out
from pytest_finbot.registry.protocol import Registry
from pytest_finbot.tolerances import Tolerances

LOOKED_INTO: Final = 200
"""Batches of the name that may have no record of a run before the search for it is given up."""

NO_EARLIER: Final = "there is no earlier good result of it to count against"
WAY_OUT: Final = "to leave rows uncounted: checks: {coverage: false}"


@dataclass(frozen=True, slots=True)
class Counted:
    """A good result: its batch, rows by output, and hashes of what it depended on."""

    batch_id: str
    counts: Mapping[str, int]
    config: Any
    code: Any


@dataclass(frozen=True, slots=True)
class NotFound:
    """Why there is no good result to count against. ``fault``: there may be one, and it cannot be read."""

    why: str
    fault: bool = False


@dataclass(frozen=True, slots=True)
class _Failed:
    """A result that is none to count against, and the batch that it was counted against itself.

    ``against`` is empty where there was none, ``None`` where nobody wrote that down.
    """

    against: str | None


class _Batch:
    """An earlier batch of the name, its records read at first need."""

    def __init__(self, registry: Registry, batch_id: str) -> None:
        self._registry = registry
        self.batch_id = batch_id
        self.problems: tuple[str, ...] = ()

    @cached_property
    def runs(self) -> dict[str, Counted | _Failed]:
        try:
            fold = self._registry.fold(self.batch_id)
            found = {record["name"]: self._of(record) for record in fold.records()}
        except RegistryError as error:
            self.problems = (str(error),)
            return {}
        self.problems = tuple(fold.problems)
        return found

    def _of(self, record: Mapping[str, Any]) -> Counted | _Failed:
        if record.get("status") != RunStatus.SUCCESS or left_out(record):
            against = record.get("counted_against")
            return _Failed(against if isinstance(against, str) else None)
        fingerprint = record.get("fingerprint") or {}
        return Counted(
            self.batch_id,
            record.get("counts") or {},
            fingerprint.get("config"),
            (fingerprint.get("code") or {}).get("hash"),
        )


class EarlierRuns:
    """Earlier results of one batch's runs, read as far back as they are needed.

    Batches of the same name that were cut into the same slices, older than ``before``.
    """

    def __init__(self, registry: Registry, batch_name: str, slicing: Any, before: str) -> None:
        self._registry = registry
        self._batch_name = batch_name
        self._slicing = slicing
        self._before = before
        self._known: list[_Batch] = []
        self._unread = self._search()
        self._unreadable: list[str] = []

    def find(self, run: str) -> Counted | NotFound:
        """The newest good result of ``run``, or why there is none."""
        wanted: str | None = None
        for number, batch in enumerate(self._batches()):
            if wanted is not None and batch.batch_id > wanted:
                continue
            wanted = None
            found = batch.runs.get(run)
            if isinstance(found, Counted):
                return found
            if batch.problems:
                return NotFound(
                    f"batch {batch.batch_id} may have a result of it, and cannot be read whole "
                    f"({batch.problems[0]}); see finbot registry verify, and mend it, or remove it: "
                    f"finbot batches delete {batch.batch_id}",
                    fault=True,
                )
            if isinstance(found, _Failed):
                if found.against == "":
                    break
                wanted = found.against
            if number + 1 >= LOOKED_INTO and found is None:
                return NotFound(
                    f"none of the newest {LOOKED_INTO} batches of {self._batch_name} has a result of it"
                )
        unread = f"; {', '.join(self._unreadable)} cannot be read" if self._unreadable else ""
        return NotFound(f"{NO_EARLIER}{unread}")

    def check(
        self,
        run: str,
        counts: Mapping[str, int],
        fingerprint: Mapping[str, Any],
        tolerances: Tolerances,
        *,
        not_asked: int = 0,
    ) -> CheckResult:
        """Compare ``counts`` of ``run`` with those of its newest good result.

        Nothing is accepted here, so that a change somebody made on purpose, of the configuration or
        the code, is reason enough to have fewer rows; other prices or libraries are none.
        ``not_asked`` is how many analytics this session did not ask for: those are not missed.
        """
        if tolerances.spec.limits.get(NAME, ...) is None:
            return check_coverage(counts, counts, of="", tolerances=tolerances)
        before = self.find(run)
        if isinstance(before, NotFound):
            verdict = Verdict.ERROR if before.fault else Verdict.SKIPPED
            return CheckResult(NAME, verdict, before.why)
        reason = None
        if before.config is not None and before.config != fingerprint.get("config"):
            reason = "the configuration changed"
        elif before.code is not None and before.code != (fingerprint.get("code") or {}).get("hash"):
            reason = "the code changed"
        held = dict(before.counts)
        if 0 < held.get("analytics", 0) - counts.get("analytics", 0) <= not_asked:
            del held["analytics"]
        check = check_coverage(
            counts, held, of=f"batch {before.batch_id}", tolerances=tolerances, reason=reason
        )
        if check.failed:
            words = (
                f"{check.message}; neither its configuration nor its code changed, which would be a "
                f"reason ({WAY_OUT})"
            )
            check = dataclasses.replace(check, message=words)
        return check

    def reference(self, run: str) -> str | None:
        """What a record of ``run`` that failed says: the batch with its newest good result.

        Empty where there is none, ``None`` where that cannot be told.
        """
        found = self.find(run)
        if isinstance(found, Counted):
            return found.batch_id
        return None if found.fault or self._unreadable else ""

    def _batches(self) -> Iterator[_Batch]:
        yield from self._known
        while (batch := next(self._unread, None)) is not None:
            self._known.append(batch)
            yield batch

    def _search(self) -> Iterator[_Batch]:
        for batch_id in self._registry.batch_ids():
            if batch_id >= self._before:
                continue
            try:
                manifest = self._registry.manifest(batch_id)
            except RegistryError:
                self._unreadable.append(batch_id)  # told wherever it could have mattered
                continue
            if manifest.get("batch_name") == self._batch_name and manifest.get("slicing") == self._slicing:
                yield _Batch(self._registry, batch_id)
