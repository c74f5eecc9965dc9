"""Names of the arrays and of the choices that nouns are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]
    SessionArray = npt.NDArray[np.datetime64]
    BoolArray = npt.NDArray[np.bool_]
else:
    # Importing NumPy would cost the `finbot` command more than its answer, and only type
    # checkers ask what these are.
    FloatArray = IntArray = SessionArray = BoolArray = Any

PERIODS_PER_YEAR = 252
"""Sessions a year, the field's convention for annualising."""

RebalanceFreq = Literal["none", "D", "W", "M", "Q", "A"]
FillTiming = Literal["close", "next_close", "next_open"]
Units = Literal["fractional", "whole"]
CostBooking = Literal["targeted", "from_cash"]
ReportName = Literal["summary", "risk", "tca"]
OutputFormat = Literal["parquet", "csv"]
MissingPolicy = Literal["error", "drop", "forward_fill", "interpolate", "backfill"]
LOOK_AHEAD_POLICIES: tuple[MissingPolicy, ...] = ("interpolate", "backfill")
"""Policies that put into a session what was known only later."""
PresumedFault = Literal[
    "price_slip",
    "columns_swapped",
    "column_swapped",
    "dates_shifted",
    "split_not_adjusted",
    "split_not_booked",
    "dividends_in_prices",
]
"""Faults of prices that are told by their pattern, which a market may show for once."""
DividendBooking = Literal["cash", "reinvest"]
RejectedOrders = Literal["fail", "allow"]
"""What orders that an engine did not execute are to their run."""
PartKind = Literal["window", "in_sample", "out_of_sample", "slice"]
Isolation = Literal["auto", "inline", "process"]
"""Where a run is executed: in the process that asks for it, or in a child that can be ended.
``auto``: in a child where a limit is set or code that is not ours takes part."""
