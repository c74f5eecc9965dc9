"""The key ``matrix``: one run with every combination of some values."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pytest_finbot.config.files import Files
from pytest_finbot.config.level import EXPANDING, Level, put_together, read_level
from pytest_finbot.config.marks import MarksModel
from pytest_finbot.config.models import CostsModel, DataModel, DefaultsModel
from pytest_finbot.config.older_form import FLAT
from pytest_finbot.config.problems import Findings, Place, describe, key_path, quoted, unknown_key
from pytest_finbot.config.slugs import key_labels, slug
from pytest_finbot.errors import did_you_mean

MOST_RUNS: Final = 100_000
"""Runs that a matrix and windows may make of a file."""

_LISTS: Final = ("include", "exclude")
_BELOW: Final[Mapping[str, type[Any] | None]] = {
    "params": None,
    "data": DataModel,
    "costs": CostsModel,
    "marks": MarksModel,
}
"""Sections of a run with keys of their own, and what these are; ``None``: any."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One set of values: where each stands, what they come to, and their part of a run's id."""

    parts: tuple[Level, ...]
    values: dict[str, Any]
    bad: frozenset[str]
    label: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every combination, in the order of the file. ``broken`` are keys of runs that are not known,
    because the matrix that should give them is wrong."""

    place: Place
    combinations: tuple[Combination, ...] = ()
    broken: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Axis:
    key: str
    inner: Place
    values: list[Any]
    parts: list[Level] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


def read_matrix(raw: Any, place: Place, findings: Findings, files: Files) -> Matrix:
    """What ``matrix`` at ``place`` says; what is wrong with it, or with its values, is told."""
    if not isinstance(raw, dict):
        findings.add(place, f"expected a mapping of a run's keys to lists, or false, got {describe(raw)}")
        return Matrix(place)
    return _Reader(raw, place, findings, files).read()


class _Reader:
    def __init__(self, raw: dict[str, Any], place: Place, findings: Findings, files: Files) -> None:
        self._raw = raw
        self._place = place
        self._findings = findings
        self._files = files
        self._sound = True

    def read(self) -> Matrix:
        axes = [axis for axis in map(self._axis, self._raw) if axis is not None]
        include, exclude = (self._entries(name) for name in _LISTS)
        further = self._further_keys(axes, include)
        self._tell_overlaps([*axes, *further.values()])
        if not axes and not include:
            if self._sound:
                self._tell((), "no keys; a matrix needs one with a list of values, or include")
        elif self._sound:
            self._tell_count(axes, include)
        excluded = [pairs for number, entry in exclude if (pairs := self._excluded(axes, number, entry))]
        if not self._sound:
            return Matrix(self._place, broken=self._broken(include))
        labels = key_labels([*(axis.key for axis in axes), *further])
        for axis in axes:
            for number, value in enumerate(axis.values):
                axis.parts.append(self._part((axis.key, number), axis.inner, value))
                axis.labels.append(f"{labels[axis.key]}-{slug(value, number + 1)}")
        found = [*_product(axes, excluded), *self._included(axes, further, labels, include)]
        if not found:
            self._tell(("exclude",), "leaves no combination")
        return Matrix(self._place, tuple(found))

    def _tell(self, key: Place, message: str) -> None:
        self._sound = False
        self._findings.add((*self._place, *key), message)

    # ---------------------------------------------------------------------------- reading

    def _axis(self, key: str) -> _Axis | None:
        if key in _LISTS:
            return None
        inner = self._inner(key, (key,))
        values = self._raw[key]
        if not isinstance(values, list):
            alone = values is not None and not isinstance(values, dict)
            hint = f"; write [{values}]" if alone and not isinstance(values, bool) else ""
            self._tell((key,), f"expected a list of values, got {describe(values)}{hint}")
            return None
        if not values:
            self._tell((key,), "no values; expected at least one")
        self._tell_repeated(key, values)
        return None if inner is None else _Axis(key, inner, values)

    def _tell_repeated(self, key: str, values: list[Any]) -> None:
        """Equal values would make runs of one configuration, however each is written."""
        first: dict[Any, int] = {}
        for number, value in enumerate(values):
            earlier = first.setdefault(_by_value(value), number)
            if earlier != number:
                what = "it" if isinstance(value, list | dict) else describe(value)
                where = key_path((*self._place, key, earlier))
                self._tell((key, number), f"{what} is given twice; it was first given in {where}; keep one")

    def _inner(self, key: str, place: Place) -> Place | None:
        """The path within a run that ``key`` names; ``None``, and told, where there is none."""
        head, dot, tail = key.partition(".")
        known = [name for name, about in DefaultsModel.model_fields.items() if not about.deprecated]
        if key == "id" or key in EXPANDING:
            self._tell(place, f"{quoted(key)} is no key of a matrix; it takes {', '.join(known)}")
        elif head not in DefaultsModel.model_fields:
            self._tell(place, unknown_key(key, [*DefaultsModel.model_fields, *_LISTS], known))
        elif not dot:
            return (head,)
        elif head not in _BELOW:
            below = ", ".join(f"{name}.…" for name in _BELOW)
            self._tell(place, f"{quoted(head)} has no keys below it in a matrix; {below} have")
        else:
            model = _BELOW[head]
            if model is not None and tail not in model.model_fields:
                self._tell(place, unknown_key(tail, model.model_fields, model.model_fields))
            elif not tail or "." in tail:
                whole = tail.partition(".")[0] or "name"
                self._tell(
                    place,
                    f"{quoted(key)} is not one key below {head}; "
                    f"write {head}.{whole}, and each of its values whole",
                )
            else:
                return (head, tail)
        return None

    def _entries(self, name: str) -> list[tuple[int, dict[str, Any]]]:
        entries = self._raw.get(name, [])
        if not isinstance(entries, list):
            self._tell((name,), f"expected a list of mappings, got {describe(entries)}")
            return []
        found = []
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self._tell((name, number), f"expected a mapping of keys to values, got {describe(entry)}")
            elif not entry:
                self._tell((name, number), "no keys; expected the values of a combination")
            else:
                found.append((number, entry))
        return found

    def _further_keys(self, axes: list[_Axis], include: list[tuple[int, dict[str, Any]]]) -> dict[str, _Axis]:
        """Keys of ``include`` that the matrix has not, each with the values it gives."""
        known = {axis.key for axis in axes}
        further: dict[str, _Axis] = {}
        for number, entry in include:
            missing = [key for key in self._raw if key not in _LISTS and key not in entry]
            if missing:
                self._tell(
                    ("include", number),
                    f"does not say {', '.join(missing)}; what is included names every key of the matrix",
                )
            for key, value in entry.items():
                if key in known or key in self._raw:
                    continue
                if key not in further:
                    inner = self._inner(key, ("include", number, key))
                    if inner is None:
                        continue
                    further[key] = _Axis(key, inner, [])
                further[key].values.append(value)
        return further

    def _tell_overlaps(self, axes: list[_Axis]) -> None:
        for one, other in itertools.combinations(axes, 2):
            short, long = sorted((_today(one.inner), _today(other.inner)), key=len)
            if long[: len(short)] == short:
                own = other.key in self._raw
                place = (other.key,) if own else ("include",)
                self._tell(place, f"{quoted(one.key)} and {quoted(other.key)} give the same; keep one")

    def _tell_count(self, axes: list[_Axis], include: list[Any]) -> None:
        count = (math.prod(len(axis.values) for axis in axes) if axes else 0) + len(include)
        if count > MOST_RUNS:
            sizes = " * ".join(str(len(axis.values)) for axis in axes)
            self._tell((), f"{sizes} = {count:,} combinations; at most {MOST_RUNS:,} runs are allowed")

    def _broken(self, include: list[tuple[int, dict[str, Any]]]) -> frozenset[str]:
        keys = [*self._raw, *(key for _, entry in include for key in entry)]
        return frozenset(_today((key.partition(".")[0],))[0] for key in keys)  # type: ignore[misc]

    # ----------------------------------------------------------------------- combinations

    def _part(self, key: Place, inner: Place, value: Any) -> Level:
        raw = {inner[-1]: value} if len(inner) == 1 else {inner[0]: {inner[1]: value}}
        level = read_level(raw, (*self._place, *key), self._findings, self._files, inner=inner)
        assert level is not None, "a mapping is a level"
        return level

    def _excluded(self, axes: list[_Axis], number: int, entry: dict[str, Any]) -> dict[int, set[int]]:
        """Which values of which axes an entry of ``exclude`` means; empty, and told, where it is wrong."""
        found: dict[int, set[int]] = {}
        numbers = {axis.key: index for index, axis in enumerate(axes)}
        for key, value in entry.items():
            place = ("exclude", number, key)
            if key not in numbers:
                if key not in self._raw:
                    near = did_you_mean(key, numbers) or f"; it has {', '.join(numbers)}"
                    self._tell(place, f"{quoted(key)} is no key of this matrix{near}")
                continue
            values = axes[numbers[key]].values
            same = {index for index, other in enumerate(values) if _by_value(value) == _by_value(other)}
            if not same:
                shown = ", ".join(str(other) for other in values[:10]) + (", …" if len(values) > 10 else "")
                self._tell(place, f"matches no combination; the matrix has {shown}")
            found[numbers[key]] = same
        return found

    def _included(
        self,
        axes: list[_Axis],
        further: dict[str, _Axis],
        labels: Mapping[str, str],
        include: list[tuple[int, dict[str, Any]]],
    ) -> Iterator[Combination]:
        by_key = {axis.key: axis for axis in axes}
        # Equal values have one label, so that a combination that is there already has its id.
        called = {
            key: dict(zip(map(_by_value, axis.values), axis.labels, strict=True))
            for key, axis in by_key.items()
        }
        for number, entry in include:
            parts, words = [], []
            for key in [*by_key, *(key for key in entry if key not in by_key)]:
                axis = by_key.get(key) or further[key]
                value = entry[key]
                parts.append(self._part(("include", number, key), axis.inner, value))
                position = number + 1 + (len(axis.values) if key in by_key else 0)
                label = f"{labels[key]}-{slug(value, position)}"
                words.append(called.setdefault(key, {}).setdefault(_by_value(value), label))
            yield _combination(parts, words)


def _product(axes: list[_Axis], excluded: list[dict[int, set[int]]]) -> Iterator[Combination]:
    if not axes:
        return
    for indexes in itertools.product(*(range(len(axis.values)) for axis in axes)):
        if any(all(indexes[axis] in same for axis, same in pairs.items()) for pairs in excluded):
            continue
        chosen = list(zip(axes, indexes, strict=True))
        yield _combination(
            [axis.parts[index] for axis, index in chosen], [axis.labels[index] for axis, index in chosen]
        )


def _combination(parts: Iterable[Level], words: Iterable[str]) -> Combination:
    parts = tuple(parts)
    values: dict[str, Any] = {}
    bad: set[str] = set()
    for part in parts:
        values = put_together(values, part.values)
        bad |= part.bad
    return Combination(parts, values, frozenset(bad), ".".join(words))


def _today(inner: Place) -> Place:
    """An older key's path as it is called today."""
    return FLAT.get(str(inner[0]), inner) if len(inner) == 1 else inner


def _by_value(value: Any) -> Any:
    """Equal for values that are: 0 and 0.0, mappings in any order; and not as ``1 == True`` is."""
    if isinstance(value, dict):
        return dict, frozenset((key, _by_value(child)) for key, child in value.items())
    if isinstance(value, list):
        return list, tuple(map(_by_value, value))
    return (bool, value) if isinstance(value, bool) else value


def told_parts(parts: Iterable[Level]) -> str:
    """Where the values of a combination stand, for messages."""
    return ", ".join(key_path(part.place) for part in parts)
