"""pytest's and xdist's hooks on the controller, translated into a batch's life."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finbot.reports.terminal import harmless
from pytest_finbot.session.collecting import BatchCollection
from pytest_finbot.session.executing import ExecutingPlugin
from pytest_finbot.session.exit_guard import ExitGuard
from pytest_finbot.session.items import RECORDED, BatchFile
from pytest_finbot.session.log_stream import LogStream
from pytest_finbot.session.max_rss import SAID
from pytest_finbot.session.notifying import tell_of
from pytest_finbot.session.progress import ProgressLine
from pytest_finbot.session.resumed import STALE, WHY
from pytest_finbot.session.resuming import EarlierResults
from pytest_finbot.session.summary_json import SessionSummary
from pytest_finbot.session.termination import Termination

if TYPE_CHECKING:
    from pytest_finbot.session.controller import Controller


DONE = EarlierResults.DONE


class ControllerPlugin:
    """Registered in the session's own process when it has batch files."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._collection = BatchCollection(controller.config, controller.specs())
        self._executing: ExecutingPlugin | None = None
        self._terminate: Termination | None = None
        self._guard = ExitGuard()
        self._began = False
        self._expected = False
        self._log_target: str | None = None
        self._summary = SessionSummary.asked(controller.config)
        self._no_summary: str | None = None
        self._session: pytest.Session | None = None
        self._notified: list[str] = []
        self._line: ProgressLine | None = None

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
        self._controller.leave_out_others()
        stream = LogStream.asked(config)
        self._controller.begin()
        self._began = True
        if config.pluginmanager.hasplugin("dsession"):
            self._collection = BatchCollection(config, {})
            self._line = ProgressLine.asked(config, self._controller.owns)
            if self._line is not None:
                config.pluginmanager.register(self._line, "finbot-progress")
            self._controller.forget_specs()
            if stream is not None:
                self._log_target = stream.target
                stream.close()
        else:
            self._executing = ExecutingPlugin(
                config,
                self._controller.registry,
                self._controller.open_batches(),
                "main",
                self._controller.watches(),
                self._guard,
                stream,
            )
            config.pluginmanager.register(self._executing, "finbot-executing")
            self._guard.install()
        self._terminate = Termination.install(self._controller)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._began:
            # One that takes the place of another, which died, comes when runs are expected.
            self._controller.workers_started += not self._expected
            node.workerinput["finbot"] = self._controller.worker_payload(self._log_target)
            node.workerinput["finbot_left_out"] = self._controller.not_collected

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> BatchFile | None:
        return self._collection.file(file_path, parent)

    # ---------------------------------------------------------------- what is expected

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._began and self._executing is not None:
            self._controller.expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        if self._began:
            if self._line is not None and not self._expected:
                self._line.expect(sum(map(self._controller.owns, ids)))
            self._expected = True
            self._controller.expect(ids)

    # ------------------------------------------------------------------- what can happen

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any) -> None:
        words = self._controller.crashed(crashitem, report.node.gateway.id) if self._began else None
        if words is not None:
            report.when = "call"
            report.longrepr = words
            report.user_properties.append((RECORDED, "failed"))

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A run that was done before is told apart from one that passed now."""
        if report.when == "call" and report.passed and dict(report.user_properties).get(WHY) == DONE:
            return "done before", "-", "DONE"
        return None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and (why := dict(report.user_properties).get(WHY)) is not None:
            self._controller.resumed.note(report.nodeid, str(why))
        if report.when == "call" and (said := dict(report.user_properties).get(SAID)) is not None:
            self._controller.memory.hear(report.nodeid, said)  # type: ignore[arg-type]
        if report.when == "call" and STALE in dict(report.user_properties):
            self._controller.resumed.stale.add(report.nodeid)
        if report.failed:
            # A test that fails after its run succeeded (in a teardown, by a hook) is not that run's failure.
            said = dict(report.user_properties).get(RECORDED)
            self._controller.failed(report.nodeid, recorded=report.when == "call" and said == "failed")

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # xdist's word for -x is a subclass; that is no interrupt, and the batch is partial.
        if type(excinfo.value) is KeyboardInterrupt:
            self._controller.cancelled = self._controller.cancelled or "interrupted (Ctrl-C)"

    # ------------------------------------------------------------------------------- end

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self._began:
            if self._executing is not None:
                self._executing.close()
            self._controller.stopped = _stopped(session)
            session.exitstatus = self._controller.finish(int(exitstatus), session.testsfailed)
            if self._summary is not None:
                self._session = session
                self._without_summary(self._summary.write(session.exitstatus, self._controller.finished))
            self._guard.remove(int(session.exitstatus))
            # All is recorded, and nothing that a notifier does can change it. A signal ends the waiting.
            self._notified = tell_of(
                self._controller.planned, self._controller.finished, int(session.exitstatus)
            )
            if self._terminate is not None:
                self._terminate.remove()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        if self._summary is not None:
            self._without_summary(self._summary.tell())

    def _without_summary(self, why: str | None) -> None:
        """Other programs would not hear of this session, ``why`` not: it is not green."""
        if why is not None and self._session is not None:
            self._no_summary = why
            if self._session.exitstatus == pytest.ExitCode.OK:
                self._session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._controller.finished:
            terminalreporter.section("finbot")
            for words in self._controller.resumed.lines():
                terminalreporter.line(harmless(words))
            config = terminalreporter.config
            width, verbose = config.get_terminal_writer().fullwidth, config.get_verbosity() > 0
            for finished in self._controller.finished:
                for line in finished.lines(width, verbose=verbose):
                    terminalreporter.line(harmless(line.text), **({line.style: True} if line.style else {}))
            for words in self._notified:
                terminalreporter.line(harmless(words))
            if self._no_summary is not None:
                terminalreporter.line(harmless(f"--finbot-summary-json: not green: {self._no_summary}"))


def _stopped(session: pytest.Session) -> str | None:
    """Why pytest stopped before the end (``-x``, ``--maxfail``); under xdist its session knows."""
    distributed = session.config.pluginmanager.getplugin("dsession")
    for asked in (session.shouldfail, session.shouldstop, getattr(distributed, "shouldstop", None)):
        if asked:
            return f"pytest stopped: {asked}"
    return None


def _executes(config: pytest.Config) -> bool:
    """Whether this session runs tests: looking at them creates no batch."""
    option = config.option
    return not (
        option.collectonly
        or option.setuponly
        or option.showfixtures
        or getattr(option, "show_fixtures_per_test", False)
    )
