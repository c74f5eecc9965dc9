"""Defaults and a run put together: one RunSpec, or what the run still needs."""

from __future__ import annotations

from typing import Any, Final

from pytest_finbot.config.attempts import cannot_be_ended
from pytest_finbot.config.checks import ChecksModel, put_on
from pytest_finbot.config.files import PRICES, Files
from pytest_finbot.config.level import PLAIN, SECTIONS, Level
from pytest_finbot.config.merge_actions import ActionMerger
from pytest_finbot.config.models import DEFAULT_CAPITAL
from pytest_finbot.config.problems import Findings, Place
from pytest_finbot.contracts import (
    CheckSpec,
    CostSpec,
    DataSpec,
    FactorBundle,
    ReportName,
    RetrySpec,
    RunSpec,
)

REPORTS: Final[tuple[ReportName, ...]] = ("summary", "risk", "tca")

_ESSENTIAL: Final = frozenset(
    {"engine", "strategy", "params", "symbols", "bundle_path", "factors_path", "start_date", "end_date"}
)
"""Keys without which nobody can tell whether the rest of a run makes sense."""

_WHOLE: Final = PLAIN | {"tags", "outputs", "compare_with"}
"""Keys of which the last that is given counts."""

_ENDING: Final = ("isolation", "timeout", "memory_limit")
"""Keys that say where a run is executed and what ends it, as messages prefer them."""


