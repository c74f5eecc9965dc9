"""What an engine owes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pytest_finbot.contracts.types import FillTiming, FloatArray, IntArray, SessionArray, Units


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
        import numpy as np

        whole, real = np.empty(0, np.int64), np.empty(0, np.float64)
        return cls(whole, whole, real, real, real, real)

    def __len__(self) -> int:
        return len(self.session)


@dataclass(frozen=True, slots=True)
class Conventions:
    """How an engine executes a run's orders: what its numbers hang on beside strategy and prices.

    ``sized_at``: orders are sized at the prices and NAV of the ``fill``, or at those of the
    ``decision``'s close. ``costs`` says in words how they are charged. ``cash_buffer`` is the
    fraction of NAV that targets leave out. ``short_of_cash``: what becomes of an order that cash
    does not pay for. ``cent`` is the smallest amount it books (currency, 0: none). ``notes`` say
    what else a reader has to know.
    """

    fill: FillTiming
    sized_at: Literal["fill", "decision"]
    units: Units
    costs: str
    cash_buffer: float = 0.0
    short_of_cash: Literal["borrows", "rejects", "shrinks"] = "borrows"
    cent: float = 0.0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values, a key a field."""
        return {**dataclasses.asdict(self), "notes": list(self.notes)}


@dataclass(frozen=True, slots=True)
class RejectedOrder:
    """An order the engine did not execute: ``session`` row, ``asset`` column, why."""

    session: int
    asset: int
    quantity: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What is to be traded: decided at the close of ``rows`` [K], ``weights`` [K, N] of NAV.

    Rows are those of the market's sessions and columns its symbols. ``weights`` are what the engine
    is to hold, after limits and cash buffer, and ``fill_rows`` [K] the sessions in which the orders
    are filled. ``made`` counts what the strategy decided, ``scaled`` those cut to the gross exposure
    limit; ``warnings`` tell of what is not executed.
    """

    rows: IntArray
    weights: FloatArray
    fill_rows: IntArray
    made: int
    scaled: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EngineResult:
    """Everything an engine owes, for T sessions x N assets.

    ``quantity`` is what is held after the session's fills, ``mark`` the price it is valued
    at, so that market value = quantity * mark * multiplier. ``flows`` [T] are deposits (+)
    and withdrawals (-) of the session, ``income`` [T, N] dividends and interest booked to
    cash, ``splits`` [T, N] the factor by which a session multiplies the quantity held
    before it (1: none). ``native`` is what the engine itself calls things, as JSON values, and is
    recorded: ``conventions`` says how it executes orders (:meth:`Conventions.to_json`), ``derived``
    names what it does not report and what was rebuilt from what it does. ``decisions`` are the target
    weights that it was to follow, against which its holdings are held (``checks.orders``); ``None``
    where it followed none. Build a result with
    :meth:`of`, which fills in what an engine has not.
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
    decisions: Decisions | None = None
    start_session: date | None = None
    """The session at whose close ``start_cash`` was NAV, of a result that is cut out of a longer one."""

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
        decisions: Decisions | None = None,
    ) -> EngineResult:
        """A result with the usual defaults: multiplier 1; no flows, income, splits, fills.

        ``start_cash`` is the capital before the first session's fills (currency).
        """
        import numpy as np

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
            decisions=decisions,
        )
