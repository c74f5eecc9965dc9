"""What earlier sessions of a batch recorded, and whether it still counts, run by run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.baselines.sources import BatchSource
from pytest_finbot.contracts import RunRecord, RunSpec
from pytest_finbot.errors import BaselineError, RegistryError
from pytest_finbot.pipeline.validity import judged_again, missing_files, other_files, why_again
from pytest_finbot.registry.records import record_from_json
from pytest_finbot.session.attempt import OpenBatch

if TYPE_CHECKING:
    from pytest_finbot.registry.fold import BatchFold
    from pytest_finbot.registry.protocol import Registry


@dataclass(frozen=True, slots=True)
class Earlier:
    """What becomes of a run: ``record`` is valid and stands; or it is executed, and why.

    ``again`` is the record as today's baseline has it, where that says otherwise than before.
    """

    why: str
    record: RunRecord | None = None
    again: RunRecord | None = None


class EarlierResults:
    """One process's view of the batch as it was when this session began."""

    DONE: Final = "done"

    def __init__(self, registry: Registry, batch: OpenBatch, reruns: int = 0) -> None:
        self._registry = registry
        self._reruns = reruns
        self._batch = batch
        self._source = BatchSource(registry, batch.batch_id)

    @cached_property
    def _fold(self) -> BatchFold:
        return self._registry.fold(self._batch.batch_id)

    def attempts(self, name: str) -> int:
        """The highest attempt that any session began."""
        return self._fold.attempts.get(name, 0)

    def of(self, spec: RunSpec) -> Earlier:
        """Whether ``spec`` is executed in this session."""
        try:
            record = next(self._fold.records([spec.name]), None)
        except RegistryError as error:
            return Earlier(f"its record cannot be read: {error}")
        if record is None:
            if not self.attempts(spec.name):
                return Earlier("not run before")
            damaged = "; lines of the batch cannot be read" if self._fold.problems else ""
            return Earlier(f"no record of it, though it was begun{damaged}")
        why = self._why(spec, record)
        if why is not None:
            return Earlier(why)
        try:
            again = judged_again(spec, record, self._batch.gate, self._registry.objects)
        except (BaselineError, RegistryError) as error:
            return Earlier(f"it cannot be compared as it is recorded: {error}")
        return Earlier(self.DONE, record_from_json(record), again)

    def _why(self, spec: RunSpec, record: dict[str, Any]) -> str | None:
        if self._reruns:
            return "every run is executed (--finbot-rerun)"
        recorded = self._source.spec_of(record)
        return (
            why_again(spec, record, recorded, self._registry.objects)
            or other_files(spec, recorded)
            or missing_files(self._batch.run_folder(spec.name), record)
        )
