"""What scripts and notebooks hand in, as a record: checked whole before anything is written."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Final, TypeVar

import numpy as np

from pytest_finbot.contracts import ErrorCategory, ErrorInfo, RunRecord, RunStatus
from pytest_finbot.errors import RegistryError, did_you_mean
from pytest_finbot.registry.queries import utc_text
from pytest_finbot.registry.records import record_from_json, record_to_json
from pytest_finbot.registry.strict_json import encode
from pytest_finbot.registry.values import to_json

PARAMS: Final = "params"
"""Key of a record's line under which its parameters are, as :func:`~.values.to_json` writes them."""
LONGEST_NAME: Final = 200
LARGEST_INTEGER: Final = 2**53
"""Of a metric: beyond it a float64 loses digits, and with it tables and readers of JSON."""

_FIELDS: Final = frozenset(field.name for field in dataclasses.fields(RunRecord))
_TEXTS: Final = ("worker", "engine", "strategy", "bundle", "start_date", "end_date", "run_id", "compared_at")
_WHOLE: Final = ("seed", "peak_rss", "rejected_orders")
_MAPPINGS: Final = ("fingerprint", "undefined_metrics", "counts", "tables", "comparison")
_NUMBER_OF_ATTEMPT = re.compile(r"#\d+\Z", re.ASCII)
_BEYOND: Final = "beyond the years 1 to 9999"
_EAST: Final = timezone(timedelta(hours=14))
_WEST: Final = timezone(timedelta(hours=-12))
_Word = TypeVar("_Word", bound=StrEnum)


def record_of(given: RunRecord | Mapping[str, Any], batch_id: str) -> tuple[RunRecord, dict[str, Any]]:
    """The record that was handed in, and what else its line has (``params``).

    Of a mapping, ``name`` and ``status`` have to be there, and other keys are fields of
    :class:`~pytest_finbot.contracts.RunRecord`, or ``params``. Its attempt is 0 where nobody
    said. Raises RegistryError that names the key for what cannot be recorded, and for the
    record of another batch.
    """
    if not isinstance(given, RunRecord | Mapping):
        raise RegistryError(f"a run is {given!r}; expected a RunRecord, or its fields by name")
    plain = record_to_json(given) if isinstance(given, RunRecord) else dict(given)
    name = plain.get("name")
    check_name(name, "run")
    where = f"run {name!r}"
    _check_keys(plain, where)
    if batch_id and plain.get("batch_id") not in (None, "", batch_id):
        raise RegistryError(f"{where} is a record of batch {plain['batch_id']}, not of {batch_id}")
    extra = {}
    if PARAMS in plain:
        extra[PARAMS] = to_json(dict(mapping_of(plain.pop(PARAMS), f"{where}: params")), f"{where}: params")
    _check_types(plain, where)
    plain["status"] = word_of(RunStatus, plain.get("status"), f"{where}: status")
    plain |= _times(plain, where)
    plain["metrics"] = _metrics(plain.get("metrics") or {}, where)
    plain["error"] = _error(plain.get("error"), where)
    if plain["error"] is not None and plain["status"] is RunStatus.SUCCESS:
        raise RegistryError(
            f"{where}: status is 'success' and it has an error; expected 'failed', or no error"
        )
    plain["attempt"] = _attempt(plain.get("attempt"), where)
    plain["worker"] = plain.get("worker") or "script"
    for key in ("tags", "warnings", "artifacts"):
        plain[key] = _texts(plain.get(key), f"{where}: {key}")
    return record_from_json({**plain, "batch_id": batch_id, "run_id": ""}), extra


def check(given: RunRecord | Mapping[str, Any]) -> None:
    """Raise RegistryError for what could not be recorded in any batch."""
    record, extra = record_of(given, "")
    encode(record_to_json(record) | extra, f"run {record.name!r}")


