"""What can be asked of a registry, and the rows of an answer.

Filters that are ``None`` let everything pass; several of one filter all have to hold. Times
are text in ISO 8601 with ``+00:00``, as records have them, so that text sorts by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pytest_finbot.contracts import BatchStatus, ErrorCategory, RunStatus


@dataclass(frozen=True, slots=True)
class BatchFilter:
    """Which batches. ``name`` may have ``*`` and ``?``; ``since`` is included, ``until`` is not."""

    status: BatchStatus | None = None
    name: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs, each by its final record. ``name`` may have ``*`` and ``?``.

    ``since`` (included) and ``until`` (not) are about when the run began. ``batch`` is a batch id.
    """

    name: str | None = None
    batch: str | None = None
    strategy: str | None = None
    engine: str | None = None
    status: RunStatus | None = None
    category: ErrorCategory | None = None
    verdict: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as its records have it now; counts are runs, ``seconds`` wall time of all its sessions."""

    batch_id: str
    name: str
    status: BatchStatus
    created_at: str
    ended_at: str | None
    """When its last session ended; ``None`` while it goes on, and where it was killed."""
    expected: int
    recorded: int
    success: int
    failed: int
    not_run: int
    deselected: int
    error_categories: Mapping[str, int]
    verdicts: Mapping[str, int]
    run_seconds: float
    """Sum of the seconds of its final records."""
    commit: str
    """Revision it was created at, ``+`` behind it for a tree with changes; empty where not known."""
    cancel_reason: str | None = None
    problems: tuple[str, ...] = ()
    shard: str = ""
    """``2/8``: the second of eight shares of its batch file's runs; empty for all of them."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """The final record of a run, in short. NAV in currency units, returns and drawdown as fractions."""

    run_id: str
    batch_id: str
    batch_name: str
    name: str
    attempt: int
    status: RunStatus
    category: str | None
    """Error category of a failed run; one that does not say is ``unknown``."""
    verdict: str | None
    engine: str
    strategy: str
    tags: tuple[str, ...]
    started_at: str
    seconds: float
    config_hash: str | None
    data_hash: str | None
    code_hash: str | None
    environment_hash: str | None
    """SHA-256 of the versions, which a record has as a mapping."""
    series: str | None
    """Hash of the daily series: equal results have equal hashes."""
    final_nav: float | None
    total_return: float | None
    cagr: float | None
    sharpe: float | None
    max_drawdown: float | None
    trades: float | None
    commit: str
    """Revision of the session that ran it, as :attr:`BatchRow.commit`."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """All batches of a time together."""

    batches: int
    runs: int
    """Runs that have a final record."""
    success: int
    failed: int
    not_run: int
    success_rate: float | None
    """Successes as a fraction of what was expected; ``None`` where nothing was."""
    batches_by_status: Mapping[str, int]
    error_categories: Mapping[str, int]
    verdicts: Mapping[str, int]
    run_seconds: float
    first: str | None
    """When the oldest of them was created."""
    last: str | None
    problems: int
    """Lines and files that could not be read; see ``finbot registry verify``."""


def utc_text(moment: datetime) -> str:
    """``moment`` as records have it. One without a time zone is taken as UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return aware.isoformat(timespec="milliseconds")
