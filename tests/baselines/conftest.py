"""Small results with books that add up, and what tests do to them."""

from __future__ import annotations

import dataclasses
import json
from datetime import date

import numpy as np
import pytest

from pytest_finbot.baselines.compare import compare
from pytest_finbot.baselines.facts import Acceptance
from pytest_finbot.baselines.results import FillTable, RunResult
from pytest_finbot.baselines.sources import BatchSource
from pytest_finbot.baselines.store import Baseline
from pytest_finbot.config.manifest import runs_to_json
from pytest_finbot.contracts import CheckSpec, DataSpec, EngineResult, Fills, RunRecord, RunSpec, RunStatus
from pytest_finbot.fingerprint import sha256_of_json
from pytest_finbot.registry import open_registry
from pytest_finbot.registry.records import record_to_json
from pytest_finbot.registry.small_tables import keep_table
from pytest_finbot.registry.tables import fills_columns, marks_columns, series_columns
from pytest_finbot.tolerances import tolerances_of

SERIES = ("nav", "cash", "market_values", "quantity")
PARTS = {"AAA": {"2015": "0" * 32}, "BBB": {"2015": "1" * 32}}


def _engine(sessions=30, assets=3, seed=0, names=None, debt=0.0):
    """A book that trades every fourth session. ``debt`` is taken out of the cash it starts with."""
    random = np.random.default_rng(seed)
    days = np.busday_offset("2015-01-02", np.arange(sessions)).astype("datetime64[D]")
    names = tuple(names) if names is not None else tuple(f"A{n}" for n in range(assets))
    mark = 50.0 * np.cumprod(1.0 + random.normal(0.0005, 0.01, (sessions, len(names))), axis=0)
    start = 100_000.0 - debt
    cash, held = start, np.zeros(len(names))
    cashes, quantities, rows = np.empty(sessions), np.empty((sessions, len(names))), []
    for row in range(sessions):
        if row % 4 == 0:
            wanted = np.round(random.uniform(-200.0, 600.0, len(names)), 3)
            for n in range(len(names)):
                quantity = float(wanted[n] - held[n])
                fee = 0.001 * abs(quantity) * float(mark[row, n])
                rows.append((row, n, quantity, float(mark[row, n]), fee))
                cash -= quantity * float(mark[row, n]) + fee
            held = wanted
        cashes[row], quantities[row] = cash, held
    columns = np.array(rows, dtype=float).reshape(len(rows), 5).T
    fills = Fills(
        columns[0].astype(np.int64),
        columns[1].astype(np.int64),
        columns[2].copy(),
        columns[3].copy(),
        columns[4].copy(),
        np.zeros(len(rows)),
    )
    nav = cashes + (quantities * mark).sum(axis=1)
    return EngineResult.of(
        sessions=days,
        assets=names,
        nav=nav,
        cash=cashes,
        quantity=quantities,
        mark=mark,
        start_cash=start,
        fills=fills,
    )


def _metrics(engine):
    nav = engine.nav
    return {
        "final_nav": float(nav[-1]),
        "total_return": float(nav[-1] / 100_000.0 - 1.0),
        "cagr": 0.081,
        "volatility": 0.152,
        "sharpe": 0.731,
        "max_drawdown": float(nav.min() - nav.max()) / 100_000.0,
        "max_drawdown_trough": str(engine.sessions[int(nav.argmin())]),
        "trades": len(engine.fills),
        "costs": float(engine.fills.fee.sum()),
    }


