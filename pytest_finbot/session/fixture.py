"""``finbot_regression``: a baseline beside the test file for results a test computes itself.

The gate is that of a batch file: the same comparison, the same words, accepted by the same
options. Nothing is recorded in a registry; what is kept is the baseline.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pydantic import ValidationError

from pytest_finbot.baselines.facts import Acceptance, Comparison
from pytest_finbot.baselines.headline import headline
from pytest_finbot.baselines.judge import Gate
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.baselines.sources import FolderSource
from pytest_finbot.baselines.store import Baseline, baseline_names, write_baseline
from pytest_finbot.config.checks import ChecksModel, put_on
from pytest_finbot.config.problems import Findings
from pytest_finbot.config.source import Positions
from pytest_finbot.contracts import Cause, CheckSpec, Verdict
from pytest_finbot.errors import BaselineError, ParameterError
from pytest_finbot.fingerprint import code_closure, environment, sha256_of_json
from pytest_finbot.reports.moved_run import comparison_text
from pytest_finbot.session.acceptance import acceptance
from pytest_finbot.session.collecting import import_from
from pytest_finbot.session.fixture_inputs import result_of
from pytest_finbot.session.fixture_run import FixtureRun, run_one

ACCEPTED = "finbot_accepted"
"""User property of a test: one baseline it wrote, in words."""

PASSED = pytest.StashKey[bool]()
LONGEST_NAME = 100
_HASH_DIGITS = 10
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_LOOKS_HASHED = re.compile(rf"-[0-9a-f]{{{_HASH_DIGITS}}}\Z")
_NO_RUNNER = frozenset({"pytest", "pytest-finbot"})
"""Imported by every test, and no part of what it computes; ours is named with the versions anyway."""

_OF_A_TEST: dict[str, Any] = {
    "config": {"hash": "none"},
    "data": {"hash": "none"},
    "engine": {"name": "none", "version": "none"},
}
"""Parts that a result has none of which a test computes by itself: what it is set to is its code."""

_acceptances = pytest.StashKey[dict[Path, Acceptance]]()
_dependencies = pytest.StashKey[dict[Path, dict[str, Any]]]()


class FinbotRegression:
    """The fixture of one test."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node: pytest.Item = request.node
        self._config = request.config
        self._path = Path(request.path)
        self._names: set[str | None] = set()
        self._checked: set[str] = set()
        self._failures: list[str] = []
        self._to_write: list[tuple[Baseline, str]] = []
        if not self._config.pluginmanager.hasplugin(Outcomes.NAME):
            self._config.pluginmanager.register(Outcomes(), Outcomes.NAME)

    def run(self, strategy: str, **keys: Any) -> FixtureRun:
        """Run one backtest through the built-in pipeline and return its result.

        ``keys`` are those of a run in a batch file (``symbols``, ``start_date``, ``data``,
        ``params`` …); relative paths are relative to the test file's folder. Raises
        ParameterError for keys a batch file would refuse, and whatever the run raises.
        Nothing is recorded.
        """
        import_from([self._path.parent, self._config.rootpath])
        return run_one({"strategy": strategy, **keys}, self._path)

    def check(
        self,
        nav: Any,
        *,
        positions: Any = None,
        cash: Any = None,
        quantities: Any = None,
        fills: Any = None,
        metrics: Mapping[str, Any] | None = None,
        preset: str = "refactor",
        limits: Mapping[str, Any] | None = None,
        informational: bool | None = None,
        name: str | None = None,
    ) -> Comparison:
        """Hold a result to what was accepted for this test; the test fails where it moved.

        ``nav`` is a Series by day, a pair (sessions, values), or what :meth:`run` returned.
        ``positions`` (market values) and ``quantities`` are frames, sessions x assets;
        ``fills`` a frame with the columns session, asset, quantity, price and, where there
        are any, fee; ``metrics`` maps names to numbers or ``None``. ``limits`` are as in a
        batch file's ``checks``. A test that checks more than once gives each a ``name``.

        Returns the comparison where it holds. Raises ParameterError for what cannot be
        compared with anything.
        """
        __tracebackhide__ = True
        given = {
            "positions": positions,
            "cash": cash,
            "quantities": quantities,
            "fills": fills,
            "metrics": metrics,
        }
        self._take(name)
        checks = _check_spec(preset, limits, informational)
        result = _result(nav, given)
        try:
            return self._judge(result, checks, self._fingerprint_of(nav), name)
        except BaselineError as error:
            said = f"{error}\n\n{self._where()}"
        return self._fail(said)

    def finish(self) -> None:
        """The test is over: accept what it gave if it passed, and see that nothing was passed over.

        A test that passes although a check of it failed, or without making a check whose
        result is accepted, fails here.
        """
        __tracebackhide__ = True
        if not self._node.stash.get(PASSED, False):
            for baseline, _ in self._to_write:
                line = f"not accepted {self._node.nodeid}: the test failed; {baseline.run} stays as it is"
                self._node.user_properties.append((ACCEPTED, line))
            return
        if self._failures:
            said = "\n\n".join(self._failures)
            pytest.fail(f"the test went on after a check had failed:\n\n{said}", pytrace=False)
        for baseline, words in self._to_write:
            try:
                document, _ = write_baseline(self._folder, baseline)
            except BaselineError as error:
                pytest.fail(f"{error}\n\n{self._where()}", pytrace=False)
            line = f"accepted {self._node.nodeid}{words}; written to {self._shown(document)}"
            self._node.user_properties.append((ACCEPTED, line))
        left = [name for name in self._own_baselines() if name not in self._checked]
        if left:
            pytest.fail(
                f"{', '.join(left)} in {self._shown(self._folder)}: accepted for this test, and it passed "
                "without that check; remove the files where the check is gone\n\n" + self._where(),
                pytrace=False,
            )

    def _own_baselines(self) -> list[str]:
        """Baselines of this test that can be told by their names: of its unnamed check, or plain."""
        test = self._qualified_name()
        plain = file_name(test, None)
        return [
            name
            for name in baseline_names(self._folder)
            if name == plain or (plain == test and name.startswith(f"{test}--"))
        ]

    def _fail(self, said: str) -> NoReturn:
        """Fail the test, and remember that it has failed: it may catch that."""
        __tracebackhide__ = True
        self._failures.append(said)
        pytest.fail(said, pytrace=False)

    @property
    def _folder(self) -> Path:
        return self._path.parent / "baselines" / self._path.stem

    # ------------------------------------------------------------------------ the verdict

    def _judge(
        self, result: RunResult, checks: CheckSpec, fingerprint: Mapping[str, Any], name: str | None
    ) -> Comparison:
        __tracebackhide__ = True
        run = file_name(self._qualified_name(), name)
        self._checked.add(run)
        accepting = self._is_accepted(run)
        gate = Gate(_Baselines(self._folder, self._shown(self._folder)), accept="*" if accepting else None)
        compared = gate.judge(run, checks, result, _OF_A_TEST | dict(fingerprint))
        if "data" not in fingerprint:
            compared = dataclasses.replace(compared, causes=tuple(map(_not_by_chance, compared.causes)))
        if accepting and compared.verdict not in (Verdict.IDENTICAL, Verdict.WITHIN):
            baseline = Baseline(
                batch=self._path.stem,
                run=run,
                result=result,
                fingerprint=fingerprint,
                acceptance=self._acceptance(),
                shown="",
                values="",
            )
            words = "new" if compared.verdict is Verdict.NEW else headline(compared)
            if compared.verdict is Verdict.NEW:
                words += f", final NAV {result.nav[-1]:,.2f}"
            which = "" if name is None else f" ({name})"
            self._to_write.append((baseline, f"{which}: {words}"))
        elif compared.fails:
            self._fail(self._text(run, compared))
        return compared

    def _text(self, run: str, compared: Comparison) -> str:
        """One screen about a check that failed, in the words of a batch's run."""
        verbose = self._config.get_verbosity() > 0
        within = self._node.nodeid.partition("::")[2]
        test = shlex.quote(f"{self._shown(self._path)}::{within}")
        return comparison_text(
            run,
            compared.to_json(),
            compared.checks,
            verbose=verbose,
            where=self._where(),
            look="" if verbose or not compared.checks else f"pytest {test} -v",
            rerun=False,
            accept=f"pytest {test} --finbot-accept {shlex.quote(self._node.name)} --finbot-reason '…'",
        )

    def _where(self) -> str:
        file, line, _ = self._node.location
        where = file if line is None else f"{file}:{line + 1}"
        return f"{where}: test {self._qualified_name()}"

    def _take(self, name: str | None) -> None:
        """Note that this test has a check called ``name``."""
        if name is not None and (not isinstance(name, str) or not name):
            raise ParameterError(f"name: got {name!r}; expected text")
        if name in self._names:
            raise ParameterError(
                "this test checks twice; give each check a name of its own, as in check(nav, name='core')"
                if name is None
                else f"name: this test has a check called {name!r} already; expected another name"
            )
        self._names.add(name)

    def _qualified_name(self) -> str:
        """``TestClass.test_name[params]``."""
        classes = [node.name for node in self._node.listchain() if isinstance(node, pytest.Class)]
        return ".".join([*classes, self._node.name])

    def _shown(self, path: Path) -> str:
        start = self._config.invocation_params.dir
        return (path.relative_to(start) if path.is_relative_to(start) else path).as_posix()

    # ------------------------------------------------------------------------- accepting

    def _is_accepted(self, run: str) -> bool:
        pattern = self._config.option.finbot_accept
        if pattern is None:
            return False
        # As it stands too: in a pattern, the brackets of test_name[params] are a set of letters.
        names = (self._node.name, self._qualified_name(), self._node.nodeid, run)
        return any(name == pattern or fnmatchcase(name, pattern) for name in names)

    def _acceptance(self) -> Acceptance:
        """One a folder and session: git is asked before the first baseline is written, not after."""
        known = self._config.stash.setdefault(_acceptances, {})
        folder = self._path.parent
        if folder not in known:
            known[folder] = acceptance(folder, self._config.option.finbot_reason)
        return known[folder]

    # ------------------------------------------------------------------------ what it hangs on

    def _fingerprint_of(self, nav: Any) -> dict[str, Any]:
        """Of a run: all its parts, and the test's code. Of anything else: code and versions alone."""
        ours = self._own_dependencies()
        if not isinstance(nav, FixtureRun):
            return ours
        code = nav.fingerprint.get("code", {})
        return {
            **nav.fingerprint,
            "code": _code(
                {**code.get("modules", {}), **ours["code"]["modules"]},
                (*code.get("dynamic", ()), *ours["code"]["dynamic"]),
            ),
            "environment": {**ours["environment"], **nav.fingerprint.get("environment", {})},
        }

    def _own_dependencies(self) -> dict[str, Any]:
        """The test's module, the conftests above it and what they import; once a file and process."""
        known = self._config.stash.setdefault(_dependencies, {})
        if self._path not in known:
            root = self._config.rootpath
            folders = [self._path.parent, *self._path.parent.parents]
            above = [folder for folder in folders if folder.is_relative_to(root)]
            conftests = [folder / "conftest.py" for folder in above if (folder / "conftest.py").is_file()]
            import_from([self._path.parent, root])
            closure = code_closure((), (self._path, *conftests), project=(root, self._path.parent))
            known[self._path] = {
                "code": _code(closure.modules, closure.dynamic),
                "environment": environment(
                    sorted(name for name in closure.distributions if name.lower() not in _NO_RUNNER)
                ),
            }
        return known[self._path]


