"""Going on with a batch that an earlier session left: which one, and what is otherwise now."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.contracts import RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.session.slicing import options_of

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.session.slicing import Slicing

LAST: Final = "last"
_SEARCHED: Final = 100_000
"""Newest batches among which the last of a name is looked for."""


@dataclass(frozen=True, slots=True)
class Continued:
    """A batch to go on with."""

    batch_id: str
    gone: tuple[str, ...]
    """Runs that were expected of it and have left the batch file."""
    plan: str | None
    """Hash of what is otherwise than its manifest says; ``None`` where nothing is."""
    known: frozenset[str] = frozenset()
    """Runs that were expected of it before."""
    only: frozenset[str] | None = None
    """Runs to try again, where only failed ones are."""


def find_batch(registry: Registry, batch: Batch, asked: str) -> str:
    """The id of the batch meant by ``asked``, an id or ``last``: the newest of that batch file's name.

    Raises RegistryError where there is none, or it is another batch file's.
    """
    if asked == LAST:
        for batch_id in itertools.islice(registry.batch_ids(), _SEARCHED):
            if registry.manifest(batch_id).get("batch_name") == batch.batch_name:
                return batch_id
        raise RegistryError(
            f"there is no batch {batch.batch_name!r} to go on with; run it without --finbot-resume first"
        )
    named = registry.manifest(asked).get("batch_name")
    if named != batch.batch_name:
        raise RegistryError(
            f"--finbot-resume {asked}: that is a batch of {named!r}, and {batch.path.name} is "
            f"{batch.batch_name!r}; name a batch of its own, or last"
        )
    return asked


def require_same_slices(registry: Registry, batch_id: str, slicing: Slicing | None) -> None:
    """Raise RegistryError where ``batch_id`` was cut otherwise: its runs would all be other ones."""
    known = registry.manifest(batch_id).get("slicing")
    if known != (None if slicing is None else slicing.to_json()):
        cut = " ".join(options_of(known))
        words = f"give {cut}" if cut else "leave out --finbot-from, --finbot-to and --finbot-chunk-days"
        raise RegistryError(f"batch {batch_id} is cut into other slices; to go on with it, {words}")


def continue_batch(
    registry: Registry,
    batch: Batch,
    batch_id: str,
    manifest: Mapping[str, Any],
    *,
    failed_only: bool,
    slicing: Slicing | None = None,
) -> Continued:
    """What going on with ``batch_id`` means; ``manifest`` is what a new batch would say now.

    Where a day is aimed at, slices that it does not fall into are looked at and not executed.

    Raises RegistryError where the batch cannot be read, or only runs are asked for that there are
    none of.
    """
    known = registry.manifest(batch_id)
    changed = {key: value for key, value in manifest.items() if known.get(key) != value}
    fold = registry.fold(batch_id)
    names = {spec.name for spec in batch.runs}
    only = None
    if failed_only:
        only = (
            frozenset(record["name"] for record in fold.records() if record["status"] == RunStatus.FAILED)
            & names
        )
        if not only:
            raise RegistryError(
                f"--finbot-retry-failed: no run of {batch_id} failed; to run what is not run yet: "
                f"--finbot-resume {batch_id}"
            )
    if slicing is not None and slicing.target is not None:
        aimed = frozenset(spec.name for spec in batch.runs if slicing.wanted(spec))
        only = aimed if only is None else only & aimed
        if not only:
            raise RegistryError(
                f"--finbot-target-date {slicing.target}: no slice of {batch_id} to run has that day"
            )
    return Continued(
        batch_id,
        gone=tuple(name for name in fold.expected if name not in names),
        plan=registry.plan_anew(changed) if changed else None,
        known=frozenset(fold.expected),
        only=only,
    )
