"""The key ``checks``: what a run is held to, at the top of the file, in defaults and in a run."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, create_model
from pydantic_core import PydanticCustomError

from pytest_finbot.config.fields import Strict
from pytest_finbot.config.limits import CHECKS_WITH_LIMIT, KEYS, SERIES_KEYS, LimitError, read_limit
from pytest_finbot.contracts import SERIES_CHECKS, CheckSpec, Limit, PresetName
from pytest_finbot.tolerances import METRIC_UNITS, MetricUnit


def _read(check: str, value: Any) -> Limit | None:
    try:
        return read_limit(check, value)
    except LimitError as error:
        raise PydanticCustomError("finbot_faults", "{faults}", {"faults": error.faults}) from None


def _read_series(value: Any, info: ValidationInfo) -> Limit | None:
    return _read(str(info.field_name), value)


def _read_metric(value: Any, info: ValidationInfo) -> Limit | None:
    return _read(f"metrics.{info.field_name}", value)


def _not_given() -> None:
    """As a factory, so that the schema does not offer null, which is refused."""


# ---------------------------------------------------------------------------- JSON Schema


def _text_in(*units: str) -> dict[str, Any]:
    number = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?"
    return {"type": "string", "pattern": rf"^\s*\+?{number}\s*({'|'.join(units)})\s*$"}


_NUMBER: Final = {"type": "number", "minimum": 0}
_OFF: Final = {"const": False}
_RELATIVE: Final = _text_in("bps?", "%")
_POINTS: Final = _text_in("bps?", "pp")


def _mapping(keys: tuple[str, ...], atol: dict[str, Any]) -> dict[str, Any]:
    relative = {"anyOf": [_NUMBER, _RELATIVE]}
    share = {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, _RELATIVE]}
    known = {"rtol": relative, "atol": atol, "share": share, "none_beyond": relative}
    return {
        "type": "object",
        "properties": {key: known[key] for key in keys},
        "additionalProperties": False,
        "minProperties": 1,
    }


def _any_of(*forms: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [*forms, _OFF]})


_METRIC_SCHEMAS: Final[dict[MetricUnit, WithJsonSchema]] = {
    "currency": _any_of(_RELATIVE, _mapping(KEYS, _NUMBER)),
    "fraction": _any_of(_NUMBER, _POINTS, _mapping(KEYS, {"anyOf": [_NUMBER, _POINTS]})),
    "ratio": _any_of(_NUMBER, _RELATIVE, _mapping(KEYS, _NUMBER)),
    "count": _any_of(_NUMBER, _RELATIVE, _mapping(KEYS, _NUMBER)),
    "date": WithJsonSchema({"type": "boolean"}),
}

SeriesLimit = Annotated[
    Limit | None,
    PlainValidator(_read_series),
    _any_of(_NUMBER, _RELATIVE, _mapping(SERIES_KEYS, _NUMBER)),
]
FillsLimit = Annotated[
    Limit | None, PlainValidator(_read_series), _any_of(_NUMBER, _RELATIVE, _mapping(KEYS, _NUMBER))
]

# ---------------------------------------------------------------------------------- keys


class _Metrics(Strict):
    """A limit for each metric."""

    noun: ClassVar[str] = "metrics"


_METRIC_FIELDS: Final[dict[str, Any]] = {
    name: (
        Annotated[Limit | None, PlainValidator(_read_metric), _METRIC_SCHEMAS[unit]],
        Field(default_factory=_not_given),
    )
    for name, unit in METRIC_UNITS.items()
}
MetricsModel: type[_Metrics] = create_model(
    "MetricsModel", __base__=_Metrics, __module__=__name__, **_METRIC_FIELDS
)


class ChecksModel(Strict):
    """A preset, and limits in place of the preset's."""

    noun: ClassVar[str] = "checks"

    preset: PresetName = "refactor"
    informational: bool = False
    nav: SeriesLimit = Field(default_factory=_not_given)
    cash: SeriesLimit = Field(default_factory=_not_given)
    market_values: SeriesLimit = Field(default_factory=_not_given)
    quantity: SeriesLimit = Field(default_factory=_not_given)
    fills: FillsLimit = Field(default_factory=_not_given)
    coverage: bool = True
    metrics: MetricsModel = Field(default_factory=MetricsModel)  # type: ignore[valid-type]


def put_on(base: CheckSpec, given: ChecksModel | None) -> CheckSpec:
    """``base`` with what one level of the file gives in its place; ``base`` itself if nothing.

    A preset replaces the preset alone: limits of the levels above stay.
    """
    if given is None:
        return base
    named = given.model_fields_set
    metrics: Any = given.metrics
    own = {check: getattr(given, check) for check in SERIES_CHECKS if check in named}
    if "coverage" in named:
        # Fewer rows have no limit: they are looked at, or they are not.
        own["coverage"] = Limit() if given.coverage else None
    own |= {f"metrics.{name}": getattr(metrics, name) for name in metrics.model_fields_set}
    if not own and named.isdisjoint(("preset", "informational")):
        return base
    limits = {**base.limits, **own}
    return CheckSpec(
        preset=given.preset if "preset" in named else base.preset,
        # In one order, so that files that say the same give the same.
        limits={check: limits[check] for check in (*CHECKS_WITH_LIMIT, "coverage") if check in limits},
        informational=given.informational if "informational" in named else base.informational,
    )
