"""Runs side by side: which are alike, and in what they differ."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pytest_finbot.config.manifest import spec_from_json
from pytest_finbot.contracts import RunSpec
from pytest_finbot.errors import FinbotError, RegistryError, did_you_mean
from pytest_finbot.fingerprint.config import config_document
from pytest_finbot.registry.queries import RunRow
from pytest_finbot.registry.submitted import PARAMS, number_of
from pytest_finbot.registry.values import from_json

if TYPE_CHECKING:
    import pandas as pd

ALIKE_BY: Final = ("total_return", "cagr", "sharpe", "max_drawdown")
"""Metrics by which runs are alike; fractions, but for the Sharpe ratio."""
_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class SimilarRun:
    """A run that is like a reference."""

    run: RunRow
    distance: float
    """The largest of the differences."""
    differences: Mapping[str, float]
    """Of each metric, the run's less the reference's."""


def reference_metrics(given: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of :data:`ALIKE_BY` that a caller looks for. Raises RegistryError for others."""
    wanted = {}
    for name, value in given.items():
        if name not in ALIKE_BY:
            hint = did_you_mean(str(name), ALIKE_BY)
            raise RegistryError(f"runs are alike by {', '.join(ALIKE_BY)}, not by {name!r}{hint}")
        number = number_of(value, name)
        if not isinstance(number, int | float):
            raise RegistryError(f"{name} is {value!r}; expected a finite number")
        wanted[name] = float(number)
    if not wanted:
        raise RegistryError(f"no metric to look for; expected some of {', '.join(ALIKE_BY)}")
    return wanted


def similar(
    rows: Iterable[RunRow], reference: Mapping[str, float | None], tolerance: float
) -> list[SimilarRun]:
    """Those of ``rows`` whose metrics each differ by at most ``tolerance``, the nearest first.

    Equally near ones stay in the order of ``rows``. A metric that is undefined matches nothing.
    """
    found = []
    for row in rows:
        differences = {}
        for name, wanted in reference.items():
            value = getattr(row, name)
            if value is None or wanted is None:
                break
            # 1.1 - 1.0 is a little more than 0.1: the rounding of the difference is forgiven.
            slack = 4 * sys.float_info.epsilon * max(abs(value), abs(wanted))
            if not abs(value - wanted) <= tolerance + slack:
                break
            differences[name] = value - wanted
        else:
            distance = max(map(abs, differences.values()))
            found.append(SimilarRun(run=row, distance=distance, differences=differences))
    found.sort(key=lambda each: each.distance)
    return found


def settings_of(record: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """What a run was made with, by part (``params`` or ``setting``) and dotted name.

    Of a run from a batch file it is everything that can change its numbers; of one from a
    script its engine, strategy and params.
    """
    document: dict[str, Any] = {"engine": record.get("engine"), "strategy": record.get("strategy")}
    spec = _planned(record, manifest)
    if spec is not None:
        document |= config_document(spec)
    document.pop("params", None)
    return {
        **{("params", name): value for name, value in _flat(params_of(record, manifest), "")},
        **{("setting", name): value for name, value in _flat(document, "")},
    }


def params_of(record: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a run: those in its record, or in the manifest of its batch."""
    if PARAMS not in record:
        spec = _planned(record, manifest)
        return {} if spec is None else dict(spec.params)
    params = from_json(record[PARAMS], f"params of {record.get('run_id')}")
    if not isinstance(params, dict):
        raise RegistryError(f"params of {record.get('run_id')} are {params!r}, expected names with values")
    return params


def _planned(record: Mapping[str, Any], manifest: Mapping[str, Any]) -> RunSpec | None:
    """The run as its batch's manifest has it; ``None`` for one that is from no batch file."""
    for run in manifest.get("runs") or ():
        if run.get("name") == record.get("name"):
            try:
                return spec_from_json({**manifest.get("common", {}), **run})
            except FinbotError as error:
                raise RegistryError(f"manifest of {record.get('batch_id')}: {error}") from error
    return None


def comparison(
    records: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Mapping[tuple[str, str], Any]]
) -> pd.DataFrame:
    """A column a run; rows by part and name, see ``ExperimentRegistry.compare``."""
    import pandas as pd

    rows: dict[tuple[str, str], list[Any]] = {}
    metrics = [record.get("metrics") or {} for record in records.values()]
    for name in dict.fromkeys(name for each in metrics for name in each):
        rows["metric", name] = [each.get(name) for each in metrics]
    rows |= _differing(list(settings.values()))
    prints = [dict(_parts(record.get("fingerprint") or {})) for record in records.values()]
    rows |= _differing(prints)
    index = (
        pd.MultiIndex.from_tuples(list(rows), names=["part", "name"])
        if rows
        else pd.MultiIndex.from_arrays([[], []], names=["part", "name"])
    )
    columns = {
        run: pd.Series([values[number] for values in rows.values()], index=index, dtype=object)
        for number, run in enumerate(records)
    }
    frame = pd.DataFrame(columns, index=index, dtype=object)
    frame.attrs["undefined"] = {
        run: dict(record.get("undefined_metrics") or {}) for run, record in records.items()
    }
    return frame


def _differing(sides: Sequence[Mapping[tuple[str, str], Any]]) -> dict[tuple[str, str], list[Any]]:
    """Rows whose values are not all the same; None where a run has none."""
    names = dict.fromkeys(name for side in sides for name in side)
    found = {}
    for name in names:
        values = [side.get(name, _ABSENT) for side in sides]
        if any(_told_apart(values[0], value) for value in values[1:]):
            found[name] = [None if value is _ABSENT else value for value in values]
    return found


def _told_apart(one: Any, other: Any) -> bool:
    # By type as well, and by text: an array is equal to another element by element.
    return type(one) is not type(other) or repr(one) != repr(other)


def _parts(fingerprint: Mapping[str, Any]) -> Iterable[tuple[tuple[str, str], Any]]:
    """``config``, ``data.hash``, ``environment.pandas``: what a result depends on, by name."""
    return ((("fingerprint", name), value) for name, value in _flat(fingerprint, ""))


def _flat(values: Mapping[str, Any], path: str) -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        else:
            yield name, value