class _Baselines(FolderSource):
    """Those beside a test file, which know of no more parts than a test has."""

    def find(self, run: str) -> Baseline | None:
        found = super().find(run)
        if found is None:
            return None
        return dataclasses.replace(found, fingerprint=_OF_A_TEST | dict(found.fingerprint))


class Outcomes:
    """Notes whether a test's own code passed: the fixture ends after it, and is not told."""

    NAME = "finbot-outcomes"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        if call.when == "call":
            item.stash[PASSED] = call.excinfo is None


class AcceptedSummary:
    """Tells at the end what tests accepted. In the controller alone: it sees every worker's reports."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._lines |= dict.fromkeys(str(line) for key, line in report.user_properties if key == ACCEPTED)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._lines:
            terminalreporter.section("finbot")
            for line in sorted(self._lines):
                terminalreporter.line(line)


def file_name(test: str, check: str | None) -> str:
    """The name of a check's baseline, without suffix: no two checks of a file share one.

    A name that file systems take as it is stays: ``test_rotation--core``. Any other is made
    safe and ends in a hash of what it was: one with brackets or other letters, one that is
    long, one with capitals, which some file systems take for small letters.
    """
    name = test if check is None else f"{test}--{check}"
    safe = _UNSAFE.sub("_", name)
    if safe == name == name.lower() and len(name) <= LONGEST_NAME and not _LOOKS_HASHED.search(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{safe[:LONGEST_NAME]}-{digest}"


def _result(nav: Any, given: Mapping[str, Any]) -> RunResult:
    if not isinstance(nav, FixtureRun):
        return result_of(nav, **given)
    extra = [name for name, value in given.items() if value is not None]
    if extra:
        raise ParameterError(
            f"{', '.join(extra)}: a result of finbot_regression.run brings its own; expected only that"
        )
    return nav.result


def _check_spec(preset: Any, limits: Mapping[str, Any] | None, informational: Any) -> CheckSpec:
    """What ``check`` was told, read like ``checks`` of a batch file. Raises ParameterError."""
    if limits is not None and not isinstance(limits, Mapping):
        raise ParameterError(
            f"limits: of type {type(limits).__name__}; expected a mapping such as {{'nav': '5 bp'}}"
        )
    said: dict[str, Any] = {"preset": preset}
    if informational is not None:
        said["informational"] = informational
    own = {} if limits is None else dict(limits)
    for name in ("preset", "informational"):
        if name in own:
            raise ParameterError(f"limits: {name} is no limit; give it as an argument of its own")
    try:
        return put_on(CheckSpec(), ChecksModel.model_validate(said | own))
    except ValidationError as error:
        findings = Findings("finbot_regression.check", Positions())
        findings.add_invalid((), error, ChecksModel)
        raise ParameterError("\n".join(str(problem) for problem in findings.sorted())) from None


def _not_by_chance(cause: Cause) -> Cause:
    """``cause``, unless it rests on data being the same: nobody knows what a test reads."""
    if cause.part != "not deterministic":
        return cause
    return Cause(
        "unknown",
        "the test's code and the versions are the same; it reads something that changed, "
        "or is not deterministic",
    )


def _code(modules: Mapping[str, str], dynamic: Any) -> dict[str, Any]:
    """The fingerprint's part ``code`` for these modules."""
    hashes = {name: modules[name] for name in sorted(modules)}
    return {
        "hash": sha256_of_json(hashes),
        "scope": "import closure",
        "modules": hashes,
        "dynamic": sorted(set(dynamic)),
    }
