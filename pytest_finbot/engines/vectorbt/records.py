"""What vectorbt keeps of a simulation, records of orders and logs, as the contract has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import Fills, FillTiming, FloatArray, MarketData, RejectedOrder, RunSpec

if TYPE_CHECKING:
    import pandas as pd

Records = npt.NDArray[Any]
"""Structured arrays of vectorbt's: ``order_dt`` or ``log_dt`` of ``vectorbt.portfolio.enums``."""

ROUNDING = 1e-12
"""Fraction of NAV: what an order lacks below that is rounding."""
_SAME = 1e-9
"""Fraction to which costs that were charged are those declared; vectorbt's own tolerance."""
# SizeType, Direction, OrderStatus and OrderStatusInfo of vectorbt.portfolio.enums.
_VALUE, _PERCENT, _TARGET_AMOUNT, _TARGET_VALUE, _TARGET_PERCENT = 1, 2, 3, 4, 5
_SHORT_ONLY = 1
_SELL = 1
_FILLED, _IGNORED, _REJECTED = 0, 1, 2
_SIZE_NAN, _SIZE_ZERO = 0, 5


def frame(prices: FloatArray, market: MarketData) -> pd.DataFrame:
    """A copy of ``prices`` [T, N], sessions x symbols; the index is ``DatetimeIndex`` without a time zone."""
    import pandas as pd

    index = pd.DatetimeIndex(market.sessions.astype("datetime64[ns]"), name="session")
    return pd.DataFrame(prices.copy(), index=index, columns=list(market.symbols))


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """NAV and cash [T], units held and prices they are valued at [T, N], as vectorbt has them."""

    nav: FloatArray
    cash: FloatArray
    quantity: FloatArray
    mark: FloatArray

    @classmethod
    def of_orders(cls, portfolio: Any, start_cash: float) -> Account:
        """By the functions with which ``portfolio.value()`` computes it, bit for bit.

        Its own methods wrap each step between in pandas, which takes ten times as long.
        """
        from vectorbt.portfolio import nb
        from vectorbt.portfolio.enums import Direction
        from vectorbt.records.nb import col_map_nb

        # Rows in one piece, so that one symbol and many use the same compiled functions.
        mark = np.array(portfolio.close.to_numpy(), np.float64, order="C")
        sessions, assets = mark.shape
        orders, groups = portfolio.order_records, np.array([assets], np.int64)
        columns = col_map_nb(orders["col"], assets)
        quantity = nb.assets_nb(nb.asset_flow_nb((sessions, assets), orders, columns, Direction.Both))
        flow = nb.cash_flow_grouped_nb(nb.cash_flow_nb((sessions, assets), orders, columns, False), groups)
        start = np.array([start_cash], np.float64)
        cash = nb.cash_grouped_nb((sessions, assets), flow, groups, start)
        market_value = nb.asset_value_grouped_nb(nb.asset_value_nb(mark, quantity), groups)
        return cls(nb.value_nb(cash, market_value)[:, 0], cash[:, 0].copy(), quantity, mark)

    @classmethod
    def reported(cls, portfolio: Any) -> Account:
        """By the methods of ``portfolio``, which a subclass of a user's may have made its own."""
        close = portfolio.get_filled_close() if portfolio.fillna_close else portfolio.close
        shape = portfolio.wrapper.shape_2d
        return cls(
            _plain(portfolio.value(), shape[0]),
            _plain(portfolio.cash(), shape[0]),
            _plain(portfolio.assets(), shape),
            _plain(close, shape),
        )


def _plain(values: Any, shape: int | tuple[int, ...]) -> FloatArray:
    return np.array(values, np.float64).reshape(shape)


def fills_of(orders: Records, logs: Records) -> Fills:
    """``orders``, numbered from 0 and each with its log, as fills in the order of execution.

    Slippage is the difference of the price paid and the order's own, which is in ``logs`` alone.
    """
    orders = orders[np.lexsort((orders["id"], orders["idx"]))]
    size, price = orders["size"], np.ascontiguousarray(orders["price"])
    filled = logs[logs["order_id"] >= 0]
    asked = np.full(len(orders), np.nan)
    asked[filled["order_id"]] = filled["req_price"]
    # Where cash does not pay for one whole unit, vectorbt has an order of none.
    something = size != 0.0
    orders, size, price = orders[something], size[something], price[something]
    return Fills(
        np.ascontiguousarray(orders["idx"], np.int64),
        np.ascontiguousarray(orders["col"], np.int64),
        np.where(orders["side"] == _SELL, -size, size),
        price,
        np.ascontiguousarray(orders["fees"]),
        np.abs(price - asked[orders["id"]]) * size,
    )


def filled_orders(logs: Records) -> int:
    """How many orders of ``logs`` were filled, whole or in part."""
    return int(np.count_nonzero(logs["res_status"] == _FILLED))


