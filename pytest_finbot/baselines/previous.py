"""Row counts of the last completed batch of a name: what an ungated run is held to for coverage."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pytest_finbot.baselines.coverage import NAME, check_coverage
from pytest_finbot.contracts import BatchStatus, CheckResult, Verdict
from pytest_finbot.registry.left_out import left_out
from pytest_finbot.registry.protocol import Registry
from pytest_finbot.tolerances import Tolerances

SEARCHED: Final = 200
"""Newest batches among which the last completed one of a name is looked for."""

_FOLDED: Final = 20
"""How many of that name are looked into: each costs reading all its records."""


def last_completed(registry: Registry, batch_name: str, *, before: str) -> str | None:
    """Id of the newest completed batch of ``batch_name`` that is older than the batch ``before``.

    One of all its runs is preferred to newer ones of a selection (``-k``), which would leave most
    runs without a count; and only one that is cut into the same slices as ``before`` has the same
    runs. ``None`` where there is none among the newest :data:`SEARCHED`. Raises RegistryError where
    one of them cannot be read.
    """
    cut = registry.manifest(before).get("slicing")
    selection = None
    folded = 0
    for batch_id in itertools.islice(registry.batch_ids(), SEARCHED):
        if batch_id >= before:
            continue
        manifest = registry.manifest(batch_id)
        if manifest.get("batch_name") != batch_name or manifest.get("slicing") != cut:
            continue
        fold = registry.fold(batch_id)
        if fold.status is BatchStatus.COMPLETED:
            if not fold.deselected:
                return batch_id
            selection = selection or batch_id
        folded += 1
        if folded == _FOLDED:
            break
    return selection


@dataclass(frozen=True, slots=True)
class _Counted:
    counts: Mapping[str, int]
    config: Any
    code: Any


class PreviousBatch:
    """What one completed batch counted, read at first need."""

    def __init__(self, registry: Registry, batch_id: str) -> None:
        self._registry = registry
        self.batch_id = batch_id

    @cached_property
    def _counted(self) -> dict[str, _Counted]:
        return {
            record["name"]: _Counted(
                record.get("counts") or {},
                (record.get("fingerprint") or {}).get("config"),
                ((record.get("fingerprint") or {}).get("code") or {}).get("hash"),
            )
            for record in self._registry.fold(self.batch_id).records()
            if not left_out(record)
        }

    def check(
        self, run: str, counts: Mapping[str, int], fingerprint: Mapping[str, Any], tolerances: Tolerances
    ) -> CheckResult:
        """Compare ``counts`` of ``run`` with those of the batch.

        Nothing is accepted here, so that a change somebody made on purpose, of the configuration or
        the code, is reason enough to have fewer rows; other prices or libraries are none.
        """
        before = self._counted.get(run)
        if before is None:
            return CheckResult(NAME, Verdict.SKIPPED, f"batch {self.batch_id} has no record of it")
        reason = None
        if before.config is not None and before.config != fingerprint.get("config"):
            reason = "the configuration changed"
        elif before.code is not None and before.code != (fingerprint.get("code") or {}).get("hash"):
            reason = "the code changed"
        check = check_coverage(
            counts, before.counts, of=f"batch {self.batch_id}", tolerances=tolerances, reason=reason
        )
        if check.failed:
            words = (
                f"{check.message}; neither its configuration nor its code changed, which would be a reason"
            )
            check = dataclasses.replace(check, message=words)
        return check
