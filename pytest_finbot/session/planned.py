"""A batch file of a session, and the batch it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_finbot.session.gate import BatchGate

if TYPE_CHECKING:
    from pytest_finbot.config.expand import Batch
    from pytest_finbot.registry.liveness import Hold
    from pytest_finbot.registry.protocol import BatchWriter
    from pytest_finbot.session.attempt import OpenBatch
    from pytest_finbot.session.cancelling import CancelWatch
    from pytest_finbot.session.comparing import PlannedComparison
    from pytest_finbot.session.continuing import Continued
    from pytest_finbot.session.output import OutputFolder
    from pytest_finbot.session.stitching import PlannedPart


@dataclass(slots=True)
class PlannedBatch:
    """Filled in as the session goes on."""

    batch: Batch
    prefix: str
    """Node ids of its runs begin with this."""
    parts: tuple[PlannedPart, ...] = ()
    """Runs that are put together again when the batch ends."""
    comparisons: tuple[PlannedComparison, ...] = ()
    """Runs that are held against another one when the batch ends."""
    open: OpenBatch | None = None
    folder: OutputFolder | None = None
    gate: BatchGate = field(default_factory=lambda: BatchGate("none"))
    writer: BatchWriter | None = None
    begun: bool = False
    """Some of its runs were selected, so that it owes their records."""
    begun_at: str = ""
    """When, as its ``begin`` line says."""
    began: float = 0.0
    hold: Hold | None = None
    continued: Continued | None = None
    """Set where an earlier session's batch is gone on with."""
    cancels_before: tuple[str, ...] = ()
    watch: CancelWatch | None = None
    provenance: dict[str, str] = field(default_factory=dict)
