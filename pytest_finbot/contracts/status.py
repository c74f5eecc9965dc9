"""How runs, batches and checks can end."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What one check, or one run as a whole, came to."""

    IDENTICAL = "identical"
    WITHIN = "within"
    MOVED = "moved"
    NEW = "new"
    MISSING = "missing"
    NOT_COMPARABLE = "not_comparable"
    WAIVED = "waived"
    ERROR = "error"
    SKIPPED = "skipped"


class RunStatus(StrEnum):
    """How a recorded run ended. A run without a record has no status: it is ``not_run``."""

    SUCCESS = "success"
    FAILED = "failed"


class BatchStatus(StrEnum):
    """Counted from records, never kept by hand."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ErrorCategory(StrEnum):
    DATA = "data_error"
    PARAMETER = "parameter_error"
    ENGINE = "engine_error"
    TIMEOUT = "timeout"
    MEMORY = "memory_error"
    CRASH = "crash"
    REGRESSION = "regression"
    ENVIRONMENT = "environment_error"
    UNKNOWN = "unknown"
