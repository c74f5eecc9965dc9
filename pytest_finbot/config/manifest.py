"""Runs as JSON and back, exactly: what a batch's manifest holds and its workers read.

Settings that many runs share are written once, as ``common``; a run then has only what is
different, so that 10,000 runs of one study do not repeat their data and costs 10,000 times.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from pytest_finbot.contracts import (
    ActionSpec,
    CheckSpec,
    CompareSpec,
    CostSpec,
    DataSpec,
    Dividend,
    ErrorCategory,
    Factor,
    FactorBundle,
    Flow,
    Limit,
    MarkSpec,
    PartSpec,
    RetrySpec,
    RunSpec,
    Split,
)
from pytest_finbot.errors import ParameterError, did_you_mean

_FIELDS: Final = tuple(field.name for field in dataclasses.fields(RunSpec))
_DATES: Final = ("start_date", "end_date")
_TUPLES: Final = ("symbols", "tags", "reports", "outputs")


def spec_to_json(spec: RunSpec) -> dict[str, Any]:
    """The run as plain JSON values, every field of it; dates in ISO form."""
    return {name: _to_json(name, getattr(spec, name)) for name in _FIELDS}


def spec_from_json(document: Mapping[str, Any]) -> RunSpec:
    """The run that :func:`spec_to_json` wrote. Fields left out have their usual values.

    Raises ParameterError for a key that no run has or a field that every run needs.
    """
    return _spec({name: _from_json(name, value) for name, value in document.items()})


def runs_to_json(specs: Sequence[RunSpec]) -> dict[str, Any]:
    """``{"common": {...}, "runs": [{...}, ...]}``, the runs in order.

    ``common`` is the first run's settings, all but its name and line; a run has its own
    name and line and whatever differs from ``common``, in type as well as in value.
    """
    if not specs:
        return {"common": {}, "runs": []}
    shared = [name for name in _FIELDS if name not in ("name", "line")]
    model = specs[0]
    reference = [(name, getattr(model, name)) for name in shared]
    runs = []
    for spec in specs:
        run = {"name": spec.name, "line": spec.line}
        for name, usual in reference:
            value = getattr(spec, name)
            if value is not usual and not _same(value, usual):
                run[name] = _to_json(name, value)
        runs.append(run)
    return {"common": {name: _to_json(name, value) for name, value in reference}, "runs": runs}


def runs_from_json(document: Mapping[str, Any]) -> tuple[RunSpec, ...]:
    """The runs that :func:`runs_to_json` wrote; other keys of ``document`` are left alone.

    Runs share what is common to them. Raises ParameterError as :func:`spec_from_json` does.
    """
    common = {name: _from_json(name, value) for name, value in document["common"].items()}
    return tuple(
        _spec({**common, **{name: _from_json(name, value) for name, value in run.items()}})
        for run in document["runs"]
    )


def _spec(values: dict[str, Any]) -> RunSpec:
    try:
        return RunSpec(**values)
    except TypeError as error:
        unknown = sorted(values.keys() - set(_FIELDS))
        name = values.get("name", "without a name")
        if unknown:
            hint = did_you_mean(unknown[0], _FIELDS)
            message = (
                f"manifest: run {name}: unknown key '{unknown[0]}'{hint}; was it written by a newer version?"
            )
        else:
            message = f"manifest: run {name}: {error}"
        raise ParameterError(message) from error


def _to_json(name: str, value: Any) -> Any:
    if name in _DATES:
        return value.isoformat()
    if name in _TUPLES:
        return list(value)
    if name == "data":
        return {**dataclasses.asdict(value), "allow": list(value.allow)}
    if name in ("costs", "checks", "marks") or (name == "compare_with" and value is not None):
        return dataclasses.asdict(value)
    if name == "flows":
        return [_dated(flow) for flow in value]
    if name == "actions":
        told = {kind: getattr(value, kind) for kind in ("dividends", "splits")}
        return {
            **{
                kind: said if isinstance(said, str) else [_dated(one) for one in said]
                for kind, said in told.items()
            },
            "booking": value.booking,
        }
    if name == "part" and value is not None:
        return _dated(value)
    if name == "retries":
        return {**dataclasses.asdict(value), "on": [str(category) for category in value.on]}
    if name == "bundle" and value is not None:
        # asdict keeps tuples; JSON has lists.
        return {
            **dataclasses.asdict(value),
            "factors": [dataclasses.asdict(factor) for factor in value.factors],
            "winsorize_limits": list(value.winsorize_limits),
        }
    return dict(value) if name in ("params", "multipliers") else value


def _checks(value: Mapping[str, Any]) -> CheckSpec:
    limits = {check: None if limit is None else Limit(**limit) for check, limit in value["limits"].items()}
    return CheckSpec(**{**value, "limits": limits})


def _dated(value: Any) -> dict[str, Any]:
    """The fields of a frozen noun, dates in ISO form."""
    return {
        key: child.isoformat() if isinstance(child, date) else child
        for key, child in dataclasses.asdict(value).items()
    }


def _undated(kind: type[Any], value: Mapping[str, Any], key: str) -> Any:
    """What :func:`_dated` took apart; ``key`` is the field that holds a date, if any."""
    given = value[key]
    return kind(**{**value, key: None if given is None else date.fromisoformat(given)})


def _from_json(name: str, value: Any) -> Any:
    if name in _DATES:
        return date.fromisoformat(value)
    if name in _TUPLES:
        return tuple(value)
    if name == "data":
        return DataSpec(**{**value, "allow": tuple(value.get("allow", ()))})
    if name == "costs":
        return CostSpec(**value)
    if name == "marks":
        return MarkSpec(**value)
    if name == "flows":
        return tuple(_undated(Flow, flow, "date") for flow in value)
    if name == "actions":
        nouns = {"dividends": Dividend, "splits": Split}
        told = {
            kind: value[kind]
            if isinstance(value[kind], str)
            else tuple(_undated(noun, one, "ex_date") for one in value[kind])
            for kind, noun in nouns.items()
        }
        return ActionSpec(**told, booking=value["booking"])
    if name == "part" and value is not None:
        return _undated(PartSpec, value, "own_from")
    if name == "checks":
        return _checks(value)
    if name == "compare_with" and value is not None:
        return CompareSpec(
            **{**value, "checks": _checks(value["checks"]), "costs": CostSpec(**value["costs"])}
        )
    if name == "retries":
        return RetrySpec(**{**value, "on": tuple(ErrorCategory(word) for word in value["on"])})
    if name == "bundle" and value is not None:
        factors = tuple(Factor(**factor) for factor in value["factors"])
        low, high = value["winsorize_limits"]
        return FactorBundle(**{**value, "factors": factors, "winsorize_limits": (low, high)})
    return value


def _same(one: Any, other: Any) -> bool:
    """Equal down to types, signs of zero and the order of keys, as ``1 == 1.0 == True`` is not."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return repr(one) == repr(other)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if dataclasses.is_dataclass(one):
        return all(
            _same(getattr(one, part.name), getattr(other, part.name)) for part in dataclasses.fields(one)
        )
    return bool(one == other)