def check_name(name: Any, what: str) -> None:
    """Raise RegistryError for what cannot name a batch or a run: it is part of ids and of paths."""
    expected = (
        f"expected 1 to {LONGEST_NAME} characters, no '/', '\\' or line break, not beginning with '.', "
        "not ending like '#2'"
    )
    if not isinstance(name, str):
        raise RegistryError(f"the name of a {what} is {name!r}; {expected}")
    if (
        not 0 < len(name) <= LONGEST_NAME
        or not name.isprintable()
        or name.strip() != name
        or name.startswith(".")
        or not {"/", "\\"}.isdisjoint(name)
        or _NUMBER_OF_ATTEMPT.search(name)
    ):
        raise RegistryError(f"{name[:LONGEST_NAME]!r} cannot name a {what}; {expected}")


def checked_names(expected: Iterable[str]) -> list[str]:
    """Names of the runs that a batch expects, each once; raises RegistryError for others."""
    if isinstance(expected, str) or not isinstance(expected, Iterable):
        raise RegistryError(f"expected is {expected!r}; expected a list of names")
    names = list(expected)
    seen = set()
    for name in names:
        check_name(name, "run")
        if name in seen:
            raise RegistryError(f"run {name!r} is expected twice; names of a batch's runs are unique")
        seen.add(name)
    return names


def word_of(kind: type[_Word], value: Any, what: str) -> _Word:
    """``value`` as one of the words of ``kind``; raises RegistryError with the nearest one."""
    words = [str(word) for word in kind]
    if not isinstance(value, str) or value not in words:
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        raise RegistryError(f"{what} is {value!r}; expected {', '.join(words)}{hint}")
    return kind(value)


def moment_of(value: Any, what: str) -> datetime:
    """A datetime, or its text in ISO 8601, in UTC; one without a time zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError as error:
        raise RegistryError(f"{what} is {value!r}, which is no time in ISO 8601") from error
    if not isinstance(moment, datetime) or moment != moment:
        raise RegistryError(f"{what} is {value!r}; expected a datetime")
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise RegistryError(f"{what} is {value!r}, which in UTC is {_BEYOND}") from error


def text_of(value: Any, what: str) -> str:
    """``value`` if it is text that can be written as UTF-8; else raises RegistryError."""
    if not isinstance(value, str):
        raise RegistryError(f"{what} is {value!r}; expected text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RegistryError(f"{what} is {value!r}, which has half a character; expected text") from error
    return value


def mapping_of(value: Any, what: str) -> Mapping[str, Any]:
    """``value`` if it is names with values; else raises RegistryError."""
    if not isinstance(value, Mapping):
        raise RegistryError(f"{what} are {value!r}; expected names with values")
    return value


def texts_of(value: Any, what: str) -> dict[str, str]:
    """``value`` if it is texts by name; else raises RegistryError."""
    given = mapping_of(value, what)
    return {text_of(key, f"a key of {what}"): text_of(text, f"{what}.{key}") for key, text in given.items()}


def _check_types(plain: dict[str, Any], where: str) -> None:
    """Check what is taken as it is; NumPy's whole numbers become Python's."""
    for key in _TEXTS:
        if plain.get(key) is not None:
            text_of(plain[key], f"{where}: {key}")
        else:
            plain.pop(key, None)  # its default
    for key in _WHOLE:
        value = plain.get(key)
        if isinstance(value, np.integer):
            value = plain[key] = int(value)
        if value is None:
            plain.pop(key, None)
        elif not isinstance(value, int) or isinstance(value, bool):
            raise RegistryError(f"{where}: {key} is {value!r}; expected a whole number, or None")
    for key in _MAPPINGS:
        if plain.get(key) is None:
            plain.pop(key, None)
        else:
            mapping_of(plain[key], f"{where}: {key}")
    for name, reason in plain.get("undefined_metrics", {}).items():
        text_of(reason, f"{where}: undefined_metrics.{name}")


def _check_keys(plain: Mapping[str, Any], where: str) -> None:
    known = _FIELDS | {PARAMS}
    for key in plain:
        if key not in known:
            raise RegistryError(
                f"{where} has the key {key!r}, which no record has{did_you_mean(str(key), known)}"
            )


def _times(plain: Mapping[str, Any], where: str) -> dict[str, Any]:
    started, finished, seconds = (plain.get(key) for key in ("started_at", "finished_at", "seconds"))
    if seconds is not None:
        seconds = number_of(seconds, f"{where}: seconds")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise RegistryError(f"{where}: seconds is {seconds!r}; expected a number from 0 on")
    begin = moment_of(started, f"{where}: started_at") if started not in (None, "") else None
    end = moment_of(finished, f"{where}: finished_at") if finished not in (None, "") else None
    try:
        if end is None:
            end = datetime.now(UTC)
            if begin is not None and seconds is not None:
                end = begin + timedelta(seconds=seconds)
        if begin is None:
            begin = end - timedelta(seconds=seconds or 0)
        # The last hours of the calendar: whoever asks for a time shifts it to its own zone.
        for moment in (begin, end):
            moment.astimezone(_EAST), moment.astimezone(_WEST)
    except OverflowError as error:
        times = f"started_at {started!r}, finished_at {finished!r} and seconds {seconds!r}"
        raise RegistryError(f"{where}: {times} are {_BEYOND} somewhere on Earth") from error
    if seconds is None:
        seconds = max((end - begin).total_seconds(), 0.0)
    return {"started_at": utc_text(begin), "finished_at": utc_text(end), "seconds": float(seconds)}


def _metrics(metrics: Any, where: str) -> dict[str, Any]:
    if not isinstance(metrics, Mapping):
        raise RegistryError(f"{where}: metrics are {metrics!r}; expected names with numbers")
    return {name: number_of(value, f"{where}: metrics.{name}") for name, value in metrics.items()}


def number_of(value: Any, what: str) -> Any:
    """A metric's value: NumPy's as Python's; None and text as they are. Refuses what is not finite."""
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str):
        return None if value is None else text_of(value, what)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > LARGEST_INTEGER:
            raise RegistryError(f"{what} is beyond ±2**53, where digits are lost; make it a float, or text")
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    expected = "a finite number, text, or None with its reason in undefined_metrics"
    raise RegistryError(f"{what} is {value!r}; expected {expected}")


