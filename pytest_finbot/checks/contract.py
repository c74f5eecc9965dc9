"""The contract of engines: the shape a result must have before anything is computed from it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from pytest_finbot.contracts import Decisions, EngineResult, Fills, MarketData, RejectedOrder, RunSpec
from pytest_finbot.errors import EngineError

Array = npt.NDArray[Any]

LARGEST_CENT = 1.0
"""Currency: an engine that books in whole units of its currency rounds no coarser."""
LARGEST_CENT_SHARE = 1e-4
"""Fraction of the start capital: a small account cannot hide in a large cent."""


def check_result(result: object, spec: RunSpec, market: MarketData) -> None:
    """Raise EngineError, saying what is wrong and where, unless ``result`` keeps the contract.

    Sessions must be those of ``market.sessions``, in rising order; an engine may leave some
    out at the beginning (a warm-up) and nowhere else, as every metric counts sessions, and may
    not invent any. A mark may be NaN: whether a *held* asset has one is a matter of the books,
    not of the shape. A fill moves something: its quantity is not 0. ``cent`` is at most
    :data:`LARGEST_CENT` and :data:`LARGEST_CENT_SHARE` of the start capital.
    """
    _Inspection(spec.engine, spec.start_capital).result(result, market)


@dataclasses.dataclass(frozen=True, slots=True)
class _Inspection:
    """Looks at one engine's result; every method raises EngineError at the first fault."""

    engine: str
    capital: float

    def result(self, result: object, market: MarketData) -> None:
        # None of its kinds but itself: what a property says today and otherwise tomorrow cannot be proven.
        if type(result) is not EngineResult:
            raise self._broken(
                f"it returned {_type_name(result)}, expected pytest_finbot.contracts.EngineResult"
                f"{' itself' if isinstance(result, EngineResult) else ''} (build one with EngineResult.of)"
            )
        self._sessions(result, market)
        self._assets(result.assets)
        self._arrays(result)
        self._fills(result)
        self._rejected_orders(result)
        self._number("start_cash", result.start_cash)
        self._number("cent", result.cent)
        if result.cent < 0:
            raise self._broken(f"cent is {result.cent}, expected 0 or the smallest amount it books")
        largest = min(LARGEST_CENT, LARGEST_CENT_SHARE * self.capital)
        if result.cent > largest:
            raise self._broken(
                f"cent is {result.cent:g}, expected at most {largest:g}: {LARGEST_CENT:g}, and "
                f"{LARGEST_CENT_SHARE:g} of the start capital {self.capital:g}"
            )
        self._texts("warnings", result.warnings)
        if result.decisions is not None:
            self._decisions(result.decisions, market)

    def _sessions(self, result: EngineResult, market: MarketData) -> None:
        sessions = result.sessions
        if not isinstance(sessions, np.ndarray) or sessions.dtype != np.dtype("datetime64[D]"):
            kind = f"{sessions.dtype} array" if isinstance(sessions, np.ndarray) else _type_name(sessions)
            raise self._broken(
                f"sessions are a {kind}, expected a NumPy array of datetime64[D] "
                "(values.astype('datetime64[D]'))"
            )
        if sessions.ndim != 1 or not len(sessions):
            raise self._broken(
                f"sessions have shape {sessions.shape}, expected one dimension and at least one"
            )
        if np.isnat(sessions).any():
            raise self._broken(f"session {int(np.isnat(sessions).argmax())} is NaT, expected a date")
        if np.array_equal(sessions, market.sessions):
            return
        rising = sessions[1:] > sessions[:-1]
        if not rising.all():
            row = int(rising.argmin())
            fault = "twice" if sessions[row + 1] == sessions[row] else f"before {sessions[row + 1]}"
            raise self._broken(
                f"sessions do not rise: {sessions[row]} comes {fault} (rows {row} and {row + 1})"
            )
        known = np.isin(sessions, market.sessions)
        if not known.all():
            raise self._broken(
                f"session {sessions[known.argmin()]} is not one of the market's {len(market.sessions)} "
                f"sessions ({market.sessions[0]} to {market.sessions[-1]})"
            )
        owed = market.sessions[np.searchsorted(market.sessions, sessions[0]) :]
        if len(owed) != len(sessions):
            left_out = owed[~np.isin(owed, sessions)]
            count = len(left_out)
            raise self._broken(
                f"it leaves out {count:,} session{'s' if count > 1 else ''} after its first, {sessions[0]}: "
                f"{'the first is ' if count > 1 else ''}{left_out[0]}; sessions may be left out at the "
                "beginning only (a warm-up)"
            )

    def _assets(self, assets: tuple[str, ...]) -> None:
        self._texts("assets", assets)
        if len(set(assets)) != len(assets):
            twice = sorted({asset for asset in assets if assets.count(asset) > 1})
            raise self._broken(f"assets are named more than once: {', '.join(twice)}")

    def _arrays(self, result: EngineResult) -> None:
        sessions, assets = len(result.sessions), len(result.assets)
        for name in ("nav", "cash", "flows"):
            values = self._array(name, getattr(result, name), (sessions,), "one value a session")
            self._finite(name, values, result)
        for name in ("quantity", "mark", "income", "splits"):
            values = self._array(
                name, getattr(result, name), (sessions, assets), "one row a session, one column an asset"
            )
            if name != "mark":
                self._finite(name, values, result)
        splits = result.splits
        if splits.strides != (0, 0) or (splits.size and splits[0, 0] != 1):
            self._above_zero("splits", splits, result)
        multiplier = self._array("multiplier", result.multiplier, (assets,), "one value an asset")
        good = np.isfinite(multiplier) & (multiplier > 0)
        if not good.all():
            column = int(good.argmin())
            raise self._broken(
                f"multiplier of {result.assets[column]} is {multiplier[column]}, expected a number above zero"
            )

    def _array(self, name: str, values: object, shape: tuple[int, ...], meaning: str) -> Array:
        if not _is_plain(values):
            raise self._broken(f"{name} is {_type_name(values)}, expected a NumPy array of float64")
        if values.dtype.kind not in "fiu" or not np.can_cast(values.dtype, np.float64, "safe"):
            raise self._broken(f"{name} has dtype {values.dtype}, expected float64")
        if values.shape != shape:
            raise self._broken(f"{name} has shape {values.shape}, expected {shape}: {meaning}")
        return values

    def _finite(self, name: str, values: Array, result: EngineResult) -> None:
        # A broadcast "nothing happened" is one number, however large its shape.
        whole = np.isfinite(values.flat[0] if _is_broadcast(values) else values)
        if not whole.all():
            where = _first(~np.isfinite(values))
            raise self._broken(f"{name}{_place(where, result)} is {values[where]}, expected a finite number")

    def _above_zero(self, name: str, values: Array, result: EngineResult) -> None:
        if not (values > 0).all():
            where = _first(~(values > 0))
            raise self._broken(
                f"{name}{_place(where, result)} is {values[where]}, expected a factor above zero"
            )

    def _fills(self, result: EngineResult) -> None:
        fills = result.fills
        if type(fills) is not Fills:
            raise self._broken(f"fills are {_type_name(fills)}, expected pytest_finbot.contracts.Fills")
        columns = {column.name: getattr(fills, column.name) for column in dataclasses.fields(Fills)}
        for name, values in columns.items():
            kinds = "iu" if name in ("session", "asset") else "fiu"
            expected = "int64" if kinds == "iu" else "float64"
            if not _is_plain(values):
                raise self._broken(
                    f"fills.{name} is {_type_name(values)}, expected a NumPy array of {expected}"
                )
            if values.dtype.kind not in kinds or not np.can_cast(values.dtype, expected, "safe"):
                raise self._broken(f"fills.{name} has dtype {values.dtype}, expected {expected}")
            if values.ndim != 1 or len(values) != len(fills.session):
                lengths = ", ".join(f"{key} {np.shape(value)}" for key, value in columns.items())
                raise self._broken(f"columns of fills differ in length: {lengths}")
        if not len(fills):
            return
        self._in_range("fills.session", fills.session, len(result.sessions), "a row", "sessions")
        self._in_range("fills.asset", fills.asset, len(result.assets), "a column", "assets")
        falling = fills.session[1:] < fills.session[:-1]
        if falling.any():
            number = int(falling.argmax()) + 1
            raise self._broken(
                f"fill {number} on {result.sessions[fills.session[number]]} comes after one on "
                f"{result.sessions[fills.session[number - 1]]}, expected fills in order of session"
            )
        for name in ("quantity", "price", "fee", "slippage"):
            values = columns[name]
            good = np.isfinite(values)
            expected = "a finite number"
            if name in ("fee", "slippage"):
                good &= values >= 0
                expected = "a finite amount of zero or more"
            elif name == "quantity":
                good &= values != 0
                expected = "a finite number other than 0"
            if not good.all():
                number = int(good.argmin())
                place = _place((int(fills.session[number]), int(fills.asset[number])), result)
                raise self._broken(f"{name} of fill {number}{place} is {values[number]}, expected {expected}")

    def _in_range(self, name: str, numbers: Array, count: int, place: str, meaning: str) -> None:
        good = (numbers >= 0) & (numbers < count)
        if not good.all():
            at = int(good.argmin())
            raise self._broken(
                f"{name}[{at}] is {numbers[at]}, expected {place} of its {count} {meaning} (from 0)"
            )

    def _rejected_orders(self, result: EngineResult) -> None:
        for number, order in enumerate(result.rejected_orders):
            if not isinstance(order, RejectedOrder):
                raise self._broken(
                    f"rejected order {number} is {_type_name(order)}, "
                    "expected pytest_finbot.contracts.RejectedOrder"
                )
            if not 0 <= order.session < len(result.sessions):
                raise self._broken(
                    f"rejected order {number} has session {order.session}, "
                    f"expected a row of its {len(result.sessions)} sessions (from 0)"
                )
            if not 0 <= order.asset < len(result.assets):
                raise self._broken(
                    f"rejected order {number} has asset {order.asset}, "
                    f"expected a column of its {len(result.assets)} assets (from 0)"
                )
            if not math.isfinite(order.quantity):
                raise self._broken(
                    f"rejected order {number} has quantity {order.quantity}, expected a finite number"
                )

    def _decisions(self, told: object, market: MarketData) -> None:
        if type(told) is not Decisions:
            raise self._broken(
                f"decisions are {_type_name(told)}, expected pytest_finbot.contracts.Decisions or None"
            )
        sessions, symbols = len(market.sessions), len(market.symbols)
        count = len(told.rows) if isinstance(told.rows, np.ndarray) else 0
        for name, shape in (("rows", (count,)), ("fill_rows", (count,)), ("weights", (count, symbols))):
            values = self._array(f"decisions.{name}", getattr(told, name), shape, "one row a decision")
            if name == "weights":
                if not np.isfinite(values).all():
                    raise self._broken("decisions.weights are not all finite")
            elif values.dtype.kind not in "iu":
                raise self._broken(f"decisions.{name} has dtype {values.dtype}, expected int64")
            else:
                self._in_range(f"decisions.{name}", values, sessions, "a row", "sessions")
        if (told.fill_rows < told.rows).any() or (np.diff(told.rows) <= 0).any():
            raise self._broken("decisions.rows do not rise, or are filled before they are decided")

    def _number(self, name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise self._broken(f"{name} is {_type_name(value)}, expected a number")
        if not math.isfinite(value):
            raise self._broken(f"{name} is {value}, expected a finite number")

    def _texts(self, name: str, values: Sequence[object]) -> None:
        if not isinstance(values, tuple):
            raise self._broken(f"{name} are {_type_name(values)}, expected a tuple of texts")
        for number, value in enumerate(values):
            if not isinstance(value, str):
                raise self._broken(f"{name}[{number}] is {_type_name(value)}, expected a text")

    def _broken(self, fault: str) -> EngineError:
        return EngineError(f"engine {self.engine!r} broke its contract: {fault}")


def _is_plain(values: object) -> TypeGuard[Array]:
    """Whether ``values`` are an array that hides nothing: of a masked one all is finite, NaN or not."""
    return type(values) in (np.ndarray, np.memmap)


def _is_broadcast(values: Array) -> bool:
    return values.size > 0 and not any(values.strides)


def _first(mask: Array) -> tuple[int, ...]:
    """Row, or row and column, of the first true cell."""
    return tuple(int(number) for number in np.unravel_index(int(mask.argmax()), mask.shape))


def _place(where: tuple[int, ...], result: EngineResult) -> str:
    asset = f" of {result.assets[where[1]]}" if len(where) > 1 else ""
    return f"{asset} on {result.sessions[where[0]]}"


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
