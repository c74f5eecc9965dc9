"""One level of a batch file, ``defaults`` or a run, by itself: what it says, what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from pytest_finbot.config.attempts import retries_given
from pytest_finbot.config.fields import symbol_fault
from pytest_finbot.config.files import Files
from pytest_finbot.config.models import DefaultsModel, RunModel
from pytest_finbot.config.older_form import (
    FLAT,
    OLDER_KEYS,
    REPORT_FLAGS,
    contradictions,
    spelled,
    today,
)
from pytest_finbot.config.problems import Findings, Place, describe, quoted

PLAIN: Final = frozenset(
    {
        "description",
        "engine",
        "strategy",
        "params",
        "start_date",
        "end_date",
        "start_capital",
        "rebalance_freq",
        "fill",
        "units",
        "min_trade",
        "max_gross_exposure",
        "seed",
        "timeout",
        "memory_limit",
        "isolation",
    }
)
"""Keys whose values go into a RunSpec as they are."""

SECTIONS: Final = frozenset({"data", "costs", "params", "retries", "checks"})
"""Mappings that a run overrides key by key."""


@dataclass(slots=True)
class Level:
    """``values`` in RunSpec's terms, only what the file gives; ``bad``: given, but wrong.

    Values are ``data``, ``costs`` and ``retries`` as dicts of what is given, ``checks`` as a
    ChecksModel, ``symbols`` as a tuple, ``bundle_path`` and ``factors_path`` absolute, ``reports`` a list,
    and ``report_flags`` (report: on or off) from the older form.
    """

    place: Place
    raw: Mapping[str, Any]
    id: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)

    def gives(self, place: Place) -> bool:
        """Whether this level of the file has the key that ``place``, within a run, belongs to."""
        place = self.spelling(place)
        if place[0] not in self.raw:
            return False
        section = self.raw[str(place[0])]
        if place[0] in SECTIONS and len(place) > 1 and isinstance(section, dict):
            return place[1] in section
        return True

    def spelling(self, place: Place) -> Place:
        """``place`` by the keys this level uses."""
        if place[:1] == ("symbols",) and "symbols" not in self.raw:
            place = ("symbols_file",)
        return spelled(self.raw, place)


def read_level(raw: Any, place: Place, findings: Findings, files: Files) -> Level | None:
    """Check the run or ``defaults`` at ``place``; ``None`` if it is not even a mapping."""
    is_run = place[0] == "runs"
    kind = RunModel if is_run else DefaultsModel
    if not isinstance(raw, dict):
        what = "a run's keys, such as id and strategy" if is_run else "a run's keys"
        findings.add(place, f"expected a mapping of {what}, got {describe(raw)}")
        return None
    level = Level(place, raw)
    try:
        model: DefaultsModel = kind.model_validate(raw)
    except ValidationError as error:
        findings.add_invalid(place, error, kind)
        sound = _without_faults(level, error)
        level.id = sound.pop("id", None)
        model = DefaultsModel.model_validate(sound)
    else:
        level.id = model.id if isinstance(model, RunModel) else None
    _take(level, model, findings, files)
    return level


def _without_faults(level: Level, error: ValidationError) -> dict[str, Any]:
    """What is left once everything wrong is taken out, so that its own mistakes are found too."""
    sound = dict(level.raw)
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0])
        level.bad.add(today(key))
        if key in ("data", "costs") and len(detail["loc"]) > 1 and key in sound:
            sound[key] = {name: value for name, value in sound[key].items() if name != detail["loc"][1]}
        else:
            sound.pop(key, None)
    return sound


def _take(level: Level, model: DefaultsModel, findings: Findings, files: Files) -> None:
    given, said, values = model.model_fields_set, model.__dict__, level.values
    for name in given:
        if name in PLAIN:
            values[name] = said[name]
    if "data" in given:
        values["data"] = _given_in(said["data"])
    if "costs" in given:
        values["costs"] = _given_in(said["costs"])
    if "retries" in given:
        values["retries"] = retries_given(said["retries"])
    if "tags" in given:
        values["tags"] = tuple(dict.fromkeys(said["tags"]))
    if "outputs" in given:
        values["outputs"] = tuple(dict.fromkeys(said["outputs"]))
    if "reports" in given:
        values["reports"] = said["reports"]
    if "checks" in given:
        values["checks"] = said["checks"]
    if not given.isdisjoint(OLDER_KEYS):
        _take_older(level, given, said, findings)
    _take_symbols(level, given, said, findings, files)
    for name in ("bundle_path", "factors_path"):
        if name in given:
            a_panel_may_be_a_folder = name == "factors_path"
            values[name] = _present(
                level, (name,), said[name], findings, files, folder_too=a_panel_may_be_a_folder
            )
    if "data" in values:
        data = values["data"]
        data.pop("source", None)
        for name in data.keys() & {"path", "open_path"}:
            data[name] = _present(level, ("data", name), data[name], findings, files, folder_too=True)
    if values.get("bundle_path") is not None and files.bundle(said["bundle_path"]) is None:
        level.bad.add("bundle_path")


def _given_in(section: Any) -> dict[str, Any]:
    return {name: section.__dict__[name] for name in section.model_fields_set}


def _take_older(level: Level, given: set[str], said: Mapping[str, Any], findings: Findings) -> None:
    for key, message in contradictions(level.raw):
        findings.add((*level.place, key), message)
        level.bad.add(today(key))
    for key in given & FLAT.keys():
        section, name = FLAT[key]
        level.values.setdefault(section, {})[name] = said[key]
    flags = {REPORT_FLAGS[key]: said[key] for key in given & REPORT_FLAGS.keys()}
    if flags:
        level.values["report_flags"] = flags


def _take_symbols(
    level: Level, given: set[str], said: Mapping[str, Any], findings: Findings, files: Files
) -> None:
    key = next((key for key in ("symbols_file", "universe_file") if key in given), None)
    if "symbols" in given:
        if key is not None:
            findings.add((*level.place, key), f"give either symbols or {key}, not both")
        symbols = tuple(said["symbols"])
        if not all(map(_is_sound, symbols)) or len(set(symbols)) != len(symbols):
            _tell_symbols(level, findings)
        level.values["symbols"] = symbols
    elif "symbols" in level.raw:
        _tell_symbols(level, findings)
    elif key is not None:
        path = _present(level, (key,), said[key], findings, files)
        symbols_found = None if "symbols_file" in level.bad or path is None else files.symbols(said[key])
        if symbols_found is None:
            level.bad.add("symbols")
        else:
            level.values["symbols"] = symbols_found


def _is_sound(symbol: str) -> bool:
    return symbol.isalnum() or symbol_fault(symbol) is None


def _tell_symbols(level: Level, findings: Findings) -> None:
    level.bad.add("symbols")
    given = level.raw["symbols"]
    place = (*level.place, "symbols")
    seen: set[str] = set()
    for number, symbol in enumerate(given if isinstance(given, list) else [given]):
        if not isinstance(symbol, str):
            continue  # told already
        fault = symbol_fault(symbol)
        if fault is None and symbol in seen:
            fault = f"the symbol {quoted(symbol)} is given twice"
        if fault is not None:
            findings.add((*place, number) if isinstance(given, list) else place, fault)
        seen.add(symbol)


def _present(
    level: Level,
    place: Place,
    given: str | None,
    findings: Findings,
    files: Files,
    *,
    folder_too: bool = False,
) -> str | None:
    """Absolute path of a file the level names; its absence is a problem of the level's."""
    if given is None:
        return None
    fault = files.fault(given, folder_too=folder_too)
    if fault is not None:
        findings.add((*level.place, *level.spelling(place)), fault)
        level.bad.add(str(place[0]) if place[0] != "universe_file" else "symbols_file")
        return None
    return files.absolute(given)
