"""What a run that moved was compared with, out of the registry as it went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.kept import FILLS, SERIES, keep_comparison, kept_baseline
from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.contracts import CheckSpec, Verdict
from pytest_finbot.errors import RegistryError
from pytest_finbot.registry.objects import ObjectStore
from pytest_finbot.tolerances import tolerances_of

DAYS = np.array(["2020-01-02", "2020-01-03"], "datetime64[D]")


def result(nav: list[float], **more: object) -> RunResult:
    return RunResult(DAYS, np.array(nav), ("A", "B"), **more)  # type: ignore[arg-type]


FULL = {
    "cash": np.array([1.0, 2.0]),
    "quantity": np.array([[1.0, 0.0], [1.0, 2.0]]),
    "market_values": np.array([[9.0, 0.0], [8.0, 3.0]]),
    "fills": FillTable(DAYS[1:], np.array([1]), np.array([2.0]), np.array([1.5]), np.array([0.1])),
}


def test_the_baseline_of_a_moved_run_comes_back(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    found = compare(result([11.0, 13.0], **FULL), result([10.0, 13.0], **FULL), tolerances_of(CheckSpec()))
    assert found.verdict is Verdict.MOVED
    said = keep_comparison(objects, found)
    assert said is not None
    kept = kept_baseline(objects, said)
    assert kept is not None
    assert kept.assets == ("A", "B")
    assert kept.nav.tolist() == [10.0, 13.0]
    assert kept.market_values is not None
    assert kept.market_values.tolist() == [[9.0, 0.0], [8.0, 3.0]]
    assert kept.quantity is not None
    assert kept.quantity.tolist() == [[1.0, 0.0], [1.0, 2.0]]
    assert kept.fills is not None
    assert kept.fills.price.tolist() == [1.5]
    assert kept.fills.asset.tolist() == [1]
    assert kept_baseline(objects, {key: value for key, value in said.items() if key != FILLS}) is not None


def test_what_the_baseline_does_not_know_stays_unknown(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    found = compare(result([11.0, 13.0]), result([10.0, 13.0]), tolerances_of(CheckSpec()))
    kept = kept_baseline(objects, keep_comparison(objects, found) or {})
    assert kept is not None
    assert kept.cash is None
    assert kept.market_values is None
    assert kept.quantity is None


def test_nothing_is_kept_of_a_run_that_did_not_move(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    same = compare(result([10.0, 13.0]), result([10.0, 13.0]), tolerances_of(CheckSpec()))
    said = keep_comparison(objects, same)
    assert said is not None
    assert SERIES not in said
    assert kept_baseline(objects, said) is None
    assert keep_comparison(objects, None) is None
    assert not list(tmp_path.iterdir())


def test_a_damaged_object_is_told(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path)
    other = objects.put_table({"session": DAYS})
    with pytest.raises(RegistryError, match="is no series of a baseline"):
        kept_baseline(objects, {SERIES: other})
    with pytest.raises(RegistryError, match="is missing"):
        kept_baseline(objects, {SERIES: "0" * 64})
