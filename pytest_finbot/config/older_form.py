"""Keys of the older, flat form of a batch file, and what they mean today.

They are accepted wherever a run's keys are, at their own level: a run's ``generate_report:
false`` takes away what the defaults' ``true`` added, as a run overrides defaults anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import Field

from pytest_finbot.config.fields import Amount, Daily, FilePath, Local, Strict
from pytest_finbot.config.problems import Place

FLAT: Final[Mapping[str, tuple[str, str]]] = {
    "data_source": ("data", "source"),
    "data_path": ("data", "path"),
    "field": ("data", "field"),
    "calendar": ("data", "calendar"),
    "commission_bps": ("costs", "commission_bps"),
    "slippage_bps": ("costs", "slippage_bps"),
}
"""Flat key -> section and key of today."""

REPORT_FLAGS: Final[Mapping[str, str]] = {
    "generate_report": "summary",
    "generate_risk_report": "risk",
    "generate_tca_report": "tca",
}
"""Flag -> report that it turns on or off."""

OLDER_KEYS: Final = frozenset({"freq", "universe_file", *FLAT, *REPORT_FLAGS})


class OlderKeys(Strict):
    """The older keys, as fields of every set of a run's keys."""

    freq: Daily = Field(default="1d", deprecated="sessions are days; leave it out")
    data_source: Local = Field(default="local", deprecated="use data.source")
    data_path: FilePath = Field(default="", deprecated="use data.path")
    field: Literal["close", "adj_close"] = Field(default="close", deprecated="use data.field")
    calendar: str | None = Field(default=None, deprecated="use data.calendar")
    commission_bps: Amount = Field(default=0.0, deprecated="use costs.commission_bps")
    slippage_bps: Amount = Field(default=0.0, deprecated="use costs.slippage_bps")
    universe_file: FilePath = Field(default="", deprecated="use symbols_file")
    generate_report: bool = Field(default=False, deprecated="use reports: [summary]")
    generate_risk_report: bool = Field(default=False, deprecated="use reports: [risk]")
    generate_tca_report: bool = Field(default=False, deprecated="use reports: [tca]")


def today(key: str) -> str:
    """The key of today that an older one belongs to (``data_path`` -> ``data``)."""
    if key in FLAT:
        return FLAT[key][0]
    if key in REPORT_FLAGS:
        return "reports"
    return "symbols_file" if key == "universe_file" else key


def contradictions(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Older keys that say something else than today's at the same level, with a message."""
    for key, (section, name) in FLAT.items():
        if key in raw and isinstance(raw.get(section), dict) and name in raw[section]:
            said = raw[section][name]
            if raw[key] != said:
                yield key, f"{key} and {section}.{name} differ; keep {section}.{name}"
    if "universe_file" in raw and "symbols_file" in raw and raw["universe_file"] != raw["symbols_file"]:
        yield "universe_file", "universe_file and symbols_file differ; keep symbols_file"
    reports = raw.get("reports")
    if isinstance(reports, list):
        for key, report in REPORT_FLAGS.items():
            if key in raw and raw[key] is not (report in reports):
                yield key, f"{key} and reports differ about '{report}'; keep reports"


def spelled(raw: Mapping[str, Any], place: Place) -> Place:
    """``place`` as this level of the file spells it: ``("data", "path")`` or ``("data_path",)``."""
    section = raw.get(str(place[0])) if place else None
    for key, today_place in FLAT.items():
        if key in raw and place[:2] == today_place:
            named = isinstance(section, dict) and today_place[1] in section
            return place if named else (key, *place[2:])
    if place[:1] == ("symbols_file",) and "symbols_file" not in raw and "universe_file" in raw:
        return ("universe_file", *place[1:])
    return place
