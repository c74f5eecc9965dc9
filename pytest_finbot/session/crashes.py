"""The record of a run whose process died: the controller's word, for lack of the worker's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pytest_finbot.config.manifest import runs_from_json
from pytest_finbot.contracts import ErrorCategory, ErrorInfo, RunRecord, RunStatus
from pytest_finbot.registry.ids import run_id
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.session.attempt import OpenBatch, described


def crash_record(
    manifest: Mapping[str, Any], batch: OpenBatch, name: str, worker: str, attempt: int
) -> dict[str, Any]:
    """A failed record of category crash for the run ``name`` that ``worker`` died in."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    record = RunRecord(
        run_id=run_id(batch.batch_id, name),
        batch_id=batch.batch_id,
        name=name,
        status=RunStatus.FAILED,
        attempt=attempt,
        started_at=at,
        finished_at=at,
        seconds=0.0,
        worker=worker,
        error=ErrorInfo(
            category=ErrorCategory.CRASH,
            phase="unknown",
            type="WorkerCrash",
            message=(
                f"the process of worker {worker} died while it executed run {name} (os._exit, a signal, a "
                "crash in a library, or no memory left); other runs went on in a new worker"
            ),
            expected=True,
        ),
    )
    spec = next((spec for spec in runs_from_json(manifest) if spec.name == name), None)
    if spec is not None:
        record = dataclasses.replace(record, seed=spec.seed, **described(spec))
    return record_to_json(record)
