"""What a strategy returned, as target weights, or the reason why it cannot be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_finbot.contracts import FloatArray, IntArray, MarketData, SessionArray, TargetWeights
from pytest_finbot.errors import EngineError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd


def as_target_weights(decisions: object, strategy: str, market: MarketData) -> TargetWeights:
    """``decisions`` in any form that :class:`Strategy` allows, checked against ``market``.

    Raises EngineError, naming ``strategy``, for a wrong type, shape or dtype, for sessions and
    symbols that are not the run's, for rows that do not rise, and for weights that are not
    finite.
    """
    reader = _Reader(strategy, market)
    if isinstance(decisions, TargetWeights):
        return reader.rows_and_weights(decisions.rows, decisions.weights)
    if isinstance(decisions, np.ndarray):
        return reader.array(decisions)
    # Only where pandas has been imported can this be one of its frames.
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(decisions, pandas.DataFrame):
        return reader.frame(decisions)
    raise reader.error(
        f"returned {'nothing (None)' if decisions is None else type(decisions).__name__}; "
        "expected TargetWeights, a DataFrame (sessions x symbols) or an array [T, N]"
    )


class _Reader:
    """One method for each form; every error names the strategy."""

    def __init__(self, strategy: str, market: MarketData) -> None:
        self.strategy = strategy
        self.market = market

    def error(self, message: str) -> EngineError:
        return EngineError(f"strategy {self.strategy!r}: {message}")

    def rows_and_weights(self, rows: Any, weights: Any) -> TargetWeights:
        numbers = self._as_array("rows", rows)
        if numbers.ndim != 1 or (numbers.size and numbers.dtype.kind not in "iu"):
            raise self.error(
                f"rows have shape {numbers.shape} and dtype {numbers.dtype}, expected row numbers (K,) of "
                "whole numbers"
            )
        rising = self._rising(numbers.astype(np.int64))
        values = self._numeric(self._as_array("weights", weights))
        self._shaped(values, len(rising), "K", f"{_count(len(rising), 'decision')}")
        return self._finite(rising, values)

    def array(self, weights: np.ndarray[Any, Any]) -> TargetWeights:
        values = self._numeric(weights)
        sessions = len(self.market.sessions)
        self._shaped(values, sessions, "T", f"{_count(sessions, 'session')}")
        rows = np.flatnonzero(~np.isnan(values).all(axis=1)).astype(np.int64)
        return self._finite(rows, values[rows])

    def frame(self, frame: pd.DataFrame) -> TargetWeights:
        import pandas as pd

        symbols = self.market.symbols
        columns = list(frame.columns)
        for position, column in enumerate(columns):
            if column not in symbols:
                near = did_you_mean(column, symbols) if isinstance(column, str) else ""
                raise self.error(f"column {column!r} is not a symbol of the run{near}")
            if column in columns[:position]:
                raise self.error(f"column {column!r} is there twice")
        missing = [symbol for symbol in symbols if symbol not in columns]
        if missing:
            raise self.error(
                f"no column for {missing[0]!r} ({len(missing)} of {_count(len(symbols), 'symbol')} missing); "
                "a symbol not to be held needs a column of zeros"
            )
        for column, dtype in zip(columns, frame.dtypes, strict=True):
            if not pd.api.types.is_any_real_numeric_dtype(dtype):
                raise self.error(f"column {column!r} has dtype {dtype}, expected numbers")
        rows = self._rising(self._rows_of(frame.index))
        values = frame[list(symbols)].to_numpy(dtype=np.float64, na_value=np.nan)
        return self._finite(rows, values)

    def _rows_of(self, index: pd.Index[Any]) -> IntArray:
        """Row numbers of a frame's index. Each entry must be one of the run's sessions."""
        import pandas as pd

        if len(index) == 0:
            return np.empty(0, np.int64)
        if pd.api.types.is_numeric_dtype(index.dtype):
            raise self.error(f"the index has dtype {index.dtype}, expected decision sessions (dates)")
        try:
            dates = pd.DatetimeIndex(index)
        except (TypeError, ValueError) as error:
            raise self.error(f"the index is not of dates: {error}") from error
        if dates.tz is not None:
            raise self.error(
                f"the index has time zone {dates.tz}, expected sessions without one: use tz_localize(None)"
            )
        moments = dates.to_numpy()
        sessions = self.market.sessions
        rows = np.minimum(np.searchsorted(sessions, moments), len(sessions) - 1)
        strange = np.flatnonzero(sessions[rows] != moments)
        if strange.size:
            date = str(dates[strange[0]]).removesuffix(" 00:00:00")
            raise self.error(
                f"{date} in the index is not a session of the run ({len(strange)} of "
                f"{_count(len(index), 'row')} are not); expected a subset of its {_span(sessions)}"
            )
        return rows.astype(np.int64)

    def _rising(self, rows: IntArray) -> IntArray:
        sessions = self.market.sessions
        outside = rows[(rows < 0) | (rows >= len(sessions))]
        if outside.size:
            raise self.error(
                f"row {outside[0]} is outside 0 to {len(sessions) - 1}, the run's {_span(sessions)}"
            )
        falls = np.flatnonzero(rows[1:] <= rows[:-1])
        if falls.size:
            before, after = rows[falls[0]], rows[falls[0] + 1]
            raise self.error(
                f"decisions must rise in time, each session once: row {after} ({sessions[after]}) follows "
                f"row {before} ({sessions[before]})"
            )
        return rows

    def _as_array(self, what: str, values: Any) -> np.ndarray[Any, Any]:
        try:
            return np.asarray(values)
        except ValueError as error:  # lists of unequal length
            raise self.error(f"{what} are not an array: {error}") from error

    def _numeric(self, weights: np.ndarray[Any, Any]) -> FloatArray:
        if weights.dtype.kind not in "iuf":
            raise self.error(f"weights have dtype {weights.dtype}, expected float64")
        return weights.astype(np.float64, copy=False)

    def _shaped(self, weights: FloatArray, rows: int, letter: str, meaning: str) -> None:
        symbols = self.market.symbols
        if weights.shape != (rows, len(symbols)):
            raise self.error(
                f"got weights of shape {weights.shape}, expected ({letter}, N)={(rows, len(symbols))}: "
                f"{meaning}, {_count(len(symbols), 'symbol')} ({_some(symbols)})"
            )

    def _finite(self, rows: IntArray, weights: FloatArray) -> TargetWeights:
        wrong = np.argwhere(~np.isfinite(weights))
        if wrong.size:
            row, column = wrong[0]
            raise self.error(
                f"the weight of {self.market.symbols[column]} at {self.market.sessions[rows[row]]} is "
                f"{weights[row, column]}, expected a finite number ({len(wrong)} such in all)"
            )
        return TargetWeights(rows, np.ascontiguousarray(weights))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(names: tuple[str, ...], most: int = 6) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def _span(sessions: SessionArray) -> str:
    return f"{_count(len(sessions), 'session')} from {sessions[0]} to {sessions[-1]}"
