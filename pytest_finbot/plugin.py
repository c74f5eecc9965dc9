"""pytest's door. Thin, and light: nothing of ours is imported until a batch file is there."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from datetime import date

    from pytest_finbot.session.controller import Controller
    from pytest_finbot.session.fixture import FinbotRegression


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("finbot", "regression testing of trading backtests")
    group.addoption(
        "--finbot-batch",
        action="append",
        default=[],
        metavar="FILE",
        help="run the backtests of this batch file as tests (repeatable)",
    )
    group.addoption(
        "--finbot-registry",
        default=None,
        metavar="FOLDER",
        help="where runs are recorded (default: .finbot in the root folder)",
    )
    group.addoption(
        "--finbot-baseline",
        default=None,
        metavar="SOURCE",
        help="compare with this folder of baselines, batch:ID or git:REVISION, not the batch's own",
    )
    group.addoption(
        "--finbot-require-baseline",
        action="store_true",
        help="refuse a batch that is compared with no baseline",
    )
    group.addoption(
        "--finbot-fail-on",
        choices=("any", "regression", "error", "all-failed", "never"),
        default="any",
        help="what makes the exit status of a batch non-zero (default: any move, error or missing run)",
    )
    group.addoption(
        "--finbot-rerun",
        type=_positive,
        default=0,
        metavar="N",
        help="execute every run N times more, in fresh processes under other hash seeds; all must agree",
    )
    group.addoption(
        "--finbot-phase",
        action="append",
        default=[],
        metavar="NAME",
        help="execute only this phase of each run and those that it needs (repeatable); "
        "without checks nothing is proven",
    )
    group.addoption(
        "--finbot-profile",
        nargs="?",
        const="cprofile",
        default=None,
        choices=("cprofile", "pyinstrument"),
        help="profile every run, into runs/<id>/profile/ of the output folder (default: cprofile)",
    )
    group.addoption(
        "--finbot-timeout",
        type=_seconds,
        default=None,
        metavar="SECONDS",
        help="end every run that takes longer, whatever the batch file says of its timeout",
    )
    group.addoption(
        "--finbot-max-rss",
        type=_size,
        default=None,
        metavar="SIZE",
        help="replace a process that executes runs once it has more memory than SIZE (512 MiB, 2 GiB, bytes)",
    )
    group.addoption(
        "--finbot-isolation",
        choices=("auto", "inline", "process"),
        default=None,
        help="where runs are executed: in pytest's process, or in a child (default: as the batch file says)",
    )
    group.addoption(
        "--finbot-resume",
        default=None,
        metavar="BATCH",
        help="go on with this batch (an id, or last): run what has no valid record of the same fingerprint",
    )
    group.addoption(
        "--finbot-retry-failed",
        action="store_true",
        help="of the batch that is gone on with (default: last), run only what failed",
    )
    group.addoption(
        "--finbot-from",
        type=_day,
        default=None,
        metavar="DATE",
        help="run slices: of every run, only the sessions from this day on (YYYY-MM-DD)",
    )
    group.addoption(
        "--finbot-to",
        type=_day,
        default=None,
        metavar="DATE",
        help="run slices: of every run, only the sessions until this day",
    )
    group.addoption(
        "--finbot-chunk-days",
        type=_positive,
        default=None,
        metavar="N",
        help="run slices of N calendar days, each a test of its own",
    )
    group.addoption(
        "--finbot-target-date",
        type=_day,
        default=None,
        metavar="DATE",
        help="run only the slices that this day falls into; without other limits, that day alone",
    )
    group.addoption(
        "--finbot-shard",
        type=_shard,
        default=None,
        metavar="K/N",
        help="run the K-th of N shares of every batch file's runs, the same on every machine (2/8)",
    )
    group.addoption(
        "--finbot-log-json",
        nargs="?",
        const="-",
        default=None,
        metavar="FILE",
        help="also append the lines of the log to FILE (--finbot-log-json=FILE); without FILE, to stderr",
    )
    group.addoption(
        "--finbot-summary-json",
        default=None,
        metavar="FILE",
        help="write the whole session as one JSON document to FILE, or as the last line to stdout (-)",
    )
    group.addoption(
        "--finbot-report",
        action="append",
        default=[],
        choices=("html",),
        help="also write this report beside the CSV, JSON and Markdown (repeatable); "
        "html: a page with charts, which needs the extra html",
    )
    group.addoption(
        "--finbot-templates",
        default=None,
        metavar="DIR",
        help="words of reports: templates in DIR come before the shipped ones of the same names",
    )
    group.addoption(
        "--finbot-accept",
        nargs="?",
        const="*",
        default=None,
        metavar="GLOB",
        help="accept new and moved results of the runs that match GLOB (default: all) as baselines",
    )
    group.addoption(
        "--finbot-reason",
        default=None,
        metavar="TEXT",
        help="why the results may change; kept in the baseline",
    )
    group.addoption(
        "--finbot-accept-in-ci",
        action="store_true",
        help="let --finbot-accept work in CI, where nobody reviews before",
    )


def _positive(text: str) -> int:
    """A whole number of at least 1; raises ArgumentTypeError, which is told with the option's name."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise _no_value(f"expected a whole number of 1 or more, not {text!r}")
    return number


