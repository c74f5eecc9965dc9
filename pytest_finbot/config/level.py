"""One level of a batch file by itself, ``defaults``, a run or a part of one: what it says, what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from pydantic import ValidationError

from pytest_finbot.config.actions import ACTION_KEYS, take_actions
from pytest_finbot.config.attempts import retries_given
from pytest_finbot.config.comparing import compare_given
from pytest_finbot.config.fields import symbol_fault
from pytest_finbot.config.files import Files
from pytest_finbot.config.models import DefaultsModel, OneRunModel
from pytest_finbot.config.older_form import (
    FLAT,
    OLDER_KEYS,
    REPORT_FLAGS,
    contradictions,
    spelled,
    today,
)
from pytest_finbot.config.problems import Findings, Place, describe, placed, quoted
from pytest_finbot.contracts import PartSpec

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
        "cash_buffer",
        "rejected_orders",
        "seed",
        "timeout",
        "memory_limit",
        "isolation",
    }
)
"""Keys whose values go into a RunSpec as they are."""

SECTIONS: Final = frozenset({"data", "costs", "params", "retries", "checks", "marks"})
"""Mappings that a run overrides key by key."""

_MAPPINGS: Final = frozenset({"data", "costs", "params", "retries", "marks", "report_flags"})

EXPANDING: Final = ("matrix", "windows")
"""Keys that make many runs of one; no level of its own knows what they say."""


@dataclass(slots=True, eq=False)
class Level:
    """``values`` in RunSpec's terms, only what the file gives; ``bad``: given, but wrong.

    Values are ``data``, ``costs``, ``retries`` and ``marks`` as dicts of what is given, ``checks``
    as a tuple of ChecksModel, ``symbols`` as a tuple, ``bundle_path`` and ``factors_path``
    absolute, ``reports`` a list, ``report_flags`` (report: on or off) from the older form, and
    the keys of :mod:`actions` in the nouns' terms.

    A run that a matrix or windows made has ``values`` of all its ``parts``, which stand elsewhere
    in the file, each with the path ``inner`` of what it gives of a run. Its ``raw`` is the run's own.
    """

    place: Place
    raw: Mapping[str, Any]
    id: str | None = None
    values: dict[str, Any] = field(default_factory=dict)
    bad: set[str] = field(default_factory=set)
    absent: tuple[tuple[str, str], ...] = ()
    """Data and factors by their key that are not there, which is wrong unless a snapshot has them."""
    inner: Place = ()
    parts: tuple[Level, ...] = ()
    part: PartSpec | None = None
    whole: tuple[date, date] | None = None
    """First and last day of all windows of the run, where it is one of them."""

    def gives(self, place: Place) -> bool:
        """Whether this level of the file has the key that ``place``, within a run, belongs to."""
        place = self.spelling(place)
        if place[0] not in self.raw:
            return False
        section = self.raw[str(place[0])]
        if place[0] in SECTIONS and len(place) > 1 and isinstance(section, dict):
            return place[1] in section
        return True

    def at(self, place: Place) -> Place:
        """Where the file says what ``place`` within the run says, if this level says it."""
        return placed(self.place, self.inner, self.spelling(place))

    def spelling(self, place: Place) -> Place:
        """``place`` by the keys this level uses."""
        if place[:1] == ("symbols",) and "symbols" not in self.raw:
            place = ("symbols_file",)
        return spelled(self.raw, place)

    def chain(self) -> Iterator[Level]:
        """The parts and the run itself, what overrides first."""
        yield from reversed(self.parts)
        yield self

    def keys(self) -> set[str]:
        """What the run and its parts give."""
        return {key for level in self.chain() for key in level.raw}


def put_together(values: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """The ``values`` of one level with those of another in their place, as if one had given both."""
    found = dict(values)
    for name, value in over.items():
        if name in _MAPPINGS and name in found:
            found[name] = {**found[name], **value}
        elif name == "checks" and name in found:
            found[name] = (*found[name], *value)
        else:
            if name == "reports":
                found.pop("report_flags", None)
            found[name] = value
    return found


def read_level(
    raw: Any,
    place: Place,
    findings: Findings,
    files: Files,
    *,
    kind: type[DefaultsModel] | None = None,
    inner: Place = (),
) -> Level | None:
    """Check the run or ``defaults`` at ``place``; ``None`` if it is not even a mapping.

    ``kind`` holds the keys it may have. Where a single key's value stands at ``place``, ``inner``
    is that key's path in ``raw``.
    """
    is_run = place[0] == "runs" and not inner
    if kind is None:
        kind = OneRunModel if is_run else DefaultsModel
    if not isinstance(raw, dict):
        what = "a run's keys, such as id and strategy" if is_run else "a run's keys"
        findings.add(place, f"expected a mapping of {what}, got {describe(raw)}")
        return None
    level = Level(place, raw, inner=inner)
    try:
        model: DefaultsModel = kind.model_validate(raw)
    except ValidationError as error:
        findings.add_invalid(place, error, kind, inner)
        sound = _without_faults(level, error)
        level.id = sound.pop("id", None)
        for key in EXPANDING:
            sound.pop(key, None)
        model = DefaultsModel.model_validate(sound)
    else:
        level.id = model.id if isinstance(model, OneRunModel) else None
    _take(level, model, findings, files)
    return level


def _without_faults(level: Level, error: ValidationError) -> dict[str, Any]:
    """What is left once everything wrong is taken out, so that its own mistakes are found too."""
    sound = dict(level.raw)
    for detail in error.errors(include_url=False):
        key = str(detail["loc"][0])
        level.bad.add(today(key))
        if key in ("data", "costs", "marks") and len(detail["loc"]) > 1 and key in sound:
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
        values["checks"] = (said["checks"],)
    if "marks" in given:
        values["marks"] = _given_in(said["marks"])
    if "compare_with" in given:
        values["compare_with"] = compare_given(said["compare_with"])
    if not given.isdisjoint(ACTION_KEYS):
        take_actions(given, said, values)
    if not given.isdisjoint(OLDER_KEYS):
        _take_older(level, given, said, findings)
    _take_symbols(level, given, said, findings, files)
    if "bundle_path" in given:
        values["bundle_path"] = _present(level, ("bundle_path",), said["bundle_path"], findings, files)
    if "factors_path" in given:
        values["factors_path"] = _perhaps_recorded(level, "factors_path", said["factors_path"], files)
    if "data" in values:
        _take_data(level, values["data"], findings, files)
    if values.get("bundle_path") is not None and files.bundle(said["bundle_path"]) is None:
        level.bad.add("bundle_path")


def _take_data(level: Level, data: dict[str, Any], findings: Findings, files: Files) -> None:
    data.pop("source", None)
    if "allow" in data:
        data["allow"] = tuple(sorted(set(data["allow"])))
    if data.get("snapshot") is not None:
        fault = files.snapshot_fault(data["snapshot"])
        if fault is not None:
            findings.add(level.at(("data", "snapshot")), fault)
            level.bad.add("data")
    for name in ("path", "open_path"):
        if data.get(name) is not None:
            data[name] = _perhaps_recorded(level, name, data[name], files)


def _perhaps_recorded(level: Level, name: str, given: str | None, files: Files) -> str | None:
    """Absolute path of data or factors; that it is absent is noted, for a snapshot may have it."""
    if given is None:
        return None
    fault = files.fault(given, folder_too=True)
    if fault is not None:
        level.absent = (*level.absent, (name, fault))
    return files.absolute(given)


def _given_in(section: Any) -> dict[str, Any]:
    return {name: section.__dict__[name] for name in section.model_fields_set}


def _take_older(level: Level, given: set[str], said: Mapping[str, Any], findings: Findings) -> None:
    for key, message in contradictions(level.raw):
        findings.add(level.at((key,)), message)
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
            findings.add(level.at((key,)), f"give either symbols or {key}, not both")
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
    place = level.at(("symbols",))
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


def _present(level: Level, place: Place, given: str | None, findings: Findings, files: Files) -> str | None:
    """Absolute path of a file the level names; its absence is a problem of the level's."""
    if given is None:
        return None
    fault = files.fault(given)
    if fault is not None:
        findings.add(level.at(place), fault)
        level.bad.add(str(place[0]) if place[0] != "universe_file" else "symbols_file")
        return None
    return files.absolute(given)
