"""``finbot_regression.run``: one spec through the built-in pipeline, validated like a batch file's run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.baselines.dependencies import dependencies_of_run
from pytest_finbot.baselines.results import MetricValue, RunResult
from pytest_finbot.config.files import Files
from pytest_finbot.config.level import Level, read_level
from pytest_finbot.config.merge import Merger
from pytest_finbot.config.problems import Findings, Place, key_path, quoted
from pytest_finbot.config.scalars import is_unusual
from pytest_finbot.config.source import Positions, unusual_words
from pytest_finbot.contracts import EngineResult, RunSpec
from pytest_finbot.errors import EngineError, ParameterError
from pytest_finbot.pipeline.execute import execute
from pytest_finbot.session.inspect import inspect_run

if TYPE_CHECKING:
    import pandas as pd

    from pytest_finbot.contracts import ErrorCategory

SHOWN = "finbot_regression.run"
_PLACE: Place = ("runs", 0)
_PREFIX = "runs[0]."


@dataclass(frozen=True, eq=False)
class FixtureRun:
    """What one spec gave, ready to be looked at with pandas. ``result`` is what ``check`` compares.

    ``fingerprint`` is the full document: settings, digests of the data by symbol and year,
    hash of each module, versions.
    """

    spec: RunSpec
    result: RunResult
    engine_result: EngineResult
    fingerprint: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())

    @cached_property
    def nav(self) -> pd.Series:
        """NAV [T], currency."""
        return self._series("nav", self.result.nav)

    @cached_property
    def cash(self) -> pd.Series:
        """Cash [T], currency."""
        return self._series("cash", self.result.cash)

    @cached_property
    def quantities(self) -> pd.DataFrame:
        """Units held after the session's fills [T, N]."""
        return self._frame(self.result.quantity)

    @cached_property
    def positions(self) -> pd.DataFrame:
        """Market values [T, N], currency."""
        return self._frame(self.result.market_values)

    @cached_property
    def fills(self) -> pd.DataFrame:
        """Executed trades in order: session, asset, signed quantity, price, fee."""
        import pandas as pd

        fills = self.result.fills
        assert fills is not None, "an engine tells its fills"
        names = np.asarray(self.result.assets, dtype=object)
        return pd.DataFrame(
            {
                "session": pd.DatetimeIndex(fills.session.astype("datetime64[s]")),
                "asset": names[fills.asset],
                "quantity": fills.quantity,
                "price": fills.price,
                "fee": fills.fee,
            }
        )

    @property
    def metrics(self) -> dict[str, MetricValue]:
        """Metrics by name; ``None`` where undefined."""
        return dict(self.result.metrics)

    @property
    def undefined(self) -> dict[str, str]:
        """Why each metric that is ``None`` is undefined."""
        return dict(self.result.undefined)

    def _index(self) -> pd.DatetimeIndex:
        import pandas as pd

        return pd.DatetimeIndex(self.result.sessions.astype("datetime64[s]"), name="session")

    def _series(self, name: str, values: Any) -> pd.Series:
        import pandas as pd

        return pd.Series(values.copy(), index=self._index(), name=name)

    def _frame(self, values: Any) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(values.copy(), index=self._index(), columns=list(self.result.assets))


def run_one(keys: Mapping[str, Any], test_file: Path) -> FixtureRun:
    """Execute the run that ``keys`` describe, as a batch file beside ``test_file`` would.

    Raises ParameterError with every problem of the keys; then whatever the run raises.
    Nothing is recorded.
    """
    spec = spec_of(keys, test_file)
    raised: list[BaseException] = []

    def keep(error: BaseException, phase: str) -> ErrorCategory | None:
        raised.append(error)
        return None

    run = execute(spec, _no_log, categorize=keep)
    if raised:
        error = raised[0]
        if not isinstance(error, Exception):
            # A strategy that calls pytest.skip must not excuse the test that holds it to account.
            raise EngineError(f"the run ended itself with {type(error).__qualname__}: {error}") from error
        raise error
    assert run.result is not None and run.books is not None, "a run that failed has raised"  # noqa: PT018
    digest = None if run.market is None else run.market.digest
    return FixtureRun(
        spec=spec,
        result=RunResult.of_engine(run.result, run.books.market_values, run.metrics, run.undefined_metrics),
        engine_result=run.result,
        fingerprint=dependencies_of_run(spec, run.fingerprint, None if digest is None else digest.parts),
        warnings=tuple(run.warnings),
    )


def spec_of(keys: Mapping[str, Any], test_file: Path) -> RunSpec:
    """The run that ``keys`` describe; relative paths are relative to the folder of ``test_file``."""
    if "checks" in keys:
        raise ParameterError(f"{SHOWN}: checks: give preset and limits to finbot_regression.check")
    if "compare_with" in keys:
        raise ParameterError(f"{SHOWN}: compare_with: for runs of a batch file alone; a test has one run")
    for key in ("timeout", "memory_limit", "isolation", "retries"):
        if key in keys:
            raise ParameterError(
                f"{SHOWN}: {key}: for runs of a batch file alone; a test is executed in its own process"
            )
    raw = {name: _plain((name,), value) for name, value in {"id": "run", **keys}.items()}
    findings, files = Findings(SHOWN, Positions()), Files(test_file)
    level = read_level(raw, _PLACE, findings, files)
    spec = None
    if level is not None:
        merger = Merger(Level(("defaults",), {}), "portfolio", findings, files)
        spec = merger.spec(level, 0)
    for place, message in inspect_run(spec) if spec is not None else ():
        findings.add((*_PLACE, *place), message)
    problems = [
        *findings.sorted(),
        *(problem for shown in sorted(files.problems) for problem in files.problems[shown]),
    ]
    if problems or spec is None:
        lines = dict.fromkeys(str(problem).replace(_PREFIX, "", 1) for problem in problems)
        raise ParameterError("\n".join(lines))
    return spec


def _plain(place: Place, value: Any) -> Any:
    """``value`` as a batch file could have said it. Raises ParameterError for what none can."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, datetime) and value == datetime.combine(value, datetime.min.time(), value.tzinfo):
        value = value.date()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ParameterError(f"{SHOWN}: {key_path(place)}: the key {key!r} is no text")
        return {key: _plain((*place, key), child) for key, child in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain((*place, number), child) for number, child in enumerate(value)]
    if isinstance(value, float | int) and is_unusual(value):
        raise ParameterError(f"{SHOWN}: {key_path(place)}: {unusual_words(value)}")
    if value is None or isinstance(value, str | int | float):
        return value
    raise ParameterError(
        f"{SHOWN}: {key_path(place)}: {quoted(repr(value))} is of type {type(value).__name__}; "
        "expected what a batch file can say: text, numbers, true or false, dates, lists, mappings"
    )


def _no_log(kind: str, payload: Mapping[str, Any], *, flush: bool = True) -> None:
    """Nothing is written: the test's own report tells what failed."""
