"""pytest's and xdist's hooks on the controller, translated into a batch's life."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finbot.session.collecting import BatchCollection, categorize_by_hook
from pytest_finbot.session.exit_guard import ExitGuard
from pytest_finbot.session.items import RECORDED, RECORDER, BatchFile
from pytest_finbot.session.recording import RunRecorder

if TYPE_CHECKING:
    from pytest_finbot.session.controller import Controller


class ControllerPlugin:
    """Registered in the session's own process when it has batch files."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._collection = BatchCollection(controller.config, controller.specs())
        self._recorder: RunRecorder | None = None
        self._guard = ExitGuard()
        self._began = False

    # --------------------------------------------------------------------------- begin

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        config = session.config
        if not _executes(config):
            if config.option.setuponly and config.option.finbot_batch:
                raise pytest.UsageError(
                    "finbot: --setup-only and --setup-plan run no backtest; use --collect-only to see them"
                )
            return
        self._controller.begin()
        self._began = True
        if config.pluginmanager.hasplugin("dsession"):
            self._collection = BatchCollection(config, {})
            self._controller.forget_specs()
        else:
            self._recorder = RunRecorder(
                self._controller.registry,
                self._controller.open_batches(),
                "main",
                categorize_by_hook(config),
                self._guard,
                config.option.finbot_rerun,
            )
            self._guard.install()
            config.stash[RECORDER] = self._recorder

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._began:
            node.workerinput["finbot"] = self._controller.worker_payload()

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> BatchFile | None:
        return self._collection.file(file_path, parent)

    # ---------------------------------------------------------------- what is expected

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._began and self._recorder is not None:
            self._controller.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        if self._began:
            self._controller.expect(ids)

    # ------------------------------------------------------------------- what can happen

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        words = self._controller.crashed(crashitem, report.node.gateway.id) if self._began else None
        if words is not None:
            report.when = "call"
            report.longrepr = words
            report.user_properties.append((RECORDED, "failed"))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            # A test that fails after its run succeeded (in a teardown, by a hook) is not that run's failure.
            said = dict(report.user_properties).get(RECORDED)
            self._controller.failed(report.nodeid, recorded=report.when == "call" and said == "failed")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # xdist's word for -x is a subclass; that is no interrupt, and the batch is partial.
        if type(excinfo.value) is KeyboardInterrupt:
            self._controller.cancelled = "interrupted (Ctrl-C)"

    # ------------------------------------------------------------------------------- end

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._began:
            if self._recorder is not None:
                self._recorder.close()
            session.exitstatus = self._controller.finish(int(exitstatus), session.testsfailed)
            self._guard.remove(int(session.exitstatus))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._controller.finished:
            terminalreporter.section("finbot")
            for finished in self._controller.finished:
                for line in finished.lines():
                    terminalreporter.line(line)


def _executes(config: pytest.Config) -> bool:
    """Whether this session runs tests: looking at them creates no batch."""
    option = config.option
    return not (
        option.collectonly
        or option.setuponly
        or option.showfixtures
        or getattr(option, "show_fixtures_per_test", False)
    )
