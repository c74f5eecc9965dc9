"""What differs between the fingerprints of two results, in words, part by part.

A full fingerprint is the document ``{"config": {"hash", "settings"}, "data": {"hash", "field",
"parts"}, "code": {"hash", "scope", "modules", "dynamic"}, "environment": {name: version},
"engine": {"name", "version"}}``. Hashes decide whether a part is the same; what is beside them
says where it is not. A part that a side lacks is ``unknown``, never the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pytest_finbot.contracts import Cause
from pytest_finbot.fingerprint.imports import UNKNOWN
from pytest_finbot.fingerprint.settings import changed_settings

MOST_NAMED: Final = 10
"""Settings, symbols and modules that are named each; the rest is counted."""
_OURS: Final = "pytest_finbot."
_ORDER: Final = ("config", "data", "code", "environment", "not deterministic", "unknown")


def differences(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    sides: tuple[str, str] = ("the baseline", "this run"),
) -> tuple[Cause, ...]:
    """What differs from ``old`` to ``new``, in the order config, data, code, environment, unknown.

    Empty only where every part is known on both sides and equal. ``sides`` is what the two are
    called where one of them lacks something.
    """
    pair = _Pair(old, new, sides)
    found = [*_config(pair), *_data(pair), *_code(pair), *_environment(pair), *_engine(pair)]
    return tuple(sorted(found, key=lambda cause: _ORDER.index(cause.part)))


def explain(old: Mapping[str, Any], new: Mapping[str, Any], moved: bool) -> tuple[Cause, ...]:
    """Why the results of ``old`` and ``new`` differ: :func:`differences`, or what follows from none.

    ``moved``: whether numbers moved at all. With nothing different, a moved result is not
    deterministic, unless code was imported in ways that the fingerprint does not see.
    """
    found = differences(old, new)
    if found or not moved:
        return found
    names = sorted(
        {str(name) for side in (old, new) for name in _mapping(side.get("code")).get("dynamic") or ()}
    )
    if not names:
        return (Cause("not deterministic", _ALL_THE_SAME),)
    verb = "imports modules in ways that are" if len(names) == 1 else "import modules in ways that are"
    return (Cause("unknown", f"no recorded part differs, but {_listed(names)} {verb} not followed"),)


_ALL_THE_SAME = (
    "config, data, code and environment are the same, unless it reads something that is not recorded"
)


class _Pair:
    """Both sides, and the parts that both have."""

    def __init__(self, old: Mapping[str, Any], new: Mapping[str, Any], sides: tuple[str, str]) -> None:
        self.old, self.new, self.sides = old, new, sides

    def part(self, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        return _mapping(self.old.get(name)), _mapping(self.new.get(name))

    def lacking(self, name: str, key: str | None = None) -> list[Cause]:
        """One cause for each side that has no part ``name`` (no ``key`` in it)."""
        parts = self.part(name)
        lack = [
            side
            for side, part in zip(self.sides, parts, strict=True)
            if not part or (key and part.get(key) is None)
        ]
        if not lack:
            return []
        where = f"in {lack[0]}" if len(lack) == 1 else f"in {lack[0]} nor in {lack[1]}"
        return [Cause("unknown", f"{name}: not recorded {where}")]


def _config(pair: _Pair) -> Iterator[Cause]:
    lacking = pair.lacking("config", "hash")
    if lacking:
        yield from lacking
        return
    old, new = pair.part("config")
    if old["hash"] == new["hash"]:
        return
    before, after = _mapping(old.get("settings")), _mapping(new.get("settings"))
    if not before or not after:
        yield Cause("config", "settings changed; which was not kept")
        return
    changes = changed_settings(before, after)
    if not changes:
        yield Cause("unknown", f"config: settings are the same, their hash is not{_versions(pair)}")
    for detail in _cut(changes, "settings"):
        yield Cause("config", detail)


def _data(pair: _Pair) -> Iterator[Cause]:
    lacking = pair.lacking("data", "hash")
    if lacking:
        yield from lacking
        return
    old, new = pair.part("data")
    if old["hash"] == new["hash"]:
        return
    other_field = old.get("field") != new.get("field")
    if other_field:
        yield Cause("data", f"field {old.get('field') or 'unknown'} → {new.get('field') or 'unknown'}")
    before, after = _mapping(old.get("parts")), _mapping(new.get("parts"))
    if not before or not after:
        if not other_field:
            yield Cause("data", "values changed; which symbols and years was not kept")
        return
    first, last, same_window = _comparable_years(pair)
    changes = []
    for symbol in sorted({*before, *after}):
        if symbol not in before:
            changes.append(f"{symbol} added")
        elif symbol not in after:
            changes.append(f"{symbol} removed")
        elif not other_field:  # of another field every value is another
            years = [
                year
                for year in _changed(_mapping(before[symbol]), _mapping(after[symbol]))
                if first <= year <= last
            ]
            if years:
                changes.append(f"{symbol} {_ranges(years)}")
    if not changes and not other_field and same_window:
        yield Cause("unknown", f"data: symbols and years are the same, their hash is not{_versions(pair)}")
    for detail in _cut(changes, "symbols"):
        yield Cause("data", detail)


def _comparable_years(pair: _Pair) -> tuple[str, str, bool]:
    """First and last year whose digests cover the same sessions on both sides; whether all do.

    Another window has other sessions in its first or last year: that is the window's doing,
    which the configuration tells, and says nothing of the prices.
    """
    before, after = (_mapping(part.get("settings")) for part in pair.part("config"))
    starts = [str(settings.get("start_date") or "") for settings in (before, after)]
    ends = [str(settings.get("end_date") or "") for settings in (before, after)]
    first, last = "", "9999"
    if starts[0] != starts[1] and all(starts):
        first = str(int(max(starts)[:4]) + 1)
    if ends[0] != ends[1] and all(ends):
        last = str(int(min(ends)[:4]) - 1)
    return first, last, not first and last == "9999"


def _code(pair: _Pair) -> Iterator[Cause]:
    lacking = pair.lacking("code", "hash")
    if lacking:
        yield from lacking
        return
    old, new = pair.part("code")
    before, after = _mapping(old.get("modules")), _mapping(new.get("modules"))
    # Equal words for what is not known are no proof that it is equal.
    unread = sorted(name for name in {*before, *after} if UNKNOWN in (before.get(name), after.get(name)))
    if unread:
        yield Cause("unknown", f"code: no source of {_listed(unread)} to compare")
    if old["hash"] == new["hash"]:
        return
    if not before or not after:
        yield Cause("code", "modules changed; which was not kept")
        return
    changes = []
    # The user's own first: they are the ones that are looked for.
    for name in sorted(_changed(before, after), key=lambda name: (name.startswith(_OURS), name)):
        if name not in before:
            changes.append(f"{name} added")
        elif name not in after:
            changes.append(f"{name} removed")
        elif name not in unread:
            changes.append(name)
    if not changes and not unread:
        yield Cause("unknown", f"code: modules are the same, their hash is not{_versions(pair)}")
    for detail in _cut(changes, "modules"):
        yield Cause("code", detail)


def _environment(pair: _Pair) -> Iterator[Cause]:
    lacking = pair.lacking("environment")
    if lacking:
        yield from lacking
        return
    old, new = pair.part("environment")
    for name in _changed(old, new):
        yield Cause("environment", f"{name} {_version(old, name)} → {_version(new, name)}")


def _engine(pair: _Pair) -> Iterator[Cause]:
    lacking = pair.lacking("engine")
    if lacking:
        yield from lacking
        return
    old, new = pair.part("engine")
    if old.get("name") != new.get("name"):
        before, after = (f"{_version(part, 'name')} {_version(part, 'version')}" for part in (old, new))
        yield Cause("environment", f"engine {before} → {after}")
    elif old.get("version") != new.get("version"):
        name = _version(old, "name")
        yield Cause("environment", f"engine {name} {_version(old, 'version')} → {_version(new, 'version')}")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _version(part: Mapping[str, Any], name: str) -> str:
    known = part.get(name)
    return "(not recorded)" if known is None else str(known)


def _versions(pair: _Pair) -> str:
    """Versions of ours, where a change of how things are written down can explain a hash."""
    old, new = (_version(part, "pytest-finbot") for part in pair.part("environment"))
    return "" if old == new else f" (pytest-finbot {old} → {new})"


def _ranges(years: Sequence[str]) -> str:
    """Sorted years in as few words as will do: consecutive ones as a range."""
    spans: list[list[str]] = []
    for year in years:
        if spans and year.isdecimal() and spans[-1][1].isdecimal() and int(year) == int(spans[-1][1]) + 1:
            spans[-1][1] = year
        else:
            spans.append([year, year])
    return ", ".join(first if first == last else f"{first}–{last}" for first, last in spans)  # noqa: RUF001 - a range of years, as in print


def _cut(details: Sequence[str], noun: str) -> list[str]:
    left = len(details) - MOST_NAMED
    if left <= 0:
        return list(details)
    return [*details[:MOST_NAMED], f"and {left} more {noun if left > 1 else noun.removesuffix('s')}"]


def _listed(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
