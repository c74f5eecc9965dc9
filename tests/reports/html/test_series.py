"""Series of a page out of a registry: as recorded, or the reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.kept import keep_comparison
from pytest_finbot.baselines.results import RunResult
from pytest_finbot.contracts import CheckSpec
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import ObjectStore
from pytest_finbot.reports.html import NoSeries, RegistrySeries
from pytest_finbot.reports.report import RunFacts
from pytest_finbot.tolerances import tolerances_of

DAYS = np.array(["2020-01-02", "2020-01-03"], "datetime64[D]")
RUN = RunFacts("a", "batch/a", "success")


class Fold:
    """As much of a batch's fold as is asked for."""

    def __init__(self, **records: dict[str, Any]) -> None:
        self._records = records

    def records(self, order: Iterable[str]) -> Iterator[dict[str, Any]]:
        for name in order:
            if name in self._records:
                yield {"run_id": f"batch/{name}", "name": name, "status": "success", **self._records[name]}


def recorded(objects: ObjectStore, nav: list[float]) -> dict[str, Any]:
    series = {"session": DAYS, "nav": np.array(nav), "cash": np.array(nav), "flows": np.zeros(2)}
    return {
        "series": objects.put_table(series | {"quantity:A": np.zeros(2)}),
        "marks": objects.put_table({"session": DAYS, "mark:A": np.ones(2)}),
    }


def series_of(objects: ObjectStore, **records: dict[str, Any]) -> RegistrySeries:
    return RegistrySeries(objects, Fold(**records))  # type: ignore[arg-type]


def test_both_sides_of_a_moved_run_are_as_recorded(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    now, before = RunResult(DAYS, np.array([1.0, 3.0])), RunResult(DAYS, np.array([1.0, 2.0]))
    comparison = keep_comparison(objects, compare(now, before, tolerances_of(CheckSpec())))
    series = series_of(objects, a={**recorded(objects, [1.0, 3.0]), "comparison": comparison})
    sides = series.sides(RUN)
    assert sides.now is not None
    assert sides.baseline is not None
    assert sides.now.nav.tolist() == series.nav(RUN).tolist() == [1.0, 3.0]
    assert sides.baseline.nav.tolist() == [1.0, 2.0]
    assert (sides.why_not_now, sides.why_not_baseline) == ("", "")


def test_what_is_missing_or_damaged_is_told_by_side(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    record = recorded(objects, [1.0, 3.0])
    sides = series_of(objects, a={**record, "comparison": {"baseline_series": "0" * 64}}).sides(RUN)
    assert sides.now is not None
    assert "is missing" in sides.why_not_baseline
    # Another table under its name: unreadable would be told as well, and this is worse.
    other = objects.put_table({"session": DAYS, "nav": np.ones(2)})
    objects.path_of(record["series"]).write_bytes(objects.path_of(other).read_bytes())
    sides = series_of(objects, a=record).sides(RUN)
    assert sides.now is None
    assert "does not hold the values it is named by" in sides.why_not_now
    assert sides.why_not_baseline == "what it was compared with was not kept beside its record"
    objects.path_of(record["series"]).write_bytes(b"no Parquet")
    with pytest.raises(RegistryError, match="cannot be read"):
        series_of(objects, a=record).nav(RUN)


@pytest.mark.parametrize(
    ("record", "said"),
    [({}, "recorded no series"), ({"series": "x", "tables": {"series": {"session": []}}}, "no column nav")],
)
def test_a_run_without_nav_says_so(tmp_path: Path, record: dict[str, Any], said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        series_of(ObjectStore(tmp_path), a=record).nav(RUN)


def test_a_run_without_a_record_says_so(tmp_path: Path) -> None:
    for ask in (series_of(ObjectStore(tmp_path)).nav, series_of(ObjectStore(tmp_path)).sides):
        with pytest.raises(RegistryError, match="left no record"):
            ask(RUN)
    with pytest.raises(RegistryError, match="elsewhere"):
        NoSeries("its registry is elsewhere").nav(RUN)


def test_of_a_table_some_columns_are_read(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    named = objects.put_table({"session": DAYS, "nav": np.array([1.0, 2.0])})
    assert list(objects.get_table(named, columns=("nav", "none"))) == ["nav"]
    with pytest.raises(ValueError, match="as a whole"):
        objects.get_table(named, columns=("nav",), verify=True)
