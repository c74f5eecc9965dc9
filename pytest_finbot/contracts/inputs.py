"""What to run, and what goes into it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pytest_finbot.contracts.gate import CheckSpec
from pytest_finbot.contracts.status import ErrorCategory
from pytest_finbot.contracts.types import (
    CostBooking,
    FillTiming,
    FloatArray,
    IntArray,
    Isolation,
    OutputFormat,
    RebalanceFreq,
    ReportName,
    SessionArray,
    Units,
)


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Where a run's prices are and how they are read.

    ``path`` is absolute: one wide file (date x symbol; CSV, CSV.gz, Parquet) or a folder with
    one OHLCV file per symbol. ``field`` is the closing price used for marks and fills,
    ``close`` or ``adj_close``; a wide file holds one field only and ``field`` names it.
    ``calendar`` is an exchange_calendars name (``XNYS``, ``24/7``), or ``None``: the
    sessions are then those of the file, and the record says they were not checked.
    """

    path: str
    field: Literal["close", "adj_close"] = "close"
    calendar: str | None = None
    missing: Literal["error"] = "error"
    open_path: str | None = None


@dataclass(frozen=True, slots=True)
class CostSpec:
    """What trading costs in the built-in engine.

    ``commission_bps`` and ``slippage_bps`` are basis points (1e-4) of traded value,
    ``commission_per_share`` is currency per unit. ``targeted`` booking sizes the trade so
    that NAV *after* costs meets the target weights; ``from_cash`` sizes it on NAV before
    costs and lets cash pay, below zero if need be.
    """

    commission_bps: float = 0.0
    commission_per_share: float = 0.0
    slippage_bps: float = 0.0
    booking: CostBooking = "targeted"


@dataclass(frozen=True, slots=True)
class RetrySpec:
    """Whether a failed run is tried again, and when.

    ``attempts`` counts the first one. Before the second attempt ``backoff`` seconds pass, before
    each later one twice as long as before the last; ``jitter`` takes a random part, from half to
    all of it, so that runs that failed together do not come back together. None of it touches
    the numbers, or a hash.
    """

    attempts: int = 1
    on: tuple[ErrorCategory, ...] = (ErrorCategory.TIMEOUT, ErrorCategory.MEMORY, ErrorCategory.CRASH)
    backoff: float = 1.0
    jitter: bool = True


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a bundle: ``weight`` >= 0; ``direction`` +1 (high is good) or -1."""

    name: str
    weight: float
    direction: Literal[1, -1] = 1


@dataclass(frozen=True, slots=True)
class FactorBundle:
    """Weighted factors and how each cross-section is treated before they are added."""

    factors: tuple[Factor, ...]
    universe: str | None = None
    factor_set: str | None = None
    horizon_days: int | None = None
    winsorize: bool = False
    winsorize_limits: tuple[float, float] = (0.01, 0.99)
    zscore: bool = True
    neutralize_by: str | None = None


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One backtest, fully resolved: defaults merged, files read, paths absolute."""

    name: str
    engine: str
    strategy: str
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    start_date: date
    end_date: date
    start_capital: float
    data: DataSpec
    costs: CostSpec = CostSpec()
    rebalance_freq: RebalanceFreq = "M"
    fill: FillTiming = "close"
    units: Units = "fractional"
    min_trade: float = 0.0
    """Trades below this value (currency) are not made."""
    max_gross_exposure: float | None = None
    """Largest sum of absolute weights (fraction of NAV); larger targets are scaled down."""
    bundle: FactorBundle | None = None
    bundle_path: str | None = None
    factors_path: str | None = None
    seed: int | None = None
    tags: tuple[str, ...] = ()
    reports: tuple[ReportName, ...] = ()
    outputs: tuple[OutputFormat, ...] = ()
    description: str = ""
    line: int = 0
    """1-based line of the run in its batch file; 0 when it did not come from a file."""
    timeout: float | None = None
    """Seconds of wall time after which the run is ended; ``None``: it may take for ever."""
    memory_limit: int | None = None
    """Bytes that the run may allocate beyond what its process held before."""
    isolation: Isolation = "auto"
    retries: RetrySpec = RetrySpec()
    checks: CheckSpec = dataclasses.field(default_factory=CheckSpec)
    """What its result is held to against its baseline; no part of the configuration's hash."""


@dataclass(frozen=True, slots=True, eq=False)
class MarketData:
    """Prices of one run's symbols in one run's window.

    ``close`` [T, N] is the closing price in the run's field, finite and positive; ``open``
    [T, N] is on the same adjustment basis, or ``None`` where the files have no opens.
    ``factors`` maps the name of a panel factor to its values [T, N] (NaN: not known).
    ``symbols`` are in the order of ``RunSpec.symbols``. Arrays are C-contiguous, read-only.
    """

    sessions: SessionArray
    symbols: tuple[str, ...]
    close: FloatArray
    field: str
    source: str
    open: FloatArray | None = None
    factors: Mapping[str, FloatArray] = dataclasses.field(default_factory=dict)
    calendar: str | None = None
    digest: DataDigest | None = None


@dataclass(frozen=True, slots=True)
class DataDigest:
    """Address of the values used. ``hash`` covers ``parts``: {symbol: {year: digest}}."""

    hash: str
    parts: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, eq=False)
class TargetWeights:
    """What a strategy wants: at session row ``rows[k]``, weights ``weights[k]`` [K, N].

    Weights are fractions of NAV, negative for short; what they leave out is cash. Rows rise
    strictly. A strategy may only use what was known at the close of the row it decides on.
    """

    rows: IntArray
    weights: FloatArray
