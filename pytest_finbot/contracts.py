"""The nouns every layer speaks: what a run is, what an engine returns, what is recorded.

All of them are frozen. Arrays have T sessions (rows) and N assets (columns), are float64
in currency units of the run unless said otherwise, and are made read-only where they are
shared between runs. Sessions are ``datetime64[D]`` everywhere: pandas 2 and 3 disagree on
the resolution of an index, days do not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
SessionArray = npt.NDArray[np.datetime64]

PERIODS_PER_YEAR = 252
"""Sessions a year, the field's convention for annualising."""

RebalanceFreq = Literal["none", "D", "W", "M", "Q", "A"]
FillTiming = Literal["close", "next_close", "next_open"]
Units = Literal["fractional", "whole"]
CostBooking = Literal["targeted", "from_cash"]
ReportName = Literal["summary", "risk", "tca"]
OutputFormat = Literal["parquet", "csv"]


class Verdict(StrEnum):
    """What one check, or one run as a whole, came to."""

    IDENTICAL = "identical"
    WITHIN = "within"
    MOVED = "moved"
    NEW = "new"
    MISSING = "missing"
    NOT_COMPARABLE = "not_comparable"
    WAIVED = "waived"
    ERROR = "error"
    SKIPPED = "skipped"


class RunStatus(StrEnum):
    """How a recorded run ended. A run without a record has no status: it is ``not_run``."""

    SUCCESS = "success"
    FAILED = "failed"


class BatchStatus(StrEnum):
    """Counted from records, never kept by hand."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ErrorCategory(StrEnum):
    DATA = "data_error"
    PARAMETER = "parameter_error"
    ENGINE = "engine_error"
    TIMEOUT = "timeout"
    MEMORY = "memory_error"
    CRASH = "crash"
    REGRESSION = "regression"
    ENVIRONMENT = "environment_error"
    UNKNOWN = "unknown"


# --------------------------------------------------------------------------- what to run


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


# ------------------------------------------------------------------------ what goes in


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


# ----------------------------------------------------------------------- what comes out


@dataclass(frozen=True, slots=True, eq=False)
class Fills:
    """Executed trades, in order, as columns of equal length F.

    ``session`` and ``asset`` are row and column numbers of the result's arrays; ``quantity``
    is signed; ``price`` is what was paid per unit, slippage included; ``fee`` (>= 0) comes on
    top; ``slippage`` (currency, >= 0) says how much of the price paid was slippage.
    """

    session: IntArray
    asset: IntArray
    quantity: FloatArray
    price: FloatArray
    fee: FloatArray
    slippage: FloatArray

    @classmethod
    def none(cls) -> Fills:
        """No trades at all."""
        whole, real = np.empty(0, np.int64), np.empty(0, np.float64)
        return cls(whole, whole, real, real, real, real)

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True, slots=True)
class RejectedOrder:
    """An order the engine did not execute: ``session`` row, ``asset`` column, why."""

    session: int
    asset: int
    quantity: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class EngineResult:
    """Everything an engine owes, for T sessions x N assets.

    ``quantity`` is what is held after the session's fills, ``mark`` the price it is valued
    at, so that market value = quantity * mark * multiplier. ``flows`` [T] are deposits (+)
    and withdrawals (-) of the session, ``income`` [T, N] dividends and interest booked to
    cash, ``splits`` [T, N] the factor by which a session multiplies the quantity held
    before it (1: none). Build it with :meth:`of`, which fills in what an engine has not.
    """

    sessions: SessionArray
    assets: tuple[str, ...]
    nav: FloatArray
    cash: FloatArray
    quantity: FloatArray
    mark: FloatArray
    multiplier: FloatArray
    flows: FloatArray
    income: FloatArray
    splits: FloatArray
    fills: Fills
    start_cash: float
    rejected_orders: tuple[RejectedOrder, ...] = ()
    warnings: tuple[str, ...] = ()
    native: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cent: float = 0.0
    """Smallest amount the engine books, per fill (0.01 for one that rounds to cents)."""

    @classmethod
    def of(
        cls,
        *,
        sessions: SessionArray,
        assets: Sequence[str],
        nav: FloatArray,
        cash: FloatArray,
        quantity: FloatArray,
        mark: FloatArray,
        start_cash: float,
        fills: Fills | None = None,
        multiplier: FloatArray | None = None,
        flows: FloatArray | None = None,
        income: FloatArray | None = None,
        splits: FloatArray | None = None,
        rejected_orders: Sequence[RejectedOrder] = (),
        warnings: Sequence[str] = (),
        native: Mapping[str, Any] | None = None,
        cent: float = 0.0,
    ) -> EngineResult:
        """A result with the usual defaults: multiplier 1; no flows, income, splits, fills.

        ``start_cash`` is the capital before the first session's fills (currency).
        """
        shape = (len(sessions), len(assets))
        return cls(
            sessions=sessions,
            assets=tuple(assets),
            nav=nav,
            cash=cash,
            quantity=quantity,
            mark=mark,
            multiplier=np.ones(shape[1]) if multiplier is None else multiplier,
            flows=np.broadcast_to(np.float64(0.0), shape[0]) if flows is None else flows,
            # A zero-stride view: 30 years x 500 assets of "nothing happened" cost 8 bytes.
            income=np.broadcast_to(np.float64(0.0), shape) if income is None else income,
            splits=np.broadcast_to(np.float64(1.0), shape) if splits is None else splits,
            fills=Fills.none() if fills is None else fills,
            start_cash=start_cash,
            rejected_orders=tuple(rejected_orders),
            warnings=tuple(warnings),
            native={} if native is None else native,
            cent=cent,
        )


# ------------------------------------------------------------------- what is found out


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's outcome; ``session`` (ISO date) and ``asset`` where it first failed."""

    name: str
    verdict: Verdict
    message: str = ""
    value: float | None = None
    limit: float | None = None
    session: str | None = None
    asset: str | None = None

    @property
    def failed(self) -> bool:
        return self.verdict in (Verdict.ERROR, Verdict.MOVED, Verdict.MISSING)


