"""An xdist worker: collects what the controller froze, runs, records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finbot.config.manifest import runs_from_json
from pytest_finbot.registry import open_registry
from pytest_finbot.session.collecting import BatchCollection, categorize_by_hook
from pytest_finbot.session.gate import open_gate
from pytest_finbot.session.items import RECORDER
from pytest_finbot.session.recording import OpenBatch, RunRecorder

if TYPE_CHECKING:
    from pytest_finbot.session.items import BatchFile


class WorkerPlugin:
    """Registered in a worker that the controller told of batches."""

    def __init__(self, config: pytest.Config, payload: str, worker: str) -> None:
        told = json.loads(payload)
        registry = open_registry(told["registry"], durability=told["durability"])
        batches, specs = {}, {}
        for batch in told["batches"]:
            path = Path(batch["path"])
            gate = open_gate(batch["gate"], registry)
            batches[path] = OpenBatch(path, batch["batch_id"], Path(batch["output"]), gate)
            specs[path] = runs_from_json(registry.manifest(batch["batch_id"]))
        self._collection = BatchCollection(config, specs)
        self._recorder = RunRecorder(
            registry, batches, worker, categorize_by_hook(config), reruns=config.option.finbot_rerun
        )
        config.stash[RECORDER] = self._recorder

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> BatchFile | None:
        return self._collection.file(file_path, parent)

    def pytest_sessionfinish(self) -> None:
        self._recorder.close()
