"""What a registry is to the layers above, whatever it is kept in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pytest_finbot.registry.fold import BatchFold
from pytest_finbot.registry.liveness import Hold

if TYPE_CHECKING:
    import numpy.typing as npt


class Objects(Protocol):
    """Values named by their content; what exists is not written again."""

    def put_table(self, columns: Mapping[str, npt.NDArray[Any]]) -> str:
        """Store columns of equal length and return the hash that names them."""
        ...

    def get_table(
        self, digest: str, *, verify: bool = False, columns: Sequence[str] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """The columns named by ``digest``; with ``columns`` only these, unverified."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the table is there, as far as can be told without reading it."""
        ...

    def put_json(self, digest: str, value: Any) -> None:
        """Store a JSON value under ``fingerprint.sha256_of_json(value)``."""
        ...

    def get_json(self, digest: str, *, verify: bool = False) -> Any:
        """The JSON value named by ``digest``."""
        ...


class BatchWriter(Protocol):
    """Records of one process in one batch."""

    def append(self, kind: str, payload: Mapping[str, Any], sync: bool = True) -> None:
        """Record a line; when this returns, it is kept as the registry's durability says."""
        ...

    def log(self, kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
        """Add a line to this writer's log; its loss would cost nothing that is counted.

        Without ``flush`` it may wait for a later line that is flushed, or for :meth:`close`.
        """
        ...

    def close(self) -> None:
        """End recording. A second time does nothing."""
        ...


class Registry(Protocol):
    """Batches, their records, and the objects these refer to. Errors are RegistryError."""

    @property
    def objects(self) -> Objects: ...

    def create_batch(self, manifest: Mapping[str, Any]) -> str:
        """Keep the manifest for good and return its ``batch_id``; the same id twice is refused."""
        ...

    def manifest(self, batch_id: str, at: str | None = None) -> dict[str, Any]:
        """The manifest: as it was created, and what later sessions of the batch said anew until ``at``."""
        ...

    def plan(self, digest: str) -> dict[str, Any]:
        """What :meth:`plan_anew` kept."""
        ...

    def plans(self, batch_id: str) -> tuple[tuple[str, str], ...]:
        """Sessions that planned anew: when each began and the hash of its plan, oldest first."""
        ...

    def plan_anew(self, changed: Mapping[str, Any]) -> str:
        """Keep keys of the manifest that a later session has otherwise; its ``begin`` names the hash."""
        ...

    def hold(self, batch_id: str) -> Hold:
        """Be the one at work on a batch until released. Raises RegistryError where somebody is."""
        ...

    def batch_folder(self, batch_id: str) -> Path:
        """Where the batch's files are; it need not exist."""
        ...

    def batch_ids(self) -> Iterator[str]:
        """All batches, newest first."""
        ...

    def open_writer(self, batch_id: str, name: str) -> BatchWriter:
        """A writer for this process; within one process and name, writers share their file."""
        ...

    def fold(self, batch_id: str, *, writer_alive: bool | None = None) -> BatchFold:
        """Status and counts from the records as they are now, see :mod:`..fold`."""
        ...

    def logs_folder(self, batch_id: str) -> Path:
        """Where the logs of the batch's writers are; it need not exist."""
        ...

    def discard_empty(self, batch_id: str) -> bool:
        """Remove a batch in which nothing was recorded; False, and nothing done, otherwise."""
        ...
