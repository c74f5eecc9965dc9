"""What a process that executes runs adds to pytest: its recorder, and each run's output kept."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finbot.pipeline.isolation import KEPT_END, KEPT_START
from pytest_finbot.pipeline.selection import select
from pytest_finbot.session.attempt import Executor, OpenBatch
from pytest_finbot.session.cancelling import CancelWatch
from pytest_finbot.session.collecting import categorize_by_hook
from pytest_finbot.session.exit_guard import ExitGuard
from pytest_finbot.session.isolated import isolates
from pytest_finbot.session.items import RECORDER, RunItem
from pytest_finbot.session.max_rss import MemoryWatch
from pytest_finbot.session.recording import RunRecorder

if TYPE_CHECKING:
    from pytest_finbot.registry.protocol import Registry
    from pytest_finbot.session.log_stream import LogStream


class ExecutingPlugin:
    """Registered where runs are executed: in the workers, or in the one process without xdist."""

    def __init__(
        self,
        config: pytest.Config,
        registry: Registry,
        batches: Mapping[Path, OpenBatch],
        worker: str,
        watches: Mapping[str, CancelWatch],
        guard: ExitGuard | None = None,
        stream: LogStream | None = None,
    ) -> None:
        executor = Executor(
            registry,
            categorize_by_hook(config),
            guard,
            config.option.finbot_rerun,
            select(config.option.finbot_phase),
            config.option.finbot_profile,
        )
        self._batches = batches
        self._recorder = RunRecorder(
            registry, batches, worker, executor, watches, stream, MemoryWatch(config.option.finbot_max_rss)
        )
        config.stash[RECORDER] = self._recorder

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, Any]:
        """What a run wrote in this process goes into the log, as what a child wrote does."""
        report = yield
        if call.when == "call" and isinstance(item, RunItem) and not isolates(item.spec):
            batch = self._batches.get(item.path)
            if batch is not None and not self._recorder.moved and (report.capstdout or report.capstderr):
                attempt = self._recorder.attempt(batch, item.name)
                said = _bounded(report.capstdout), _bounded(report.capstderr)
                self._recorder.keep_output(batch, item.name, attempt, *said)
        return report

    def close(self) -> None:
        self._recorder.close()


def _bounded(text: str) -> str:
    """As much of ``text`` as is kept of what a child writes."""
    cut = len(text) - KEPT_START - KEPT_END
    if cut <= 0:
        return text
    return f"{text[:KEPT_START]}\n… cut: {cut:,} characters of output …\n{text[-KEPT_END:]}"
