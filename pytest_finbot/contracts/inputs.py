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
    BoolArray,
    CostBooking,
    DividendBooking,
    FillTiming,
    FloatArray,
    IntArray,
    Isolation,
    MissingPolicy,
    OutputFormat,
    PartKind,
    PresumedFault,
    RebalanceFreq,
    RejectedOrders,
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
    ``calendar`` is an exchange_calendars name (``XNYS``, ``24/7``), ``weekdays``, or ``None``:
    the sessions are then those of the file, and the record says they were not checked.

    ``missing`` is what becomes of prices that are not there: ``error`` refuses them, ``drop``
    leaves out the sessions on which any symbol has none, ``forward_fill`` repeats the last price
    for at most ``missing_limit`` sessions, ``interpolate`` draws a line to the next price and
    ``backfill`` takes the next price; the last two look ahead.

    ``snapshot`` names recorded data that is used instead of the file, kept in the folder
    ``snapshots``; ``path`` then says which of the snapshot's files is meant, or is empty.

    ``allow`` names faults that somebody has looked at and found to be what the market did: they
    are reported as odd, and refuse nothing.
    """

    path: str
    field: Literal["close", "adj_close"] = "close"
    calendar: str | None = None
    missing: MissingPolicy = "error"
    open_path: str | None = None
    missing_limit: int = 5
    snapshot: str | None = None
    snapshots: str = ""
    allow: tuple[PresumedFault, ...] = ()


@dataclass(frozen=True, slots=True)
class MarkSpec:
    """When a position counts as valued.

    A missing price falls back to that of an earlier session, at most ``max_age`` trading
    sessions back. Where more than the fraction ``max_unmarked`` of held positions (one a
    session and asset) have no valid mark, the run fails and nothing that needs marks is made.

    Where the market has a close of that session, an engine's mark may differ from it by the
    fraction ``max_deviation`` of that close.
    """

    max_age: int = 5
    max_unmarked: float = 0.05
    max_deviation: float = 0.001


@dataclass(frozen=True, slots=True)
class Flow:
    """Money from outside on a session: ``amount`` > 0 is a deposit, < 0 a withdrawal (currency)."""

    date: date
    amount: float


@dataclass(frozen=True, slots=True)
class Dividend:
    """``amount`` (currency) a unit that was held when the session ``ex_date`` began."""

    symbol: str
    ex_date: date
    amount: float


@dataclass(frozen=True, slots=True)
class Split:
    """From session ``ex_date`` on there are ``ratio`` units for each before: 2.0 for two for one."""

    symbol: str
    ex_date: date
    ratio: float


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """Corporate actions of raw prices; adjusted prices contain theirs, and take none.

    ``from_prices`` reads the price files' own columns ``Dividends`` and ``Stock Splits``.
    Dividends go to ``cash`` on the ex-date, or are ``reinvest``-ed in what paid them at its close.
    """

    dividends: Literal["none", "from_prices"] | tuple[Dividend, ...] = "none"
    splits: Literal["none", "from_prices"] | tuple[Split, ...] = "none"
    booking: DividendBooking = "cash"


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What a run is a part of: ``of`` names the whole, ``number`` counts its parts from 1.

    A ``window`` stands for itself. A ``slice`` or an ``out_of_sample`` part is executed from the
    run's ``start_date``, so that it carries what came before; its own sessions are those from
    ``own_from`` on.
    """

    of: str
    kind: PartKind
    number: int
    own_from: date | None = None


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
class CompareSpec:
    """Another run of the batch, the reference, that a run's result is held against when all have run.

    ``checks`` say how far the two may be apart. The rest is how the reference trades, in its own
    words: with that the difference is split (see ``engines.ladder``). A run's window, strategy,
    symbols and capital are the reference's own.
    """

    run: str
    checks: CheckSpec = dataclasses.field(default_factory=lambda: CheckSpec("cross_engine"))
    engine: str = ""
    fill: FillTiming = "close"
    units: Units = "fractional"
    costs: CostSpec = CostSpec()
    cash_buffer: float = 0.0
    min_trade: float = 0.0


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
    marks: MarkSpec = MarkSpec()
    flows: tuple[Flow, ...] = ()
    actions: ActionSpec = ActionSpec()
    multipliers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Currency that a unit's price stands for, by symbol: 50.0 for a future on 50 times its index;
    1 for what is not named."""
    part: PartSpec | None = None
    cash_buffer: float = 0.0
    """Fraction of NAV that target weights leave in cash: each is multiplied by one less it."""
    rejected_orders: RejectedOrders = "fail"
    """Whether a run of which the engine rejected orders fails, or only says so; not part of the hash."""
    compare_with: CompareSpec | None = None
    """The run of the same batch that its result is compared with; no part of the hash."""


@dataclass(frozen=True, slots=True, eq=False)
class MarketData:
    """Prices of one run's symbols in one run's window.

    ``close`` [T, N] is the closing price in the run's field, finite and positive; ``open``
    [T, N] is on the same adjustment basis, or ``None`` where the files have no opens.
    ``factors`` maps the name of a panel factor to its values [T, N] (NaN: not known).
    ``symbols`` are in the order of ``RunSpec.symbols``. Arrays are C-contiguous, read-only.

    ``observed`` [T, N] is False where the file has no close and the policy for missing data put
    one there; ``None``: all are the file's own. ``dividends`` [T, N] (currency a unit, 0: none)
    and ``splits`` [T, N] (factor, 1: none) are those of the run's corporate actions, ``None``
    where it has none. ``missing`` says what was filled or left out, ``odd`` what is strange about
    the prices and yet no reason to refuse them.
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
    observed: BoolArray | None = None
    dividends: FloatArray | None = None
    splits: FloatArray | None = None
    missing: MissingPrices | None = None
    odd: tuple[DataFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingPrices:
    """What a policy for missing data did: ``filled`` counts prices by symbol, ``dropped`` names sessions.

    ``first`` is the first session that was touched (ISO dates throughout). ``look_ahead``: what
    was put in was known only later.
    """

    policy: MissingPolicy
    filled: Mapping[str, int]
    dropped: tuple[str, ...] = ()
    first: str | None = None
    look_ahead: bool = False


@dataclass(frozen=True, slots=True)
class DataFinding:
    """One thing found about prices. ``error``: not fit to trade on; ``odd``: reported, not failed.

    ``kind`` is a short name (``missing_session``, ``spike`` …), ``session`` the first one (ISO
    date), ``count`` how often. ``message`` names symbol and session by itself.
    """

    kind: str
    severity: Literal["error", "odd"]
    message: str
    symbol: str | None = None
    session: str | None = None
    count: int = 1


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
