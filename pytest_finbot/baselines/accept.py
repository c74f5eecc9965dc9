"""Accepting recorded results: only what is new or moved, never what failed, and each change told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.headline import headline
from pytest_finbot.baselines.sources import BatchSource, acceptable
from pytest_finbot.baselines.store import read_baseline, says_something, write_baseline
from pytest_finbot.config.manifest import runs_from_json
from pytest_finbot.contracts import CheckSpec, Verdict
from pytest_finbot.errors import BaselineError, did_you_mean
from pytest_finbot.registry.protocol import Registry
from pytest_finbot.tolerances import tolerances_of


@dataclass(frozen=True, slots=True)
class Change:
    """What accepting one run came to: ``accepted``, ``unchanged`` or ``refused``, and why, in words."""

    run: str
    outcome: str
    words: str

    def __str__(self) -> str:
        return f"{self.outcome} {self.run}: {self.words}"


def accept_batch(
    registry: Registry,
    batch_id: str,
    folder: Path,
    acceptance: Acceptance,
    runs: Iterable[str] | None = None,
) -> Iterator[Change]:
    """Accept results of a recorded batch into ``folder``; all of its runs, or those named.

    Every change is told as it is made. Raises BaselineError where a run named is not in the
    batch, RegistryError where the batch cannot be read; a run that cannot be accepted is
    ``refused``, and the others go on.
    """
    if not says_something(acceptance.reason):
        raise BaselineError("accepting needs a reason; say why the results may change")
    source = BatchSource(registry, batch_id)
    manifest = registry.manifest(batch_id)
    specs = {spec.name: spec for spec in runs_from_json(manifest)}
    fold = registry.fold(batch_id)
    wanted = list(dict.fromkeys(fold.expected if runs is None else runs))
    for run in wanted:
        if run not in specs:
            raise BaselineError(f"batch {batch_id} has no run {run!r}{did_you_mean(run, specs)}")
    recorded = set()
    for record in fold.records([run for run in wanted if run in fold.expected]):
        recorded.add(record["name"])
        yield _accept(source, record, specs[record["name"]].checks, folder, acceptance)
    for run in wanted:
        if run not in recorded:
            yield Change(run, "refused", "it left no record in this batch")


def _accept(
    source: BatchSource, record: Mapping[str, Any], checks: CheckSpec, folder: Path, acceptance: Acceptance
) -> Change:
    run: str = record["name"]
    why_not = acceptable(record)
    if why_not is not None:
        return Change(run, "refused", why_not)
    try:
        found = source.baseline_of(record)
        old = read_baseline(folder, run)
        if old is not None:
            # Informational or not: what moved is what may be accepted.
            compared = compare(found.result, old.result, tolerances_of(checks))
            if compared.verdict in (Verdict.IDENTICAL, Verdict.WITHIN):
                return Change(run, "unchanged", f"{compared.verdict}; the baseline stays as it is")
            words = headline(compared)
        else:
            words = "new" if not len(found.result.nav) else f"new, final NAV {found.result.nav[-1]:,.2f}"
        write_baseline(folder, dataclasses.replace(found, acceptance=acceptance))
    except BaselineError as error:
        return Change(run, "refused", str(error))
    return Change(run, "accepted", words)
