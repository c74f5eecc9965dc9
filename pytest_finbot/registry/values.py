"""Configuration values as strict JSON and back: equal, and of the same type.

What JSON has a word for stands as it is. Anything else is an object with one key that begins
with ``$`` and says its type, as ``{"$date": "2020-01-01"}``; a dict that has such a key of its
own is kept as ``{"$dict": {...}}``. What is not listed in :data:`KNOWN` is refused, with its
path and type, before anything is written: text made of an unknown object could not be read back.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum, Flag
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from pytest_finbot.errors import RegistryError

KNOWN: Final = (
    "None, bool, int, finite float, str, list, tuple, dict with text keys, date, datetime, time, "
    "timedelta, Decimal, Enum, Path, NumPy scalars and small arrays, pandas Timestamp"
)
MOST_ELEMENTS: Final = 10_000
"""Of an array. Configuration is read whole at every look; longer ones are series."""

_LARGEST_INTEGER: Final = 2**53 - 1
"""Beyond it readers of JSON in other languages, and the canonical form, lose digits."""
_DEEPEST: Final = 100
_ARRAY_KINDS: Final = frozenset("biufUMm")
_ESCAPE: Final = "$dict"


def to_json(value: Any, what: str = "value") -> Any:
    """``value`` as strict JSON that :func:`from_json` turns into an equal value of the same type.

    ``what`` names it in errors. Raises RegistryError with the path of what cannot be kept: a
    type that is not in :data:`KNOWN`, NaN or an infinity, a key that is not text, an array of
    more than :data:`MOST_ELEMENTS`, more than 100 levels. Time zones are kept by name where
    they have one in the IANA database (``zoneinfo``), else by their offset from UTC at that time.
    """
    return _to_json(value, what, 0)


def from_json(value: Any, what: str = "value") -> Any:
    """What :func:`to_json` was given.

    An Enum is looked up only in modules that are imported already: a file must not make this
    process import code. Where the module, the class or the member is not there, or the member
    has another value now, the plain value of the member comes back. Raises RegistryError for
    JSON that :func:`to_json` does not write.
    """
    return _from_json(value, what, 0)


# ------------------------------------------------------------------------------- writing


def _to_json(value: Any, path: str, depth: int) -> Any:
    if depth > _DEEPEST:
        raise RegistryError(f"{path} is nested more than {_DEEPEST} deep; does it contain itself?")
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if abs(value) <= _LARGEST_INTEGER else {"$int": hex(value)}
    if kind is float:
        return _finite(value, path)
    if kind is list:
        return _items(value, path, depth)
    if kind is tuple:
        return {"$tuple": _items(value, path, depth)}
    if kind is dict:
        return _dict(value, path, depth)
    if isinstance(value, Enum):
        return _enum(value, path, depth)
    if isinstance(value, PurePath):
        return _path(value, path)
    if isinstance(value, np.generic):
        return _scalar(value, path)
    if kind is np.ndarray:
        return _array(value, path)
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value, path)
    pandas = sys.modules.get("pandas")
    if pandas is not None and kind is getattr(pandas, "Timestamp", None):
        return _timestamp(value)
    raise _refused(value, path)


def _refused(value: Any, path: str) -> RegistryError:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    for plain in (dict, list, tuple, str, int, float):
        if isinstance(value, plain):
            hint = f"; make it a plain {plain.__name__}: {plain.__name__}(...)"
            break
    else:
        hint = "; make it a dict: dict(...)" if isinstance(value, Mapping) else ""
    return RegistryError(f"{path} is of type {name}, which cannot be kept{hint}; expected one of: {KNOWN}")


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise RegistryError(f"{path} is {value!r}; expected a finite number, or None")
    return value


def _items(values: Any, path: str, depth: int) -> list[Any]:
    return [_to_json(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(values)]


def _dict(value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
    for key in value:
        if type(key) is not str:
            raise RegistryError(f"{path} has the key {key!r} of type {type(key).__name__}; expected text")
    plain = {key: _to_json(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    return {_ESCAPE: plain} if any(key.startswith("$") for key in plain) else plain


def _enum(value: Enum, path: str, depth: int) -> dict[str, Any]:
    kind = type(value)
    return {
        "$enum": f"{kind.__module__}:{kind.__qualname__}",
        "name": value.name,
        "value": _to_json(value.value, f"{path}.value", depth + 1),
    }


def _path(value: PurePath, path: str) -> dict[str, Any]:
    kind = type(value)
    if kind is type(Path()):
        return {"$path": str(value)}
    if kind in _PURE_PATHS.values():
        return {"$path": str(value), "pure": kind.__name__}
    raise _refused(value, path)


def _zone(value: datetime) -> dict[str, str]:
    key = value.tzinfo.key if isinstance(value.tzinfo, ZoneInfo) else None
    return {} if key is None else {"zone": key}


def _datetime(value: datetime, path: str) -> dict[str, Any]:
    return {"$datetime": value.isoformat(), **_zone(value)}


def _time(value: time, path: str) -> dict[str, Any]:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise RegistryError(
            f"{path} is a time of day in {value.tzinfo}, whose offset depends on the day; "
            "expected a datetime, or a time without a zone or with a fixed offset"
        )
    return {"$time": value.isoformat()}


def _decimal(value: Decimal, path: str) -> dict[str, Any]:
    if not value.is_finite():
        raise RegistryError(f"{path} is {value!r}; expected a finite number, or None")
    return {"$decimal": str(value)}


def _timestamp(value: Any) -> dict[str, Any]:
    zone = {} if value.tz is None else {"zone": str(value.tz)}
    return {"$timestamp": value.isoformat(), "unit": value.unit, **zone}


_WRITERS: Final[Mapping[type[Any], Callable[[Any, str], Any]]] = {
    date: lambda value, path: {"$date": value.isoformat()},
    datetime: _datetime,
    time: _time,
    timedelta: lambda value, path: {"$timedelta": [value.days, value.seconds, value.microseconds]},
    Decimal: _decimal,
}
_PURE_PATHS: Final[Mapping[str, type[PurePath]]] = {
    "PurePosixPath": PurePosixPath,
    "PureWindowsPath": PureWindowsPath,
}


def _scalar(value: np.generic, path: str) -> dict[str, Any]:
    if isinstance(value, np.str_):
        return {"$numpy": "str", "value": str(value)}
    return {"$numpy": value.dtype.name, "value": _elements(np.asarray(value), path, str(value))[0]}


def _array(value: np.ndarray[Any, Any], path: str) -> dict[str, Any]:
    if value.size > MOST_ELEMENTS:
        raise RegistryError(
            f"{path} is an array of {value.size:,} elements; at most {MOST_ELEMENTS:,} are kept as "
            "configuration, longer ones are series"
        )
    return {"$array": value.dtype.str, "shape": list(value.shape), "values": _elements(value, path, None)}


def _elements(values: np.ndarray[Any, Any], path: str, shown: str | None) -> list[Any]:
    """Elements in C order; ``shown`` is the text of a scalar, for its error."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind not in _ARRAY_KINDS or (kind == "f" and size > 8):
        raise RegistryError(
            f"{path} is of NumPy type {values.dtype}, which cannot be kept; "
            "expected bool, int, float to float64, text, datetime64 or timedelta64"
        )
    flat = values.ravel()
    if kind in "fMm":
        lacking = np.flatnonzero(np.isnat(flat) if kind in "Mm" else ~np.isfinite(flat))
        if len(lacking):
            first = int(lacking[0])
            index = ", ".join(str(int(n)) for n in np.unravel_index(first, values.shape))
            where = path if shown is not None else f"{path}[{index}]"
            expected = "a date" if kind == "M" else "a duration" if kind == "m" else "a finite number"
            raise RegistryError(f"{where} is {flat[first]}; expected {expected}")
    if kind == "M":
        texts: list[str] = np.datetime_as_string(flat).tolist()
        return texts
    if kind == "m":
        flat = flat.astype(np.int64)
    return [_to_json(item, path, 0) for item in flat.tolist()]