class Book:
    """Makes results, changes them, compares them."""

    engine = staticmethod(_engine)

    def of(self, engine, **changes) -> RunResult:
        """The comparable part of an engine's result."""
        result = RunResult.of_engine(engine, engine.quantity * engine.mark, _metrics(engine), {})
        return dataclasses.replace(result, **changes)

    def __call__(self, sessions=30, assets=3, seed=0, names=None, debt=0.0, **changes) -> RunResult:
        return self.of(_engine(sessions, assets, seed, names, debt), **changes)

    def with_nav(self, nav, **changes) -> RunResult:
        """A result that only knows its NAV."""
        nav = np.asarray(nav, np.float64)
        days = np.busday_offset("2015-01-02", np.arange(len(nav))).astype("datetime64[D]")
        return RunResult(sessions=days, nav=nav, **changes)

    def put(self, result: RunResult, series: str, where, value) -> RunResult:
        """``result`` with another value at one place of one series (or of several, by an index)."""
        values = getattr(result, series).copy()
        values[where] = value
        return dataclasses.replace(result, **{series: values})

    def metric(self, result: RunResult, **values) -> RunResult:
        return dataclasses.replace(result, metrics={**result.metrics, **values})

    def fills(self, result: RunResult, **columns) -> RunResult:
        """``result`` with other columns of fills."""
        return dataclasses.replace(result, fills=dataclasses.replace(result.fills, **columns))

    def fill(self, result: RunResult, column: str, number: int, value) -> RunResult:
        values = getattr(result.fills, column).copy()
        values[number] = value
        return self.fills(result, **{column: values})

    def pick(self, result: RunResult, rows) -> RunResult:
        """``result`` with these of its fills, in this order."""
        return dataclasses.replace(result, fills=result.fills[np.asarray(rows, dtype=np.int64)])

    def sessions(self, result: RunResult, rows) -> RunResult:
        """``result`` on some of its sessions; its fills stay."""
        changes = {name: getattr(result, name)[rows] for name in ("sessions", *SERIES)}
        return dataclasses.replace(result, **changes)

    def compare(self, now, baseline, preset="refactor", **limits):
        """The comparison; ``limits`` by check, ``metrics_x`` for ``metrics.x``. Its JSON is strict."""
        named = {name.replace("metrics_", "metrics."): limit for name, limit in limits.items()}
        compared = compare(now, baseline, tolerances_of(CheckSpec(preset, named)))
        json.dumps(compared.to_json(), allow_nan=False)
        json.dumps([[check.value, check.limit] for check in compared.checks], allow_nan=False)
        return compared

    def check(self, comparison, name):
        """The one check of that name."""
        [found] = [check for check in comparison.checks if check.name == name]
        return found

    def scale(self, result: RunResult, series: str):
        """By what a difference in ``series`` is measured, as the rule is written down: [T] or [N]."""
        if series == "quantity":
            return np.abs(result.quantity).max(axis=0)
        return np.maximum(np.abs(result.nav), 0.01 * abs(result.nav[0]))

    def baseline(self, result: RunResult, run="held", **changes) -> Baseline:
        fingerprint = {
            "config": {"hash": "c", "settings": {"fast": 50}},
            "data": {"hash": sha256_of_json(PARTS), "field": "close", "parts": PARTS},
            "environment": {"numpy": "2.4"},
        }
        accepted = Acceptance("2026-11-21T09:15:02Z", "Ada <ada@example.org>", "first", "abc")
        made = Baseline("small", run, result, fingerprint, accepted, "", "")
        return dataclasses.replace(made, **changes)

    def bits(self, result: RunResult):
        """Everything of a result, floats by their bits."""

        def raw(value):
            if isinstance(value, FillTable):
                return {part: raw(getattr(value, part)) for part in FillTable.__dataclass_fields__}
            if isinstance(value, np.ndarray):
                return (value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes())
            return value

        return {name: raw(getattr(result, name)) for name in RunResult.__dataclass_fields__}


@pytest.fixture(scope="session")
def book() -> Book:
    return Book()


class Batch:
    """A recorded batch of three runs, in a real registry."""

    def __init__(self, registry, batch_id):
        self.registry, self.id = registry, batch_id
        self._specs = {
            name: RunSpec(
                name=name,
                engine="portfolio",
                strategy="fixed_weights",
                params={"fast": 50},
                symbols=("A0", "A1", "A2"),
                start_date=date(2015, 1, 2),
                end_date=date(2015, 12, 31),
                start_capital=100_000.0,
                data=DataSpec("/prices.csv"),
            )
            for name in ("held", "large", "other")
        }
        self._writer = None

    def checks(self, run, checks):
        """What ``run`` is held to; to be said before anything is recorded."""
        self._specs[run] = dataclasses.replace(self._specs[run], checks=checks)

    def source(self):
        self._begin()
        return BatchSource(self.registry, self.id)

    def record(self, name, engine, write=True, **facts):
        """Record that ``name`` gave the result ``engine`` (or none), with these other facts."""
        self._begin()
        given = {"status": RunStatus.SUCCESS, "attempt": 1, **facts}
        objects, small = self.registry.objects, {}
        if engine is not None:
            given["series"] = keep_table(objects, "series", series_columns(engine), small)
            given["marks"] = objects.put_table(marks_columns(engine))
            if len(engine.fills):
                given["fills"] = keep_table(objects, "fills", fills_columns(engine), small)
            given.setdefault("metrics", _metrics(engine))
        record = RunRecord(
            run_id=f"{self.id}/{name}",
            batch_id=self.id,
            name=name,
            started_at="2026-11-21T09:15:02",
            finished_at="2026-11-21T09:15:03",
            seconds=1.0,
            worker="main",
            tables=small,
            **given,
        )
        if write:
            self.write(record)
        return record

    def write(self, record):
        self._begin()
        self._writer.append("run", record_to_json(record))

    def _begin(self):
        if self._writer is None:
            runs = runs_to_json(list(self._specs.values()))
            self.registry.create_batch({"batch_id": self.id, "batch_name": "small", **runs})
            self._writer = self.registry.open_writer(self.id, "main")
            begin = {"at": "2026-11-21T09:15:02", "expected": list(self._specs), "deselected": 0}
            self._writer.append("begin", begin)

    def close(self):
        if self._writer is not None:
            self._writer.close()


@pytest.fixture
def batch(tmp_path):
    made = Batch(open_registry(tmp_path / ".finbot"), "batch-20261121T091502Z-3f9c1a")
    yield made
    made.close()


@pytest.fixture
def another_batch(tmp_path):
    made = Batch(open_registry(tmp_path / ".finbot"), "batch-20261122T091502Z-3f9c1b")
    yield made
    made.close()