@dataclass(frozen=True, slots=True)
class PhaseResult:
    """One phase of one run; ``reason`` says why it failed or was skipped."""

    name: str
    status: Literal["success", "failed", "skipped"]
    seconds: float
    counters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Why a run failed. ``expected`` marks an error of the user's input, told without traceback."""

    category: ErrorCategory
    phase: str
    type: str
    message: str
    traceback: str | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is remembered of one attempt at one run; JSON-ready by :func:`record_to_json`.

    ``metrics`` maps a name to a number, or to ``None`` with its reason in
    ``undefined_metrics``. ``series``, ``fills`` and ``marks`` are hashes of tables, kept
    in ``tables`` or as objects of the registry; ``data`` and ``code`` of the fingerprint name
    the objects that say more.
    """

    run_id: str
    batch_id: str
    name: str
    status: RunStatus
    attempt: int
    started_at: str
    finished_at: str
    seconds: float
    worker: str
    fingerprint: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: ErrorInfo | None = None
    phases: tuple[PhaseResult, ...] = ()
    metrics: Mapping[str, float | int | str | None] = dataclasses.field(default_factory=dict)
    undefined_metrics: Mapping[str, str] = dataclasses.field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    warnings: tuple[str, ...] = ()
    rejected_orders: int = 0
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Rows of each output: sessions, positions, fills."""
    series: str | None = None
    fills: str | None = None
    marks: str | None = None
    tables: Mapping[str, Mapping[str, list[Any]]] = dataclasses.field(default_factory=dict)
    """Columns of ``series`` and ``fills`` that are small enough to travel in the record."""
    artifacts: tuple[str, ...] = ()
    """Files under the run's folder, relative to it."""
    seed: int | None = None
    peak_rss: int | None = None
    """Bytes; of the worker process so far, so an upper bound for the run."""
    engine: str = ""
    strategy: str = ""
    bundle: str = ""
    """Name of the bundle's file, where the run has one."""
    start_date: str = ""
    end_date: str = ""
    tags: tuple[str, ...] = ()