class Merger:
    """Puts each run on top of the batch's defaults, and these on ``checks`` of the whole batch.

    Nothing is copied that two runs can share: a run that says nothing about its data has the
    defaults' own DataSpec, and one that says nothing about checks the batch's own CheckSpec.
    """

    def __init__(
        self,
        defaults: Level,
        engine: str,
        findings: Findings,
        files: Files,
        checks: ChecksModel | None = None,
    ) -> None:
        self._defaults = defaults
        self._findings = findings
        self._files = files
        given = defaults.values
        self._plain: dict[str, Any] = {
            "engine": engine,
            "strategy": "",
            "params": {},
            "start_capital": DEFAULT_CAPITAL,
            **{name: value for name, value in given.items() if name in _WHOLE},
        }
        self._data_given: dict[str, Any] = given.get("data", {})
        self._costs_given: dict[str, Any] = given.get("costs", {})
        self._costs = CostSpec(**self._costs_given)
        self._retries_given: dict[str, Any] = given.get("retries", {})
        self._retries = RetrySpec(**self._retries_given)
        self._checks = _checks(put_on(CheckSpec(), checks), given)
        self._actions = ActionMerger(defaults, findings)
        self._reports = _reports(REPORTS[:0], given)
        self._data: DataSpec | None = None
        self._bad_defaults = frozenset(defaults.bad)
        self._told_prices = False
        self._replayed = False

    def spec(self, run: Level, line: int) -> RunSpec | None:
        """The run, resolved; ``None`` where it is too broken to be looked at further.

        What is wrong is noted. A run may come back although something of it is wrong, so
        that a higher layer can still look at what is right.
        """
        values, bad = run.values, run.bad
        if self._bad_defaults:
            overridden = (run.keys() - SECTIONS) | values.keys() & {"symbols"}
            bad = bad | (self._bad_defaults - overridden)
        merged = self._plain.copy()
        for name, value in values.items():
            if name == "params":
                merged["params"] = {**merged["params"], **value} if merged["params"] else value
            elif name in _WHOLE:
                merged[name] = value
        bundle_path, bundle = self._bundle(values)
        symbols = values.get("symbols") or self._defaults.values.get("symbols")
        if symbols is None and bundle is not None and bundle_path is not None:
            universe = self._files.universe(bundle, bundle_path)
            symbols = None if universe is None else self._files.symbols(universe)
            if universe is not None and symbols is None:
                bad = bad | {"symbols"}
        complete = self._complete(run, merged, symbols, bad)
        data = self._data_of(run, bad)
        factors_path, fault = self._factors_path(run, bundle, data)
        if fault:
            bad = bad | {"factors_path"}
        start, end = merged.get("start_date"), merged.get("end_date")
        window = (start, end) if complete and start is not None and end is not None else None
        actions = self._actions.of(run, window, symbols or None, data.field)
        if "isolation" in merged:
            self._tell_unending(run, merged, bad)
        if not complete or not bad.isdisjoint(_ESSENTIAL) or run.id is None:
            return None
        return RunSpec(
            name=run.id,
            symbols=symbols or (),
            data=data,
            costs=CostSpec(**{**self._costs_given, **values["costs"]}) if "costs" in values else self._costs,
            bundle=bundle,
            bundle_path=bundle_path,
            factors_path=factors_path,
            reports=_reports(self._reports, values),
            line=line,
            retries=(
                RetrySpec(**{**self._retries_given, **values["retries"]})
                if "retries" in values
                else self._retries
            ),
            checks=_checks(self._checks, values) if "checks" in values else self._checks,
            part=run.part,
            **actions,
            **merged,
        )

    def owner(self, run: Level, place: Place) -> Place:
        """Where the file says what ``place`` within the run says: in the run, or in defaults."""
        for level in (*run.chain(), self._defaults):
            if place and level.gives(place):
                return level.at(place)
        return (*run.place, *place)

    def tell_absent(self) -> None:
        """Tell of files that defaults name and no run has asked for, unless a snapshot took their place."""
        if not self._replayed:
            self._tell_absent_of(self._defaults)

    def _tell_absent_of(self, level: Level) -> None:
        for name, fault in level.absent:
            self._findings.add(level.at((name,) if name == "factors_path" else ("data", name)), fault)

    # ------------------------------------------------------------------ what is missing

    def _complete(
        self, run: Level, merged: dict[str, Any], symbols: tuple[str, ...] | None, bad: set[str]
    ) -> bool:
        missing = [name for name in ("start_date", "end_date") if name not in merged and name not in bad]
        if not merged["strategy"] and ":" not in merged["engine"] and bad.isdisjoint(("strategy", "engine")):
            missing.insert(0, "strategy")
        if not symbols and bad.isdisjoint(("symbols", "bundle_path")):
            missing.append("symbols")
        for name in missing:
            words = "symbols or symbols_file" if name == "symbols" else name
            message = f"missing; a run needs {words}, here or in defaults"
            self._findings.add((*run.place, name), message, at=run.place)
        start, end = merged.get("start_date"), merged.get("end_date")
        if start is not None and end is not None and start > end:
            own = next(
                (level for level in run.chain() if level.raw.keys() & {"start_date", "end_date"}), None
            )
            place = self._defaults.place if own is None else own.place
            at = (*place, "start_date") if own is None else place
            self._findings.add(place, f"start_date {start} is after end_date {end}", at=at)
            return False
        return not missing

    def _tell_unending(self, run: Level, merged: dict[str, Any], bad: set[str]) -> None:
        fault = cannot_be_ended(merged) if bad.isdisjoint(_ENDING) else None
        if fault is None:
            return
        # By the key that was given last: what a run adds to its defaults, else isolation.
        levels = (level for level in run.chain() if not level.raw.keys().isdisjoint(_ENDING))
        level = next(levels, self._defaults)
        key = next(key for key in _ENDING if key in level.raw)
        self._findings.add(level.at((key,)), fault)

    # ------------------------------------------------------------------------ parts

    def _bundle(self, values: dict[str, Any]) -> tuple[str | None, FactorBundle | None]:
        path = values["bundle_path"] if "bundle_path" in values else self._defaults.values.get("bundle_path")
        return path, None if path is None else self._files.bundle(path)

    def _factors_path(
        self, run: Level, bundle: FactorBundle | None, data: DataSpec
    ) -> tuple[str | None, str | None]:
        """Path of the panel, empty for the only one of a snapshot; and why it cannot be used, noted."""
        levels = (*run.chain(), self._defaults)
        level = next((level for level in levels if "factors_path" in level.values), None)
        if level is None:
            if bundle is None:
                return None, None
            return (self._files.factors() if data.snapshot is None else ""), None
        fault = dict(level.absent).get("factors_path") if data.snapshot is None else None
        if fault is not None:
            self._findings.add(level.at(("factors_path",)), fault)
        return level.values["factors_path"], fault

    def _data_of(self, run: Level, bad: set[str]) -> DataSpec:
        if "data" in run.values or "data" in bad:
            return self._data_spec(run, {**self._data_given, **run.values.get("data", {})}, bad)
        if self._data is None:
            self._data = self._data_spec(run, self._data_given, bad)
        return self._data

    def _data_spec(self, run: Level, given: dict[str, Any], bad: set[str]) -> DataSpec:
        given = dict(given)
        levels = [*run.chain(), self._defaults]
        if given.get("snapshot") is not None:
            self._replayed = True
            given["snapshots"] = str(self._files.snapshots)
            given.setdefault("path", "")
        else:
            for name in ("path", "open_path"):
                level = next((level for level in levels if name in level.values.get("data", ())), None)
                fault = None if level is None else dict(level.absent).get(name)
                if level is not None and fault is not None:
                    self._findings.add(level.at(("data", name)), fault)
                    # It has been told of; the rest of the run can still be looked at.
                    given[name] = "" if name == "path" else None
        path = given.get("path")
        if path is None and "data" not in bad:
            path = self._files.prices()
            if path is None and not self._told_prices:
                self._told_prices = True
                message = f"no prices: give data.path, or put {', '.join(PRICES[:3])} or a folder {PRICES[3]}"
                self._findings.add((*run.place, "data", "path"), f"{message}/ beside the batch file")
        if "missing_limit" in given and given.get("missing", "error") != "forward_fill":
            self._tell_limit(levels)
            del given["missing_limit"]
        return DataSpec(**{**given, "path": path or ""})

    def _tell_limit(self, levels: list[Level]) -> None:
        """A run that takes back the policy of its defaults need not take back its limit."""
        key = next(
            key
            for level in levels
            for key in ("missing_limit", "missing")
            if key in level.values.get("data", ())
        )
        if key == "missing_limit":
            level = next(level for level in levels if key in level.values.get("data", ()))
            message = "limits nothing; it is for missing: forward_fill alone"
            self._findings.add(level.at(("data", key)), message)


def _checks(base: CheckSpec, values: dict[str, Any]) -> CheckSpec:
    """``base`` with what a level, and then its parts, give in its place."""
    for given in values.get("checks", ()):
        base = put_on(base, given)
    return base


def _reports(inherited: tuple[ReportName, ...], values: dict[str, Any]) -> tuple[ReportName, ...]:
    """Reports wanted, in one order: a list replaces what is inherited, flags change it."""
    if "reports" not in values and "report_flags" not in values:
        return inherited
    wanted = set(values.get("reports", inherited))
    for report, on in values.get("report_flags", {}).items():
        (wanted.add if on else wanted.discard)(report)
    return tuple(report for report in REPORTS if report in wanted)
