"""An xdist worker: collects what the controller froze, runs, records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finbot.baselines.previous import EarlierRuns
from pytest_finbot.config.manifest import runs_from_json
from pytest_finbot.registry import open_registry
from pytest_finbot.session.attempt import OpenBatch
from pytest_finbot.session.cancelling import CancelWatch
from pytest_finbot.session.collecting import BatchCollection
from pytest_finbot.session.executing import ExecutingPlugin
from pytest_finbot.session.gate import open_gate
from pytest_finbot.session.log_stream import LogStream

if TYPE_CHECKING:
    from pytest_finbot.session.items import BatchFile


class WorkerPlugin:
    """Registered in a worker that the controller told of batches."""

    def __init__(self, config: pytest.Config, payload: str, worker: str) -> None:
        told = json.loads(payload)
        registry = open_registry(told["registry"], durability=told["durability"])
        batches, specs, watches = {}, {}, {}
        for batch in told["batches"]:
            path = Path(batch["path"])
            gate = open_gate(batch["gate"], registry)
            batch_id = batch["batch_id"]
            only = None if batch["only"] is None else frozenset(batch["only"])
            planned = registry.manifest(batch_id)
            if batch["plan"] is not None:  # this session's, whose line is not written yet
                planned |= registry.plan(batch["plan"])
            earlier = None
            if gate is None:
                earlier = EarlierRuns(registry, planned["batch_name"], planned.get("slicing"), batch_id)
            output = Path(batch["output"])
            batches[path] = OpenBatch(path, batch_id, output, gate, batch["resumed"], only, earlier)
            specs[path] = runs_from_json(planned)
            watches[batch_id] = CancelWatch(registry.batch_folder(batch_id), batch["cancels_before"])
        self._collection = BatchCollection(config, specs)
        target = told["log_json"]
        stream = None if target is None else LogStream.opened(target, worker, config)
        self._executing = ExecutingPlugin(config, registry, batches, worker, watches, stream=stream)
        config.pluginmanager.register(self._executing, "finbot-executing")

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> BatchFile | None:
        return self._collection.file(file_path, parent)

    def pytest_sessionfinish(self) -> None:
        self._executing.close()
