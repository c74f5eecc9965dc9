"""The key ``compare_with``: another run of the batch that a run's result is held against."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, GetJsonSchemaHandler

from pytest_finbot.config.checks import ChecksModel, put_on
from pytest_finbot.config.fields import Name, wrong
from pytest_finbot.config.problems import Findings, Place, describe, quoted
from pytest_finbot.contracts import CheckSpec, CompareSpec, PresetName, RunSpec
from pytest_finbot.errors import did_you_mean

if TYPE_CHECKING:
    from pytest_finbot.config.level import Level
    from pytest_finbot.config.merge import Merger

_LONGEST: Final = 60
_PLACE: Final[Place] = ("compare_with",)


class CompareModel(ChecksModel):
    """Which run is the reference, and how far from it a result may be: the keys of ``checks``."""

    noun: ClassVar[str] = "compare_with"

    run: Name
    preset: PresetName = "cross_engine"


def _as_mapping(value: Any) -> Any:
    """``"slow"`` as ``{run: slow}``; false, which takes back what defaults say, as nothing."""
    if value is None or value is False:
        return None
    if isinstance(value, str):
        return {"run": value}
    if isinstance(value, dict):
        return value
    raise wrong(f"expected the id of a run, a mapping of run and checks, or false, got {describe(value)}")


class _OrId:
    """Tells editors that the id alone will do, and that false takes it back."""

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        model = handler(CompareModel.__pydantic_core_schema__)
        return {"anyOf": [{"const": False}, {"type": "string", "minLength": 1}, model]}


CompareWith = Annotated[CompareModel | None, BeforeValidator(_as_mapping), _OrId()]


def compare_given(model: CompareModel | None) -> CompareSpec | None:
    """What one level of the file gives; how the reference trades is known when all runs are."""
    return None if model is None else CompareSpec(model.run, put_on(CompareSpec("").checks, model))


# ------------------------------------------------------------------------------ together


def with_references(
    runs: Sequence[tuple[RunSpec, Level]], ids: Sequence[str], merger: Merger, findings: Findings
) -> Iterator[RunSpec]:
    """The runs, each comparison with what its reference says of itself; what is wrong is noted.

    ``ids`` are those of all runs of the file, also of such as are too broken to be in ``runs``. Where
    the reference was multiplied, by a matrix or windows, its id as it stands in the file will do: meant
    is the one that was multiplied alike.
    """
    specs = {spec.name: spec for spec, _ in runs}
    known = set(ids)
    near: dict[str, str] = {}
    for spec, level in runs:
        compare = spec.compare_with
        if compare is None:
            yield spec
            continue
        place = merger.owner(level, _PLACE)
        name = compare.run
        base = level.raw.get("id")
        if name not in known and isinstance(base, str):
            name += spec.name.removeprefix(base)
        if name == spec.name:
            findings.add(
                place,
                f"run '{name}' cannot be compared with itself; name another run"
                + ("" if "compare_with" in level.keys() else ", or write compare_with: false in it"),  # noqa: SIM118 - a method of Level
            )
        elif name not in known:
            if compare.run not in near:  # once: ten thousand runs may ask for the same
                given = (str(other.raw.get("id")) for _, other in runs)
                near[compare.run] = did_you_mean(compare.run, dict.fromkeys((*given, *ids)))
            findings.add(place, f"there is no run {quoted(compare.run)} in this file{near[compare.run]}")
        elif name in specs:
            reference = specs[name]
            for key, theirs, ours in _differences(reference, spec):
                findings.add(
                    place,
                    f"run '{spec.name}' cannot be compared with '{name}', which has another {key}: "
                    f"{_shown(theirs)} there, {_shown(ours)} here; only engine, fill, units, costs, "
                    "cash_buffer and min_trade may differ",
                )
            yield dataclasses.replace(spec, compare_with=_told_of(compare, reference))
            continue
        yield spec


def _told_of(compare: CompareSpec, reference: RunSpec) -> CompareSpec:
    return dataclasses.replace(
        compare,
        run=reference.name,
        engine=reference.engine,
        fill=reference.fill,
        units=reference.units,
        costs=reference.costs,
        cash_buffer=reference.cash_buffer,
        min_trade=reference.min_trade,
    )


def _differences(reference: RunSpec, spec: RunSpec) -> Iterator[tuple[str, Any, Any]]:
    """Keys in which the two are not the same strategy on the same prices, with both values."""
    for (key, theirs), (_, ours) in zip(_held(reference), _held(spec), strict=True):
        if theirs != ours:
            yield key, theirs, ours


def _held(spec: RunSpec) -> Iterator[tuple[str, Any]]:
    """What two runs must have in common, by key. Paths may differ: prices are compared by value."""
    for key in ("strategy", "params", "symbols", "start_date", "end_date", "start_capital"):
        yield key, getattr(spec, key)
    for key in ("field", "calendar", "missing", "missing_limit"):
        yield f"data.{key}", getattr(spec.data, key)
    for key in ("rebalance_freq", "max_gross_exposure", "bundle_path", "factors_path", "seed"):
        yield key, getattr(spec, key)
    for key in ("flows", "multipliers"):
        yield key, getattr(spec, key)
    actions = spec.actions
    yield "dividends", actions.dividends
    yield "splits", actions.splits
    yield "dividend_booking", actions.booking
    yield "windows", None if spec.part is None else (spec.part.kind, str(spec.part.own_from or ""))


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        value = ", ".join(value)
    text = str(dict(value) if isinstance(value, Mapping) else value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def cut_alike(compare: CompareSpec | None, ending: str) -> CompareSpec | None:
    """The comparison of a slice, whose id is that of its run with ``ending``: with the reference's slice."""
    return None if compare is None else dataclasses.replace(compare, run=f"{compare.run}{ending}")


def same_reference(one: CompareSpec | None, other: CompareSpec | None) -> bool:
    """Whether both name the same reference, which trades the same; how far from it is another matter."""
    anyhow = CheckSpec()
    sides = [None if side is None else dataclasses.replace(side, checks=anyhow) for side in (one, other)]
    return sides[0] == sides[1]
