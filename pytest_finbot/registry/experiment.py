"""An experiment from a notebook, and what it becomes in the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import numpy as np

from pytest_finbot.contracts import ErrorInfo, RunStatus
from pytest_finbot.errors import RegistryError
from pytest_finbot.fingerprint import environment, sha256_of_json
from pytest_finbot.registry.objects import Column, table_hash
from pytest_finbot.registry.submitted import PARAMS, check_name, mapping_of, text_of
from pytest_finbot.registry.values import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One run that a script made by itself. Only ``name`` has to be given."""

    name: str
    """What it is a run of; results of one name are a history."""
    strategy: str = ""
    engine: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Any values of :data:`~pytest_finbot.registry.values.KNOWN`; they come back of the same type."""
    metrics: Mapping[str, float | int | str | None] = field(default_factory=dict)
    """Returns and drawdown as fractions, NAV in currency units. ``None``: undefined, for the
    reason in ``undefined_metrics``. Lists show ``final_nav``, ``total_return``, ``cagr``,
    ``sharpe``, ``max_drawdown`` (negative) and ``trades``."""
    undefined_metrics: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    series: Mapping[str, Any] | None = None
    """Columns of equal length by name: days, float or whole numbers, text. Arrays or pandas Series."""
    status: RunStatus | str = RunStatus.SUCCESS
    error: ErrorInfo | Mapping[str, Any] | str | None = None
    """Why it failed; one that does not say its category is ``unknown``."""
    started_at: datetime | str | None = None
    """In UTC where it has no time zone; now less ``seconds`` where it is not given."""
    seconds: float | None = None
    seed: int | None = None


def submitted(experiment: Experiment) -> tuple[dict[str, Any], dict[str, Column] | None]:
    """The experiment as :func:`~.submitted.record_of` takes it, and the columns of its series.

    The hash of its configuration is that of engine, strategy and params, where ``50`` and
    ``50.0`` are two values: code can tell them apart. Raises RegistryError for params and
    series that cannot be kept.
    """
    check_name(experiment.name, "run")
    where = f"run {experiment.name!r}"
    params = dict(mapping_of(experiment.params, f"{where}: params"))
    settings = {
        "engine": text_of(experiment.engine, f"{where}: engine"),
        "strategy": text_of(experiment.strategy, f"{where}: strategy"),
        "params": to_json(params, f"{where}: params"),
    }
    try:
        digest = sha256_of_json(_exact(settings))
    except ValueError as error:  # text with half a character has no UTF-8
        raise RegistryError(f"{where}: params have no hash: {error}") from error
    given: dict[str, Any] = {
        name: getattr(experiment, name)
        for name in (
            *("name", "strategy", "engine", "metrics", "undefined_metrics", "status", "error"),
            *("started_at", "seconds", "seed"),
        )
    }
    tags: Any = experiment.tags
    given["tags"] = tags if isinstance(tags, str) or not isinstance(tags, Iterable) else list(tags)
    given["fingerprint"] = {"config": digest, "environment": environment()}
    given[PARAMS] = params
    if experiment.series is None:
        return given, None
    columns = {}
    for name, values in mapping_of(experiment.series, f"{where}: series").items():
        text_of(name, f"{where}: a name of series")
        columns[name] = _column(values, f"{where}: series.{name}")
    given["series"] = table_hash(columns)
    given["counts"] = {"sessions": len(next(iter(columns.values()), ()))}
    return given, columns


def _exact(value: Any) -> Any:
    """``value`` with whole floats marked: canonical JSON has one spelling for 50 and 50.0."""
    if isinstance(value, float) and value.is_integer():
        return {"$float": repr(value)}
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return value


def _column(values: Any, what: str) -> Column:
    """``values`` as a column of :mod:`~.objects`: float64, int64, days or text."""
    if isinstance(values, list | tuple):
        _check_alike(values, what)
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise RegistryError(f"{what} makes no column: {error}") from error
    kind = column.dtype.kind
    if kind == "M":
        days = column.astype("datetime64[D]")
        if not (days.astype(column.dtype) == column).all():  # NaT is equal to nothing
            raise RegistryError(f"{what} has times of day, or no date; expected days")
        return days
    if kind == "f":
        return column.astype(np.float64)
    if kind in "iu":
        if column.size and kind == "u" and int(column.max()) > np.iinfo(np.int64).max:
            raise RegistryError(f"{what} has numbers beyond {np.iinfo(np.int64).max:,}")
        return column.astype(np.int64)
    if kind == "O" and column.size and all(_is_naive_date(value) for value in column.flat):
        return _column(np.array([value.isoformat() for value in column.flat], dtype="datetime64[us]"), what)
    if kind in "UO":
        for value in column.flat:
            if isinstance(value, str):
                text_of(value, f"a value of {what}")
    return column  # text, or what the store refuses by name


def _check_alike(values: Sequence[Any], what: str) -> None:
    """Refuse what NumPy would silently make alike: numbers among texts, truths among numbers."""
    if any(isinstance(value, str) for value in values):
        alien = next((value for value in values if not isinstance(value, str)), None)
    elif any(isinstance(value, bool | np.bool_) for value in values):
        alien = next((value for value in values if not isinstance(value, bool | np.bool_)), None)
    elif any(isinstance(value, bytes) for value in values):
        alien = next(value for value in values if isinstance(value, bytes))
    else:
        return
    if alien is not None:
        raise RegistryError(f"{what} has {alien!r} among values of another type; expected one type")


def _is_naive_date(value: Any) -> bool:
    return isinstance(value, date) and getattr(value, "tzinfo", None) is None