def wanted_units(logs: Records) -> FloatArray:
    """Signed units that each order of ``logs`` asked for, as vectorbt works them out.

    NaN where it asked for a part of what there is (all the cash, say): then whatever it got is that.
    """
    size = np.where(logs["req_direction"] == _SHORT_ONLY, -logs["req_size"], logs["req_size"])
    kind = logs["req_size_type"]
    with np.errstate(all="ignore"):
        size = np.where(kind == _TARGET_PERCENT, size * logs["value"], size)
        in_value = (kind == _VALUE) | (kind == _TARGET_VALUE) | (kind == _TARGET_PERCENT)
        size = np.where(in_value, size / logs["val_price"], size)
        is_target = (kind == _TARGET_AMOUNT) | (kind == _TARGET_VALUE) | (kind == _TARGET_PERCENT)
        size = np.where(is_target, size - logs["position"], size)
        step = logs["req_size_granularity"]
        size = np.where(np.isnan(step), size, np.copysign(np.abs(size) // step * step, size))
    return np.where((kind == _PERCENT) | ~np.isfinite(size), np.nan, size)


def rejected_of(logs: Records) -> list[RejectedOrder]:
    """Orders of ``logs`` that were not executed or cut, each with the signed units it lacks (0: not known).

    What is smaller than :data:`ROUNDING` of NAV is none; so is an order for nothing (NaN, zero).
    """
    if not len(logs):
        return []
    from vectorbt.portfolio.enums import status_info_desc

    status, info = logs["res_status"], logs["res_status_info"]
    wanted = wanted_units(logs)
    got = np.where(logs["res_side"] == _SELL, -logs["res_size"], logs["res_size"])
    missing = wanted - np.where(status == _FILLED, got, 0.0)
    with np.errstate(all="ignore"):
        rounding = ROUNDING * np.abs(logs["value"])
        lacks = ~(np.abs(missing * logs["req_price"]) <= rounding)
    refused = (status == _REJECTED) | ((status == _IGNORED) & (info != _SIZE_NAN) & (info != _SIZE_ZERO))
    cut = (status == _FILLED) & np.isfinite(missing)
    told = np.flatnonzero(lacks & (refused | cut))
    orders = []
    for at in told[np.argsort(logs["idx"][told], kind="stable")].tolist():
        one = logs[at]
        units = float(missing[at])
        reason = _cut(one) if status[at] == _FILLED else f"rejected: {status_info_desc[int(info[at])]}"
        orders.append(
            RejectedOrder(int(one["idx"]), int(one["col"]), units if np.isfinite(units) else 0.0, reason)
        )
    return orders


def _cut(one: Any) -> str:
    """Why an order was filled for less than it asked for."""
    if one["res_size"] >= one["req_max_size"]:
        return "cut to the largest size allowed"
    if one["res_side"] == _SELL:
        return "cut to what is held or may be sold short"
    return "cut to what the cash left pays for"


def charged_problem(logs: Records, spec: RunSpec) -> tuple[str, str] | None:
    """What in the filled orders of ``logs`` is not as ``spec`` declares costs and units, and what is
    expected; ``None`` where all is. A cost that is not declared is the strategy's own.
    """
    filled = logs[logs["res_status"] == _FILLED]
    price, size = filled["res_price"], filled["res_size"]
    paid = size * price
    rate, slip = spec.costs.commission_bps * 1e-4, spec.costs.slippage_bps * 1e-4
    if rate and (np.abs(filled["res_fees"] - paid * rate) > _SAME * paid).any():
        return "does not charge costs.commission_bps", f"fees={rate:g}, as in account"
    sign = np.where(filled["res_side"] == _SELL, -1.0, 1.0)
    if slip and (np.abs(price - filled["req_price"] * (1.0 + sign * slip)) > _SAME * price).any():
        return "does not charge costs.slippage_bps", f"slippage={slip:g}, as in account"
    if spec.units == "whole" and (size != np.trunc(size)).any():
        return "trades fractions of a unit", "size_granularity=1.0, as in account: the run has units: whole"
    return None


def timing_problem(logs: Records, fill: FillTiming, market: MarketData) -> tuple[str, str] | None:
    """What in the filled orders of ``logs`` is not as ``fill`` has it, and what is expected.

    A strategy may fill its orders where it likes (stops, say) as long as the run asks for nothing
    but the usual ``close``.
    """
    prices = market.open if fill == "next_open" else market.close
    if fill == "close" or prices is None:
        return None
    filled = logs[logs["res_status"] == _FILLED]
    expected = prices[filled["idx"], filled["col"]]
    off = np.abs(filled["req_price"] - expected) > _SAME * expected
    if not off.any():
        return None
    at = int(off.argmax())
    column, session = market.symbols[int(filled["col"][at])], market.sessions[int(filled["idx"][at])]
    where = "open" if fill == "next_open" else "close"
    return (
        f"fills {column} on {session} at {float(filled['req_price'][at]):g}, which is not fill: {fill}",
        f"the session's {where}, {float(expected[at]):g}, or a run with fill: close",
    )