def _day(text: str) -> date:
    """A day as YYYY-MM-DD; raises ArgumentTypeError, which is told with the option's name."""
    from datetime import date

    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # It reads 20190201 and 2019-W05-5 as well, which nobody announced and few can read.
    if day is None or day.isoformat() != text:
        raise _no_value(f"{text!r} is no day; expected one of the calendar as YYYY-MM-DD, as in 2019-02-28")
    return day


def _shard(text: str) -> tuple[int, int]:
    """A share and of how many; raises ArgumentTypeError, which is told with the option's name."""
    number, slash, of = text.partition("/")
    whole = slash and all(side.isascii() and side.isdigit() and len(side) < 5 for side in (number, of))
    if whole and 1 <= int(number) <= int(of) <= 1000:
        return int(number), int(of)
    raise _no_value(
        f"{text!r} is no shard; expected K/N as in 2/8, the second of eight: K from 1 to N, N at most 1000"
    )


def _seconds(text: str) -> float:
    """A time limit; raises ArgumentTypeError, which is told with the option's name."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise _no_value(f"{text!r} is no time limit; expected seconds, above 0")
    return seconds


def _size(text: str) -> int:
    """A size in bytes; raises ArgumentTypeError, which is told with the option's name."""
    from pytest_finbot.config.attempts import read_size

    try:
        return read_size(text)
    except ValueError as error:
        raise _no_value(str(error)) from None


def _no_value(words: str) -> Exception:
    from argparse import ArgumentTypeError

    return ArgumentTypeError(words)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from pytest_finbot import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Collect the files of ``--finbot-batch`` like any file named on the command line."""
    if early_config.known_args_namespace.finbot_summary_json is not None:
        from pytest_finbot.session.summary_json import forget_summary

        # Before anything can be refused: what an earlier session said is not said of this one. Where it
        # cannot be removed, that is told as soon as the command line is known to make sense.
        forget_summary(early_config.known_args_namespace, early_config.invocation_params.dir)
    named: list[str] = early_config.known_args_namespace.finbot_batch
    if named:
        from pytest_finbot.session.discovery import absolute, split_node_id

        collected = early_config.known_args_namespace.file_or_dir
        already = {absolute(split_node_id(argument), early_config) for argument in collected}
        added = []
        for name in named:
            path = absolute(name, early_config)
            # `--finbot-batch F F::run` asks for one run of F, not for all of them as well.
            if path not in already:
                already.add(path)
                added.append(str(path))
        # In front: behind an option that may have a value it would be taken for that value.
        args[:0] = added
        collected.extend(added)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.finbot_templates is not None:
        from pytest_finbot.session.templates_asked import take_templates

        take_templates(config)
    if hasattr(config, "workerinput"):
        payload = config.workerinput.get("finbot")
        if payload is not None:
            from pytest_finbot.lasting import lasting

            with lasting():
                from pytest_finbot.session.worker import WorkerPlugin

            config.pluginmanager.register(
                WorkerPlugin(config, payload, config.workerinput["workerid"]), "finbot-worker"
            )
            if config.workerinput["finbot_left_out"]:
                from pytest_finbot.session.discovery import leave_out

                leave_out(config, config.workerinput["finbot_left_out"])
        return
    if config.option.finbot_summary_json is not None:
        from pytest_finbot.session.summary_json import check_summary

        check_summary(config)
    if config.option.finbot_report:
        from pytest_finbot.session.reports_asked import check_reports

        check_reports(config)
    if config.option.finbot_phase:
        from pytest_finbot.session.phases_asked import check_phases

        check_phases(config)
    if config.option.finbot_profile is not None:
        from pytest_finbot.session.phases_asked import check_profile

        check_profile(config)
    if config.option.finbot_accept is not None or config.option.finbot_reason is not None:
        from pytest_finbot.session.acceptance import check_acceptance

        check_acceptance(config)
    if config.option.finbot_accept is not None:
        from pytest_finbot.session.fixture import AcceptedSummary

        config.pluginmanager.register(AcceptedSummary(), "finbot-accepted")
    controller = _controller(config)
    if controller is not None:
        from pytest_finbot.session.hooks import ControllerPlugin

        config.pluginmanager.register(ControllerPlugin(controller), "finbot-controller")


@pytest.fixture
def finbot_regression(request: pytest.FixtureRequest) -> Generator[FinbotRegression, None, None]:
    """Hold results of a test to what was accepted: ``check(nav, …)``; ``run(strategy, …)`` gives some."""
    from pytest_finbot.session.fixture import FinbotRegression

    fixture = FinbotRegression(request)
    yield fixture
    fixture.finish()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> Generator[None, Any, Any]:
    """``-n auto``: the machine's cores, unless the batch or FINBOT_MAX_WORKERS says less."""
    cores = yield
    controller = _controller(config)
    return cores if controller is None else controller.workers(cores)


def _controller(config: pytest.Config) -> Controller | None:
    """This session's controller, made at first need: xdist asks before ``pytest_configure``."""
    made: Controller | None
    if not hasattr(config, "_finbot_controller"):
        from pytest_finbot.session.discovery import find_batch_files

        files = find_batch_files(config)
        made = None
        if files:
            from pytest_finbot.lasting import lasting

            with lasting():
                from pytest_finbot.session.controller import Controller

            made = Controller.load(config, files)
        config._finbot_controller = made  # type: ignore[attr-defined]
    made = config._finbot_controller  # type: ignore[attr-defined]
    return made
