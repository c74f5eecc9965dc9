"""The JSON Schema of a batch file, for editors and other tools: made of the models that read it.

It says what a file may look like, not whether it makes sense: that two runs have one id, that a file is
not there, that a window is empty, is known to the loader alone (``finbot validate``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pytest_finbot.config.meanings import MEANINGS
from pytest_finbot.config.models import BatchModel
from pytest_finbot.tolerances import METRIC_UNITS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_MAY_BE_EMPTY: Final = ("defaults", "matrix", "windows")
"""Sections at the top of the file whose lines may all be commented out."""


def batch_schema(strategies: Iterable[str] = (), engines: Iterable[str] = ()) -> dict[str, Any]:
    """The schema (draft 2020-12) as plain JSON values.

    ``strategies`` and ``engines`` are the names that editors offer beside ``pkg.module:callable``.
    """
    schema = BatchModel.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    for name, model in {**definitions, "BatchModel": schema}.items():
        for key, value in model.get("properties", {}).items():
            _tidy(value)
            value["description"] = _meaning(name, key)
        model.pop("title", None)
        if "description" in model:
            model["description"] = " ".join(model["description"].replace("``", "").split())
    for name in _MAY_BE_EMPTY:
        value = schema["properties"][name]
        forms = value.pop("anyOf", None) or [{"$ref": value.pop("$ref")}]
        value["anyOf"] = [*forms, {"type": "null"}]
    for key, known in (("strategy", sorted(strategies)), ("engine", sorted(engines))):
        for model in (schema, definitions["DefaultsModel"], definitions["RunModel"]):
            if key in model["properties"] and known:
                _offer(model["properties"][key], known)
    _share(definitions, "RunModel", "DefaultsModel")
    _share(definitions, "CompareModel", "ChecksModel")
    return {
        "$schema": DIALECT,
        "title": "Batch file of pytest-finbot",
        **schema,
        "description": "Backtests that are tests: proven, recorded, and compared with what was accepted.",
    }


def _meaning(model: str, key: str) -> str:
    if model == "MetricsModel":
        unit = METRIC_UNITS[key]
        if unit == "date":
            return "whether this date is compared"
        return f"how far it may be from the baseline ({unit}); false: not compared"
    return MEANINGS[model][key]


def _tidy(value: dict[str, Any]) -> None:
    """Without pydantic's titles, which repeat the key, and defaults that only mean "not given"."""
    value.pop("title", None)
    forms = [value, *value.get("anyOf", ())]
    null = any(form.get("type") == "null" for form in forms)
    if (value.get("default", 0) is None and not null) or value.get("default") == "":
        del value["default"]


def _offer(value: dict[str, Any], names: list[str]) -> None:
    """Let ``value``, a text, be one of ``names`` or any other."""
    text = {key: value.pop(key) for key in ("type", "minLength") if key in value}
    value["anyOf"] = [{"enum": names}, text]


def _share(definitions: dict[str, Any], name: str, base: str) -> None:
    """Let the model ``name`` point to what it has in common with ``base``: half the size."""
    known = definitions[base]["properties"]
    own = definitions[name]["properties"]
    for key in own:
        if own[key] == known.get(key):
            own[key] = {"$ref": f"#/$defs/{base}/properties/{key}"}