def _error(error: Any, where: str) -> dict[str, Any] | None:
    """A failure's error with every field; one that does not say its category is ``unknown``."""
    if error is None:
        return None
    if isinstance(error, str):
        error = {"message": error}
    if isinstance(error, ErrorInfo):
        error = dataclasses.asdict(error)
    if not isinstance(error, Mapping):
        raise RegistryError(f"{where}: error is {error!r}; expected an ErrorInfo, its fields, or its message")
    fields = [field.name for field in dataclasses.fields(ErrorInfo)]
    for key in error:
        if key not in fields:
            hint = did_you_mean(str(key), fields)
            raise RegistryError(f"{where}: error has the key {key!r}, which no error has{hint}")
    full = {"phase": "", "type": "", "message": "", **error}
    category = full.get("category") or ErrorCategory.UNKNOWN
    full["category"] = word_of(ErrorCategory, category, f"{where}: error.category")
    return full


def _texts(values: Any, what: str) -> list[str]:
    if values is None:
        return []
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise RegistryError(f"{what} are {values!r}; expected a list of texts")
    return [text_of(value, what) for value in values]


def _attempt(attempt: Any, where: str) -> int:
    if attempt is None:
        return 0
    if not isinstance(attempt, int) or isinstance(attempt, bool) or attempt < 1:
        raise RegistryError(f"{where}: attempt is {attempt!r}; expected a whole number from 1 on")
    return attempt


def readable(record: Mapping[str, Any]) -> RunRecord:
    """The record of a line. An error whose category is not there or unheard of is ``unknown``."""
    error = record.get("error")
    if isinstance(error, Mapping) and error.get("category") not in [str(word) for word in ErrorCategory]:
        record = {**record, "error": {"phase": "", "type": "", "message": "", **error, "category": "unknown"}}
    return record_from_json(record)