# ------------------------------------------------------------------------------- reading


def _from_json(value: Any, path: str, depth: int) -> Any:
    if depth > 2 * _DEEPEST:
        raise RegistryError(f"{path} is nested more than {2 * _DEEPEST} deep")
    if isinstance(value, list):
        return [_from_json(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    tag = next((key for key in value if key.startswith("$")), None)
    if tag is None:
        return {key: _from_json(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    try:
        if tag == _ESCAPE:
            return {key: _from_json(item, f"{path}.{key}", depth + 1) for key, item in value[tag].items()}
        if tag == "$tuple":
            return tuple(_from_json(value[tag], path, depth + 1))
        if tag == "$enum":
            return _read_enum(value, _from_json(value["value"], f"{path}.value", depth + 1))
        reader = _READERS.get(tag)
        if reader is None:
            raise RegistryError(
                f"{path} is of type {tag!r}, which this pytest-finbot does not know; was it written by a "
                "newer version?"
            )
        return reader(value)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, InvalidOperation) as error:
        raise RegistryError(f"{path} cannot be read as {tag}: {error}") from error


def _read_enum(value: dict[str, Any], plain: Any) -> Any:
    module, _, qualified = value["$enum"].partition(":")
    found: Any = sys.modules.get(module)
    for part in qualified.split("."):
        # Not getattr: a module may import on being asked for a name.
        found = None if found is None else vars(found).get(part) if hasattr(found, "__dict__") else None
    if not (isinstance(found, type) and issubclass(found, Enum)):
        return plain
    member = found.__members__.get(value["name"] or "")
    if member is None and issubclass(found, Flag):
        try:
            member = found(plain)  # several flags at once have no name of their own
        except (ValueError, TypeError):
            return plain
    same = member is not None and type(member.value) is type(plain) and bool(member.value == plain)
    return member if same else plain


def _read_datetime(value: dict[str, Any]) -> datetime:
    moment = datetime.fromisoformat(value["$datetime"])
    if "zone" not in value:
        return moment
    try:
        zone = ZoneInfo(value["zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return moment  # its offset is right; only the name is not known on this machine
    for fold in (0, 1):
        candidate = moment.replace(tzinfo=zone, fold=fold)
        if candidate.utcoffset() == moment.utcoffset():
            return candidate
    return moment


def _read_timestamp(value: dict[str, Any]) -> Any:
    import pandas as pd

    moment = pd.Timestamp(value["$timestamp"]).as_unit(value["unit"])
    if "zone" not in value:
        return moment
    try:
        return moment.tz_convert(value["zone"])
    except (ZoneInfoNotFoundError, ValueError, KeyError):
        return moment


def _read_path(value: dict[str, Any]) -> PurePath:
    return _PURE_PATHS[value["pure"]](value["$path"]) if "pure" in value else Path(value["$path"])


def _read_scalar(value: dict[str, Any]) -> Any:
    if value["$numpy"] == "str":
        return np.str_(value["value"])
    return _read_elements(value["$numpy"], [value["value"]])[0]


def _read_array(value: dict[str, Any]) -> Any:
    return _read_elements(value["$array"], value["values"]).reshape(value["shape"])


def _read_elements(name: str, values: list[Any]) -> np.ndarray[Any, Any]:
    dtype = np.dtype(name)
    if dtype.kind not in _ARRAY_KINDS:
        raise ValueError(f"NumPy type {name} is none that is written")
    plain = [int(item["$int"], 16) if isinstance(item, dict) else item for item in values]
    if dtype.kind == "m":
        return np.array(plain, dtype=np.int64).astype(dtype)
    return np.array(plain, dtype=dtype)


_READERS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "$int": lambda value: int(value["$int"], 16),
    "$date": lambda value: date.fromisoformat(value["$date"]),
    "$datetime": _read_datetime,
    "$time": lambda value: time.fromisoformat(value["$time"]),
    "$timedelta": lambda value: timedelta(*value["$timedelta"]),
    "$decimal": lambda value: Decimal(value["$decimal"]),
    "$path": _read_path,
    "$numpy": _read_scalar,
    "$array": _read_array,
    "$timestamp": _read_timestamp,
}
